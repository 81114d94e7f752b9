"""Which engine decides: plain Python for what is short, the compiled one for what is long.

All give the same answers (the tests hold them against each other), so only time is at stake. A
search that needs few configurations is over in plain Python before the compiled one would be
loaded (about half a second, more where nothing is compiled yet). So every search begins in plain
Python if the history is short, and goes on compiled once it proves hard. Without the extra
``fast`` (numba) all is done in plain Python.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from checkers.linearizable import frontier
from checkers.linearizable.entries import INITIAL, Entry, without_idle_infos
from checkers.linearizable.problem import (
    Allowance,
    Exhausted,
    Problem,
    Stuck,
    register_problem,
)

SHORT: Final = 3_000
"""Operations that are always begun in plain Python."""
EASY: Final = 20_000
"""Configurations that plain Python may visit before the compiled engine takes over."""


@dataclass(frozen=True)
class Impossible:
    """``entry`` cannot complete with its answer; ``values`` are all that could be held then."""

    entry: Entry
    values: frozenset[int]


def first_impossible(
    entries: Sequence[Entry], allowance: Allowance, start: Iterable[int] = (INITIAL,)
) -> Impossible | None:
    """The first completion that no order of ``entries`` allows, or ``None`` if there is an order.

    ``start`` are the values that may be held at first. Exact. Raises
    :class:`~checkers.linearizable.problem.Exhausted`.
    """
    needed = without_idle_infos(entries)
    found = first_stuck(register_problem(needed, start), allowance)
    return None if found is None else Impossible(needed[found.late], found.states)


def first_stuck(problem: Problem, allowance: Allowance) -> Stuck | None:
    """The first completion that no order allows, by whichever engine is likely to be faster."""
    if not has_compiler():
        return frontier.first_stuck(problem, allowance)
    if len(problem) <= SHORT:
        trial = Allowance(min(EASY, allowance.configurations), allowance.budget)
        try:
            return frontier.first_stuck(problem, trial)
        except Exhausted as error:
            if not error.more_would_help or allowance.configurations <= EASY:
                raise
        finally:
            allowance.visited += trial.visited
    from checkers.linearizable import sweep

    return sweep.first_stuck(problem, allowance)


@cache
def has_compiler() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None
