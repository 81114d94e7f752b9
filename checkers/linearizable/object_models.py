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
from typing import Any, Final

from checkers.linearizable import object_answers
from checkers.linearizable.object_answers import READS, WRITES, Call, Unfit
from checkers.linearizable.register_entries import json_name
from harness.history.values import key_text
from harness.verdict.wording import shown

INCONSISTENT: Final = "inconsistent with the state"
"""What ``step`` answers where the operation cannot have been answered so."""


Step = Callable[[Any, Call], Any]


def _never(call: Call) -> bool:
    return False


def _as_it_is(initial: Any) -> Any:
    return json_name(initial)


def _same_object(value: Any) -> None:
    return None


def _no_objection(calls: Sequence[Call], initial: Any) -> str:
    return ""


def _is_answer(call: Call) -> bool:
    return call.is_known


@dataclass(frozen=True)
class Sequential:
    """An object known by its ``step``.

    ``start`` makes the first state of the initial value; ``looks`` says that a call never changes
    any state; ``split`` gives the part of the object that a call is about, by its value, if the
    object is nothing but independent parts (then each is judged apart), else ``None``;
    ``functions`` are the operations it has (empty: any); ``owned`` says that ``step`` minds the
    process. ``fold``, given all calls of a history, maps states that none of these can ever tell
    apart to one of them, so that fewer must be searched.

    ``settled`` takes a call as the object sees it: without what says nothing, ``None`` if that is
    all of it; it and ``start`` raise :class:`~checkers.linearizable.object_answers.Unfit` for what
    the object cannot have. With ``hears_unknown`` it is given what an ``info`` completion says,
    too.
    ``objection`` says what speaks against all calls being about one such
    object, beginning as given. ``nil`` forgets what was answered with nil, where that says nothing.

    ``takes_out``: what goes in comes out one by one, so that all about one element may be left out.
    ``tests`` says of a settled call whether its answer could have been wrong: of fewer than
    ``least`` of these nothing was tested, namely ``lacking``.
    """

    name: str
    step: Step
    start: Callable[[Any], Any] = _as_it_is
    looks: Callable[[Call], bool] = _never
    split: Callable[[Any], Any] = _same_object
    functions: frozenset[str] = frozenset()
    owned: bool = False
    fold: Callable[[Sequence[Call]], Callable[[Any], Any]] | None = None
    settled: Callable[[Call], Call | None] = object_answers.as_it_is
    hears_unknown: bool = False
    objection: Callable[[Sequence[Call], Any], str] = _no_objection
    nil: Callable[[Call], Call | None] = object_answers.as_it_is
    tests: Callable[[Call], bool] = _is_answer
    least: int = 1
    takes_out: bool = False
    lacking: str = "no operation was answered"


def _is_held(initial: Any) -> Any:
    if initial not in (None, False, True):
        raise Unfit(
            f"the initial state {shown(initial)} says neither that the lock is held nor free"
        )
    return "held" if initial else None


def _owner(initial: Any) -> Any:
    if initial is None or initial is False:
        return None
    if not isinstance(initial, int) or initial is True:
        raise Unfit(f"the initial state {shown(initial)} is no process that holds the lock")
    return initial


def _reentrant_owner(initial: Any) -> Any:
    owner = _owner(initial)
    return None if owner is None else (owner, 1)


def _fenced_owner(initial: Any) -> Any:
    owner = _owner(initial)
    return None if owner is None else (owner, None)


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
    return frozenset(map(json_name, object_answers.listed(initial)))


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
    return tuple(map(json_name, object_answers.listed(initial)))


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
    for element in object_answers.listed(initial):
        counts[json_name(element)] = counts.get(json_name(element), 0) + 1
    return (frozenset(counts.items()), 0)


def _counter(state: Any, call: Call) -> Any:
    if call.f == "read":
        return state if not call.is_known or call.answer == state else INCONSISTENT
    return state + (-call.value if call.f == "decrement" else call.value)


def _text(value: Any) -> Any:
    """What one key of a map holds: nothing is the empty text."""
    return "" if value is None else json_name(value)


def _kv(state: Any, call: Call) -> Any:
    """One key of the map: a value that is replaced, a text that grows."""
    if call.f == "get":
        return state if not call.is_known or _text(call.answer) == state else INCONSISTENT
    if call.f == "put":
        return _text(call.value)
    return state if state is GARBAGE else state + call.value


GARBAGE: Final = ("a value", "that nobody read")


def _readable(calls: Sequence[Call]) -> Callable[[Any], Any]:
    """All values that no answer begins with are one: no get finds them, however they grow."""
    known = {_text(call.answer) for call in calls if call.f == "get" and call.is_known}
    texts = sorted(name for name in known if isinstance(name, str))

    def fold(state: Any) -> Any:
        if not isinstance(state, str):
            return state if state in known else GARBAGE
        place = bisect_left(texts, state)
        if place < len(texts) and texts[place].startswith(state):
            return state
        return GARBAGE

    return fold


