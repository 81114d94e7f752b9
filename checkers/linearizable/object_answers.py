"""What an operation asks and what answers it, as each object takes it.

Only the completion answers: what an invocation carries where the answer is expected says nothing,
and what a completion leaves out is what was asked. What nil means depends on the object:

- a *value* to registers (several ones and maps too: an absent key), unless nil reads are unknown;
- *empty* to a dequeue or pop, as is a failure with exactly the error ``empty`` (Jepsen's);
- *no answer* to a read of a set or a counter, to ``contains`` and to an acquire's fence.

An answer of another shape than the object's (text for a counter, a map for a set) accuses nobody:
it raises :class:`Unfit`, as does a question that does not say what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final, NamedTuple, TypeGuard

from checkers.linearizable.register_entries import json_name
from harness.verdict.wording import shown

READS: Final = frozenset({"r", "read"})
WRITES: Final = frozenset({"w", "write"})
TAKES: Final = frozenset({"dequeue", "pop"})


class Call(NamedTuple):
    """One operation: what was asked and, if known, answered. ``process`` is who did it."""

    f: str
    value: Any
    answer: Any
    is_known: bool
    process: int


class Unfit(Exception):
    """An operation, or an initial state, that the object cannot have; the message says why."""


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether ``value`` is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether ``value`` is a whole number."""
    return is_number(value) and isfinite(value) and value == int(value)


def as_it_is(call: Call) -> Call | None:
    """For objects that take everything."""
    return call


def of_lock(call: Call) -> Call | None:
    """An acquire or a release; one that is answered false may not have been granted."""
    if call.is_known and call.answer is False:
        raise Unfit("is answered false although it is ok: whether it was done is not known")
    return call


def of_fenced_lock(call: Call) -> Call | None:
    """As :func:`of_lock`; the answer of an acquire is its fence, a number."""
    if call.f == "acquire" and call.answer is not None and not is_number(call.answer):
        raise Unfit(f"has the fence {shown(call.answer)}, which is no number")
    return of_lock(call)


def one_lock(calls: Sequence[Call], initial: Any) -> str:
    """What speaks against all ``calls`` being about one lock."""
    asked = {json_name(call.value): call.value for call in calls if call.f == "acquire"}
    if len(asked) < 2:
        return ""
    some = ", ".join(shown(value) for value in list(asked.values())[:3])
    return (
        f"acquires ask for different things ({some}), and whether these are different locks is not"
        " known (then give [lock, nil] as values, and --independent)"
    )


def of_set(call: Call) -> Call | None:
    """A set's: reads are answered with a list, ``contains`` with true or false."""
    if call.f == "read":
        return _looked(call, list | tuple, "a list")
    if call.f == "contains":
        return None if call.is_known and call.answer is None else _of_contains(call)
    return _named(call)


def _of_contains(call: Call) -> Call:
    if call.is_known and not isinstance(call.answer, bool):
        raise Unfit(f"is answered {shown(call.answer)}, neither true nor false")
    return call


def _looked(call: Call, kind: Any, words: str) -> Call | None:
    """A look that asks for nothing; ``None`` if it was answered with nil."""
    if call.is_known and call.answer is None:
        return None
    if call.is_known and not isinstance(call.answer, kind):
        raise Unfit(f"is answered {shown(call.answer)}, which is not {words}")
    return _asking_nothing(call)


def _asking_nothing(call: Call) -> Call:
    return call if call.value is None else call._replace(value=None)


def _named(call: Call) -> Call:
    """A change that says what it brings."""
    if call.value is None and call.answer is not None:
        raise Unfit(f"does not ask for anything, and is answered {shown(call.answer)}")
    return call


def of_queue(call: Call) -> Call | None:
    """A queue's or a stack's: what takes out is answered with nil where there is nothing."""
    if call.f in TAKES:
        return _asking_nothing(call)
    if call.value is None:
        raise Unfit("puts in nil, which is what an empty one answers")
    return call


