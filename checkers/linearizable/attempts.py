"""The orders that were tried on a handful of operations: what a drawing of a violation shows.

For the few operations of a proof, all maximal partial orders are walked through (each agrees with
precedence and with the answers, and none can be continued), and the longest are kept. A reader
sees there how far one gets, with which state in the end, and what then does not fit. Bounded, so
that a proof that could not be made small costs no more than a small one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checkers.linearizable.register_entries import NEVER
from checkers.linearizable.search_problem import REFUSED, Problem

STEPS: Final = 2_000
KEPT: Final = 10


LARGEST: Final = 40
"""Operations of a proof for which orders are walked through."""


@dataclass(frozen=True)
class Attempt:
    """Operations in the order tried, and the state in which nothing more fitted."""

    order: tuple[int, ...]
    state: int


def attempts(problem: Problem) -> list[Attempt]:
    """The longest partial orders, those with the most answered operations first."""
    if len(problem) > LARGEST:
        return []
    found: list[Attempt] = []
    dead: set[tuple[frozenset[int], int]] = set()
    left: list[tuple[tuple[int, ...], int]] = [((), state) for state in reversed(problem.start)]
    for _ in range(STEPS):
        if not left:
            break
        order, state = left.pop()
        done = frozenset(order)
        if (done, state) in dead:
            continue
        dead.add((done, state))
        after = [(i, problem.machine.step(state, problem.kinds[i])) for i in _next(problem, done)]
        fits = [((*order, i), reached) for i, reached in after if reached != REFUSED]
        left += reversed(fits)
        if not fits:
            found.append(Attempt(order, state))
    found.sort(key=lambda attempt: -sum(problem.complete[i] != NEVER for i in attempt.order))
    return found[:KEPT]


def _next(problem: Problem, done: frozenset[int]) -> list[int]:
    """What may come next: whatever was invoked before the first answer that is still due."""
    waiting = [i for i in range(len(problem)) if i not in done]
    bound = min((problem.complete[i] for i in waiting), default=NEVER)
    return [i for i in waiting if problem.invoke[i] < bound]
