"""Finds the shortest cycle of each type in one component, worst types first.

A type is an edge to begin with and what may follow back to its start (:data:`SEARCHES`): a
``G-single-item`` begins with an rw edge and returns over ww and wr. Only beginnings inside a knot
(:mod:`checkers.elle.existence`) can return, so most searches end at once; a type that is
implied by one found, or whose absence the knots prove, is not looked for. The order is Elle's
(txn.clj: implication and severity, ties by name). Cost: a breadth-first search from each
beginning, cut off at the length of the best cycle so far.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.existence import Existence, Knots
from checkers.elle.graph import PROCESS, REALTIME, RW, WR, WW
from checkers.elle.kernels import (
    COMPILE_FROM,
    FREE,
    NO_TWO_RW,
    RW_TWICE,
    has_numba,
    kernel,
    search_cycles,
)
from checkers.elle.transactions import Int8s, Int32s, Int64s
from checkers.proof.models import CYCLES, EXISTENCE, implied_anomalies, prohibited

PLAIN_STEPS: Final = 200_000
COMPILED_STEPS: Final = 20_000_000
"""Steps between two looks at the clock: about 0.1 s either way."""


@dataclass(frozen=True)
class Search:
    """How a type of cycle is looked for: ``model`` names the knots that it can be in."""

    begins: int
    rest: int
    mode: int
    model: str


_BASES: Final = {
    "G0": (WW, WW, FREE, 0),
    "G1c": (WR, WW | WR, FREE, 1),
    "G-single-item": (RW, WW | WR, FREE, 2),
    "G-nonadjacent-item": (RW, WW | WR | RW, NO_TWO_RW, 2),
    "G2-item": (RW, WW | WR | RW, RW_TWICE, 3),
}
_VARIANTS: Final = (
    ("", 0, ("PL-1", "PL-2", "PL-SI", "PL-2.99")),
    (
        "-process",
        PROCESS,
        (
            "strong-session-PL-1",
            "strong-session-PL-2",
            "strong-session-snapshot-isolation",
            "strong-session-serializable",
        ),
    ),
    (
        "-realtime",
        REALTIME,
        ("strong-PL-1", "strong-PL-2", "strong-snapshot-isolation", "PL-SS"),
    ),
)
_ORDER: Final = (
    "G-single-item",
    "G0",
    "G-nonadjacent-item",
    "G-single-item-process",
    "G1c",
    "G-nonadjacent-item-process",
    "G-single-item-realtime",
    "G2-item",
    "G-nonadjacent-item-realtime",
    "G0-process",
    "G1c-process",
    "G2-item-process",
    "G0-realtime",
    "G1c-realtime",
    "G2-item-realtime",
)


def _searches() -> dict[str, Search]:
    found = {
        base + order: Search(begins, rest | extra, mode, models[model])
        for base, (begins, rest, mode, model) in _BASES.items()
        for order, extra, models in _VARIANTS
    }
    return {name: found[name] for name in _ORDER}


SEARCHES: Final = _searches()
"""Types without predicate edges, in the order in which they are looked for."""

TYPE_OF_MODEL: Final = {search.model: name for name, search in reversed(SEARCHES.items())} | {
    "PL-SI": "G-nonadjacent-item",
    "strong-session-snapshot-isolation": "G-nonadjacent-item-process",
    "strong-snapshot-isolation": "G-nonadjacent-item-realtime",
    "PL-3": "G2-item",
}
"""For each model of ``EXISTENCE`` a type that is sure to be there if a cycle exists."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Component:
    """One component, its transactions numbered from 0, with drawn edges by source.

    ``member[n]`` is the transaction in the graph, ``node[n]`` in the tangle. ``rank``, ``after``
    and ``by_rank`` are the realtime order as :func:`checkers.elle.kernels.search_cycles` has it.
    """

    member: Int32s
    node: Int32s
    source: Int32s
    target: Int32s
    label: Int8s
    first: Int64s
    rank: Int32s
    after: Int32s
    by_rank: Int32s

    def __len__(self) -> int:
        return len(self.member)


@dataclass(frozen=True)
class Cycle:
    """Each transaction comes before the next, the last before the first, by ``labels[i]``."""

    transactions: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def type(self) -> str:
        """Its name by its edges, after Elle (txn.clj, ``cycle-explainer``)."""
        rw = self.labels.count(RW)
        if rw == 1:
            base = "G-single-item"
        elif rw:
            after = (*self.labels[1:], self.labels[0])
            adjacent = any(a == b == RW for a, b in zip(self.labels, after, strict=True))
            base = "G2-item" if adjacent else "G-nonadjacent-item"
        else:
            base = "G1c" if WR in self.labels else "G0"
        if REALTIME in self.labels:
            return f"{base}-realtime"
        return f"{base}-process" if PROCESS in self.labels else base


@dataclass
class Harvest:
    """What the search in one component gave; ``unfinished`` is the type it was at when time ran
    out, ``absent`` the types that it had proved not to be there.
    """

    cycles: list[Cycle] = field(default_factory=list)
    unfinished: str | None = None
    absent: list[str] = field(default_factory=list)


