"""Orders of versions that nothing tells, tried: a solver chooses, circles say what was wrong.

Where the rules say no more, every key's versions are put into some order (that of the last guess),
with ww from each to the next and rw from its readers to the next. A circle in that graph forbids
that all choices in it are made together: a clause over variables "version a comes before version
b". The solver (Glucose 4 of python-sat, if that is installed) chooses again, the keys are sorted
anew, and so on: until there is no circle, which is an order of all turns, or until the clauses
contradict each other, which is the proof that there is none. Clauses are made only where a circle
was seen (lazily), so few are needed: nothing says beforehand what an order of many versions is.

A circle costs a strong component and a search in it; how many are needed nobody knows (the problem
is NP-complete), so the budget ends it.
"""

from __future__ import annotations

import bisect
import heapq
import importlib.util
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from checkers.elle.components import strong_components
from checkers.elle.graph import RW, WW
from checkers.isolation.rw_register.begin_commit_graph import Edges, Turns
from checkers.isolation.rw_register.problem import INITIAL, Bools, Int64s, firsts
from checkers.isolation.rw_register.vector_clocks import Clocks
from harness.verdict.verdict import Budget

MOST_STARTS: Final = 800
"""Circles looked for at one time."""
SOLVER: Final = "g4"
SECOND_SOLVER: Final = "cadical195"
"""What checks the clauses of a contradiction again."""

Pair = tuple[int, int]
"""Two writes of a key, the first chosen to come first."""


def has_solver() -> bool:
    """Whether python-sat is installed."""
    return importlib.util.find_spec("pysat") is not None


@dataclass(frozen=True)
class Circle:
    """Edges (positions in :attr:`Choices.edges` of that try) that close, if ``chosen`` is so."""

    chosen: tuple[Pair, ...]
    edges: tuple[tuple[int, ...], ...]
    """Rows of edges' columns."""


@dataclass
class Choices:
    """``order``: all turns, if a choice explains the history; ``circles``: why none does."""

    order: Int64s | None = None
    circles: list[Circle] = field(default_factory=list)
    stats: dict[str, int] = field(default_factory=dict)


