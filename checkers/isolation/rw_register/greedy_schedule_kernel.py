"""The loop of a guess (:mod:`~.greedy_schedule`): plain Python that numba also takes.

Turns are numbered by *rank*, the order in which they are wished. A turn may be had when all that
must come before it was; it is *safe* if nobody who has yet to read a version would find it gone,
and, of snapshots, if no transaction under way writes a key that it writes. What is not safe waits
at the key that is in its way (``parked``), until something changes there.
"""

from __future__ import annotations

from typing import Any

SNAPSHOT = 1
"""As in :mod:`~.problem`; a loop knows constants of its own file alone."""


def push(heap: Any, size: int, rank: int) -> int:
    """Put ``rank`` into a heap of ``size``; the new size."""
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if heap[above] <= rank:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = rank
    return size + 1


def settle_top(heap: Any, size: int) -> int:
    """Take the least rank out of a heap of ``size``; the new size."""
    size -= 1
    last = heap[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= last:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = last
    return size


def obstacle(
    node: int,
    turns: int,
    kind: int,
    first_write: Any,
    write_key: Any,
    first_read: Any,
    read_key: Any,
    read_from: Any,
    holds: Any,
    unread: Any,
    under_way: Any,
) -> int:
    """A key at which the turn is not safe, or -1."""
    txn = node // turns
    is_commit = node % turns == turns - 1
    writes = len(write_key)
    for at in range(first_write[txn], first_write[txn + 1]):
        key = write_key[at]
        if kind == SNAPSHOT and not is_commit and under_way[key] > 0:
            return int(key)
        if not is_commit:
            continue
        held = holds[key]
        waiting = unread[writes + key] if held < 0 else unread[held]
        if turns == 1 and waiting > 0:
            for read in range(first_read[txn], first_read[txn + 1]):
                if read_key[read] == key and read_from[read] == held:
                    waiting -= 1
        if waiting > 0:
            return int(key)
    return -1


def take(
    node: int,
    turns: int,
    first_write: Any,
    write_key: Any,
    first_read: Any,
    read_key: Any,
    read_from: Any,
    holds: Any,
    unread: Any,
    under_way: Any,
    touched: Any,
) -> int:
    """Have a turn. How often it found another version than was read; keys at which something may
    have become safe are left in ``touched``, their number in ``touched[0]``.
    """
    txn, harm, count = node // turns, 0, 0
    writes = len(write_key)
    if node % turns == 0:
        for at in range(first_read[txn], first_read[txn + 1]):
            key, source = read_key[at], read_from[at]
            harm += holds[key] != source
            place = writes + key if source < 0 else source
            unread[place] -= 1
            if unread[place] <= 1:
                count += 1
                touched[count] = key
        if turns == 2:
            for at in range(first_write[txn], first_write[txn + 1]):
                under_way[write_key[at]] += 1
    if node % turns == turns - 1:
        for at in range(first_write[txn], first_write[txn + 1]):
            key = write_key[at]
            holds[key] = at
            if turns == 2:
                under_way[key] -= 1
            count += 1
            touched[count] = key
    touched[0] = count
    return harm


def let_go(
    node: int, first: Any, to: Any, waits: Any, rank: Any, reached: int, heap: Any, size: int
) -> int:
    """Let go of those that waited for ``node`` alone; the new size of the heap."""
    for at in range(first[node], first[node + 1]):
        after = to[at]
        waits[after] -= 1
        if waits[after] == 0 and rank[after] < reached:
            size = push(heap, size, rank[after])
    return size


def wake(
    touched: Any, parked: Any, behind: Any, where: Any, rank: Any, heap: Any, size: int
) -> int:
    """Let those parked at the touched keys try again; the new size of the heap."""
    for at in range(1, touched[0] + 1):
        key = touched[at]
        node = parked[key]
        parked[key] = -1
        while node >= 0:
            if where[node] == key:
                where[node] = -1
                size = push(heap, size, rank[node])
            node = behind[node]
    return size


def have_turns(
    turns: int,
    kind: int,
    patient: int,
    moments: int,
    by_rank: Any,
    rank: Any,
    first: Any,
    to: Any,
    waits: Any,
    first_write: Any,
    write_key: Any,
    first_read: Any,
    read_key: Any,
    read_from: Any,
    holds: Any,
    unread: Any,
    under_way: Any,
    parked: Any,
    behind: Any,
    where: Any,
    heap: Any,
    stuck: Any,
    is_stuck: Any,
    touched: Any,
    order: Any,
) -> int:
    """Fill ``order`` with all turns. How many were had that were not safe, -1 if turns wait for
    each other in a circle. Unless ``patient``, the first unsafe one ends it.
    """
    size = reached = done = harm = waiting = 0
    nodes = len(rank)
    while done < nodes:
        if size:
            node = by_rank[heap[0]]
            size = settle_top(heap, size)
            key = -1
            if node < moments:
                key = obstacle(
                    node, turns, kind, first_write, write_key, first_read, read_key, read_from,
                    holds, unread, under_way,
                )  # fmt: skip
            if key >= 0:
                where[node] = key
                behind[node] = parked[key]
                parked[key] = node
                if not is_stuck[node]:
                    is_stuck[node] = 1
                    waiting = push(stuck, waiting, rank[node])
                continue
        elif reached < nodes:
            node = by_rank[reached]
            reached += 1
            if waits[node] == 0:
                size = push(heap, size, rank[node])
            continue
        else:
            while waiting and where[by_rank[stuck[0]]] < 0:
                is_stuck[by_rank[stuck[0]]] = 0
                waiting = settle_top(stuck, waiting)
            if not waiting:
                return -1
            harm += 1
            if not patient:
                return harm
            node = by_rank[stuck[0]]
            where[node] = -2
        waits[node] = -1
        order[done] = node
        done += 1
        if node < moments:
            harm += take(
                node, turns, first_write, write_key, first_read, read_key, read_from, holds,
                unread, under_way, touched,
            )  # fmt: skip
            size = wake(touched, parked, behind, where, rank, heap, size)
        size = let_go(node, first, to, waits, rank, reached, heap, size)
    return harm
