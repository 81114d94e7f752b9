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
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from checkers.elle.graph import RW, WR, WW, Graph
from checkers.elle.rw_versions import Versions
from checkers.elle.transactions import OK
from harness.history.verdict import Budget

MOST_PASSES_WITHOUT_END: Final = 2_000
PATIENCE: Final = 2_000
"""How often turns are taken back."""
DEEPEST: Final = 40
"""How many are taken back at most at one time."""
_LOOK_AT_CLOCK: Final = 1024


@dataclass
class _Play:
    """The transactions that take part, by number, and what each waits for."""

    reads: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    writes: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    after: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    waits: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    """By version: how many readers have not had their turn."""


def is_explained(known: Versions, graph: Graph, orders: frozenset[str], budget: Budget) -> bool:
    """Whether one was found that goes with ``orders`` (out of ``process`` and ``realtime``)."""
    found = known.found
    parts = _taking_part(known)
    if parts is None:
        return False
    realtime = "realtime" in orders  # it includes the order of each process
    play = _play(known, graph, parts, realtime)
    if "process" in orders and not realtime:
        _add_process_order(known, play, parts)
    complete = np.where(parts & (found.status == OK), found.complete, found.never)
    return _run(known, play, parts, complete, realtime, budget)


def _taking_part(known: Versions) -> np.ndarray | None:
    """Ok transactions and those whose writes were read; ``None`` if somebody read from nowhere."""
    read = known.of[known.external]
    read = read[~known.is_nil(read)]
    writers = known.writer[read]
    if (writers < 0).any():
        return None
    parts: np.ndarray = known.found.status == OK
    parts[writers] = True
    return parts


def _play(known: Versions, graph: Graph, parts: np.ndarray, realtime: bool) -> _Play:
    found = known.found
    play = _Play(waits=[0] * len(found))
    play.unread = np.bincount(known.of[known.external], minlength=len(known)).tolist()
    for table, rows in ((play.reads, known.external), (play.writes, known.final)):
        rows = rows[parts[found.txn[rows]]]
        columns = (found.txn[rows], found.key[rows], known.of[rows])
        for txn, key, version in zip(*(column.tolist() for column in columns), strict=True):
            table.setdefault(txn, []).append((key, version))
    source, target, _ = graph.edges(WW | WR | RW)
    inside = parts[source] & parts[target]
    edges = [(source[inside], target[inside]), _overlapped_writers(known, parts)]
    for one, other in edges if realtime else edges[:1]:
        for first, second in zip(one.tolist(), other.tolist(), strict=True):
            play.after[first].add(second)
    _add_overwritten(known, play)
    for seconds in play.after.values():
        for second in seconds:
            play.waits[second] += 1
    return play


def _add_process_order(known: Versions, play: _Play, parts: np.ndarray) -> None:
    """Each ok transaction before the next of its process."""
    latest: dict[int, int] = {}
    for txn in np.flatnonzero(parts).tolist():
        process = int(known.found.process[txn])
        before = latest.get(process)
        if before is not None and txn not in play.after[before]:
            play.after[before].add(txn)
            play.waits[txn] += 1
        if known.found.status[txn] == OK:
            latest[process] = txn


