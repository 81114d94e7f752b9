"""Is there an order of turns that explains a history? Yes with the order, or no with the proof.

1. A guess by the recorded times (:mod:`checkers.isolation.rw_register.greedy_schedule`); mostly
that is it. 2. What must be so of the order of versions
(:mod:`checkers.isolation.rw_register.saturation`); a circle is a *no*. 3. Another guess with that;
then choices of a solver (:mod:`checkers.isolation.rw_register.solver`).

A *yes* is given only after the order was replayed (:mod:`checkers.isolation.rw_register.replay`), a
*no* only after its proof was gone through (:mod:`checkers.isolation.rw_register.refutation`), each
by code that shares nothing with what found it. What is neither is left open.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from checkers.isolation.rw_register import derivation
from checkers.isolation.rw_register.begin_commit_graph import Turns, turns_of
from checkers.isolation.rw_register.greedy_schedule import guess
from checkers.isolation.rw_register.problem import FREE, PROCESS, Int64s, Level, Problem
from checkers.isolation.rw_register.refutation import Refutation, fault_in
from checkers.isolation.rw_register.replay import explains
from checkers.isolation.rw_register.saturation import saturate
from checkers.isolation.rw_register.solver import choose, has_solver
from harness.verdict.steps import DEFECT_OF_CHECKER, Settle
from harness.verdict.verdict import Budget

NO_SOLVER: Final = (
    "which of two versions came first has to be tried, and for that python-sat is not installed"
)
FEW_TRIES: Final = 12
"""How often a solver may choose where that is not the last word."""
INSTALL: Final = "install python-sat: pip install 'polygraph-db[solver]'"


@dataclass(frozen=True)
class Decision:
    """``holds`` and, if it does not, the ``refutation``; ``None`` is open, ``why`` says why."""

    holds: bool | None
    how: str = ""
    refutation: Refutation | None = None
    why: str = ""
    settle: Settle = DEFECT_OF_CHECKER
    stats: dict[str, Any] = field(default_factory=dict)


def guessed(problem: Problem, level: Level) -> Decision | None:
    """That an order explains the history, if the first guess does."""
    graph = turns_of(problem, level)
    first = guess(graph)
    if first.harm == 0 and _explains(graph, first.order):
        return Decision(True, "guess")
    return None


def decide(problem: Problem, level: Level, budget: Budget) -> Decision:
    """Whether an order explains the history at a level."""
    return guessed(problem, level) or decide_unguessed(problem, level, budget)


def decide_unguessed(problem: Problem, level: Level, budget: Budget) -> Decision:
    """The same, where the first guess was wrong."""
    budget.spend_check("a guess of an order of all transactions")
    if level.keeps == FREE and _holds_with_sessions(problem, level, budget):
        return Decision(True, "rules")
    return _decide_slowly(turns_of(problem, level), budget)


def _holds_with_sessions(problem: Problem, level: Level, budget: Budget) -> bool:
    """Whether an order that keeps sessions is found with less work: more is known of it."""
    graph = turns_of(problem, replace(level, keeps=PROCESS))
    now = saturate(graph, budget)
    if now.is_circular:
        return False
    second = guess(graph, patient=True)
    if second.harm == 0:
        return _explains(graph, second.order)
    if not has_solver():
        return False
    made = choose(now, second.order, budget, FEW_TRIES)
    return made.order is not None and _explains(graph, made.order)


def _decide_slowly(graph: Turns, budget: Budget) -> Decision:
    now = saturate(graph, budget)
    stats = {"inferred": int(np.count_nonzero(graph.edges.round)), "chains": now.clock.shape[1]}
    if now.is_circular:
        return _refuted(graph, derivation.of_a_circle(graph, now.left), "rules", stats)
    second = guess(graph, patient=True)
    if second.harm == 0 and _explains(graph, second.order):
        return Decision(True, "rules", stats=stats)
    if not has_solver():
        return Decision(None, why=NO_SOLVER, settle=INSTALL, stats=stats)
    made = choose(now, second.order, budget)
    stats |= made.stats
    if made.order is None:
        return _refuted(graph, derivation.of_choices(graph, made.circles), "choices", stats)
    if _explains(graph, made.order):
        return Decision(True, "choices", stats=stats)
    return Decision(None, why="an order that should explain every read does not", stats=stats)


def _explains(graph: Turns, order: Int64s) -> bool:
    nodes = order[order < graph.moments]
    turns = graph.turns
    txns = graph.problem.txns[nodes // turns]
    return explains(graph.problem.known, graph.level, txns, nodes % turns == turns - 1)


def _refuted(graph: Turns, refutation: Refutation, how: str, stats: dict[str, Any]) -> Decision:
    fault = fault_in(refutation, graph.problem, graph.level)
    if fault:
        return Decision(None, why=f"a proof does not hold: {fault}", stats=stats)
    return Decision(False, how, refutation, stats=stats)
