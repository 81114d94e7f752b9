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

from checkers.linearizable import frontier, wgl
from checkers.linearizable.register_entries import INITIAL, NEVER, Entry, without_idle_infos
from checkers.linearizable.search_problem import (
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
    :class:`~checkers.linearizable.search_problem.Exhausted`.
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


def first_stuck_of_any(problem: Problem, allowance: Allowance) -> Stuck | None:
    """As :func:`first_stuck`, for objects with many states.

    Going deep first finds an order at once where there is one and answers say much; the frontier
    says where it goes wrong. Where unknown operations are too many for the frontier, that is found
    by going deep into ever closer prefixes (then no states are told).
    """
    deep = Allowance(allowance.configurations, allowance.budget)
    has_none = False
    try:
        if wgl.find_order(problem, deep) is not None:
            return None
        has_none = True
    except Exhausted as error:
        if not error.more_would_help:
            raise
    finally:
        allowance.visited += deep.visited
    wide = Allowance(allowance.configurations, allowance.budget)
    try:
        return first_stuck(problem, wide)
    except Exhausted as error:
        if not has_none or not error.more_would_help:
            raise
    finally:
        allowance.visited += wide.visited
    return _by_prefixes(problem, Allowance(64 * allowance.configurations, allowance.budget))


def _by_prefixes(problem: Problem, allowance: Allowance) -> Stuck:
    """The first completion whose prefix has no order, in a problem that has none."""
    ends = sorted(end for end in problem.complete if end != NEVER)
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if wgl.find_order(problem.until(ends[middle]), allowance) is None:
            high = middle
        else:
            low = middle + 1
    return Stuck(list(problem.complete).index(ends[low]), frozenset())


@cache
def has_compiler() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None