class _Search:
    """The variables, the clauses so far, and the order of each key's versions."""

    def __init__(self, now: Clocks, place: Int64s) -> None:
        from pysat.solvers import Solver

        self.now = now
        self.graph = now.graph
        self.problem = now.graph.problem
        self.wish = place
        self.solver: Any = Solver(name=SOLVER)
        self.pairs: list[Pair] = []
        self.variable: dict[Pair, int] = {}
        self.of_key: dict[int, list[int]] = {}
        self.clauses: list[tuple[list[int], Circle]] = []
        key = self.problem.write_key
        self.by_wish = np.lexsort((place, key))
        """All writes by key, those of one as wished; ``order`` has them as chosen."""
        self.order = self.by_wish.copy()
        self.rank = np.empty(len(key), dtype=np.int64)
        self.rank[self.by_wish] = np.arange(len(key))
        self.key_of: list[int] = []
        """Of each variable."""
        self.chosen = np.zeros(0, dtype=np.bool_)
        """What the keys are sorted by, but for those that are still :attr:`unsorted`."""
        self.unsorted: set[int] = set()
        self.moved: dict[int, list[slice]] = {}

    def literal(self, a: int, b: int) -> int:
        """The literal that says that ``a`` comes before ``b``."""
        pair = (a, b) if a < b else (b, a)
        found = self.variable.get(pair)
        if found is None:
            self.pairs.append(pair)
            found = self.variable[pair] = len(self.pairs)
            key = int(self.problem.write_key[a])
            self.of_key.setdefault(key, []).append(found)
            self.key_of.append(key)
            first = self.wish[pair[0]] < self.wish[pair[1]]
            self.solver.set_phases([found if first else -found])
            for one, other in (pair, pair[::-1]):
                if self.is_known(one, other):
                    self.solver.add_clause([found if one == pair[0] else -found])
        return found if a < b else -found

    def is_known(self, a: int, b: int) -> bool:
        """Whether ``a`` comes before ``b`` by what is known."""
        now, turns = self.now, self.graph.turns
        one, other = int(self.problem.write_txn[a]), int(self.problem.write_txn[b])
        chain = int(now.chain[one])
        if chain < 0 or one == other:
            return False
        commit = turns * int(now.place[one]) + turns - 1
        node = self.graph.ww(one, other)[1]
        return commit <= int(now.clock[node, chain])

    def tried(self) -> Edges:
        """All edges, with those that the order of versions makes."""
        problem, graph = self.problem, self.graph
        order = self.order
        key = problem.write_key[order]
        same = key[:-1] == key[1:]
        following = np.full(len(order), INITIAL, dtype=np.int64)
        following[order[:-1][same]] = order[1:][same]
        one, other = order[:-1][same], order[1:][same]
        source, target = graph.ww(problem.write_txn[one], problem.write_txn[other])
        ww = Edges.of(source, target, WW, one, other)
        reads = np.flatnonzero(problem.read_from != INITIAL)
        later = following[problem.read_from[reads]]
        keep = (later != INITIAL) & (problem.write_txn[later] != problem.read_txn[reads])
        reads, later = reads[keep], later[keep]
        rw = Edges.of(
            graph.begin(problem.read_txn[reads]),
            graph.commit(problem.write_txn[later]),
            RW,
            reads,
            later,
        )
        ww.round[:] = rw.round[:] = -1
        return graph.edges.with_more(ww, rw)

    def forbid(self, circle: Circle) -> bool:
        """Add its clause; whether nothing of it was chosen, so that it proves all by itself."""
        clause = [-self.literal(a, b) for a, b in circle.chosen]
        self.clauses.append((clause, circle))
        self.solver.add_clause(clause)
        return not clause

    def choose(self) -> bool:
        """Let the solver choose, and sort the keys; whether it could."""
        while self.solver.solve():
            model = np.array(self.solver.get_model(), dtype=np.int64) > 0
            self.unsorted.update(self._changed(model))
            self.chosen = model
            keys = [key for key in self.of_key if key in self.unsorted]
            fresh = [circle for key in keys for circle in self._sort(key)]
            if not fresh:
                return True
            for circle in fresh:
                self.forbid(circle)
        return False

    def _changed(self, model: Bools) -> set[int]:
        """Keys of which some choice is another one than in the last model, or a new one."""
        old = len(self.chosen)
        places = np.flatnonzero(model[:old] != self.chosen).tolist()
        return {self.key_of[place] for place in (*places, *range(old, len(self.key_of)))}

    def _sort(self, key: int) -> Iterator[Circle]:
        """Sort the writes of a key as chosen, else as wished; a circle of choices if there is.

        Only between two that are chosen the other way round than wished anything moves.
        """
        places = [variable - 1 for variable in self.of_key[key]]
        chosen = self.chosen[places].tolist()
        pairs = [
            self.pairs[place] if is_so else self.pairs[place][::-1]
            for place, is_so in zip(places, chosen, strict=True)
        ]
        rank = self.rank
        spans = _merged([(int(rank[b]), int(rank[a])) for a, b in pairs if rank[a] > rank[b]])
        inside: list[list[Pair]] = [[] for _ in spans]
        for a, b in pairs if spans else ():
            at = bisect.bisect_right(spans, (int(rank[a]), len(rank))) - 1
            if at >= 0 and max(rank[a], rank[b]) <= spans[at][1] and rank[b] >= spans[at][0]:
                inside[at].append((a, b))
        fresh = []
        for (low, high), mine in zip(spans, inside, strict=True):
            sorted_, left, after = _in_order_of(self.by_wish[low : high + 1].tolist(), mine)
            if left:
                yield Circle(tuple(_round_trip(after, left)), ())
                return
            fresh.append((slice(low, high + 1), sorted_))
        for before in self.moved.pop(key, ()):
            self.order[before] = self.by_wish[before]
        for span, sorted_ in fresh:
            self.order[span] = sorted_
        self.moved[key] = [span for span, _ in fresh]
        self.unsorted.discard(key)


def _merged(spans: list[Pair]) -> list[Pair]:
    """Spans from the first to the last of each, those that overlap as one."""
    found: list[Pair] = []
    for low, high in sorted(spans):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], high)
        else:
            found.append((low, high))
    return found


def _in_order_of(
    wished: list[int], pairs: list[Pair]
) -> tuple[list[int], set[int], dict[int, list[int]]]:
    """``wished`` in the next order in which the first of each pair comes before the other; those
    that wait for each other, and who comes after whom.
    """
    after: dict[int, list[int]] = {}
    waits: dict[int, int] = {}
    for a, b in pairs:
        after.setdefault(a, []).append(b)
        waits[b] = waits.get(b, 0) + 1
    rank = {one: place for place, one in enumerate(wished)} if pairs else {}
    ready: list[int] = []
    sorted_: list[int] = []
    for place, one in enumerate(wished):
        if waits.get(one):
            continue
        heapq.heappush(ready, place)
        while ready and ready[0] <= place:
            done = wished[heapq.heappop(ready)]
            sorted_.append(done)
            for other in after.get(done, ()):
                waits[other] -= 1
                if not waits[other] and rank[other] <= place:
                    heapq.heappush(ready, rank[other])
    return sorted_, {one for one, count in waits.items() if count > 0}, after


def _round_trip(after: dict[int, list[int]], left: set[int]) -> Iterator[Pair]:
    """A circle among those left over, as pairs."""
    before = {other: one for one in left for other in after.get(one, ()) if other in left}
    one, seen = next(iter(left)), []
    while one not in seen:
        seen.append(one)
        one = before[one]
    circle = seen[seen.index(one) :]
    for place, later in enumerate(circle):
        yield circle[(place + 1) % len(circle)], later


