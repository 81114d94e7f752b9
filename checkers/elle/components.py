"""Strong components: sets of transactions that all depend on one another.

No cycle leaves its component, so everything after this works on the few transactions that lie
in one of two or more; where there is none, there is no cycle at all. Most edges go forward in
time, so only what lies under an edge back is looked at; of a sound history that is little, or
nothing. The rest is Tarjan's algorithm (1972), compiled by numba or scipy's: linear in nodes and
edges, 0.3 s for a million transactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from checkers.elle.graph import PROCESS, REALTIME, RW, WR, WW, Graph
from checkers.elle.kernels import COMPILE_FROM, bucket, components, is_worth_compiling, kernel
from checkers.elle.slices import collected, places, slices
from checkers.elle.transactions import Int8s, Int32s

_FEW: Final = 64
_SMALL: Final = 100_000
"""Nodes and edges up to which plain Python is quicker than importing scipy."""


def strong_components(nodes: int, source: Int32s, target: Int32s) -> Int32s:
    """A component number for each node; equal numbers, same component.

    Components are numbered by their first nodes, whoever found them.
    """
    work = nodes + len(source)
    if work <= _SMALL:
        found = _by_hand(nodes, source, target, compiled=False)
    elif is_worth_compiling(work):
        found = _by_hand(nodes, source, target, compiled=True)
    else:
        found = _by_scipy(nodes, source, target)
    first = np.zeros(nodes, dtype=np.int32)
    first[found[::-1]] = np.arange(nodes - 1, -1, -1, dtype=np.int32)
    starts = np.zeros(nodes, dtype=np.int32)
    starts[first[found]] = 1
    number: Int32s = (np.cumsum(starts, dtype=np.int32) - 1)[first[found]]
    return number


def _by_scipy(nodes: int, source: Int32s, target: Int32s) -> Int32s:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    # Parallel edges are added up. In small integers 256 of them would be nothing, and whether an
    # edge of weight nothing is one is for others to say; doubles never come to it.
    weight = np.ones(len(source), dtype=np.float64)
    matrix = csr_matrix((weight, (source, target)), shape=(nodes, nodes))
    found: Int32s = connected_components(matrix, directed=True, connection="strong")[1]
    return found


def _by_hand(nodes: int, source: Int32s, target: Int32s, *, compiled: bool) -> Int32s:
    first = np.zeros(nodes + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=nodes), out=first[1:])
    if compiled:
        to = np.empty(len(source), dtype=np.int32)
        kernel(bucket, COMPILE_FROM)(source, target, first[:-1].copy(), to)
        work: list[Any] = [np.full(nodes, -1, dtype=np.int32) for _ in range(5)]
        kernel(components, COMPILE_FROM)(first, to, first[:-1].copy(), *work)
        found: Int32s = work[0]
        return found
    to = target[np.argsort(source, kind="stable")]
    work = [[-1] * nodes for _ in range(5)]
    starts = first.tolist()
    components(starts, to.tolist(), starts[:-1], *work)
    return np.array(work[0], dtype=np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tangle:
    """All components of two or more transactions, with the edges inside them.

    Nodes are numbered anew: ``member[i]`` is the graph's node of node ``i`` (a transaction if it
    is below ``transactions``, then barriers), ``component[i]`` the number of its component,
    ``0 .. count - 1``. Edges are ``source target label``. Of parallel edges those are left out
    that add nothing: a later label where an earlier one of ``ww wr rw`` is there.
    """

    count: int
    transactions: int
    member: Int32s
    component: Int32s
    source: Int32s
    target: Int32s
    label: Int8s

    @property
    def nodes(self) -> int:
        """Transactions and barriers."""
        return len(self.member)

    def members(self) -> Iterator[Int32s]:
        """For each component its transactions, as nodes of the tangle."""
        mine = self.component[: self.transactions]
        order = np.argsort(mine, kind="stable").astype(np.int32)
        ends = np.searchsorted(mine[order], np.arange(self.count + 1))
        for number in range(self.count):
            yield order[ends[number] : ends[number + 1]]


def tangle(graph: Graph) -> Tangle | None:
    """What of the graph lies on cycles; ``None`` if nothing does."""
    candidates, source, target, label = _candidates(graph)
    transactions = int(np.searchsorted(candidates, graph.size))
    component = strong_components(len(candidates), source, target)
    sizes = np.bincount(component[:transactions], minlength=1)
    knotted = np.flatnonzero(sizes > 1)
    if not len(knotted):
        return None
    number = np.full(int(component.max()) + 1, -1, dtype=np.int32)
    number[knotted] = np.arange(len(knotted), dtype=np.int32)
    of_node = number[component]
    inside = np.flatnonzero((of_node[source] >= 0) & (of_node[source] == of_node[target]))
    member = np.flatnonzero(of_node >= 0).astype(np.int32)
    renumbered = np.full(len(candidates), -1, dtype=np.int32)
    renumbered[member] = np.arange(len(member), dtype=np.int32)
    source, target, label = _distinct(
        len(member), renumbered[source[inside]], renumbered[target[inside]], label[inside]
    )
    return Tangle(
        count=len(knotted),
        transactions=int(np.searchsorted(member, transactions)),
        member=candidates[member],
        component=of_node[member],
        source=source,
        target=target,
        label=label,
    )


def _candidates(graph: Graph) -> tuple[Int32s, Int32s, Int32s, Int8s]:
    """Nodes that may lie on a cycle, in order, and the edges among them in their numbering.

    Nodes have places in time, and nearly all edges go forward. A cycle that crosses from after
    some moment to before it does so by an edge back, so every node of a cycle lies between the
    ends of one; and where no edge back spans a moment, no cycle does. What is left of time are
    the spans of the edges back, joined where they overlap; no cycle leaves one of those.
    """
    none = np.zeros(0, dtype=np.int32)
    span = _Spans(graph)
    if not len(span.starts):
        return none, none, none, none.astype(np.int8)
    stretch = np.empty(graph.nodes, dtype=np.int32)
    for column, place in zip(
        np.split(stretch, [graph.size]), (span.place, graph.barrier_places), strict=True
    ):
        for some in slices(len(place)):
            column[some] = span.of_places(place[some])
    candidates = places(graph.nodes, lambda some: stretch[some] >= 0)
    inside = [(label, *_inside(stretch, *edges)) for label, *edges in graph.timeless]
    inside += [(REALTIME, *edges) for edges in graph.realtime_edges(stretch)]
    number = stretch  # no longer needed: a node's place among the candidates from here on
    number[candidates] = np.arange(len(candidates), dtype=np.int32)
    source, target = (number[np.concatenate([part[end] for part in inside])] for end in (1, 2))
    label = [np.full(len(part[1]), part[0], dtype=np.int8) for part in inside]
    return candidates, source, target, np.concatenate(label)


def _inside(stretch: Int32s, source: Int32s, target: Int32s) -> tuple[Int32s, Int32s]:
    """The edges within stretches."""

    def inside(some: slice) -> tuple[Int32s, Int32s]:
        here = stretch[source[some]]
        kept = np.flatnonzero((here >= 0) & (here == stretch[target[some]]))
        return source[some][kept], target[some][kept]

    source, target = collected(len(source), 2, inside)
    return source, target


class _Spans:
    """The stretches of time that edges back span, apart from one another, in order."""

    def __init__(self, graph: Graph) -> None:
        place = self.place = _places(graph)
        low, high = [], []
        for _, source, target in graph.timeless:  # realtime edges go forward, every one
            for some in slices(len(source)):
                begin, end = place[target[some]], place[source[some]]
                back = begin <= end
                low.append(begin[back])
                high.append(end[back])
        none = np.zeros(0, dtype=place.dtype)
        starts, ends = np.concatenate([none, *low]), np.concatenate([none, *high])
        order = np.argsort(starts, kind="stable")
        starts, ends = starts[order], np.maximum.accumulate(ends[order])
        fresh = np.ones(len(starts), dtype=bool)
        fresh[1:] = starts[1:] > ends[:-1]
        self.starts = starts[fresh]
        self.ends = ends[np.concatenate((fresh[1:], [True]))] if len(ends) else ends

    def of_places(self, place: Int32s) -> Int32s:
        """The number of the stretch that each place lies in, or -1."""
        found = np.searchsorted(self.starts, place, side="right").astype(np.int32) - 1
        found[place > self.ends[found]] = -1
        return found


def _places(graph: Graph) -> Int32s:
    """A place in time for each transaction, of which most edges lead to a later one.

    Who never completed can have its place anywhere after its invocation, as no realtime edge
    leaves it. Just after all that come before it is best: at its invocation, edges from those
    that completed in the meantime would go back.
    """
    found, place = graph.transactions, graph.transaction_places
    for _, source, target in graph.timeless:
        for some in slices(len(source)):
            late = np.flatnonzero(found.complete[target[some]] >= found.never)
            np.maximum.at(place, target[some][late], place[source[some][late]] + 1)
    return place


def _distinct(
    nodes: int, source: Int32s, target: Int32s, label: Int8s
) -> tuple[Int32s, Int32s, Int8s]:
    """Edges sorted by source, target and label, without those that an earlier label covers."""
    code = (source.astype(np.int64) * nodes + target) * _FEW + label
    code = np.unique(code)
    pair, label = code // _FEW, (code % _FEW).astype(np.int8)
    after = np.ones(len(code), dtype=bool)
    after[1:] = pair[1:] != pair[:-1]
    strongest = label[np.maximum.accumulate(np.where(after, np.arange(len(code)), 0))]
    covered = ~after & (
        (strongest == WW) & (label <= PROCESS)
        | (strongest == WR) & (label == RW)
        | (strongest == WW) & (label > PROCESS)
    )
    keep = ~covered
    pair = pair[keep]
    return (pair // nodes).astype(np.int32), (pair % nodes).astype(np.int32), label[keep]