def of_counter(call: Call) -> Call | None:
    """A counter's: whole amounts (one if not said), reads answered with a number."""
    if call.f == "read":
        if isinstance(call.answer, bool):
            raise Unfit(f"is answered {shown(call.answer)}, which is not a number")
        return _looked(call, int | float, "a number")
    if call.value is None and (call.f != "add" or call.answer is None):
        return call._replace(value=1)
    if not is_whole(call.value):
        raise Unfit(f"has the amount {shown(call.value)}, which is not a whole number")
    return call._replace(value=int(call.value))


def of_map(call: Call) -> Call | None:
    """A map's, of one key: what is appended is text."""
    if call.f == "get":
        return _asking_nothing(call)
    if call.f == "append" and not isinstance(call.value, str):
        raise Unfit(f"appends {shown(call.value)}, which is no text")
    return _named(call)


def one_kind(calls: Sequence[Call], initial: Any) -> str:
    """What speaks against appending to what was put or was there at first."""
    held = [initial] if initial is not None else []
    held += [call.value for call in calls if call.f == "put"]
    others = [value for value in held if not isinstance(value, str)]
    if others and any(call.f == "append" for call in calls):
        return f"something is appended to {shown(others[0])}, which is no text"
    return ""


def of_registers(call: Call) -> Call | None:
    """A transaction: reads ask for nothing; the answer has what was asked, with what was read.

    Of a transaction of unknown outcome, what its completion says that it read holds if it took
    place at all.
    """
    asked = _micro(call.value if call.value is not None else call.answer)
    value = [[f, key, None if f in READS else item] for f, key, item in asked]
    if call.answer is None:
        is_asked_only = call.is_known and all(f in READS for f, *_ in value)
        return None if is_asked_only else call._replace(value=value, answer=None)
    answer = _micro(call.answer)
    if not _answers(asked, answer):
        raise Unfit(f"is answered {shown(call.answer)}, which is not what was asked")
    if call.is_known:
        return call._replace(value=value, answer=answer)
    return call._replace(value=_of_unknown(asked, answer), answer=None)


def _micro(value: Any) -> list[list[Any]]:
    """Micro-operations, each with three items."""
    found = []
    for part in value if isinstance(value, list | tuple) else [None]:
        if not isinstance(part, list | tuple) or len(part) not in (2, 3):
            raise Unfit(f"has the value {shown(value)}, which is no list of reads and writes")
        if part[0] not in READS and (part[0] not in WRITES or len(part) != 3):
            raise Unfit(f"has {shown(part)}, which is neither a read nor a write")
        found.append([*part, None] if len(part) == 2 else list(part))
    return found


def _answers(asked: Sequence[Sequence[Any]], answer: Sequence[Sequence[Any]]) -> bool:
    """Whether ``answer`` has the same micro-operations: keys, and what was written."""
    return len(asked) == len(answer) and all(
        (mine[0] in READS) == (theirs[0] in READS)
        and json_name(mine[1]) == json_name(theirs[1])
        and (mine[0] in READS or json_name(mine[2]) == json_name(theirs[2]))
        for mine, theirs in zip(asked, answer, strict=True)
    )


def _of_unknown(asked: list[list[Any]], answer: list[list[Any]]) -> list[list[Any]]:
    """What an info completion says that was read, where that is not what the invocation said."""
    return [
        [f, key, (found[2] if item is None else None) if f in READS else item]
        for (f, key, item), found in zip(asked, answer, strict=True)
    ]


def without_nil_get(call: Call) -> Call | None:
    """A map's call; a get of nil says nothing."""
    return None if call.f == "get" and call.is_known and call.answer is None else call


def without_nil_reads(call: Call) -> Call | None:
    """A transaction without its reads of nil."""
    if not call.is_known or call.answer is None:
        return call
    said = [part for part in call.answer if part[0] not in READS or part[2] is not None]
    return call._replace(answer=said) if said else None


def listed(initial: Any) -> Sequence[Any]:
    """The initial elements of a set, a queue or a stack."""
    if initial is None:
        return ()
    if not isinstance(initial, list | tuple):
        raise Unfit(f"the initial state {shown(initial)} is not a list of elements")
    return initial


def counted(initial: Any) -> int:
    """The initial state of a counter."""
    if initial is None:
        return 0
    if not is_whole(initial):
        raise Unfit(f"the initial state {shown(initial)} is not a whole number")
    return int(initial)
