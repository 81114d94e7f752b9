"""The loops of :mod:`~.vector_clocks` and :mod:`~.saturation`.

Plain Python that numba also takes. ``clock[node, c]`` is the last place of chain ``c`` from which
the node can be reached, its own included; -1 if there is none.
"""

from __future__ import annotations

from typing import Any

SNAPSHOT = 1
PREFIX = 2
WW = 1
RW = 4
"""As elsewhere; a loop knows constants of its own file alone."""


def cover(
    turns: int,
    moments: int,
    first: Any,
    to: Any,
    waits: Any,
    process: Any,
    last_of: Any,
    chain: Any,
    place: Any,
    tail: Any,
    clock: Any,
    queue: Any,
) -> tuple[int, int]:
    """Give each transaction a chain and a place there, as far as the columns of ``clock`` go.

    ``queue`` becomes an order of all nodes. How many chains there are, and how many nodes are in
    order: the others are in a circle or behind one.
    """
    nodes, room, chains, popped, filled = len(waits), len(tail), 0, 0, 0
    for node in range(nodes):
        if waits[node] == 0:
            queue[filled] = node
            filled += 1
    while popped < filled:
        node = queue[popped]
        popped += 1
        if node < moments:
            txn = node // turns
            if node % turns == 0:
                mine = last_of[process[txn]]
                if mine < 0 or clock[node, mine] != tail[mine]:
                    mine = -1
                    for other in range(chains):
                        if clock[node, other] == tail[other]:
                            mine = other
                            break
                if mine < 0 and chains < room:
                    mine = chains
                    chains += 1
                chain[txn] = mine
                if mine >= 0:
                    last_of[process[txn]] = mine
                    place[txn] = (tail[mine] + 1) // turns
                    tail[mine] += turns
            if chain[txn] >= 0:
                clock[node, chain[txn]] = turns * place[txn] + node % turns
        for at in range(first[node], first[node + 1]):
            after = to[at]
            for one in range(chains):
                if clock[node, one] > clock[after, one]:
                    clock[after, one] = clock[node, one]
            waits[after] -= 1
            if waits[after] == 0:
                queue[filled] = after
                filled += 1
    return chains, popped


def spread(
    first: Any, to: Any, waits: Any, fresh: Any, changed: Any, clock: Any, queue: Any
) -> int:
    """Carry on what new edges tell, from the nodes marked as ``fresh``.

    ``changed`` gets a bit for each chain (chain 32 has that of 0, and so on) of which a node's
    clock tells more now. How many nodes are in order: fewer than all, if there is a circle.
    """
    nodes, chains, popped, filled = len(waits), clock.shape[1], 0, 0
    for node in range(nodes):
        if waits[node] == 0:
            queue[filled] = node
            filled += 1
    while popped < filled:
        node = queue[popped]
        popped += 1
        for at in range(first[node], first[node + 1]):
            after = to[at]
            if fresh[node]:
                for one in range(chains):
                    if clock[node, one] > clock[after, one]:
                        clock[after, one] = clock[node, one]
                        fresh[after] = 1
                        changed[after] |= 1 << (one & 31)
            waits[after] -= 1
            if waits[after] == 0:
                queue[filled] = after
                filled += 1
    return popped


def latest_before(
    write: int,
    group: int,
    turns: int,
    kind: int,
    write_txn: Any,
    read_txn: Any,
    group_chain: Any,
    group_first: Any,
    members: Any,
    begins: Any,
    reader_first: Any,
    readers: Any,
    chain: Any,
    place: Any,
    clock: Any,
) -> tuple[int, int]:
    """The last writer of a group that must come before ``write``, and the read that tells it.

    A writer that commits before somebody begins who reads ``write`` comes before it (the read is
    told); and one of which the order cannot be the other way round (-1).
    """
    txn, told, limit = write_txn[write], -1, -1
    mine = group_chain[group]
    for at in range(reader_first[write], reader_first[write + 1]):
        reader = read_txn[readers[at]]
        seen = clock[turns * reader, mine]
        if turns == 1 and chain[reader] == mine:
            seen = min(seen, place[reader] - 1)
        if seen > limit:
            limit, told = seen, readers[at]
    known = clock[turns * txn + turns - 1, mine]
    if chain[txn] == mine:
        known = min(known, turns * place[txn] - 1)
    shift = 0 if kind == SNAPSHOT else turns - 1
    low, high = group_first[group], group_first[group + 1]
    while low < high:
        middle = (low + high) // 2
        begin = begins[middle]
        if begin + turns - 1 <= limit or begin + shift <= known:
            low = middle + 1
        else:
            high = middle
    low -= 1
    if low >= group_first[group] and members[low] == write:
        low -= 1
    if low < group_first[group]:
        return -1, -1
    commit = begins[low] + turns - 1
    return members[low], told if commit <= limit else -1