def choose(now: Clocks, order: Int64s, budget: Budget, most: int | None = None) -> Choices:
    """Try orders of versions, beginning with that in which ``order`` has the commits, ``most`` of
    them if that is given: then there may be neither an order nor circles in the end.
    """
    graph = now.graph
    place = np.empty(graph.nodes, dtype=np.int64)
    place[order] = np.arange(graph.nodes)
    search = _Search(now, place[graph.commit(graph.problem.write_txn)])
    made = Choices()
    tries = 0
    while True:
        budget.spend_check("choosing orders of versions")
        tries += 1
        edges = search.tried()
        component = strong_components(graph.nodes, edges.source, edges.target)
        inside = np.flatnonzero(component[edges.source] == component[edges.target])
        made.stats = {
            "tries": tries,
            "clauses": len(search.clauses),
            "choices": len(search.pairs),
        }
        if not len(inside):
            made.order = _in_order(graph, edges)
            return made
        proved = [search.forbid(circle) for circle in _circles(search, edges, inside)]
        if any(proved) or not search.choose():
            made.circles = _contradiction(search)
            return made
        if tries == most:
            return made


def _circles(search: _Search, edges: Edges, inside: Int64s) -> list[Circle]:
    """Circles with few choices, one through each of some nodes, no two with the same choices."""
    rows = np.stack([column[inside] for column in edges.columns()], axis=1).tolist()
    after: dict[int, list[tuple[int, tuple[int, ...], Pair | None]]] = {}
    for row in rows:
        pair = None
        if row[6] < 0:
            one = row[3] if row[2] == WW else int(search.problem.read_from[row[3]])
            pair = None if search.is_known(one, row[4]) else (one, row[4])
        after.setdefault(row[0], []).append((row[1], tuple(row), pair))
    starts = [node for node, mine in after.items() if any(pair for *_, pair in mine)]
    starts = starts or list(after)
    if len(starts) > MOST_STARTS:
        chosen = np.linspace(0, len(starts) - 1, MOST_STARTS).astype(int)
        starts = [starts[at] for at in chosen.tolist()]
    found: dict[tuple[Pair, ...], Circle] = {}
    for start in starts:
        circle = _through(after, start)
        if circle is not None:
            found.setdefault(tuple(sorted(circle.chosen)), circle)
    return list(found.values())


def _through(after: dict[int, list[Any]], start: int) -> Circle | None:
    """A circle through ``start`` with the fewest choices."""
    far = {start: 0}
    came: dict[int, tuple[int, tuple[int, ...], Pair | None]] = {}
    queue = deque([start])
    best: tuple[int, int, tuple[int, ...], Pair | None] | None = None
    while queue:
        node = queue.popleft()
        if best is not None and far[node] >= best[0]:
            break
        for other, row, pair in after.get(node, ()):
            distance = far[node] + (pair is not None)
            if other == start:
                if best is None or distance < best[0]:
                    best = (distance, node, row, pair)
            elif distance < far.get(other, 1 << 60):
                far[other] = distance
                came[other] = (node, row, pair)
                (queue.append if pair is not None else queue.appendleft)(other)
    if best is None:
        return None
    _, node, row, pair = best
    steps = [(row, pair)]
    while node != start:
        node, row, pair = came[node]
        steps.append((row, pair))
    steps.reverse()
    chosen = {pair: None for _, pair in steps if pair is not None}
    return Circle(tuple(chosen), tuple(row for row, _ in steps))


def _contradiction(search: _Search) -> list[Circle]:
    """Circles that contradict each other, as few as one look brings; checked by another solver."""
    from pysat.solvers import Solver

    alone = [circle for clause, circle in search.clauses if not clause]
    if alone:
        return alone[:1]
    known = [
        [variable if one == pair[0] else -variable]
        for variable, pair in enumerate(search.pairs, 1)
        for one, other in (pair, pair[::-1])
        if search.is_known(one, other)
    ]
    marks = range(len(search.pairs) + 1, len(search.pairs) + 1 + len(search.clauses))
    with Solver(name=SECOND_SOLVER, bootstrap_with=known) as solver:
        for mark, (clause, _) in zip(marks, search.clauses, strict=True):
            solver.add_clause([*clause, -mark])
        kept = list(marks)
        while True:
            assert not solver.solve(assumptions=kept), "two solvers disagree on a contradiction"
            core = sorted(set(solver.get_core() or ()))
            if len(core) == len(kept):
                break
            kept = core
    return [search.clauses[mark - marks[0]][1] for mark in kept]


def _in_order(graph: Turns, edges: Edges) -> Int64s:
    """All nodes in an order that goes with edges that have no circle."""
    from checkers.elle.kernels import kernel
    from checkers.isolation.rw_register.saturation_kernels import spread

    order = np.argsort(edges.source, kind="stable")
    queue = np.zeros(graph.nodes, dtype=np.int64)
    marks = np.zeros(graph.nodes, dtype=np.int8)
    kernel(spread, 60 * len(edges))(
        *(firsts(edges.source, graph.nodes), edges.target[order]),
        *(np.bincount(edges.target, minlength=graph.nodes), marks, marks.copy()),
        *(np.zeros((graph.nodes, 0), dtype=np.int32), queue),
    )
    return queue
