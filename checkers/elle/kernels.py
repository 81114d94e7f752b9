"""Loops over flat arrays that numpy cannot say, compiled by numba where it is installed.

Every loop here is plain Python that numba also takes, so the results are the same with it and
without it. Importing numba costs 0.3 s and compiling a loop for the first time a second or more
(kept in numba's cache on disk afterwards), so a short history runs the plain loop: the caller
says how much work there is, and :func:`kernel` chooses.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any, Final

COMPILE_FROM: Final = 2_000_000
"""Steps of a loop from which compiled code is worth loading numba."""
LOADED_FROM: Final = 200_000
"""The same where numba has been loaded already, by the reader of a large file for one."""

FREE: Final = 0
NO_TWO_RW: Final = 1
RW_TWICE: Final = 2
"""What the rest of a cycle may be, see :func:`search_cycles`."""

_RW: Final = 4
_REALTIME: Final = 16


@cache
def has_numba() -> bool:
    """Whether loops can be compiled here."""
    return importlib.util.find_spec("numba") is not None


def is_worth_compiling(work: int) -> bool:
    """Whether ``work`` steps of a loop had better be compiled ones."""
    return work >= (LOADED_FROM if "numba" in sys.modules else COMPILE_FROM) and has_numba()


def kernel(loop: Callable[..., Any], work: int, *parts: Callable[..., Any]) -> Callable[..., Any]:
    """``loop`` itself, or compiled if ``work`` steps make that worth it.

    ``parts`` are the functions of the same file that it calls, and that these call.
    """
    if not is_worth_compiling(work):
        return loop
    compiled: Callable[..., Any] = _compiled(loop, parts)
    return compiled


@cache
def _compiled(loop: Callable[..., Any], parts: tuple[Callable[..., Any], ...]) -> Any:
    from harness.history.compiling import numba

    if parts:
        names = {**loop.__globals__}
        for part in parts:
            names[part.__name__] = numba.njit(_in(part, names))
        loop = _in(loop, names)
    return numba.njit(cache=True, nogil=True)(loop)


def _in(loop: Callable[..., Any], names: dict[str, Any]) -> Callable[..., Any]:
    """The same function where global names mean what ``names`` say."""
    made = FunctionType(loop.__code__, names, loop.__name__, loop.__defaults__)
    made.__module__, made.__qualname__ = loop.__module__, loop.__qualname__
    return made


def bucket(source: Any, target: Any, at: Any, to: Any) -> None:
    """Put each target where its source's stretch of ``to`` goes on; ``at`` holds these places."""
    for edge in range(len(source)):
        node = source[edge]
        to[at[node]] = target[edge]
        at[node] += 1


def components(
    first: Any, to: Any, at: Any, component: Any, low: Any, depth: Any, path: Any, open_: Any
) -> None:
    """Number the strong components of ``to[first[n]:first[n + 1]]`` (Tarjan, 1972).

    ``at`` starts as ``first``; all other arrays have a place for each node and start as -1.
    """
    count = 0
    reached = 0
    opened = 0
    for root in range(len(component)):
        if depth[root] >= 0:
            continue
        path[0] = root
        length = 1
        while length:
            node = path[length - 1]
            if depth[node] < 0:
                depth[node] = reached
                low[node] = reached
                reached += 1
                open_[opened] = node
                opened += 1
            descends = False
            while at[node] < first[node + 1]:
                other = to[at[node]]
                if depth[other] < 0:
                    path[length] = other
                    length += 1
                    descends = True
                    break
                at[node] += 1
                if component[other] < 0:
                    low[node] = min(low[node], low[other])
            if descends:
                continue
            length -= 1
            if low[node] == depth[node]:
                while component[node] < 0:
                    opened -= 1
                    component[open_[opened]] = count
                count += 1


def gather(
    of_record: Any,
    table: Any,
    record: Any,
    f: Any,
    key: Any,
    value: Any,
    start: Any,
    end: Any,
    first: Any,
    to_txn: Any,
    to_f: Any,
    to_key: Any,
    to_value: Any,
    to_start: Any,
    to_length: Any,
) -> int:
    """Copy the micro-operations of the records that tell of a transaction; gives their number.

    ``of_record`` is the transaction of a record or -1, ``table`` the code of each ``f`` or -1.
    The rows of a record stand together; in the copy they stand in order of transactions, those
    of ``t`` in ``first[t]:first[t + 1]``.
    """
    for row in range(len(record)):
        txn = of_record[record[row]]
        if txn >= 0 and table[f[row]] >= 0:
            first[txn + 1] += 1
    for txn in range(len(first) - 1):
        first[txn + 1] += first[txn]
    last = -1
    place = 0
    for row in range(len(record)):
        txn = of_record[record[row]]
        code = table[f[row]]
        if txn < 0 or code < 0:
            continue
        if txn != last:
            place = first[txn]
            last = txn
        to_txn[place] = txn
        to_f[place] = code
        to_key[place] = key[row]
        to_value[place] = value[row]
        to_start[place] = start[row]
        to_length[place] = end[row] - start[row] if start[row] >= 0 else 0
        place += 1
    return int(first[len(first) - 1])


def mark_mismatches(
    starts: Any, lengths: Any, model_starts: Any, elements: Any, matches: Any
) -> None:
    """``matches[i] = 0`` where list ``i`` differs from as much of its model list.

    Lists are ``elements[starts[i]:starts[i] + lengths[i]]``; no model list is shorter.
    """
    for i in range(len(starts)):
        start = starts[i]
        model = model_starts[i]
        for j in range(lengths[i]):
            if elements[start + j] != elements[model + j]:
                matches[i] = 0
                break


