"""Is there an order of all transactions that explains every read? Then the history is serial.

The absence of anomalies is no proof where the order of versions is only partly known. An order of
all ok transactions, in which each reads exactly what the ones before it left, is one, whatever
was assumed on the way, and so for every model weaker than (strict) serializability, too. It is
looked for by running the transactions one after the other on an empty store:

- a transaction may go next if it reads what the store holds, overwrites nothing that others still
  have to read, and everything that must come before it has been: transactions that completed
  before it was invoked (if real time counts), and its dependencies;
- a transaction of unknown outcome takes part if somebody read what it wrote.

The one choice that can be wrong is between two writers that may both go next. What reads tell of
their order is put into the dependencies first: who overwrites x and comes before a reader of
x = 1 comes before the writer of x = 1. Where no transaction may go next, the last few turns are
taken back and others tried, a limited number of times: sound, not complete. (Testing
serializability is NP-complete: Papadimitriou, 1979.)

Cost: linear in micro-operations and dependencies times the transactions under way at one time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from checkers.elle.graph import RW, WR, WW, Graph
from checkers.elle.kernels import COMPILE_FROM, is_worth_compiling, kernel
from checkers.elle.registers.serial_order_kernel import (
    ACTIVE,
    DONE,
    ENDED,
    FURTHEST,
    PASSES,
    STUCK,
    TURNS,
    take_turns,
)
from checkers.elle.registers.versions import Bools, Versions
from checkers.elle.slices import sorted_once
from checkers.elle.transactions import OK, Int64s, Transactions
from harness.verdict.verdict import Budget

MOST_PASSES_WITHOUT_END: Final = 2_000
ROUNDS: Final = 3
LONGEST_CHAIN: Final = 50
PATIENCE: Final = 2_000
PATIENCE_EACH: Final = 10
"""How often turns are taken back, at most in all and for each transaction."""
DEEPEST: Final = 40
"""How many are taken back at most at one time."""
_LOOK_AT_CLOCK: Final = 1024
_STEPS_EACH: Final = 20
"""Steps of the loop for each transaction, as a guess."""


@dataclass
class _Play:
    """What the transactions do and wait for, as slices: of transaction t, ``first[t]:first[t+1]``.

    ``reads`` and ``writes`` hold keys and versions, ``after`` those that must come after.
    """

    reads: _Slices
    writes: _Slices
    after: _Slices
    waits: Any
    unread: Any
    """By version: how many readers have not had their turn."""


@dataclass
class _Slices:
    first: Any
    items: Any
    others: Any

    @classmethod
    def of(cls, size: int, owner: Any, items: Any, others: Any = ()) -> _Slices:
        """``items`` (and ``others``) by ``owner``, a number below ``size``."""
        order = np.argsort(owner, kind="stable")
        first = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.bincount(owner, minlength=size), out=first[1:])
        more = others[order] if len(others) else np.zeros(0)
        return cls(first, items[order].astype(np.int64), more.astype(np.int64))

    def lists(self) -> _Slices:
        """The same as lists."""
        return _Slices(self.first.tolist(), self.items.tolist(), self.others.tolist())


def is_explained(known: Versions, graph: Graph, orders: frozenset[str], budget: Budget) -> bool:
    """Whether one was found that goes with ``orders`` (out of ``process`` and ``realtime``)."""
    ready = prepared(known, graph, orders)
    if ready is None:
        return False
    play = _play(known, ready.edges, ready.parts)
    return _run(known, play, ready.parts, ready.moments, ready.realtime, budget)


def prepared(known: Versions, graph: Graph, orders: frozenset[str]) -> Prepared | None:
    """Who takes part and what is known of their order; ``None`` if that allows none."""
    parts = taking_part(known)
    if parts is None:
        return None
    source, target, _ = graph.edges(WW | WR | RW)
    inside = parts[source] & parts[target]
    edges = Edges(source[inside].astype(np.int64), target[inside].astype(np.int64))
    moments = _moments(known.found, parts)
    realtime = "realtime" in orders
    if not realtime:
        moments = Moments(np.full(len(parts), -1), np.full(len(parts), known.found.never))
    if needs_process_order(known.found, orders):
        edges = edges.with_more(process_order(known, parts))
    for _ in range(ROUNDS):
        moments = narrowed(moments, edges) if realtime else moments
        if (moments.earliest > moments.latest)[parts].any():
            return None
        more = list(_from_edges(known, edges, parts))
        if realtime:
            more.append(_from_reads(known, moments, parts))
        fresh = _fresh(edges, more, moments, len(parts))
        if not len(fresh.source):
            break
        edges = edges.with_more(fresh)
    return Prepared(parts, edges, moments, realtime)


@dataclass(frozen=True, eq=False)
class Prepared:
    """Who takes part, who must come before whom, and when each took effect."""

    parts: Bools
    edges: Edges
    moments: Moments
    realtime: bool


@dataclass(frozen=True, eq=False)
class Edges:
    """``source[i]`` comes before ``target[i]``."""

    source: Int64s
    target: Int64s

    def with_more(self, more: Edges) -> Edges:
        """These and those."""
        return Edges(
            np.concatenate((self.source, more.source)), np.concatenate((self.target, more.target))
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """Between which positions of the history each transaction took effect, by its records and by
    those that must come before and after it.
    """

    earliest: Int64s
    latest: Int64s


def _moments(found: Transactions, parts: Bools) -> Moments:
    """From the invocation to the completion, or to the end if there is none."""
    latest = np.where(parts & (found.status == OK), found.complete, found.never)
    return Moments(found.invoke.astype(np.int64), latest.astype(np.int64))


def narrowed(moments: Moments, edges: Edges) -> Moments:
    """No earlier than what comes before, no later than what comes after."""
    earliest, latest = moments.earliest.copy(), moments.latest.copy()
    for _ in range(LONGEST_CHAIN):
        before = earliest.copy(), latest.copy()
        np.maximum.at(earliest, edges.target, earliest[edges.source])
        np.minimum.at(latest, edges.source, latest[edges.target])
        if np.array_equal(before[0], earliest) and np.array_equal(before[1], latest):
            break
    return Moments(earliest, latest)


def _from_reads(known: Versions, moments: Moments, parts: Bools) -> Edges:
    """What a read of x = 1 tells of others who write x: one that took effect before the reader
    comes before the writer of 1, and one that did so after the writer of 1 comes after the reader.
    Only what the moments do not tell already.
    """
    found = known.found
    width = found.never + 3
    rows = known.final[parts[found.txn[known.final]]]
    others = found.txn[rows].astype(np.int64)
    keys = found.key[rows].astype(np.int64) * width
    reads = known.external[~known.is_nil(known.of[known.external])]
    reader = found.txn[reads].astype(np.int64)
    writer = known.writer[known.of[reads]].astype(np.int64)
    base = found.key[reads].astype(np.int64) * width
    low, high = moments.earliest + 1, moments.latest + 1
    ends = keys + high[others]
    first = _between(ends, others, base + low[writer], base + low[reader], writer)
    begins = keys + low[others]
    second = _between(begins, others, base + high[writer] + 1, base + high[reader] + 1, reader)
    source = np.concatenate((first[0], second[1]))
    target = np.concatenate((first[1], second[0]))
    return Edges(source, target)


def _from_edges(known: Versions, edges: Edges, parts: Bools) -> tuple[Edges, Edges]:
    """What edges tell of a read of x = 1: who writes x and comes before the reader comes before
    the writer of 1, and who writes x and comes after the writer of 1 comes after the reader.
    """
    found = known.found
    keys = len(found.keys)
    rows = known.final[parts[found.txn[known.final]]]
    written = np.sort(found.txn[rows].astype(np.int64) * keys + found.key[rows])
    reads = known.external[~known.is_nil(known.of[known.external])]
    reader = found.txn[reads].astype(np.int64)
    writer = known.writer[known.of[reads]].astype(np.int64)
    key = found.key[reads].astype(np.int64)

    def writing(txn: Int64s, row: Int64s) -> Bools:
        codes = txn * keys + key[row]
        at = np.minimum(np.searchsorted(written, codes), len(written) - 1)
        return np.asarray(written[at] == codes)

    if not len(written):
        nothing = np.zeros(0, dtype=np.int64)
        return Edges(nothing, nothing), Edges(nothing, nothing)
    row, first = _each_of(reader, edges.target, edges.source, len(found))
    keep = writing(first, row) & (first != writer[row])
    before = Edges(first[keep], writer[row[keep]])
    row, second = _each_of(writer, edges.source, edges.target, len(found))
    keep = writing(second, row) & (second != reader[row])
    return before, Edges(reader[row[keep]], second[keep])


def _fresh(edges: Edges, more: list[Edges], moments: Moments, size: int) -> Edges:
    """Edges of ``more`` that are not there, and that the moments do not tell already."""
    source = np.concatenate([part.source for part in more])
    target = np.concatenate([part.target for part in more])
    keep = (source != target) & ~(moments.latest[source] < moments.earliest[target])
    pairs = sorted_once(source[keep] * size + target[keep])
    there = np.sort(edges.source * size + edges.target)
    if len(there):
        at = np.minimum(np.searchsorted(there, pairs), len(there) - 1)
        pairs = pairs[there[at] != pairs]
    return Edges(pairs // size, pairs % size)


def _each_of(owner: Int64s, wanted: Int64s, each: Int64s, size: int) -> tuple[Int64s, Int64s]:
    """(row, one of ``each``) for the rows whose owner is the transaction ``wanted`` with it."""
    order = np.argsort(owner, kind="stable")
    first = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=size))))
    start = first[wanted]
    count = first[wanted + 1] - start
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return order[np.repeat(start, count) + within], np.repeat(each, count)


def _between(
    places: Int64s, others: Int64s, low: Int64s, high: Int64s, each: Int64s
) -> tuple[Int64s, Int64s]:
    """(other, one of ``each``) for the others whose place lies from its low to below its high."""
    order = np.argsort(places)
    places, others = places[order], others[order]
    start = np.searchsorted(places, low)
    count = np.maximum(np.searchsorted(places, high) - start, 0)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return others[np.repeat(start, count) + within], np.repeat(each, count)


def taking_part(known: Versions) -> Bools | None:
    """Ok transactions and those whose writes were read; ``None`` if somebody read from nowhere, of
    its own future, or not what it had itself written.
    """
    if known.reads.unexplained:
        return None
    read = known.of[known.external]
    read = read[~known.is_nil(read)]
    writers = known.writer[read]
    if (writers < 0).any():
        return None
    parts = np.asarray(known.found.status == OK)
    parts[writers] = True
    return parts


def _play(known: Versions, edges: Edges, parts: Bools) -> _Play:
    found, size = known.found, len(known.found)
    pairs = sorted_once(edges.source * size + edges.target)
    source, target = pairs // size, pairs % size
    final = known.final[parts[found.txn[known.final]]]
    reads = known.external
    return _Play(
        reads=_Slices.of(size, found.txn[reads], found.key[reads], known.of[reads]),
        writes=_Slices.of(size, found.txn[final], found.key[final], known.of[final]),
        after=_Slices.of(size, source, target),
        waits=np.bincount(target, minlength=size),
        unread=np.bincount(known.of[reads], minlength=len(known)),
    )


def needs_process_order(found: Transactions, orders: frozenset[str]) -> bool:
    """Whether the order of each process has to be drawn: realtime order includes it, and tells it
    of transactions that have an invocation.
    """
    realtime = "realtime" in orders
    return ("process" in orders and not realtime) or (realtime and found.lacks_begins)


def process_order(known: Versions, parts: Bools) -> Edges:
    """Each ok transaction before the next of its process."""
    latest: dict[int, int] = {}
    pairs: list[tuple[int, int]] = []
    for txn in np.flatnonzero(parts).tolist():
        process = int(known.found.process[txn])
        if process in latest:
            pairs.append((latest[process], txn))
        if known.found.status[txn] == OK:
            latest[process] = txn
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Edges(columns[:, 0], columns[:, 1])


class _Run:
    """The store while the transactions have their turns; turns can be taken back."""

    def __init__(
        self, known: Versions, play: _Play, parts: Bools, moments: Moments, realtime: bool
    ) -> None:
        found = known.found
        numbers = np.flatnonzero(parts)
        numbers = numbers[np.argsort(found.invoke[numbers], kind="stable")]
        complete = _moments(found, parts).latest
        by_end = numbers[np.argsort(complete[numbers], kind="stable")]
        self.size = len(numbers)
        self.rank = np.zeros(len(found), dtype=np.int64)
        self.rank[by_end] = np.arange(self.size)
        room = np.zeros(self.size, dtype=np.int64)
        self.progress = np.zeros(6, dtype=np.int64)
        self.active, self.log = room.copy(), room.copy()
        self.old = np.zeros(len(play.writes.items), dtype=np.int64)
        self.done = np.zeros(len(found), dtype=np.int64)
        self.store, self.waits, self.unread = known.nil.copy(), play.waits, play.unread
        self.play = play
        self.realtime = int(realtime)
        self.never = found.never + 1
        self.order = (moments.latest, complete, by_end, numbers)  # numbers: by invocation
        self.invoke = found.invoke.astype(np.int64)
        self.compiled = is_worth_compiling(_STEPS_EACH * self.size)
        if not self.compiled:
            self._to_lists()

    def _to_lists(self) -> None:
        """Plain loops are quicker on lists."""
        self.order = tuple(part.tolist() for part in self.order)
        names = ("progress", "active", "log", "old", "done", "store", "waits", "unread", "invoke")
        for name in names:
            setattr(self, name, getattr(self, name).tolist())
        play = self.play
        self.play = _Play(
            play.reads.lists(), play.writes.lists(), play.after.lists(), play.waits, play.unread
        )

    def take_turns(self, passes: int) -> int:
        """Go on for so many passes at most; why it ended, see :func:`take_turns`."""
        play = self.play
        loop = kernel(take_turns, COMPILE_FROM if self.compiled else 0)
        ended: int = loop(
            self.progress,
            passes,
            self.realtime,
            self.never,
            *self.order,
            self.active,
            self.log,
            self.old,
            self.done,
            self.invoke,
            *(play.reads.first, play.reads.items, play.reads.others),
            *(play.writes.first, play.writes.items, play.writes.others),
            *(play.after.first, play.after.items),
            self.store,
            self.waits,
            self.unread,
        )
        return ended

    def step_back(self, turns: int, chance: random.Random) -> None:
        """Undo the last ``turns``, and let those whose they were try again in another order."""
        progress = self.progress
        taken = [self._take_back() for _ in range(turns)]
        progress[ENDED] = min(int(progress[ENDED]), min(int(self.rank[txn]) for txn in taken))
        left = [*(int(txn) for txn in self.active[: progress[ACTIVE]]), *taken]
        chance.shuffle(left)
        self.active[: len(left)] = left
        progress[ACTIVE] = len(left)

    def _take_back(self) -> int:
        self.progress[TURNS] -= 1
        txn = int(self.log[self.progress[TURNS]])
        reads, writes, after = self.play.reads, self.play.writes, self.play.after
        for at in range(writes.first[txn], writes.first[txn + 1]):
            self.store[writes.items[at]] = self.old[at]
        for at in range(reads.first[txn], reads.first[txn + 1]):
            self.unread[reads.others[at]] += 1
        for at in range(after.first[txn], after.first[txn + 1]):
            self.waits[after.items[at]] += 1
        self.done[txn] = 0
        return txn


def _run(
    known: Versions,
    play: _Play,
    parts: Bools,
    moments: Moments,
    realtime: bool,
    budget: Budget,
) -> bool:
    """Run the transactions, the one that must be done first first; whether all had their turn."""
    run = _Run(known, play, parts, moments, realtime)
    chance = random.Random(0)
    patience = min(PATIENCE, PATIENCE_EACH * run.size)
    while True:
        passes = _LOOK_AT_CLOCK
        if not realtime:
            passes = min(passes, MOST_PASSES_WITHOUT_END - int(run.progress[PASSES]))
            if passes <= 0:
                return False
        ended = run.take_turns(passes)
        if ended == DONE:
            return True
        turns = int(run.progress[TURNS])
        if ended == STUCK:
            if not patience or not turns:
                return False
            patience -= 1
            run.progress[FURTHEST] = max(int(run.progress[FURTHEST]), turns)
            run.step_back(min(turns, chance.randint(1, DEEPEST)), chance)
        if ended != STUCK or patience % _LOOK_AT_CLOCK == 0:
            budget.spend_check("an order of all transactions")
