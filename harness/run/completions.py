"""Completions: what the end of an operation is recorded as, whatever the client did.

A client may answer with anything, raise anything, and give values that cannot even be printed.
None of that may end a run or keep a thread busy for ever: what cannot be told apart from success
or failure is ``info`` with a text that says what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from harness.history.operation import FAIL, INFO, OK, Operation

LONGEST_TEXT: Final = 1000


def ended(invocation: Operation, kind: str, error: Any) -> Operation:
    """The completion of ``invocation`` that says ``error``."""
    return Operation(-1, -1, invocation.process, kind, invocation.f, invocation.value, error=error)


def described(error: BaseException) -> str:
    """An exception as an operation's error text."""
    return f"indeterminate: {_named(error)}"


def not_recorded(invocation: Operation, error: BaseException) -> list[Operation]:
    """What to record where an answer cannot be recorded because of ``error``, the best first.

    The last has no value, for a client may have changed the invocation's own.
    """
    told = ended(invocation, INFO, f"indeterminate: the answer cannot be recorded: {_named(error)}")
    return [told, structs.replace(told, value=None)]


def checked(invocation: Operation, completion: object) -> Operation:
    """``completion`` if it completes ``invocation``; else an ``info`` that says what it was."""
    if completion.__class__ is not Operation:
        what = f"the client answered {shown(completion)}, not an Operation"
        return ended(invocation, INFO, what)
    assert isinstance(completion, Operation)
    try:
        if (
            completion.process == invocation.process
            and completion.f == invocation.f
            and completion.type in (OK, FAIL, INFO)
        ):
            return completion
    except Exception as error:  # a comparison of the client's own
        return ended(invocation, INFO, described(error))
    kind, process = shown(completion.type, str), shown(completion.process)
    what = f"the client answered with {kind} of {shown(completion.f)} by process {process}"
    return ended(invocation, INFO, what)


def as_info(operation: Operation) -> Operation:
    """What the nemesis does is info at both ends."""
    return operation if operation.type == INFO else structs.replace(operation, type=INFO)


def shown(thing: object, how: Callable[[object], str] = repr) -> str:
    """``thing`` in words, cut where it is long; its type alone if it cannot be printed."""
    try:
        text = how(thing)
    except Exception as error:
        return f"{_type_of(thing)} that cannot be printed ({_type_of(error)})"
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


def _named(error: BaseException) -> str:
    return f"{_type_of(error)}: {shown(error, str)}".rstrip(": ")


def _type_of(thing: object) -> str:
    return type(thing).__name__
