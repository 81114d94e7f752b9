"""From a circle in the graph to a proof (:mod:`checkers.isolation.rw_register.refutation`).

An inferred edge was drawn because of a way through the graph of the round before; that way is
found again, and so on for the inferred edges in it, down to what is recorded. Rounds only go down,
so this ends. Of several ways the one with the fewest inferred edges is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from checkers.elle.components import strong_components
from checkers.elle.graph import PROCESS, REALTIME, RW, WR, WW
from checkers.elle.kernels import kernel
from checkers.isolation.rw_register import solver
from checkers.isolation.rw_register.begin_commit_graph import INSIDE, KNOWN, MOMENT, SESSION, Turns
from checkers.isolation.rw_register.problem import INITIAL, SNAPSHOT, firsts
from checkers.isolation.rw_register.refutation import Circle, Finding, Pair, Refutation, Step
from checkers.isolation.rw_register.saturation_kernels import nearest

MOST_STARTS: Final = 24
"""Nodes of a component through which the best circle is looked for."""
LAST: Final = (1 << 31) - 1
"""A round after all others."""

Row = tuple[int, ...]
"""An edge: source, target, label, what, later, because, round."""


@dataclass
class _Builder:
    """The graph's edges by source, and the findings so far with the round of each."""

    graph: Turns
    findings: dict[Pair, tuple[int, Finding]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        edges = self.graph.edges
        self.rows = np.argsort(edges.source, kind="stable")
        self.first = firsts(edges.source, self.graph.nodes)
        self.to = edges.target[self.rows]

    def way(self, start: int, goal: int, before: int) -> list[Row] | None:
        """The edges of a way, ``None`` if there is none."""
        came = np.full(self.graph.nodes, -1, dtype=np.int64)
        loop = kernel(nearest, 30 * len(self.to))
        edges = self.graph.edges
        if not loop(start, goal, before, self.first, self.rows, self.to, edges.round, came):
            return None
        found: list[Row] = []
        node = goal
        while not found or node != start:
            edge = int(came[node])
            found.append(tuple(int(column[edge]) for column in edges.columns()))
            node = found[-1][0]
        return found[::-1]

    def steps(self, rows: Sequence[Row]) -> tuple[Step, ...]:
        """Edges as steps between transactions; what they were inferred from becomes findings."""
        graph, moments = self.graph, self.graph.moments
        found: list[Step] = []
        waiting: Row | None = None
        for row in rows:
            source, target, label, _, later, _, _ = row
            if source < moments and target >= moments:
                waiting = row
            elif source < moments:
                found.append(self._step(row))
            elif target < moments and waiting is not None:
                before, after = waiting[0] // graph.turns, target // graph.turns
                if label == MOMENT:
                    found.append(Step(REALTIME, before, after))
                else:
                    found.append(Step(RW, before, after, waiting[3], (INITIAL, later)))
        return tuple(found)

    def _step(self, row: Row) -> Step:
        source, target, label, what, later, because, past = row
        before, after = source // self.graph.turns, target // self.graph.turns
        if label == INSIDE:
            return Step(INSIDE, before, after)
        if label == SESSION:
            return Step(PROCESS, before, after)
        if label == WR:
            return Step(WR, before, after, what)
        first = what if label == WW else int(self.graph.problem.read_from[what])
        order = (first, later)
        if past > KNOWN:
            self.find(order, because, past)
        return Step(label, before, after, what if label == RW else -1, order)

    def find(self, order: Pair, because: int, past: int) -> None:
        """Make a finding of an order of two versions that was inferred in the round ``past``."""
        if order in self.findings and self.findings[order][0] <= past:
            return
        graph, problem = self.graph, self.graph.problem
        one, other = (int(problem.write_txn[write]) for write in order)
        if because >= 0:
            ends = graph.commit(one), graph.begin(int(problem.read_txn[because]))
        elif graph.level.kind == SNAPSHOT:
            ends = graph.begin(one), graph.commit(other)
        else:
            ends = graph.commit(one), graph.commit(other)
        rows = self.way(*ends, past)
        assert rows is not None, (order, because, past)
        path = self.steps(rows)
        self.findings[order] = (past, Finding(order, because, path))

    def used(self, circles: Iterable[Circle]) -> tuple[Finding, ...]:
        """The findings that these need, each after what it needs."""
        needed: dict[Pair, None] = {}
        waiting = [step.order for circle in circles for step in circle.steps]
        while waiting:
            order = waiting.pop()
            if order in self.findings and order not in needed:
                needed[order] = None
                waiting += [step.order for step in self.findings[order][1].path]
        told = sorted((self.findings[order] for order in needed), key=lambda item: item[0])
        return tuple(finding for _, finding in told)


def of_a_circle(graph: Turns, left: np.ndarray) -> Refutation:
    """The proof from a graph of which the nodes ``left`` are in a circle or behind one."""
    builder = _Builder(graph)
    best: list[Row] | None = None
    for node in _starts(graph, left):
        rows = builder.way(node, node, LAST)
        if rows is not None and (best is None or _cost(rows) < _cost(best)):
            best = rows
    assert best is not None
    circle = Circle(builder.steps(best))
    return Refutation(builder.used([circle]), (circle,))


def _cost(rows: Sequence[Row]) -> tuple[int, int, int]:
    """Late findings stand on early ones."""
    inferred = [row[6] for row in rows if row[6] > KNOWN]
    return max(inferred, default=0), len(inferred), len(rows)


def _starts(graph: Turns, left: np.ndarray) -> list[int]:
    """Some turns in the smallest knots of circles."""
    edges = graph.edges
    inside = np.flatnonzero(left[edges.source] & left[edges.target])
    component = strong_components(graph.nodes, edges.source[inside], edges.target[inside])
    sizes = np.bincount(component)[component]
    nodes = np.flatnonzero((sizes > 1)[: graph.moments])
    nodes = nodes[np.lexsort((nodes, component[nodes], sizes[nodes]))]
    first = int(np.count_nonzero(component[nodes] == component[nodes[0]]))
    if first > MOST_STARTS:
        picked = np.linspace(0, first - 1, MOST_STARTS).astype(int)
        return [int(node) for node in nodes[picked]]
    return [int(node) for node in nodes[:MOST_STARTS]]


def of_choices(graph: Turns, found: Sequence[solver.Circle]) -> Refutation:
    """The proof from circles of which every choice has one."""
    builder = _Builder(graph)
    circles = []
    for circle in found:
        for row in circle.edges:
            if row[6] >= 0:
                continue
            first = row[3] if row[2] == WW else int(graph.problem.read_from[row[3]])
            if (first, row[4]) not in circle.chosen:
                builder.find((first, row[4]), -1, LAST)
        circles.append(Circle(builder.steps(circle.edges), circle.chosen))
    return Refutation(builder.used(circles), tuple(circles))
