"""How JSON values stand in Redis, which knows bytes alone; and what counts as success."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.contract.client import Failed
from harness.wording import shown
from systems.drivers.resp import Answer, Status


def stored(value: Any) -> bytes:
    """``value`` as it is stored; equal values are stored alike."""
    return msgspec.json.encode(value)


def storable(value: Any) -> bytes:
    """As :func:`stored`; ``Failed`` for ``None``, which stands for absent."""
    if value is None:
        said = ["request", "a value cannot be set to null, which stands for absent"]
        raise Failed(said, session_ended=False)
    return stored(value)


def loaded(answer: Answer) -> Any:
    """What was stored (``None`` if absent); ``Failed`` where it is nothing that was (of a read)."""
    if answer is None:
        return None
    if not isinstance(answer, bytes):
        raise not_understood(answer)
    try:
        return msgspec.json.decode(answer)
    except msgspec.MsgspecError as error:
        raise not_understood(answer) from error


def loaded_list(answer: Answer) -> list[Any]:
    """The values of a list; ``Failed`` where it is none."""
    if not isinstance(answer, list):
        raise not_understood(answer)
    return [loaded(each) for each in answer]


def joined(base: Any, appended: Sequence[Any]) -> Any:
    """A value and what was appended to it."""
    if not appended:
        return base
    return [*([] if base is None else base if isinstance(base, list) else [base]), *appended]


def counted(answer: Answer) -> int:
    """The number that a counter holds (0 if absent); ``Failed`` where it is none."""
    if answer is None:
        return 0
    try:
        return int(answer) if isinstance(answer, bytes) else _no_number(answer)
    except ValueError as error:
        raise not_understood(answer) from error


def not_understood(answer: Answer) -> Failed:
    """A read that was answered with what it cannot be answered with."""
    told = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return Failed(["answer", f"not understood: {shown(told)}"], session_ended=False)


def _no_number(answer: Answer) -> int:
    raise not_understood(answer)


def is_ok(answer: Answer) -> bool:
    """``+OK`` and no other word."""
    return isinstance(answer, Status) and answer == "OK"


def is_number(answer: Answer) -> bool:
    """A number, as what counts answers."""
    return isinstance(answer, int)


def is_number_or_nil(answer: Answer) -> bool:
    """A number, or nil where it was not done."""
    return answer is None or isinstance(answer, int)


def is_value_or_nil(answer: Answer) -> bool:
    """A value that was stored, or nil where there is none."""
    if answer is None:
        return True
    try:
        return isinstance(answer, bytes) and msgspec.json.decode(answer) is not None
    except msgspec.MsgspecError:
        return False


Success = Callable[[Answer], bool]
"""Whether an answer is the success that was waited for."""
