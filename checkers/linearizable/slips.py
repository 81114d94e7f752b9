"""Numbers that come back as text, or the other way round: a slip of the client, no violation.

By JSON ``1`` and ``"1"`` are two values, and a read of ``"1"`` where only 1 was written is a read
of what nobody wrote. But that is what a client does that forgets to decode (Redis answers in text),
so nobody is accused on the strength of it. Where both were written there is nothing to doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from checkers.independence import LOOKS
from checkers.linearizable.answers import is_number, shown
from checkers.linearizable.entries import json_name, where
from checkers.linearizable.judging import Broken
from harness.history.history import History
from harness.history.operation import INVOKE

_ASKS = LOOKS | {"contains"}


def slip(history: History, broken: Broken) -> str:
    """What the first impossible answer told in another way than it was written, if it did."""
    answer = history.operations[broken.late.complete]
    found = list(_leaves(answer.value))
    written = {
        json_name(leaf)
        for operation in history
        if operation.is_client and operation.type == INVOKE and operation.f not in _ASKS
        for leaf in _leaves(operation.value)
    }
    written |= {json_name(leaf) for leaf in _leaves(history.header.initial)}
    for leaf in found:
        twin = str(json_name(leaf)) if is_number(leaf) else _number(leaf)
        if json_name(leaf) not in written and twin is not None and twin in written:
            return (
                f"{where(answer)} was answered {shown(leaf)} where {shown(twin)} was written: the"
                " client may have told a number as text, or a text as a number"
            )
    return ""


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


def _number(text: Any) -> Any:
    """The number that ``text`` writes, as :func:`json_name` has it."""
    if not isinstance(text, str):
        return None
    try:
        return json_name(float(text) if "." in text else int(text))
    except (ValueError, OverflowError):
        return None
