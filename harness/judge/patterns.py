"""Regular expressions that came with a run: whether one may be searched for.

A run's folder names the patterns that its system's logs are searched for, and Python's ``re`` tries
one alternative after the other: ``(a+)+b`` takes longer than anybody lives on thirty letters. What
makes the number of ways grow with a power is a repetition without an end in another one, or a
choice in one; neither is needed to tell a line of a log.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from typing import Any, Final

LONGEST: Final = 1000
MOST_ROUNDS: Final = 16
"""Repetitions within each other that may come to more rounds than this count as without an end."""
_PARSER: Final = importlib.import_module("re._parser")
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})


def is_harmless(value: Any) -> bool:
    """Whether ``value`` is a regular expression whose search ends in a time that one can wait."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return False
    try:
        re.compile(value)
        return not _grows(_PARSER.parse(value), rounds=1)
    except (re.error, RecursionError, OverflowError, MemoryError):
        return False


def _grows(parts: Iterable[Any], *, rounds: int) -> bool:
    """Whether something in a parsed pattern, gone through ``rounds`` times, may be matched in ever
    more ways.
    """
    return any(_part_grows(str(kind), found, rounds) for kind, found in parts)


def _part_grows(kind: str, found: Any, rounds: int) -> bool:
    if kind in _REPEATS:
        least, most, inner = int(found[0]), int(found[1]), found[2]
        within = rounds * most
        if least != most and rounds > 1 and within > MOST_ROUNDS:
            return True
        return _grows(inner, rounds=within)
    if kind == "BRANCH":
        return rounds > MOST_ROUNDS or any(_grows(each, rounds=rounds) for each in found[1])
    if kind == "GROUPREF":
        return rounds > MOST_ROUNDS
    return any(_grows(inner, rounds=rounds) for inner in _inside(found))


def _inside(found: Any) -> Iterable[Any]:
    """The parsed patterns within what a group, a look around or a condition holds."""
    if isinstance(found, _PARSER.SubPattern):
        yield found
    elif isinstance(found, tuple | list):
        for each in found:
            if isinstance(each, _PARSER.SubPattern):
                yield each