def mark_unlike(
    invoke: Any,
    answer: Any,
    begin: Any,
    record: Any,
    table: Any,
    f: Any,
    key: Any,
    value: Any,
    start: Any,
    odd: Any,
) -> None:
    """``odd[i] = 1`` where the micro-operations of the record ``answer[i]`` are not those of
    ``invoke[i]``: more or fewer, of another kind, on another key, with another value written.
    ``odd[i] = 2`` where they are, but for lists written, which are not looked into.

    ``begin``, of zeros, is filled: the micro-operations of record r, each in ``record``, are
    ``begin[r]:begin[r + 1]``. ``table`` has the code of each ``f``, 0 for a read; ``start`` is -1
    without a list. Nothing is compared with a record that is -1 or has no micro-operations.
    """
    for row in range(len(record)):
        begin[record[row] + 1] += 1
    for at in range(len(begin) - 1):
        begin[at + 1] += begin[at]
    for i in range(len(invoke)):
        asked = invoke[i]
        told = answer[i]
        if asked < 0 or told < 0 or asked == told:
            continue
        count = begin[told + 1] - begin[told]
        wanted = begin[asked + 1] - begin[asked]
        if count == 0 or wanted == 0:
            continue
        if count != wanted:
            odd[i] = 1
            continue
        for n in range(count):
            a = begin[asked] + n
            b = begin[told] + n
            code = table[f[b]]
            if code != table[f[a]] or key[a] != key[b]:
                odd[i] = 1
                break
            if code == 0:
                continue
            if value[a] != value[b] or (start[a] >= 0) != (start[b] >= 0):
                odd[i] = 1
                break
            if start[a] >= 0:
                odd[i] = 2


def search_cycles(
    first: Any,
    target: Any,
    label: Any,
    rank: Any,
    after: Any,
    by_rank: Any,
    rest: int,
    mode: int,
    begin_source: Any,
    begin_target: Any,
    progress: Any,
    found: Any,
    seen: Any,
    parent: Any,
    via: Any,
    queue: Any,
) -> None:
    """Shorten the best cycle that begins with one of the given edges.

    Breadth-first from the target of each beginning back to its source, over edges with a label
    in ``rest``. The graph is ``target[first[n]:first[n + 1]]`` with ``label``. Realtime edges
    are not drawn: ``n`` comes before every node of ``by_rank[after[n]:]``, and ``rank[n]`` is
    its place in ``by_rank`` (-1 without). States are twice the nodes, ``2 n + 1`` for having
    come by rw.

    ``mode``: ``FREE`` any edges; ``NO_TWO_RW`` none of two neighbours both rw, the beginning
    (itself rw) included; ``RW_TWICE`` the edge after the beginning must be rw, the rest is free.

    ``progress`` is ``[next beginning, length of the best cycle, stamp, steps left]``, kept from
    call to call; ``found`` holds the best cycle as ``[node, label of the edge to the next, ...]``.
    """
    realtime = rest & _REALTIME
    drawn = rest & ~_REALTIME
    while progress[0] < len(begin_source) and progress[3] > 0:
        at = progress[0]
        progress[0] += 1
        goal = begin_source[at]
        progress[2] += 1
        stamp = progress[2]
        origin = 2 * begin_target[at]
        seen[origin] = stamp
        seen[origin + 1] = stamp
        if mode == NO_TWO_RW:
            origin += 1
        parent[origin] = -1
        queue[0] = origin
        head = 0
        tail = 1
        depth = 1
        low = len(by_rank)
        last = -1
        while head < tail and depth + 1 < progress[1] and last < 0:
            level_end = tail
            final = depth + 2 >= progress[1]
            while head < level_end and last < 0:
                state = queue[head]
                head += 1
                node = state >> 1
                allowed = drawn
                if mode == NO_TWO_RW and state & 1:
                    allowed = drawn & ~_RW
                elif mode == RW_TWICE and depth == 1:
                    allowed = _RW
                progress[3] -= first[node + 1] - first[node] + 1
                for edge in range(first[node], first[node + 1]):
                    kind = label[edge]
                    if not kind & allowed:
                        continue
                    nearer = 2 * target[edge]
                    if mode == NO_TWO_RW and kind == _RW:
                        nearer += 1
                    if nearer >> 1 == goal:
                        if nearer & 1:
                            continue
                        last = state
                        via[2 * goal] = kind
                        break
                    if seen[nearer] != stamp and not final:
                        seen[nearer] = stamp
                        parent[nearer] = state
                        via[nearer] = kind
                        queue[tail] = nearer
                        tail += 1
                if last >= 0 or not realtime or (mode == RW_TWICE and depth == 1):
                    continue
                if after[node] <= rank[goal]:
                    last = state
                    via[2 * goal] = _REALTIME
                    break
                if not final:
                    for place in range(after[node], low):
                        nearer = 2 * by_rank[place]
                        if seen[nearer] != stamp:
                            seen[nearer] = stamp
                            parent[nearer] = state
                            via[nearer] = _REALTIME
                            queue[tail] = nearer
                            tail += 1
                    if after[node] < low:
                        progress[3] -= low - after[node]
                        low = after[node]
            depth += 1
        if last >= 0:
            progress[1] = depth
            back = depth - 1
            found[2 * back + 1] = via[2 * goal]
            while last >= 0:
                found[2 * back] = last >> 1
                if parent[last] >= 0:
                    found[2 * back - 1] = via[last]
                last = parent[last]
                back -= 1
            found[0] = goal
