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
ENDLESS: Final = 32
"""A repetition that may go on for more rounds than this counts as one without an end."""
_PARSER: Final = importlib.import_module("re._parser")
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})


def is_harmless(value: Any) -> bool:
    """Whether ``value`` is a regular expression whose search ends in a time that one can wait."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return False
    try:
        re.compile(value)
        return not _grows(_PARSER.parse(value), is_repeated=False)
    except (re.error, RecursionError, OverflowError, MemoryError):
        return False


def _grows(parts: Iterable[Any], *, is_repeated: bool) -> bool:
    """Whether something in a parsed pattern may be matched in ever more ways."""
    return any(_part_grows(str(kind), found, is_repeated) for kind, found in parts)


def _part_grows(kind: str, found: Any, is_repeated: bool) -> bool:
    if kind in _REPEATS:
        _, most, inner = found
        is_endless = int(most) > ENDLESS
        return (is_endless and is_repeated) or _grows(inner, is_repeated=is_repeated or is_endless)
    if kind == "BRANCH":
        return is_repeated or any(_grows(each, is_repeated=is_repeated) for each in found[1])
    if kind == "GROUPREF":
        return is_repeated
    return any(_grows(inner, is_repeated=is_repeated) for inner in _inside(found))


def _inside(found: Any) -> Iterable[Any]:
    """The parsed patterns within what a group, a look around or a condition holds."""
    if isinstance(found, _PARSER.SubPattern):
        yield found
    elif isinstance(found, tuple | list):
        for each in found:
            if isinstance(each, _PARSER.SubPattern):
                yield each
