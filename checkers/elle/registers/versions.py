"""Versions of registers: who wrote and read each, and in which order they came.

A read names the version that it saw (values are unique in a key) and nothing of their order.
The order is put together from *sources*, each of which says that some versions come before others
and can tell why:

- ``initial-state``: the initial state (nil) comes before every version. Always true.
- ``commit-order``: a system's own numbers of its commits, where they were recorded.
- ``wfr-keys``: a transaction that reads a key and writes it comes between the two versions.
- ``sequential-keys``: what one process sees of a key never goes back, nor what one transaction
  reads of it.
- ``linearizable-keys``: what a transaction sees of a key is not older than what any transaction
  saw that had completed before it was invoked.

All but the first two are assumptions that the user makes of the system. If a source contradicts
the others (their union is no order), that is the anomaly ``cyclic-versions``, and it is not used.

Realtime is never drawn out: a transaction is linked to those that completed before it was invoked
only if none of these was itself followed, in time, by another of these. With the transactions of
a key in order of completion and the running maximum of their invocations, these are a slice:

    complete   c1  c2  c3  c4 | invoke of b        slice = completions after the latest
    (sorted)           ^------^                    invocation among all that completed before b

Elle takes versions downstream of each transaction as sets, and had, until June 2026, sets that
several transactions shared and changed; that is the false ``cyclic-versions`` that it reported.
Nothing here is shared: an edge is two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.components import strong_components
from checkers.elle.registers.numbering import numbering
from checkers.elle.registers.reads import Reads, reads
from checkers.elle.registers.values import Values, values
from checkers.elle.same_key import Chains, chains
from checkers.elle.slices import sorted_once
from checkers.elle.transactions import FAIL, OK, WRITE, Int32s, Int64s, Transactions

NOBODY: Final = -1
INITIAL: Final = "initial-state"
COMMIT: Final = "commit-order"
WFR: Final = "wfr-keys"
SEQUENTIAL: Final = "sequential-keys"
LINEARIZABLE: Final = "linearizable-keys"

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Versions:
    """Every version of every key, by number, sorted by key; the first of a key is nil.

    One entry a version: ``key`` and ``value`` (positions in the tables of keys and values, value
    -1 for the initial state), ``writer`` (the transaction that may have made it its last write to
    the key, or -1), ``written_at`` (the micro-operation that wrote it, whatever became of it). One
    entry a micro-operation: ``of``, the version that it reads or writes.
    ``reads`` tells which reads count, ``final`` are the last writes of possible transactions.
    ``nil[k]`` is the first version of key k, its initial state, whatever was there.
    ``is_real``: nil, or written by a transaction that may have happened; what failed or nobody
    wrote has no place in an order of versions, whoever read it.
    """

    found: Transactions
    chains: Chains
    values: Values
    key: Int32s
    value: Int32s
    writer: Int32s
    written_at: Int64s
    of: Int64s
    reads: Reads
    final: Int64s
    nil: Int64s
    is_real: Bools
    written_twice: Int64s
    """Versions that more than one micro-operation writes, and nils that any does."""

    def __len__(self) -> int:
        return len(self.key)

    def is_nil(self, versions: Int64s) -> Bools:
        """Which of ``versions`` are initial states."""
        return np.asarray(self.value[versions] < 0)

    def name(self, version: int) -> Any:
        """The value of a version."""
        value = int(self.value[version])
        if value < 0:
            return self.values.initial.get(int(self.key[version]))
        return self.values.names[value]

    @property
    def external(self) -> Int64s:
        """Reads of others' writes and of initial states: those that dependencies come from."""
        return self.reads.external


def versions(
    found: Transactions,
    initial: Any = None,
    *,
    infos: bool = True,
    held: Values | None = None,
    ignored: Int64s | None = None,
) -> Versions:
    """The versions of all keys of ``found``, with the declared ``initial`` state.

    ``infos``: whether a transaction of unknown outcome that was read from has committed.
    ``held``: the values, where they are not taken from ``found`` as they are; ``ignored``: rows of
    reads that tell nothing.
    """
    links = chains(found)
    held = values(found, initial) if held is None else held
    numbers = numbering(len(found.keys), found.key, held.of)
    of, value = numbers.of, numbers.value
    status = found.status[found.txn]
    writes = np.flatnonzero(found.f == WRITE)
    final = writes[links.is_final[writes] & (status[writes] != FAIL)]
    writer = np.full(len(value), NOBODY, dtype=np.int32)
    writer[of[final]] = found.txn[final]
    counts = np.bincount(of[writes], minlength=len(value))
    is_real = value < 0
    is_real[of[writes[status[writes] != FAIL]]] = True
    written_at = np.full(len(value), NOBODY, dtype=np.int64)
    written_at[of[writes]] = writes
    return Versions(
        found=found,
        chains=links,
        values=held,
        key=numbers.key,
        value=value,
        writer=writer,
        written_at=written_at,
        of=of,
        reads=reads(found, links, of, written_at, infos=infos, ignored=ignored),
        final=final,
        nil=numbers.nil,
        is_real=is_real,
        written_twice=np.flatnonzero((counts > 1) | ((counts > 0) & (value < 0))),
    )


