"""Objects other than registers: each a pure ``step(state, call)``, and what may be said of it.

A :class:`Sequential` model says what one operation does to the object when nothing else goes on.
The state is anything hashable; ``step`` returns the state afterwards, or :data:`INCONSISTENT` where
the answer cannot be. Of an operation of unknown outcome (``call.is_known`` is false) the answer is
not known either, so ``step`` then says what it would do. It must be pure and total.

A model of one's own is one of these, given to the checker:

    def step(state, call):
        if call.f == "deposit":
            return state + call.value
        return state if not call.is_known or call.answer == state else INCONSISTENT

    Linearizable({"initial": 0}, Sequential("account", step, looks=lambda call: call.f == "read"))
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from checkers.linearizable.entries import json_name

INCONSISTENT: Final = "inconsistent with the state"
"""What ``step`` answers where the operation cannot have been answered so."""


class Call(NamedTuple):
    """One operation: what was asked and, if known, answered. ``process`` is who did it."""

    f: str
    value: Any
    answer: Any
    is_known: bool
    process: int


Step = Callable[[Any, Call], Any]


def _never(call: Call) -> bool:
    return False


def _as_it_is(initial: Any) -> Any:
    return json_name(initial)


def _same_object(value: Any) -> None:
    return None


@dataclass(frozen=True)
class Sequential:
    """An object known by its ``step``.

    ``start`` makes the first state of the initial value; ``looks`` says that a call never changes
    any state; ``split`` gives the part of the object that a call is about, by its value, if the
    object is nothing but independent parts (then each is judged apart), else ``None``;
    ``functions`` are the operations it has (empty: any); ``owned`` says that ``step`` minds the
    process. ``fold``, given all calls of a history, maps states that none of these can ever tell
    apart to one of them, so that fewer must be searched.
    """

    name: str
    step: Step
    start: Callable[[Any], Any] = _as_it_is
    looks: Callable[[Call], bool] = _never
    split: Callable[[Any], Any] = _same_object
    functions: frozenset[str] = frozenset()
    owned: bool = False
    fold: Callable[[Sequence[Call]], Callable[[Any], Any]] | None = None


def _holder(initial: Any) -> Any:
    return None


def _mutex(state: Any, call: Call) -> Any:
    if call.f == "acquire":
        return "held" if state is None else INCONSISTENT
    return None if state is not None else INCONSISTENT


def _owned_mutex(state: Any, call: Call) -> Any:
    if call.f == "acquire":
        return call.process if state is None else INCONSISTENT
    return None if state == call.process else INCONSISTENT


def _reentrant_mutex(state: Any, call: Call) -> Any:
    owner, times = state or (call.process, 0)
    if owner != call.process:
        return INCONSISTENT
    times += 1 if call.f == "acquire" else -1
    if times < 0:
        return INCONSISTENT
    return (owner, times) if times else None


def _fenced_mutex(state: Any, call: Call) -> Any:
    """The state is (owner, greatest fence seen); a fence must be above all before it."""
    owner, fence = state or (None, None)
    if call.f == "release":
        return (None, fence) if owner == call.process else INCONSISTENT
    if owner is not None:
        return INCONSISTENT
    if not call.is_known or call.answer is None:
        return (call.process, fence)
    if fence is not None and call.answer <= fence:
        return INCONSISTENT
    return (call.process, call.answer)


def _set(state: Any, call: Call) -> Any:
    if call.f == "read":
        held = frozenset(map(json_name, call.answer or ())) if call.is_known else state
        return state if held == state else INCONSISTENT
    element = json_name(call.value)
    if call.f == "add":
        return state | {element}
    if call.f == "remove":
        return state - {element}
    return state if not call.is_known or call.answer is (element in state) else INCONSISTENT


def _elements(initial: Any) -> Any:
    return frozenset(map(json_name, initial or ()))


def _set_part(value: Any) -> Any:
    return None if value is None else json_name(value)


def _queue(state: Any, call: Call) -> Any:
    if call.f == "enqueue":
        return (*state, json_name(call.value))
    if not call.is_known:
        return state[1:]
    if call.answer is None:
        return state if not state else INCONSISTENT
    return state[1:] if state and state[0] == json_name(call.answer) else INCONSISTENT


def _stack(state: Any, call: Call) -> Any:
    if call.f == "push":
        return (*state, json_name(call.value))
    if not call.is_known:
        return state[:-1]
    if call.answer is None:
        return state if not state else INCONSISTENT
    return state[:-1] if state and state[-1] == json_name(call.answer) else INCONSISTENT


def _sequence(initial: Any) -> Any:
    return tuple(map(json_name, initial or ()))


def _bag(state: Any, call: Call) -> Any:
    """The state is (elements with their counts, removals of who knows which elements).

    Which element an unanswered dequeue took is decided as late as can be: not before the bag is
    seen empty. Then all that is left must have gone so.
    """
    counts, taken = dict(state[0]), state[1]
    if call.f == "enqueue":
        name = json_name(call.value)
        counts[name] = counts.get(name, 0) + 1
        return (frozenset(counts.items()), taken)
    if not call.is_known:
        return (state[0], min(taken + 1, sum(counts.values())))
    if call.answer is None:
        left = sum(counts.values())
        return (frozenset(), taken - left) if left <= taken else INCONSISTENT
    name = json_name(call.answer)
    if name not in counts:
        return INCONSISTENT
    counts[name] -= 1
    kept = frozenset((name, count) for name, count in counts.items() if count)
    return (kept, min(taken, sum(counts.values())))


def _bag_of(initial: Any) -> Any:
    counts: dict[Any, int] = {}
    for element in initial or ():
        counts[json_name(element)] = counts.get(json_name(element), 0) + 1
    return (frozenset(counts.items()), 0)


def _counter(state: Any, call: Call) -> Any:
    if call.f == "read":
        return state if not call.is_known or call.answer == state else INCONSISTENT
    amount = 1 if call.value is None else call.value
    return state + (-amount if call.f == "decrement" else amount)


def _kv(state: Any, call: Call) -> Any:
    """One key of the map: a string that is replaced or grows."""
    if call.f == "get":
        return state if not call.is_known or (call.answer or "") == state else INCONSISTENT
    if call.f == "put":
        return str(call.value)
    return state if state is GARBAGE else state + call.value


GARBAGE: Final = ("a string that nobody read",)


def _readable(calls: Sequence[Call]) -> Callable[[Any], Any]:
    """All strings that no answer begins with are one: no get finds them, however they grow."""
    answers = sorted({call.answer or "" for call in calls if call.f == "get" and call.is_known})

    def fold(state: Any) -> Any:
        if state is GARBAGE:
            return state
        place = bisect_left(answers, state)
        if place < len(answers) and answers[place].startswith(state):
            return str(state)
        return GARBAGE

    return fold


def _registers(state: Any, call: Call) -> Any:
    """Several registers; a transaction of reads and writes takes effect at once."""
    held = dict(state)
    asked = call.answer if call.is_known and call.answer is not None else call.value
    for f, key, value in asked:
        if f in ("write", "w"):
            held[json_name(key)] = json_name(value)
        elif call.is_known and value is not None and held.get(json_name(key)) != json_name(value):
            return INCONSISTENT
    return frozenset(held.items())


def _mapping(initial: Any) -> Any:
    items: Mapping[Any, Any] = initial or {}
    return frozenset((json_name(key), json_name(value)) for key, value in items.items())


def _only_reads(call: Call) -> bool:
    return all(f in ("read", "r") for f, *_ in call.value or ())


def _one_key(value: Sequence[Any]) -> Any:
    keys = {json_name(key) for _, key, *_ in value or ()}
    return next(iter(keys)) if len(keys) == 1 else None


def _is_f(*names: str) -> Callable[[Call], bool]:
    return lambda call: call.f in names


_LOCKS: Final = frozenset({"acquire", "release"})
_QUEUES: Final = frozenset({"enqueue", "dequeue"})
MUTEX: Final = Sequential("mutex", _mutex, _holder, functions=_LOCKS)
OBJECTS: Final[Mapping[str, Sequential]] = {
    model.name: model
    for model in (
        MUTEX,
        Sequential("owner-mutex", _owned_mutex, _holder, functions=_LOCKS, owned=True),
        Sequential("reentrant-mutex", _reentrant_mutex, _holder, functions=_LOCKS, owned=True),
        Sequential("fenced-mutex", _fenced_mutex, _holder, functions=_LOCKS, owned=True),
        Sequential(
            "linearizable-set",
            _set,
            _elements,
            _is_f("read", "contains"),
            _set_part,
            functions=frozenset({"add", "remove", "contains", "read"}),
        ),
        Sequential("fifo-queue", _queue, _sequence, functions=_QUEUES),
        Sequential("unordered-queue", _bag, _bag_of, functions=_QUEUES),
        Sequential("stack", _stack, _sequence, functions=frozenset({"push", "pop"})),
        Sequential(
            "linearizable-counter",
            _counter,
            lambda initial: initial or 0,
            _is_f("read"),
            functions=frozenset({"add", "increment", "decrement", "read"}),
        ),
        Sequential(
            "kv",
            _kv,
            lambda initial: initial or "",
            _is_f("get"),
            functions=frozenset({"get", "put", "append"}),
            fold=_readable,
        ),
        Sequential(
            "multi-register",
            _registers,
            _mapping,
            _only_reads,
            _one_key,
            functions=frozenset({"txn", "read", "write"}),
        ),
    )
}
"""By name. ``kv`` is a map: its values come as ``[key, value]`` and each key is judged apart."""
