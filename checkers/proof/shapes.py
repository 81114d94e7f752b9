"""Answers of the wrong shape, on which nobody may be accused.

A driver that gives the text ``"1"`` for the number 1, or a row ``[1, "x"]`` for an element, makes
everything look lost and unexpected at once. So a value that is equal to something known but for
its kind, or an answer in which nothing is of a kind that is known, is doubt and no proof.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeGuard

from harness.history.calls import Call, name
from harness.history.values import Tagged

HINT: Final = "if the values are [key, value], say --independent"
_NAMED: Final = {bool: "truth", int: "number", float: "number", str: "text", type(None): "nil"}

_OF_EDN: Final = {":": "keyword", "{": "map"}


def kind_of(value: Any) -> str:
    """``number text truth nil list map``, and of EDN ``keyword`` or ``tagged``."""
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, Tagged):
        return _OF_EDN.get(value[:1], "tagged")
    return _NAMED.get(type(value), "map")


def plain(value: Any) -> str:
    """A value without its kind: 1, 1.0 and ``"1"`` are alike."""
    if isinstance(value, str):
        return value.strip().removeprefix(":")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, sort_keys=True, default=str)


class Known:
    """The values that something may have to do with, by what they are and by kind."""

    def __init__(self, values: Iterable[Any]) -> None:
        known = list(values)
        self.names = {name(value) for value in known}
        self._values: Sequence[Any] = known
        self._kinds: set[str] | None = None
        self._plain: set[str] = set()

    def are_foreign(self, shown: Iterable[Any]) -> bool:
        """Whether ``shown`` are values of another shape than those known."""
        values = list(shown)
        odd = [value for value in values if name(value) not in self.names]
        if not odd or not self.names:
            return False
        if self._kinds is None:
            self._kinds = {kind_of(value) for value in self._values}
            self._plain = {plain(value) for value in self._values}
        if any(plain(value) in self._plain for value in odd):
            return True
        return len(odd) == len(values) and not {kind_of(value) for value in odd} & self._kinds


def is_pair(value: Any) -> TypeGuard[list[Any] | tuple[Any, Any]]:
    """Whether ``value`` has two parts, so that it may be ``[key, value]``."""
    return isinstance(value, list | tuple) and len(value) == 2


def looks_keyed(call: Call, known: Iterable[Any] = ()) -> bool:
    """Whether ``call`` is of one of several keys, as what it asks or answers looks.

    It asks ``[key, nil]``; or all values ``known`` are pairs, and it answers a list beside one of
    their keys.
    """
    if is_pair(call.asked) and call.asked[1] is None:
        return True
    values = list(known)
    if not is_pair(call.answer) or not values or not all(map(is_pair, values)):
        return False
    keys = {name(value[0]) for value in values}
    return isinstance(call.answer[1], list | tuple) and name(call.answer[0]) in keys