@dataclass(frozen=True, eq=False)
class Edges:
    """``before[i]`` comes before ``after[i]`` because of transactions ``one[i]``, ``other[i]``."""

    source: str
    before: Int64s
    after: Int64s
    one: Int64s
    other: Int64s

    def __len__(self) -> int:
        return len(self.before)

    def with_more(self, more: Edges) -> Edges:
        """These and those."""
        if not len(more):
            return self
        names = ("before", "after", "one", "other")
        parts = ((getattr(self, name), getattr(more, name)) for name in names)
        return Edges(self.source, *map(np.concatenate, parts))


def _edges(known: Versions, source: str, before: Any, after: Any, one: Any, other: Any) -> Edges:
    """Edges between two different real versions, each pair once."""
    keep = np.flatnonzero((before >= 0) & (after >= 0) & (before != after))
    keep = keep[known.is_real[before[keep]] & known.is_real[after[keep]]]
    before, after = before[keep].astype(np.int64), after[keep].astype(np.int64)
    pairs = before * (int(after.max(initial=0)) + 1) + after
    _, once = np.unique(pairs, return_index=True)
    keep = keep[once]
    return Edges(
        source, before[once], after[once], one[keep].astype(np.int64), other[keep].astype(np.int64)
    )


@dataclass(frozen=True, eq=False)
class Touches:
    """What each possible transaction first and last saw of each key that it touched.

    ``first`` and ``last`` are versions, -1 if unknown: of a transaction without answer the reads
    are, and it proves nothing of what comes after it.
    """

    txn: Int64s
    key: Int64s
    first: Int64s
    last: Int64s


def touches(known: Versions) -> Touches:
    """The touches of all transactions, in order of invocation."""
    found, links = known.found, known.chains
    roots = np.flatnonzero(links.previous < 0)
    roots = roots[found.status[found.txn[roots]] != FAIL]
    written = np.full(len(found.txn), NOBODY, dtype=np.int64)
    written[links.root[known.final]] = known.of[known.final]
    opened, closed = written.copy(), np.full(len(found.txn), NOBODY, dtype=np.int64)
    seen = known.external[found.status[found.txn[known.external]] == OK]
    opened[links.root[seen[::-1]]] = known.of[seen[::-1]]  # of equal places the last one stays:
    closed[links.root[seen]] = known.of[seen]  # the first read, and here the last
    is_ok = found.status[found.txn[roots]] == OK
    last = np.where(written[roots] >= 0, written[roots], closed[roots])
    return Touches(
        txn=found.txn[roots].astype(np.int64),
        key=found.key[roots].astype(np.int64),
        first=opened[roots],
        last=np.where(is_ok, last, NOBODY),
    )


def initial_state(known: Versions) -> Edges:
    """Nil before every version of its key."""
    after = np.flatnonzero((known.value >= 0) & known.is_real)
    nobody = np.full(len(after), NOBODY, dtype=np.int64)
    return Edges(INITIAL, known.nil[known.key[after]], after.astype(np.int64), nobody, nobody)


def writes_follow_reads(known: Versions) -> Edges:
    """All that an ok transaction read of a key before what it wrote to it last."""
    found, root = known.found, known.chains.root
    written = np.full(len(found.txn), NOBODY, dtype=np.int64)
    written[root[known.final]] = known.of[known.final]
    rows = known.external[found.status[found.txn[known.external]] == OK]
    rows = rows[written[root[rows]] >= 0]
    txn = found.txn[rows]
    return _edges(known, WFR, known.of[rows], written[root[rows]], txn, txn)


def reads_in_order(known: Versions, source: str) -> Edges:
    """What a transaction read of a key before what it read of it next."""
    found, root = known.found, known.chains.root
    rows = known.external[found.status[found.txn[known.external]] == OK]
    order = np.argsort(root[rows], kind="stable")
    rows = rows[order]
    same = root[rows[1:]] == root[rows[:-1]]
    one, other = rows[:-1][same], rows[1:][same]
    txn = found.txn[one]
    return _edges(known, source, known.of[one], known.of[other], txn, txn)


def sequential_keys(known: Versions) -> Edges:
    """What a process saw of a key before what it saw of it next."""
    seen = touches(known)
    process = known.found.process[seen.txn]
    order = np.lexsort((seen.txn, seen.key, process))
    here = np.arange(len(order))
    proves = seen.last[order] >= 0
    latest = np.maximum.accumulate(np.where(proves, here, -1))
    latest = np.concatenate(([-1], latest[:-1])) if len(order) else latest
    at = np.maximum(latest, 0)
    same = (latest >= 0) & (process[order] == process[order[at]])
    same &= seen.key[order] == seen.key[order[at]]
    one, other = order[at[same]], order[same]
    found = _edges(
        known, SEQUENTIAL, seen.last[one], seen.first[other], seen.txn[one], seen.txn[other]
    )
    return found.with_more(reads_in_order(known, SEQUENTIAL))


