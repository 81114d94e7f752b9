"""Every serial order of a small history: one that explains all reads, or the proof of none.

:mod:`checkers.elle.serial_order` looks for an order and gives up; this tries them all. A state is
which transactions have had their turn: what the store holds follows from that wherever it still
matters, for a version with readers to come may not be overwritten, and one without is nobody's
concern. So no state is tried twice, and of transactions that only read, all that may go go at
once. Within a limit of steps that settles (strict, session) serializability, which is NP-complete
otherwise (Papadimitriou, 1979; for few sessions: Biswas & Enea, OOPSLA 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from checkers.elle.explain import Teller, show
from checkers.elle.graph import Graph
from checkers.elle.models import canonical, friendly, stronger_models
from checkers.elle.options import Options
from checkers.elle.rw_versions import Versions
from checkers.elle.serial_order import Prepared, prepared
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Anomaly, Verdict

MOST_TRANSACTIONS: Final = 2_000
MOST_STEPS: Final = 2_000_000
"""Looks at a transaction that may be next; a few seconds."""
TOLD: Final = 6
NO_ORDER: Final = "no-serial-order"
ORDERS: Final[Mapping[str, frozenset[str]]] = {
    "PL-3": frozenset(),
    "strong-session-serializable": frozenset(("process",)),
    "PL-SS": frozenset(("realtime",)),
}
"""What must be kept of the recorded order, by model."""


@dataclass
class Search:
    """How far it got. ``found``: an order that explains all; ``None``: too many to try.

    ``longest`` is the longest beginning of one, in order, after which nobody could go.
    """

    found: bool | None
    longest: list[int]
    states: int


def settle(
    verdict: Verdict, known: Versions, graph: Graph, options: Options, record: Record
) -> Verdict:
    """``verdict``, decided if it is open, one model of :data:`ORDERS` is asked for, and all of its
    orders could be tried.
    """
    asked = [canonical(model) for model in options.consistency_models]
    if verdict.valid != UNKNOWN or len(asked) != 1 or asked[0] not in ORDERS or options.anomalies:
        return verdict
    if verdict.anomalies or len(known.found) > MOST_TRANSACTIONS:
        return verdict
    if not options.timed and "realtime" in ORDERS[asked[0]]:
        return verdict
    ready = prepared(known, graph, ORDERS[asked[0]])
    if ready is None:
        return verdict
    trial = _Trial(known, ready)
    search = trial.search()
    if search.found is None:
        return verdict
    if search.found:
        return Verdict(valid=True, stats={**verdict.stats, "proved_by": "an order, of all tried"})
    model = asked[0]
    return Verdict(
        valid=False,
        why=f"{NO_ORDER}, which {friendly(model)} forbids",
        anomalies={NO_ORDER: [_told(trial, search, Teller(known.found, record))]},
        not_=(friendly(model),),
        also_not=tuple(sorted(map(friendly, stronger_models([model]) - {model}))),
        stats=verdict.stats,
    )


class _Trial:
    """The store, and whose turns made it what it is."""

    def __init__(self, known: Versions, ready: Prepared) -> None:
        self.known = known
        self.numbers = np.flatnonzero(ready.parts).tolist()
        place = {txn: at for at, txn in enumerate(self.numbers)}
        self.needs = _needs(known, ready, place)
        self.reads: list[list[tuple[int, int]]] = [[] for _ in self.numbers]
        self.writes: list[list[tuple[int, int]]] = [[] for _ in self.numbers]
        self.store: list[int] = known.nil.tolist()
        self.unread = [0] * len(known)
        found = known.found
        for row in known.external.tolist():
            key, version = int(found.key[row]), int(known.of[row])
            self.reads[place[int(found.txn[row])]].append((key, version))
            self.unread[version] += 1
        for row in known.final.tolist():
            if int(found.txn[row]) in place:
                item = (int(found.key[row]), int(known.of[row]))
                self.writes[place[int(found.txn[row])]].append(item)
        self.done = 0
        self.log: list[tuple[int, list[int]]] = []

    def may_go(self, at: int) -> bool:
        """Whether the next turn may be that of transaction ``at``."""
        if self.done >> at & 1 or self.needs[at] & ~self.done:
            return False
        mine = self.reads[at]
        if any(self.store[key] != version for key, version in mine):
            return False
        own = dict(mine)
        return all(
            self.unread[self.store[key]] <= (own.get(key) == self.store[key])
            for key, _ in self.writes[at]
        )

    def go(self, at: int) -> None:
        """Its turn."""
        self.log.append((at, [self.store[key] for key, _ in self.writes[at]]))
        for _, version in self.reads[at]:
            self.unread[version] -= 1
        for key, version in self.writes[at]:
            self.store[key] = version
        self.done |= 1 << at

    def back_to(self, length: int) -> None:
        """Take turns back until so many are left."""
        while len(self.log) > length:
            at, old = self.log.pop()
            for (key, _), version in zip(self.writes[at], old, strict=True):
                self.store[key] = version
            for _, version in self.reads[at]:
                self.unread[version] += 1
            self.done &= ~(1 << at)

    def search(self) -> Search:
        """Depth first, no state twice."""
        count, steps = len(self.numbers), 0
        dead: set[int] = set()
        longest: list[int] = []
        frames: list[tuple[int, list[int]]] = []
        while True:
            nexts = self._next()
            steps += count
            if len(self.log) == count:
                return Search(True, [], len(dead))
            if len(self.log) > len(longest):
                longest = [at for at, _ in self.log]
            if self.done in dead:
                nexts = []
            frames.append((len(self.log), nexts))
            while frames and not frames[-1][1]:
                self.back_to(frames.pop()[0])
                dead.add(self.done)
            if not frames:
                return Search(False, longest, len(dead))
            if steps > MOST_STEPS:
                return Search(None, longest, len(dead))
            self.back_to(frames[-1][0])
            self.go(frames[-1][1].pop())

    def _next(self) -> list[int]:
        """Let all go that only read; then, who may go next."""
        able = [at for at in range(len(self.numbers)) if self.may_go(at)]
        while readers := [at for at in able if not self.writes[at]]:
            for at in readers:
                self.go(at)
            able = [at for at in range(len(self.numbers)) if self.may_go(at)]
        return able[::-1]


def _needs(known: Versions, ready: Prepared, place: Mapping[int, int]) -> list[int]:
    """For each transaction the set of those that must come before it, as bits."""
    needs = [0] * len(place)
    for a, b in zip(ready.edges.source.tolist(), ready.edges.target.tolist(), strict=True):
        needs[place[b]] |= 1 << place[a]
    if not ready.realtime:
        return needs
    found = known.found
    ended = sorted((int(found.complete[txn]), at) for txn, at in place.items())
    before, earlier = 0, 0
    for txn, at in sorted(place.items(), key=lambda item: int(found.invoke[item[0]])):
        while earlier < len(ended) and ended[earlier][0] < int(found.invoke[txn]):
            before |= 1 << ended[earlier][1]
            earlier += 1
        needs[at] |= before & ~(1 << at)
    return needs


def _told(trial: _Trial, search: Search, teller: Teller) -> Anomaly:
    """Where the longest order ends, and why nobody can go on."""
    for at in search.longest:
        trial.go(at)
    left = [at for at in range(len(trial.numbers)) if not trial.done >> at & 1]
    left.sort(key=lambda at: (bin(trial.needs[at] & ~trial.done).count("1"), at))
    shown = left[:TOLD]
    names = {at: f"T{number}" for number, at in enumerate(shown, 1)}
    lines = [f"  - {names[at]} cannot be next, because {_why(trial, at, names)}." for at in shown]
    more = f" ({len(left) - len(shown)} more wait for these.)" if len(left) > len(shown) else ""
    text = (
        f"Every order in which the {len(trial.numbers)} transactions could have run one after"
        f" another was tried; in none does each read what the ones before it left. The longest"
        f" runs {len(search.longest)} of them, and then nobody can go on:{more}"
    )
    return teller.anomaly([trial.numbers[at] for at in shown], "\n".join([text, *lines]))


def _why(trial: _Trial, at: int, names: Mapping[int, str]) -> str:
    known = trial.known
    keys = known.found.keys
    for key, version in trial.reads[at]:
        if trial.store[key] != version:
            have, want = show(known.name(trial.store[key])), show(known.name(version))
            return f"it read key {show(keys[key])} = {want}, and that is {have} now"
    missing = trial.needs[at] & ~trial.done
    if missing:
        one = (missing & -missing).bit_length() - 1
        index = known.found.index(trial.numbers[one])
        return f"{names.get(one, f'the transaction at index {index}')} must come before it"
    for key, _ in trial.writes[at]:
        held = trial.store[key]
        for other in range(len(trial.numbers)):
            if other != at and not trial.done >> other & 1 and (key, held) in trial.reads[other]:
                index = known.found.index(trial.numbers[other])
                who = names.get(other, f"the transaction at index {index}")
                value = show(known.name(held))
                return f"it overwrites key {show(keys[key])} = {value}, which {who} has yet to read"
    return "it would leave others without what they read"