def _overlapped_writers(known: Versions, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(other writer, writer of what was read): the other one had completed before the reader was
    invoked, so it comes before the writer, with which it was under way at one time.
    """
    found = known.found
    width = found.never + 2
    rows = known.final[(found.status[found.txn[known.final]] == OK)]
    ends = found.key[rows].astype(np.int64) * width + found.complete[found.txn[rows]] + 1
    order = np.argsort(ends)
    rows, ends = rows[order], ends[order]
    reads = known.external[~known.is_nil(known.of[known.external])]
    writer = known.writer[known.of[reads]]
    base = found.key[reads].astype(np.int64) * width
    low = np.searchsorted(ends, base + found.invoke[writer] + 1)
    high = np.searchsorted(ends, base + found.invoke[found.txn[reads]] + 1)
    count = np.maximum(high - low, 0)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    other = found.txn[rows[np.repeat(low, count) + within]]
    writer = np.repeat(writer, count)
    keep = (other != writer) & parts[other] & parts[writer]
    return other[keep], writer[keep]


def _add_overwritten(known: Versions, play: _Play) -> None:
    """Who comes right before a reader of x and writes x comes before the writer of what it read."""
    written = {txn: {key for key, _ in writes} for txn, writes in play.writes.items()}
    writer = known.writer.tolist()
    value = known.value.tolist()
    more: list[tuple[int, int]] = []
    for first, seconds in play.after.items():
        keys = written.get(first)
        if not keys:
            continue
        for second in seconds:
            for key, version in play.reads.get(second, ()):
                if key in keys and value[version] >= 0 and writer[version] != first:
                    more.append((first, writer[version]))
    for first, second in more:
        play.after[first].add(second)


class _Run:
    """The store while the transactions have their turns; turns can be taken back."""

    def __init__(self, known: Versions, play: _Play, invoke: list[int]) -> None:
        self.play = play
        self.invoke = invoke
        self.store: list[int] = known.nil.tolist()
        self.done = [False] * len(invoke)
        self.log: list[tuple[int, list[tuple[int, int]]]] = []
        """Who had a turn, and by key what it overwrote."""

    def turn(self, txn: int, horizon: int) -> bool:
        """Run ``txn`` if it may go next; whether it did. ``horizon``: the first completion to come
        of another, before which it must have been invoked.
        """
        play, store = self.play, self.store
        if play.waits[txn] or self.invoke[txn] >= horizon:
            return False
        reads, writes = play.reads.get(txn, ()), play.writes.get(txn, ())
        unread = play.unread
        for key, version in reads:
            if store[key] != version:
                return False
        for _, version in reads:
            unread[version] -= 1
        for key, _ in writes:
            if unread[store[key]]:
                for _, version in reads:
                    unread[version] += 1
                return False
        self.log.append((txn, [(key, store[key]) for key, _ in writes]))
        for key, version in writes:
            store[key] = version
        self.done[txn] = True
        for later in play.after.get(txn, ()):
            play.waits[later] -= 1
        return True

    def take_back(self) -> int:
        """Undo the last turn; whose it was."""
        txn, overwritten = self.log.pop()
        for key, version in overwritten:
            self.store[key] = version
        for _, version in self.play.reads.get(txn, ()):
            self.play.unread[version] += 1
        for later in self.play.after.get(txn, ()):
            self.play.waits[later] += 1
        self.done[txn] = False
        return txn


def _run(
    known: Versions,
    play: _Play,
    parts: np.ndarray,
    complete: np.ndarray,
    realtime: bool,
    budget: Budget,
) -> bool:
    """Run the transactions; whether all had their turn."""
    numbers = np.flatnonzero(parts)
    invoke: list[int] = known.found.invoke.tolist()
    ends: list[int] = complete.tolist()
    by_end: list[int] = numbers[np.argsort(complete[numbers], kind="stable")].tolist()
    rank = {txn: place for place, txn in enumerate(by_end)}
    coming: list[int] = numbers.tolist()  # in order of invocation
    run = _Run(known, play, invoke)
    chance = random.Random(0)
    active: list[int] = []
    arrived = ended = passes = 0
    patience = PATIENCE
    while len(run.log) < len(coming):
        while ended < len(by_end) and run.done[by_end[ended]]:
            ended += 1
        horizon = ends[by_end[ended]] if realtime and ended < len(by_end) else known.found.never + 1
        while arrived < len(coming) and invoke[coming[arrived]] < horizon:
            active.append(coming[arrived])
            arrived += 1
        left = [txn for txn in active if not run.turn(txn, horizon)]
        if len(left) == len(active):
            if not patience or not run.log:
                return False
            patience -= 1
            back = min(len(run.log), chance.randint(1, DEEPEST))
            taken = [run.take_back() for _ in range(back)]
            ended = min(ended, min(rank[txn] for txn in taken))
            left += taken
            chance.shuffle(left)
        active = left
        passes += 1
        if passes % _LOOK_AT_CLOCK == 0:
            budget.spend_check("an order of all transactions")
        if not realtime and passes > MOST_PASSES_WITHOUT_END:
            return False
    return True