def linearizable_keys(known: Versions) -> Edges:
    """What a transaction saw of a key before what was seen of it by any invoked afterwards."""
    found, seen = known.found, touches(known)
    width = found.never + 2
    done = np.flatnonzero((seen.last >= 0) & (found.complete[seen.txn] < found.never))
    ends = seen.key[done] * width + found.complete[seen.txn[done]] + 1
    order = np.argsort(ends)
    done, ends = done[order], ends[order]
    begins = seen.key[done] * width + found.invoke[seen.txn[done]] + 1
    latest = np.maximum.accumulate(begins)  # a key's begin lies above all of the key before
    starts = seen.key * width + found.invoke[seen.txn] + 1
    after = np.flatnonzero((seen.first >= 0) & (found.invoke[seen.txn] >= 0))
    high = np.searchsorted(ends, starts[after])
    some = np.flatnonzero(high > 0)
    after, high = after[some], high[some]
    floor = np.maximum(latest[high - 1], seen.key[after] * width)
    low = np.searchsorted(ends, floor)
    count = np.maximum(high - low, 0)
    other = np.repeat(after, count)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    one = done[np.repeat(low, count) + within]
    edges = _edges(
        known, LINEARIZABLE, seen.last[one], seen.first[other], seen.txn[one], seen.txn[other]
    )
    return edges.with_more(reads_in_order(known, LINEARIZABLE))


def commit_order(known: Versions, number: Int64s) -> Edges:
    """The last writes to each key in order of ``number``, one a transaction (-1 unknown)."""
    rows = known.final[number[known.found.txn[known.final]] >= 0]
    txn = known.found.txn[rows]
    order = np.lexsort((number[txn], known.found.key[rows]))
    rows, txn = rows[order], txn[order]
    same = known.found.key[rows][1:] == known.found.key[rows][:-1]
    of = known.of[rows]
    return _edges(known, COMMIT, of[:-1][same], of[1:][same], txn[:-1][same], txn[1:][same])


@dataclass(frozen=True, eq=False)
class Contradiction:
    """A cycle of versions: ``steps`` are (edges, which one) each leading to the next."""

    key: int
    sources: tuple[str, ...]
    steps: tuple[tuple[Edges, int], ...]


@dataclass(frozen=True, eq=False)
class Order:
    """The sources that agree, and the contradictions of those that do not."""

    known: Versions
    agreed: tuple[Edges, ...]
    contradictions: tuple[Contradiction, ...]

    def joined(self) -> tuple[Int64s, Int64s]:
        """All edges of the agreed sources but nil's, each pair once."""
        parts = [part for part in self.agreed if part.source != INITIAL]
        if not parts:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing
        width = len(self.known) + 1
        pairs = sorted_once(np.concatenate([part.before * width + part.after for part in parts]))
        return pairs // width, pairs % width


def agreed_order(known: Versions, sources: list[Edges]) -> Order:
    """The order of versions by ``sources``, taken one after the other while they agree."""
    agreed = [initial_state(known)]
    contradictions: list[Contradiction] = []
    for source in sources:
        found = _contradictions(known, [*agreed, source])
        if found:
            contradictions += found
        else:
            agreed.append(source)
    return Order(known, tuple(agreed), tuple(contradictions))


def _contradictions(known: Versions, parts: list[Edges]) -> list[Contradiction]:
    before = np.concatenate([part.before for part in parts])
    after = np.concatenate([part.after for part in parts])
    component = strong_components(len(known), before.astype(np.int32), after.astype(np.int32))
    inside = component[before] == component[after]
    if not inside.any():
        return []
    names = tuple(part.source for part in parts)
    edges: dict[int, dict[int, list[tuple[int, Edges, int]]]] = {}
    for part in parts:
        tied = np.flatnonzero(component[part.before] == component[part.after])
        for at in tied.tolist():
            of = edges.setdefault(int(component[part.before[at]]), {})
            of.setdefault(int(part.before[at]), []).append((int(part.after[at]), part, at))
    return [
        Contradiction(int(known.key[min(graph)]), names, _shortest_cycle(graph))
        for graph in edges.values()
    ]


def _shortest_cycle(
    graph: dict[int, list[tuple[int, Edges, int]]],
) -> tuple[tuple[Edges, int], ...]:
    """The shortest cycle through one of the first versions, by breadth."""
    best: list[tuple[Edges, int]] = []
    for start in list(graph)[:64]:
        came: dict[int, tuple[int, Edges, int]] = {}
        queue = [start]
        for at in queue:
            for after, part, row in graph.get(at, ()):
                if after not in came:
                    came[after] = (at, part, row)
                    queue.append(after)
            if start in came:
                break
        path: list[tuple[Edges, int]] = []
        at = start
        while not path or at != start:
            at, part, row = came[at]
            path.append((part, row))
        if not best or len(path) < len(best):
            best = path[::-1]
        if len(best) == 2:
            break
    return tuple(best)
