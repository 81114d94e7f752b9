"""The proof that no order explains a history: what must be, step by step, until a circle closes.

A :class:`Refutation` has *findings*, each an order of two versions of a key with the reason for it,
and circles of steps between transactions that use them. Mostly there is one circle. Where nothing
tells which of some versions came first, there are several, each with what is supposed in it, and
every way to choose has one of them.

:func:`fault_in` goes through a proof again, with the reads and writes and the recorded order alone,
and shares nothing with those who found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.elle.graph import PROCESS, REALTIME, RW, WR, WW
from checkers.elle.transactions import OK
from checkers.isolation.rw_register.begin_commit_graph import INSIDE
from checkers.isolation.rw_register.problem import FREE, INITIAL, PREFIX, SNAPSHOT, Level, Problem
from checkers.isolation.rw_register.problem import REALTIME as KEEPS_TIME

Pair = tuple[int, int]
"""Two writes of a key: the first comes before the second."""
Turn = tuple[int, bool]
"""A transaction and whether it is its commit."""
BEGIN: Final = False
COMMIT: Final = True


@dataclass(frozen=True)
class Step:
    """``before`` comes before ``after``: one turn of each, as ``label`` has it.

    ``read`` is the read of wr and rw. ``order`` are the two writes of ww, or of rw the one that
    was read and the one that came later; the first is ``INITIAL`` where that was read.
    """

    label: int
    before: int
    after: int
    read: int = -1
    order: Pair | None = None


@dataclass(frozen=True)
class Finding:
    """``order`` is certain: ``path`` leads from the writer of the first to one who reads the second
    (``read``), or to the writer of the second itself (``read`` is -1).
    """

    order: Pair
    read: int
    path: tuple[Step, ...]


@dataclass(frozen=True)
class Circle:
    """Steps that close, if what is ``supposed`` is so."""

    steps: tuple[Step, ...]
    supposed: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Refutation:
    """``findings`` in an order in which each needs only those before it, and circles."""

    findings: tuple[Finding, ...]
    circles: tuple[Circle, ...]


class _Reader:
    """Goes through a proof with what is recorded."""

    def __init__(self, problem: Problem, level: Level) -> None:
        self.problem = problem
        self.level = level
        self.certain: set[Pair] = set()

    def turn(self, txn: int, is_commit: bool) -> Turn:
        return txn, is_commit and self.level.turns == 2

    def ends(self, step: Step, supposed: Sequence[Pair]) -> tuple[Turn, Turn] | None:
        """The turns of a step, if it is as recorded and told."""
        before = self.turn(step.before, step.label not in (RW, INSIDE))
        is_late = step.label in (RW, INSIDE) or (step.label == WW and self.level.kind == PREFIX)
        after = self.turn(step.after, is_late)
        problem = self.problem
        if step.label == INSIDE:
            is_so = step.before == step.after
        elif step.label == WR:
            is_so = self._reads(step.read, step.after, problem.read_from[step.read])
            is_so = is_so and problem.write_txn[problem.read_from[step.read]] == step.before
        elif step.label == PROCESS:
            is_so = self._follows(step.before, step.after)
        elif step.label == REALTIME:
            is_so = self._is_earlier(step.before, step.after)
        else:
            is_so = self._is_ordered(step, supposed)
        return (before, after) if is_so else None

    def _reads(self, read: int, txn: int, source: Any) -> bool:
        return read >= 0 and source != INITIAL and self.problem.read_txn[read] == txn

    def _follows(self, one: int, other: int) -> bool:
        problem = self.problem
        same = problem.process[one] == problem.process[other]
        return bool(self.level.keeps != FREE and same and one < other and problem.is_ok[one])

    def _is_earlier(self, one: int, other: int) -> bool:
        found, txns = self.problem.found, self.problem.txns
        ended, begun = int(found.complete[txns[one]]), int(found.invoke[txns[other]])
        is_ok = found.status[txns[one]] == OK and found.are_timed
        return bool(is_ok and self.level.keeps == KEEPS_TIME and ended < begun)

    def _is_ordered(self, step: Step, supposed: Sequence[Pair]) -> bool:
        problem = self.problem
        if step.order is None or step.label not in (WW, RW):
            return False
        first, later = step.order
        if problem.write_txn[later] != step.after or step.before == step.after:
            return False
        if step.label == WW:
            is_there = first != INITIAL and problem.write_txn[first] == step.before
        else:
            is_there = problem.read_txn[step.read] == step.before
            is_there = is_there and problem.read_from[step.read] == first
            if is_there and first == INITIAL:
                return bool(problem.read_key[step.read] == problem.write_key[later])
        return bool(is_there and ((first, later) in self.certain or (first, later) in supposed))

    def leads(self, path: Sequence[Step], first: Turn, last: Turn) -> bool:
        """Whether a path leads from one turn to another."""
        at = first
        for step in path:
            ends = self.ends(step, ())
            if ends is None or ends[0] != at:
                return False
            at = ends[1]
        return at == last

    def is_sound(self, finding: Finding) -> bool:
        """Whether a finding follows from what came before it."""
        problem = self.problem
        first, later = finding.order
        one, other = int(problem.write_txn[first]), int(problem.write_txn[later])
        if first == later or problem.write_key[first] != problem.write_key[later]:
            return False
        if finding.read < 0:
            start = self.turn(one, self.level.kind != SNAPSHOT)
            return self.leads(finding.path, start, self.turn(other, COMMIT)) and one != other
        reader = int(problem.read_txn[finding.read])
        if problem.read_from[finding.read] != later or reader == one:
            return False
        return self.leads(finding.path, self.turn(one, COMMIT), self.turn(reader, BEGIN))

    def closes(self, circle: Circle) -> bool:
        """Whether a circle is one."""
        ends = [self.ends(step, circle.supposed) for step in circle.steps]
        if not ends or any(end is None for end in ends):
            return False
        turns = [end for end in ends if end is not None]
        return all(turns[place - 1][1] == turns[place][0] for place in range(len(turns)))


def fault_in(refutation: Refutation, problem: Problem, level: Level) -> str:
    """What is wrong with a proof, in a sentence; empty if nothing is."""
    reader = _Reader(problem, level)
    for finding in refutation.findings:
        if not reader.is_sound(finding):
            return f"the order {finding.order} does not follow"
        reader.certain.add(finding.order)
    if not refutation.circles:
        return "there is no circle"
    for circle in refutation.circles:
        if circle.steps and not reader.closes(circle):
            return "a circle is none"
        if not circle.steps and not _is_round(circle.supposed):
            return "what is supposed contradicts nothing"
    if all(circle.supposed for circle in refutation.circles):
        return "" if _is_covering(refutation, reader.certain) else "some choice has no circle"
    return ""


def _is_round(pairs: Sequence[Pair]) -> bool:
    """Whether orders of versions make a circle by themselves."""
    after = dict(pairs)
    at = pairs[0][0] if pairs else -1
    for _ in pairs:
        at = after.get(at, -1)
    return bool(pairs) and len(after) == len(pairs) and at == pairs[0][0]


def _is_covering(refutation: Refutation, certain: set[Pair]) -> bool:
    """Whether every choice of orders has a circle against it."""
    from pysat.solvers import Solver

    from checkers.isolation.rw_register.solver import SECOND_SOLVER

    variable: dict[Pair, int] = {}

    def literal(pair: Pair) -> int:
        first, later = pair
        number = variable.setdefault((min(pair), max(pair)), len(variable) + 1)
        return number if first < later else -number

    with Solver(name=SECOND_SOLVER) as solver:
        for circle in refutation.circles:
            solver.add_clause([-literal(pair) for pair in circle.supposed])
        for pair in certain:
            solver.add_clause([literal(pair)])
        return not solver.solve()
