"""Is there an order of the versions under which every transaction has a consistent view (PL-2+)?

Consistent view forbids G1 and cycles with one rw edge (Adya 1999, section 4.2). So there must be an
order of each key's versions such that what is written (ww) and read (wr) has no cycle, and whoever
reads a version does not come after, by ww and wr, the writer of a later one. For a reader of x = 1
that says: each other writer of x that comes before the reader comes before the writer of 1; and who
reads the initial state comes after none.

What this demands is drawn until nothing more follows. Then the versions are put in some order that
goes with it, which mostly will do; else one pair after the other is tried both ways, within a limit
of steps. Cost of a pass: transactions and edges, times transactions over 64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from checkers.elle.explain import Explainer, show
from checkers.elle.options import Options
from checkers.elle.registers.serial_order import taking_part
from checkers.elle.registers.versions import Versions
from checkers.elle.registers.weak_saturation import Step
from checkers.proof.models import canonical, friendly, implied_models, stronger_models
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict

MODEL: Final = "PL-2+"
NO_VIEW: Final = "no-consistent-view"
PROVED: Final = "an order of versions, of all tried"
MOST_STEPS: Final = 1_000_000
"""Looks at a transaction; a few seconds."""
MOST_SHOWN: Final = 4
"""Ways to order the versions that a proof tells one by one."""

Edge = tuple[int, int]


class _TooLong(Exception):
    """The steps are spent."""


@dataclass
class _Clash:
    """Why a way to order versions fails: a cycle, or both ways of a pair of one key."""

    steps: list[Step] = field(default_factory=list)
    pair: Edge | None = None
    ways: list[_Clash] = field(default_factory=list)

    def leaves(self) -> int:
        """How many ways fail by a cycle."""
        return sum(way.leaves() for way in self.ways) if self.ways else 1


class _Views:
    """Transactions by number; ``before[i]`` are, as bits, those that come before ``i``."""

    def __init__(self, known: Versions, parts: list[int]) -> None:
        found = known.found
        self.known = known
        self.parts = parts
        place = {txn: at for at, txn in enumerate(parts)}
        self.reads: list[tuple[int, int, int]] = []
        self.base: dict[Edge, int] = {}
        """Writer and reader, with the key that shows it."""
        for row in known.external.tolist():
            version, reader = int(known.of[row]), place[int(found.txn[row])]
            writer = int(known.writer[version])
            at = -1 if known.value[version] < 0 else place[writer]
            self.reads.append((reader, int(found.key[row]), at))
            if at >= 0:
                self.base.setdefault((at, reader), int(found.key[row]))
        self.writers: dict[int, list[int]] = {}
        for row in known.final.tolist():
            if int(found.txn[row]) in place:
                self.writers.setdefault(int(found.key[row]), []).append(place[int(found.txn[row])])
        self.bits = {key: sum(1 << at for at in mine) for key, mine in self.writers.items()}
        self.left = MOST_STEPS

    def search(self, known_edges: dict[Edge, Step]) -> _Clash | None:
        """``None`` if an order goes with ``told``; else why none does."""
        known_edges = dict(known_edges)
        clash = self._saturated(known_edges)
        if isinstance(clash, _Clash):
            return clash
        before, order = clash
        guess = dict(known_edges)
        for key, mine in self.writers.items():
            ranked = sorted(mine, key=order.__getitem__)
            for a, b in pairwise(ranked):
                guess.setdefault((a, b), self._supposed(key, a, b))
        if not isinstance(self._saturated(guess), _Clash):
            return None
        key, a, b = next(self._open(before))
        ways = []
        for one, other in ((a, b), (b, a)):
            way = self.search({**known_edges, (one, other): self._supposed(key, one, other)})
            if way is None:
                return None
            ways.append(way)
        return _Clash(pair=(a, b), ways=ways)

    def _open(self, before: list[int]) -> Iterator[tuple[int, int, int]]:
        """Key and writers whose order is not known."""
        for key, mine in self.writers.items():
            for place, a in enumerate(mine):
                for b in mine[:place]:
                    if not (before[a] >> b | before[b] >> a) & 1:
                        yield key, b, a

    def _saturated(self, known_edges: dict[Edge, Step]) -> _Clash | tuple[list[int], list[int]]:
        """Add to ``told`` all that follows: a clash, or who comes before each and its place."""
        while True:
            self.left -= len(self.parts)
            if self.left < 0:
                raise _TooLong
            after = self._after(known_edges)
            order = self._in_order(after)
            if len(order) < len(self.parts):
                return _Clash(
                    self._cycle(after, set(range(len(self.parts))) - {*order}, known_edges)
                )
            before = [0] * len(self.parts)
            place = [0] * len(self.parts)
            for at, one in enumerate(order):
                place[one] = at
                mine = before[one] | 1 << one
                for other in after[one]:
                    before[other] |= mine
            fresh = list(self._demanded(before))
            for reader, key, writer, seen in fresh:
                if writer < 0:
                    return _Clash(self._stale(after, reader, key, seen, known_edges))
                known_edges.setdefault((seen, writer), self._demand(reader, key, writer, seen))
            if not fresh:
                return before, place

    def _demanded(self, before: list[int]) -> Iterator[tuple[int, int, int, int]]:
        """Reader, key, writer and each other writer that must come before that one."""
        for reader, key, writer in self.reads:
            others = before[reader] & self.bits.get(key, 0) & ~(1 << reader)
            if writer >= 0:
                others &= ~(before[writer] | 1 << writer)
            while others:
                lowest = others & -others
                others ^= lowest
                yield reader, key, writer, lowest.bit_length() - 1

    def _after(self, known_edges: dict[Edge, Step]) -> list[list[int]]:
        after: list[list[int]] = [[] for _ in self.parts]
        for a, b in {**self.base, **known_edges}:
            after[a].append(b)
        return after

    def _in_order(self, after: list[list[int]]) -> list[int]:
        """Those that are on no cycle and behind none, in order."""
        waits = [0] * len(self.parts)
        for mine in after:
            for other in mine:
                waits[other] += 1
        order = [at for at, count in enumerate(waits) if not count]
        for one in order:
            for other in after[one]:
                waits[other] -= 1
                if not waits[other]:
                    order.append(other)
        return order

    def _cycle(
        self, after: list[list[int]], left: set[int], known_edges: dict[Edge, Step]
    ) -> list[Step]:
        """The shortest cycle through one that is on a cycle."""
        best: list[int] = []
        for start in sorted(left):
            path = _path(after, start, start)
            if path and (not best or len(path) < len(best)):
                best = path
        return self._steps(best, known_edges)

    def _stale(
        self,
        after: list[list[int]],
        reader: int,
        key: int,
        seen: int,
        known_edges: dict[Edge, Step],
    ) -> list[Step]:
        """A reader of the initial state that comes after a writer."""
        text = (
            f"{{a}} read the initial state of key {self._key(key)}, which {{b}} had set to"
            f" {self._value(seen, key)}"
        )
        last = Step(self.parts[reader], self.parts[seen], text)
        return [*self._steps(_path(after, seen, reader), known_edges), last]

    def _steps(self, path: list[int], known_edges: dict[Edge, Step]) -> list[Step]:
        steps = []
        for a, b in pairwise(path):
            if (a, b) in self.base:
                key = self.base[a, b]
                text = f"{{b}} read key {self._key(key)} = {self._value(a, key)}, which {{a}} wrote"
                steps.append(Step(self.parts[a], self.parts[b], text))
            else:
                steps.append(known_edges[a, b])
        return steps

    def _demand(self, reader: int, key: int, writer: int, seen: int) -> Step:
        text = (
            f"{{c}} came after {{a}}, which wrote key {self._key(key)}, and yet read"
            f" {self._value(writer, key)} there, which {{b}} wrote"
        )
        return Step(self.parts[seen], self.parts[writer], text, self.parts[reader])

    def _supposed(self, key: int, a: int, b: int) -> Step:
        text = (
            f"one of the two came first, and here we try that key {self._key(key)} was"
            f" {self._value(a, key)} before it was {self._value(b, key)}"
        )
        return Step(self.parts[a], self.parts[b], text)

    def _key(self, key: int) -> str:
        return show(self.known.found.keys[key])

    def _value(self, at: int, key: int) -> str:
        found = self.known.found
        txn = self.parts[at]
        span = range(int(found.first[txn]), int(found.first[txn + 1]))
        row = next(r for r in reversed(span) if found.f[r] and found.key[r] == key)
        return show(self.known.name(int(self.known.of[row])))


def _path(after: list[list[int]], first: int, last: int) -> list[int]:
    """The shortest way from ``first`` to ``last`` of at least one step, or nothing."""
    came: dict[int, int] = {}
    queue = [first]
    for at in queue:
        for other in after[at]:
            if other not in came:
                came[other] = at
                queue.append(other)
        if last in came:
            break
    else:
        return []
    path = [last]
    while len(path) == 1 or path[-1] != first:
        path.append(came[path[-1]])
    return path[::-1]


def decided(verdict: Verdict, known: Versions, options: Options, explainer: Explainer) -> Verdict:
    """``verdict``, decided if it is open, and hangs on consistent view, and all orders could be
    tried: what is no stronger holds with it, what is no weaker falls with it.
    """
    parts = taking_part(known)
    if verdict.valid != UNKNOWN or verdict.anomalies or options.anomalies or parts is None:
        return verdict
    asked = frozenset(map(canonical, options.consistency_models))
    proves, breaks = asked <= implied_models([MODEL]), MODEL in implied_models(asked)
    if not proves and not breaks:
        return verdict
    views = _Views(known, np.flatnonzero(parts).tolist())
    try:
        clash = views.search({})
    except (_TooLong, RecursionError):
        return verdict
    if clash is None:
        if not proves:
            return verdict
        return Verdict(valid=True, stats={**verdict.stats, "proved_by": PROVED})
    if not breaks:
        return verdict
    return Verdict(
        valid=False,
        why=f"{NO_VIEW}, which {friendly(MODEL)} forbids",
        anomalies={NO_VIEW: [_proof(clash, explainer)]},
        not_=(friendly(MODEL),),
        also_not=tuple(sorted(map(friendly, stronger_models([MODEL]) - {MODEL}))),
        stats=verdict.stats,
    )


def _proof(clash: _Clash, explainer: Explainer) -> Anomaly:
    """The proof: each way to order the versions that matter, and the cycle that it ends in."""
    names: dict[int, str] = {}
    lines = list(_lines(clash, names)) if clash.leaves() <= MOST_SHOWN else []
    if not lines:
        first = clash
        while first.ways:
            first = first.ways[0]
        lines = [
            f"Whichever came first of the versions that nothing orders ({clash.leaves()} ways were"
            " tried), some transaction has no consistent view. The first of them:",
            *_lines(first, names),
        ]
    return explainer.anomaly(list(names), "\n".join(lines))


def _lines(clash: _Clash, names: dict[int, str]) -> Iterator[str]:
    if clash.ways:
        for way in clash.ways:
            yield from _lines(way, names)
        return
    yield "Then:"
    for place, step in enumerate(clash.steps, 1):
        for txn in (step.before, step.after, step.witness):
            if txn >= 0:
                names.setdefault(txn, f"T{len(names) + 1}")
        a, b, c = names[step.before], names[step.after], names.get(step.witness, "")
        text = step.text.replace("{a}", a).replace("{b}", b).replace("{c}", c)
        is_last = place == len(clash.steps)
        however, end = ("However, ", ": a contradiction!") if is_last else ("", ".")
        yield f"  - {however}{a} < {b}, because {text}{end}"