def infer(
    turns: int,
    kind: int,
    waiting: Any,
    news: Any,
    write_txn: Any,
    write_key: Any,
    read_txn: Any,
    key_groups: Any,
    group_chain: Any,
    group_first: Any,
    members: Any,
    begins: Any,
    reader_first: Any,
    readers: Any,
    chain: Any,
    place: Any,
    clock: Any,
    found: Any,
    tells: Any,
    out: Any,
) -> tuple[int, int]:
    """Apply the rules to the writes ``waiting``, of each to the chains with a bit in ``news``.

    New edges go into the rows of ``out``: source, target, label, what, later, because. How many,
    and where it stopped.
    """
    count, off = 0, turns - 1
    for at in range(len(waiting)):
        write = waiting[at]
        txn, key, some = write_txn[write], write_key[write], 0
        target = turns * txn + (off if kind == PREFIX else 0)
        for group in range(key_groups[key], key_groups[key + 1]):
            if not news[at] >> (group_chain[group] & 31) & 1:
                continue
            one, told = latest_before(
                write, group, turns, kind, write_txn, read_txn, group_chain, group_first,
                members, begins, reader_first, readers, chain, place, clock,
            )  # fmt: skip
            if one >= 0:
                found[some], tells[some] = one, told
                some += 1
        for mine in range(some):
            one = found[mine]
            other = write_txn[one]
            commit = turns * place[other] + off
            hidden = False
            for rival in range(some):
                between = write_txn[found[rival]]
                if rival != mine and clock[turns * between, chain[other]] >= commit:
                    hidden = True
                    break
            if hidden:
                continue
            if count == out.shape[1]:
                return count, at
            if commit > clock[target, chain[other]]:
                out[0, count], out[1, count], out[2, count] = turns * other + off, target, WW
                out[3, count], out[4, count], out[5, count] = one, write, tells[mine]
                count += 1
            for row in range(reader_first[one], reader_first[one + 1]):
                reader = read_txn[readers[row]]
                known = chain[reader] >= 0 and (
                    turns * place[reader] <= clock[turns * txn + off, chain[reader]]
                )
                if reader == txn or known:
                    continue
                if count == out.shape[1]:
                    return count, at
                out[0, count], out[1, count], out[2, count] = turns * reader, turns * txn + off, RW
                out[3, count], out[4, count], out[5, count] = readers[row], write, tells[mine]
                count += 1
    return count, len(waiting)


def nearest(
    start: int, goal: int, before: int, first: Any, rows: Any, to: Any, past: Any, came: Any
) -> bool:
    """Look for a way of at least one edge, by edges inferred in rounds before ``before``.

    Of the ways those with the fewest inferred edges are taken, of these the shortest; ``came`` is
    the edge by which each node was reached, -1 where it was not. Whether there is a way.
    """
    nodes = len(came)
    queue, later = [start], [start]
    later.pop()
    seen = [False] * nodes
    while len(queue):
        at = 0
        while at < len(queue):
            node = queue[at]
            at += 1
            if seen[node]:
                continue
            seen[node] = True
            for place in range(first[node], first[node + 1]):
                edge = rows[place]
                other = to[place]
                if past[edge] >= before:
                    continue
                if other == goal:
                    came[goal] = edge
                    return True
                if seen[other] or other == start:
                    continue
                if past[edge] == 0:
                    if came[other] < 0 or past[came[other]] > 0:
                        came[other] = edge
                    queue.append(other)
                elif came[other] < 0:
                    came[other] = edge
                    later.append(other)
        queue, later = later, queue
        later.clear()
    return False
