"""Trying every order in which a small set of transactions may have had its turns.

The store is played: a *turn* is allowed if what it reads is there, if those that must come before
have been, and if it overwrites nothing that somebody has yet to read (whoever read it would never
find it again: values are unique, so no version comes back). A state is which turns were taken;
what the store holds follows from that wherever it still matters. So no state is tried twice, and
turns that can only help all others are taken at once.

- Serial: a transaction is one turn. Those that only read are taken at once.
- Snapshots: a writer has two, its start, which reads, and its commit, which writes; from its start
  to its commit no other may commit to a key that it writes (first committer wins). This is
  snapshot isolation of any age of snapshot (Elnikety et al., SRDS 2005; the same histories as
  PL-SI, Adya 1999, section 4.3, and SI of Cerone et al., CONCUR 2015). A commit that overwrites
  nothing which is still to be read is taken at once: it opens its keys to others and takes
  nothing away. Only starts are tried in every order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from checkers.elle.graph import WR, WW, Graph
from checkers.elle.registers.serial_order import (
    Edges,
    needs_process_order,
    prepared,
    process_order,
    taking_part,
)
from checkers.elle.registers.versions import Versions
from checkers.elle.transactions import Transactions

MOST_STEPS: Final = 2_000_000
"""Looks at a transaction that may be next; a few seconds."""


@dataclass
class Search:
    """How far it got. ``found``: an order that explains all; ``None``: too many to try.

    ``longest`` is the longest beginning of one, in order, after which nobody could go.
    """

    found: bool | None
    longest: list[int]


class Trial:
    """The store, and whose turns made it what it is; here a turn is a whole transaction.

    ``parts``: who takes part, by transaction; ``needs``: for each of them (numbered in their
    order) the set of those that must come before it, as bits.
    """

    what = "order in which the {} transactions could have run one after another"
    next = "be next"

    def __init__(self, known: Versions, numbers: list[int], needs: list[int]) -> None:
        self.known = known
        self.numbers = numbers
        self.needs = needs
        place = {txn: at for at, txn in enumerate(numbers)}
        self.reads: list[list[tuple[int, int]]] = [[] for _ in numbers]
        self.writes: list[list[tuple[int, int]]] = [[] for _ in numbers]
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
        self.open = 0
        self.log: list[tuple[int, list[int]]] = []

    @classmethod
    def of(cls, known: Versions, graph: Graph, orders: frozenset[str]) -> Trial | None:
        """A trial that keeps ``orders``; ``None`` if it is plain that nothing can."""
        ready = prepared(known, graph, orders)
        if ready is None:
            return None
        numbers = np.flatnonzero(ready.parts).tolist()
        return cls(known, numbers, _needs(known.found, ready.edges, numbers, ready.realtime))

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
        self._note(at)
        self._read(at, -1)
        self._write(at)

    def back_to(self, length: int) -> None:
        """Take turns back until so many are left."""
        while len(self.log) > length:
            at, old = self.log.pop()
            self._unwrite(at, old)
            self._read(at, 1)

    def stand_off(self, at: int) -> int:
        """Those under way that ``at`` has to wait for, as bits."""
        return 0

    def is_over(self) -> bool:
        """Whether everybody had their turns."""
        return len(self.log) == len(self.numbers)

    def nexts(self) -> list[int]:
        """Let all go that can only help; then, who may go next, the last first."""
        able = [at for at in range(len(self.numbers)) if self.may_go(at)]
        while readers := [at for at in able if not self.writes[at]]:
            for at in readers:
                self.go(at)
            able = [at for at in range(len(self.numbers)) if self.may_go(at)]
        return able[::-1]

    def search(self, most_steps: int) -> Search:
        """Depth first, no state twice."""
        steps = 0
        dead: set[tuple[int, int]] = set()
        longest: list[int] = []
        frames: list[tuple[int, list[int]]] = []
        while True:
            nexts = self.nexts()
            steps += len(self.numbers)
            if self.is_over():
                return Search(True, [])
            if len(self.log) > len(longest):
                longest = [at for at, _ in self.log]
            if (self.done, self.open) in dead:
                nexts = []
            frames.append((len(self.log), nexts))
            while frames and not frames[-1][1]:
                self.back_to(frames.pop()[0])
                dead.add((self.done, self.open))
            if not frames:
                return Search(False, longest)
            if steps > most_steps:
                return Search(None, longest)
            self.back_to(frames[-1][0])
            self.go(frames[-1][1].pop())

    def _note(self, turn: int) -> None:
        at = max(turn, ~turn)
        self.log.append((turn, [self.store[key] for key, _ in self.writes[at]]))

    def _read(self, at: int, by: int) -> None:
        for _, version in self.reads[at]:
            self.unread[version] += by

    def _write(self, at: int) -> None:
        for key, version in self.writes[at]:
            self.store[key] = version
        self.done |= 1 << at

    def _unwrite(self, at: int, old: list[int]) -> None:
        for (key, _), version in zip(self.writes[at], old, strict=True):
            self.store[key] = version
        self.done &= ~(1 << at)


class SnapshotTrial(Trial):
    """A turn ``at`` is the start of a transaction, ``~at`` its commit."""

    what = "order in which the {} transactions could have taken their snapshots and committed"
    next = "start"

    def __init__(self, known: Versions, numbers: list[int], needs: list[int]) -> None:
        super().__init__(known, numbers, needs)
        writers: dict[int, int] = {}
        for at, items in enumerate(self.writes):
            for key, _ in items:
                writers[key] = writers.get(key, 0) | 1 << at
        self.rivals = [0] * len(numbers)
        """Those that write a key which it writes, as bits; itself too."""
        for at, items in enumerate(self.writes):
            for key, _ in items:
                self.rivals[at] |= writers[key]

    @classmethod
    def of(cls, known: Versions, graph: Graph, orders: frozenset[str]) -> Trial | None:
        """As for serial turns, but only what is overwritten or read is known to come before."""
        parts = taking_part(known)
        if parts is None:
            return None
        # Whoever overwrites or reads another starts after its commit. What is overwritten by
        # another may start before or after: the store itself sees to that.
        source, target, _ = graph.edges(WW | WR)
        inside = parts[source] & parts[target]
        edges = Edges(source[inside].astype(np.int64), target[inside].astype(np.int64))
        realtime = "realtime" in orders
        if needs_process_order(known.found, orders):
            edges = edges.with_more(process_order(known, parts))
        numbers = np.flatnonzero(parts).tolist()
        return cls(known, numbers, _needs(known.found, edges, numbers, realtime))

    def may_go(self, at: int) -> bool:
        """Whether it may start next."""
        if (self.done | self.open) >> at & 1 or self.needs[at] & ~self.done:
            return False
        if self.stand_off(at):
            return False
        return all(self.store[key] == version for key, version in self.reads[at])

    def stand_off(self, at: int) -> int:
        """Those that write a key which it writes, and have not committed yet."""
        return self.rivals[at] & self.open

    def may_commit(self, at: int) -> bool:
        """Whether one that has started may commit next."""
        return all(not self.unread[self.store[key]] for key, _ in self.writes[at])

    def go(self, at: int) -> None:
        """Its start, or the commit if it is ``~at``; both at once if it writes nothing."""
        self._note(at)
        if at < 0:
            self.open &= ~(1 << ~at)
            self._write(~at)
            return
        self._read(at, -1)
        if self.writes[at]:
            self.open |= 1 << at
        else:
            self.done |= 1 << at

    def back_to(self, length: int) -> None:
        """Take starts and commits back until so many are left."""
        while len(self.log) > length:
            at, old = self.log.pop()
            if at < 0:
                self._unwrite(~at, old)
                self.open |= 1 << ~at
                continue
            self.done &= ~(1 << at)
            self.open &= ~(1 << at)
            self._read(at, 1)

    def is_over(self) -> bool:
        """Whether everybody has committed."""
        return self.done.bit_count() == len(self.numbers)

    def nexts(self) -> list[int]:
        """Let all read or commit that can only help; then, who may start next, the last first."""
        while True:
            able = [at for at in range(len(self.numbers)) if self.may_go(at)]
            free = [at for at in able if not self.writes[at]]
            free += [~at for at in _bits(self.open) if self.may_commit(at)]
            if not free:
                return able[::-1]
            for at in free:
                if at >= 0 or self.may_commit(~at):
                    self.go(at)


def _bits(number: int) -> list[int]:
    out = []
    while number:
        low = number & -number
        out.append(low.bit_length() - 1)
        number ^= low
    return out


def _needs(found: Transactions, edges: Edges, numbers: list[int], realtime: bool) -> list[int]:
    """For each transaction the set of those that must come before it, as bits."""
    place = {txn: at for at, txn in enumerate(numbers)}
    needs = [0] * len(place)
    for a, b in zip(edges.source.tolist(), edges.target.tolist(), strict=True):
        needs[place[b]] |= 1 << place[a]
    if not realtime:
        return needs
    ended = sorted((int(found.complete[txn]), at) for txn, at in place.items())
    before, earlier = 0, 0
    for txn, at in sorted(place.items(), key=lambda item: int(found.invoke[item[0]])):
        while earlier < len(ended) and ended[earlier][0] < int(found.invoke[txn]):
            before |= 1 << ended[earlier][1]
            earlier += 1
        needs[at] |= before & ~(1 << at)
    return needs