def search_component(
    component: Component, there: Existence, knots: dict[str, Knots], timeout_s: float
) -> Harvest:
    """The shortest cycle of each type that is not implied by another one found here."""
    hunt = _Hunt(component, time.monotonic() + timeout_s)
    harvest = Harvest()
    redundant = _impossible_types(there)
    for name, search in SEARCHES.items():
        if name in redundant or search.model not in knots:
            continue
        cycle, finished = hunt.shortest(search, knots[search.model])
        if cycle is not None:
            harvest.cycles.append(cycle)
            redundant |= implied_anomalies([cycle.type])
        elif finished:
            harvest.absent.append(name)
        if not finished:
            harvest.unfinished = name
            break
    if harvest.unfinished and not harvest.cycles:
        harvest.cycles.extend(hunt.some(there, knots))
    return harvest


def _impossible_types(there: Existence) -> frozenset[str]:
    """Types of cycles whose absence is proved, as all models that forbid them hold here."""
    possible = [model for model in EXISTENCE if model not in there.impossible]
    return prohibited(possible) & frozenset(CYCLES)


class _Hunt:
    """Searches in one component; the arrays for it are made once."""

    def __init__(self, component: Component, deadline: float) -> None:
        self.component = component
        self.deadline = deadline
        self.steps = 0
        states = 2 * len(component) + 2
        self.found: Any
        self.work: list[Any] = [np.zeros(states, dtype=np.int64) for _ in range(4)]
        self.found = np.zeros(2 * states, dtype=np.int64)
        self.stamp = 0
        arrays = (component.first, component.target, component.label)
        self.arrays = (*arrays, component.rank, component.after, component.by_rank)
        self.lists: tuple[list[Any], ...] | None = None

    def shortest(
        self, search: Search, knots: Knots, at_most: int | None = None
    ) -> tuple[Cycle | None, bool]:
        """The shortest cycle, and whether the search came to its end.

        ``at_most`` limits the number of beginnings; time does not.
        """
        begins = self._beginnings(search, knots)
        if at_most is not None:
            begins = begins[:at_most]
        if not len(begins):
            return None, True
        component = self.component
        state = [0, 2 * len(component) + 2, self.stamp, 0]
        ends = (component.source[begins], component.target[begins])
        finished = self._run(search, ends, state, patient=at_most is not None)
        self.stamp = state[2]
        if state[1] > 2 * len(component):
            return None, finished
        return self._cycle(search, state[1]), finished

    def some(self, there: Existence, knots: dict[str, Knots]) -> Iterator[Cycle]:
        """Any cycle against the weakest model that has one: a fallback when time is out."""
        for model in there.smallest:
            search = SEARCHES[TYPE_OF_MODEL[model]]
            cycle, _ = self.shortest(search, knots[model], at_most=1)
            if cycle is not None:
                yield cycle
                return

    def _beginnings(self, search: Search, knots: Knots) -> NDArray[np.intp]:
        """Edges that lie on a closed walk of the kind sought (for one rw: that may)."""
        component = self.component
        edges: NDArray[np.intp] = np.flatnonzero(component.label == search.begins)
        source = component.node[component.source[edges]]
        target = component.node[component.target[edges]]
        edges = edges[knots.plain[source] == knots.by_rw[target]]
        if search.mode != RW_TWICE:
            return edges
        again = np.zeros(len(component), dtype=bool)
        again[component.source[edges]] = True
        edges = edges[again[component.target[edges]]]
        return edges

    def _run(
        self,
        search: Search,
        ends: tuple[NDArray[Any], NDArray[Any]],
        state: list[int],
        *,
        patient: bool,
    ) -> bool:
        """Search in stretches of work until done (True) or out of time."""
        count = len(ends[0])
        while state[0] < count:
            if not patient and state[0] and time.monotonic() >= self.deadline:
                return False
            compiled = has_numba() and self.steps >= PLAIN_STEPS
            state[3] = COMPILED_STEPS if compiled else PLAIN_STEPS
            before = state[3]
            self._stretch(search, ends, state, compiled=compiled)
            self.steps += before - state[3]
        return True

    def _stretch(
        self,
        search: Search,
        ends: tuple[NDArray[Any], NDArray[Any]],
        state: list[int],
        *,
        compiled: bool,
    ) -> None:
        loop = kernel(search_cycles, COMPILE_FROM if compiled else 0)
        if compiled:
            self._to_arrays()
            progress = np.array(state, dtype=np.int64)
            loop(*self.arrays, search.rest, search.mode, *ends, progress, *self._space())
            state[:] = progress.tolist()
            return
        if self.lists is None:
            self.lists = tuple(array.tolist() for array in self.arrays)
            self.work = [array.tolist() for array in self.work]
            self.found = self.found.tolist()
        begins = [end.tolist() for end in ends]
        loop(*self.lists, search.rest, search.mode, *begins, state, *self._space())

    def _to_arrays(self) -> None:
        if isinstance(self.found, list):
            self.work = [np.array(array, dtype=np.int64) for array in self.work]
            self.found = np.array(self.found, dtype=np.int64)

    def _space(self) -> Sequence[Any]:
        return (self.found, *self.work)

    def _cycle(self, search: Search, length: int) -> Cycle:
        flat = [int(item) for item in self.found[: 2 * length]]
        labels = (search.begins, *flat[3::2])
        return Cycle(tuple(int(self.component.member[node]) for node in flat[::2]), labels)