_EVERY: Final = ("every", "register")
_GIVEN: Final = "given"


def _registers(state: Any, call: Call) -> Any:
    """Several registers; a transaction of reads and writes takes effect at once."""
    held = dict(state)
    is_answered = call.is_known and call.answer is not None
    for f, key, value in call.answer if is_answered else call.value:
        name = json_name(key)
        if f in WRITES:
            held[name] = json_name(value)
        elif (is_answered or value is not None) and json_name(value) != _held(held, name, key):
            return INCONSISTENT
    return frozenset(held.items())


def _held(held: Mapping[Any, Any], name: Any, key: Any) -> Any:
    """What a register holds; keys of a given initial state are text, as in all JSON."""
    if name in held:
        return held[name]
    given = (_GIVEN, key_text(key)) if not isinstance(key, list | dict) else None
    return held[given] if given in held else held.get(_EVERY)


def _mapping(initial: Any) -> Any:
    if isinstance(initial, Mapping):
        items = ((_GIVEN, str(key), json_name(value)) for key, value in initial.items())
        return frozenset(((given, key), value) for given, key, value in items)
    return frozenset() if initial is None else frozenset({(_EVERY, json_name(initial))})


def _only_reads(call: Call) -> bool:
    return all(f in READS for f, *_ in call.value or ())


def _has_reads(call: Call) -> bool:
    return call.is_known and any(f in READS for f, *_ in call.answer or ())


def _one_key(value: Sequence[Any]) -> Any:
    keys = {json_name(key) for _, key, *_ in value or ()}
    return next(iter(keys)) if len(keys) == 1 else None


def _is_f(*names: str) -> Callable[[Call], bool]:
    return lambda call: call.f in names


def _is_known(*names: str) -> Callable[[Call], bool]:
    return lambda call: call.is_known and call.f in names


def _lock(name: str, step: Step, start: Callable[[Any], Any], **more: Any) -> Sequential:
    more.setdefault("settled", object_answers.of_lock)
    return Sequential(
        name,
        step,
        start,
        functions=frozenset({"acquire", "release"}),
        objection=object_answers.one_lock,
        least=2,
        lacking="the lock was not taken or given back twice",
        **more,
    )


def _container(
    name: str, step: Step, start: Callable[[Any], Any], puts: str, takes: str
) -> Sequential:
    return Sequential(
        name,
        step,
        start,
        functions=frozenset({puts, takes}),
        settled=object_answers.of_queue,
        tests=_is_known(takes),
        lacking=f"no {takes} was answered",
        takes_out=True,
    )


MUTEX: Final = _lock("mutex", _mutex, _is_held)
OBJECTS: Final[Mapping[str, Sequential]] = {
    model.name: model
    for model in (
        MUTEX,
        _lock("owner-mutex", _owned_mutex, _owner, owned=True),
        _lock("reentrant-mutex", _reentrant_mutex, _reentrant_owner, owned=True),
        _lock(
            "fenced-mutex",
            _fenced_mutex,
            _fenced_owner,
            owned=True,
            settled=object_answers.of_fenced_lock,
        ),
        Sequential(
            "linearizable-set",
            _set,
            _elements,
            _is_f("read", "contains"),
            _set_part,
            functions=frozenset({"add", "remove", "contains", "read"}),
            settled=object_answers.of_set,
            tests=_is_known("read", "contains"),
            lacking="no read and no contains was answered",
        ),
        _container("fifo-queue", _queue, _sequence, "enqueue", "dequeue"),
        _container("unordered-queue", _bag, _bag_of, "enqueue", "dequeue"),
        _container("stack", _stack, _sequence, "push", "pop"),
        Sequential(
            "linearizable-counter",
            _counter,
            object_answers.counted,
            _is_f("read"),
            functions=frozenset({"add", "increment", "decrement", "read"}),
            settled=object_answers.of_counter,
            tests=_is_known("read"),
            lacking="no read was answered with a number",
        ),
        Sequential(
            "kv",
            _kv,
            _text,
            _is_f("get"),
            functions=frozenset({"get", "put", "append"}),
            fold=_readable,
            settled=object_answers.of_map,
            objection=object_answers.one_kind,
            nil=object_answers.without_nil_get,
            tests=_is_known("get"),
            lacking="no get was answered",
        ),
        Sequential(
            "multi-register",
            _registers,
            _mapping,
            _only_reads,
            _one_key,
            functions=frozenset({"txn", "read", "write"}),
            settled=object_answers.of_registers,
            hears_unknown=True,
            nil=object_answers.without_nil_reads,
            tests=_has_reads,
            lacking="no read was answered",
        ),
    )
}
"""By name. ``kv`` is a map: its values come as ``[key, value]`` and each key is judged apart."""
