"""The graph of a level: turns of transactions, and what must come before what.

A transaction has one node (``SERIAL``) or two, its begin B and its commit C. Beside B → C there is

- wr: who wrote a version commits before its reader begins, C → B;
- of the recorded order: C → B, from what must be kept (of real time through *moments*, a chain of
  extra nodes: whoever completed before a moment is before it, whoever was invoked after it behind);
- ww: of two versions of a key the writer of the first commits before that of the second begins
  (``SNAPSHOT``), or commits (``PREFIX``);
- rw: who read a version begins before who wrote a later one commits, B → C.

An order of versions without a cycle here is an order of all turns that explains every read, and the
other way round: a cycle is what Adya's definitions forbid (every C is left by other edges than rw
alone, so in ``SNAPSHOT`` no two rw edges follow each other, as in :mod:`checkers.elle.existence`).

wr, the recorded order and rw from readers of the initial state are known. ww and the other rw
edges are inferred (:mod:`checkers.isolation.rw_register.saturation`) or tried
(:mod:`checkers.isolation.rw_register.solver`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from checkers.elle.graph import RW, WR, WW
from checkers.elle.slices import sorted_once
from checkers.isolation.rw_register.problem import (
    FREE,
    INITIAL,
    PROCESS,
    REALTIME,
    SERIAL,
    SNAPSHOT,
    Int32s,
    Int64s,
    Level,
    Problem,
    firsts,
    sessions,
)

INSIDE: Final = 0
SESSION: Final = 8
MOMENT: Final = 16
"""Labels of edges beside ``WW``, ``WR`` and ``RW``."""
KNOWN: Final = 0
"""The round of edges that nothing had to be inferred for."""
assert not {INSIDE, SESSION, MOMENT} & {WW, WR, RW}


@dataclass(eq=False)
class Edges:
    """Edges by columns: ``source[e]`` comes before ``target[e]``, with ``label``.

    ``what`` is, for wr and rw, the read; for ww, the earlier write. ``later`` is the later write of
    ww and rw. ``because`` is the read from which the order of the two was inferred, or -1 where
    their writers could not be the other way round. ``round`` tells when it was inferred.
    """

    source: Int32s
    target: Int32s
    label: Int32s
    what: Int32s
    later: Int32s
    because: Int32s
    round: Int32s

    def __len__(self) -> int:
        return len(self.source)

    @classmethod
    def of(cls, source: Any, target: Any, label: int, what: Any = -1, later: Any = -1) -> Edges:
        """Known edges of one label."""
        size = len(source)

        def column(value: Any) -> Int32s:
            return np.broadcast_to(np.asarray(value, dtype=np.int32), size).astype(np.int32)

        known = np.zeros(size, dtype=np.int32)
        ends = column(source), column(target)
        return cls(*ends, column(label), column(what), column(later), column(-1), known)

    def columns(self) -> tuple[Int32s, ...]:
        """All columns."""
        return (
            self.source,
            self.target,
            self.label,
            self.what,
            self.later,
            self.because,
            self.round,
        )

    def with_more(self, *others: Edges) -> Edges:
        """These and those."""
        every = zip(self.columns(), *(other.columns() for other in others), strict=True)
        return Edges(*(np.concatenate(parts) for parts in every))


@dataclass(eq=False)
class Turns:
    """The graph of a problem at a level.

    ``begin(t)`` and ``commit(t)`` are nodes of a transaction; then come moments and gates. ``upto``
    is, for each moment, the place in the history of the last completion before it, and ``gates``
    are keys: behind a gate there are writers, before it readers of the initial state.
    """

    problem: Problem
    level: Level
    edges: Edges
    upto: Int64s = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    gates: Int64s = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def turns(self) -> int:
        """Nodes of a transaction."""
        return self.level.turns

    @property
    def moments(self) -> int:
        """The first node that is a moment."""
        return self.turns * len(self.problem)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self.moments + len(self.upto) + len(self.gates)

    def begin(self, txn: Any) -> Any:
        """The node of its begin."""
        return txn * self.turns

    def commit(self, txn: Any) -> Any:
        """The node of its commit."""
        return txn * self.turns + self.turns - 1

    def ww(self, before: Any, after: Any) -> tuple[Any, Any]:
        """The nodes of the edge between two writers of a key."""
        is_apart = self.level.kind in (SERIAL, SNAPSHOT)
        return self.commit(before), self.begin(after) if is_apart else self.commit(after)

    def slices(self) -> tuple[Int64s, Int32s]:
        """The targets of each node: ``to[first[n]:first[n + 1]]``."""
        order = np.argsort(self.edges.source, kind="stable")
        return firsts(self.edges.source, self.nodes), self.edges.target[order]


def turns_of(problem: Problem, level: Level) -> Turns:
    """The graph with all that is known."""
    graph = Turns(problem, level, Edges.of([], [], INSIDE))
    parts = [_wr(graph)]
    if level.turns == 2:
        every = np.arange(len(problem))
        parts.append(Edges.of(graph.begin(every), graph.commit(every), INSIDE))
    needs_sessions = level.keeps == PROCESS or (
        level.keeps == REALTIME and problem.found.lacks_begins
    )
    if needs_sessions:
        one, other = sessions(problem)
        parts.append(Edges.of(graph.commit(one), graph.begin(other), SESSION))
    if level.keeps == REALTIME:
        parts.append(_in_time(graph))
    assert level.keeps in (FREE, PROCESS, REALTIME)
    graph.edges = graph.edges.with_more(*parts)
    return graph


def _wr(graph: Turns) -> Edges:
    problem = graph.problem
    reads = np.flatnonzero(problem.read_from != INITIAL)
    writer = problem.write_txn[problem.read_from[reads]]
    return Edges.of(graph.commit(writer), graph.begin(problem.read_txn[reads]), WR, reads)


def _in_time(graph: Turns) -> Edges:
    """A moment after each group of completions that some invocation follows."""
    problem = graph.problem
    ends, begins = problem.complete, problem.invoke
    done = np.flatnonzero(problem.is_ok & (ends < problem.found.never))
    done = done[np.argsort(ends[done], kind="stable")]
    ends = ends[done]
    behind = np.searchsorted(ends, begins)  # how many completions come before each invocation
    last = sorted_once(behind[behind > 0])
    graph.upto = ends[last - 1]
    group = np.searchsorted(last, np.arange(len(done)), side="right")
    first = graph.moments
    inside = group < len(last)
    after = np.flatnonzero(behind > 0)
    return Edges.of(graph.commit(done[inside]), first + group[inside], MOMENT).with_more(
        Edges.of(first + np.arange(len(last) - 1), first + 1 + np.arange(len(last) - 1), MOMENT)
        if len(last)
        else Edges.of([], [], MOMENT),
        Edges.of(first + np.searchsorted(last, behind[after]), graph.begin(after), MOMENT),
    )
