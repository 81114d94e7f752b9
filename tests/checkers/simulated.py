"""Histories of atomic objects, valid by construction, and a slow oracle that tries every order.

:func:`simulated` lets a few processes work on one object that does each operation at one moment
between its two records. Some operations fail (and do nothing), some never answer (and did
something or not). :func:`has_an_order` decides by trying all orders whether such an object can
have given the answers of a history at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.history.calls import Call, calls
from harness.history.history import History
from harness.history.operation import Header, Operation

Step = Callable[[Any, str, Any], "tuple[Any, Any] | None"]
"""From state, f and what is asked to state and answer; ``None`` if it is refused (``fail``)."""


@dataclass
class Kind:
    """A sort of object: how it steps, and what a process may ask of it next."""

    name: str
    start: Any
    step: Step
    ask: Callable[[Random, int], tuple[str, Any]]


def simulated(
    kind: Kind, seed: int, count: int, processes: int = 4, trouble: float = 0.2
) -> History:
    """``count`` operations on one object, the same for the same ``seed``."""
    random = Random(seed)
    records: list[Operation] = []
    state, asked, done = kind.start, 0, 0
    numbers = list(range(processes))
    open_now: dict[int, list[Any]] = {}

    def record(process: int, type_: str, f: str, value: Any) -> None:
        at = len(records)
        records.append(Operation(at, at * 1_000_000, numbers[process], type_, f, value))

    while done < count:
        process = random.randrange(processes)
        if process not in open_now:
            if asked < count:
                f, value = kind.ask(random, asked)
                asked += 1
                record(process, "invoke", f, value)
                open_now[process] = [f, value, None]
            continue
        f, value, answer = open_now[process]
        luck = random.random()
        if answer is None and luck >= trouble:
            stepped = kind.step(state, f, value)
            open_now[process][2] = ("fail", value) if stepped is None else ("ok", stepped[1])
            state = state if stepped is None else stepped[0]
            continue
        del open_now[process]
        done += 1
        if answer is None:
            record(process, "fail" if luck < trouble / 2 else "info", f, value)
        else:
            is_silent = luck < trouble / 4
            record(
                process, "info" if is_silent else answer[0], f, value if is_silent else answer[1]
            )
        if records[-1].type == "info":
            numbers[process] += processes
    return History(records, Header())


def mutated(history: History, random: Random, answer: Callable[[Random, Any], Any]) -> History:
    """``history`` with one ok answer replaced by ``answer`` of it."""
    operations = list(history)
    chosen = random.choice([n for n, op in enumerate(operations) if op.type == "ok"] or [0])
    old = operations[chosen]
    value = answer(random, old.value)
    operations[chosen] = Operation(old.index, old.time, old.process, old.type, old.f, value)
    return History(operations, history.header)


def has_an_order(history: History, kind: Kind) -> bool:
    """Whether some order of the operations, in keeping with real time, gives every answer.

    An operation that failed did nothing; a refusal by the object is no answer to explain.
    """
    found = [call for call in calls(history) if not call.failed]
    return _explained(frozenset(range(len(found))), kind.start, found, kind, set())


def _explained(
    left: frozenset[int], state: Any, found: list[Call], kind: Kind, tried: set[Any]
) -> bool:
    if not any(found[n].ok for n in left):
        return True
    if (left, repr(state)) in tried:
        return False
    tried.add((left, repr(state)))
    first_end = min(found[n].end for n in left)
    for n in left:
        call = found[n]
        if call.start > first_end:
            continue
        stepped = kind.step(state, call.f, call.asked)
        fits = stepped is not None and (not call.ok or stepped[1] == call.answer)
        if fits and stepped and _explained(left - {n}, stepped[0], found, kind, tried):
            return True
    return False


def _counter(state: int, f: str, value: Any) -> tuple[int, Any] | None:
    return (state, state) if f == "read" else (state + value, value)


def _set(state: tuple[int, ...], f: str, value: Any) -> tuple[Any, Any] | None:
    if f == "read":
        return state, list(state)
    return tuple(sorted({*state, value})), value


def _queue(state: tuple[int, ...], f: str, value: Any) -> tuple[Any, Any] | None:
    if f == "enqueue":
        return (*state, value), value
    if f == "drain":
        return (), list(state)
    return (state[1:], state[0]) if state else (state, None)


def _ids(state: int, f: str, value: Any) -> tuple[int, Any] | None:
    return state + 1, state


def _rising(state: int, f: str, value: Any) -> tuple[int, Any] | None:
    return (state, state) if f == "read" else (state + 1, state + 1)


def _log(state: tuple[int, ...], f: str, value: Any) -> tuple[Any, Any] | None:
    if f == "send":
        _, key, message = value[0]
        return (*state, message), [["send", key, [len(state), message]]]
    return state, [["poll", {"x": [[n, message] for n, message in enumerate(state)]}]]


def _watch(state: tuple[Any, ...], f: str, value: Any) -> tuple[Any, Any] | None:
    if f == "write":
        return (*state, value), [value, len(state) + 1]
    events = [[n, written] for n, written in enumerate(state, 1) if n > value]
    return state, {"after": value, "to": max(len(state), value), "events": events}


COUNTER = Kind(
    "counter",
    0,
    _counter,
    lambda random, n: random.choice([("read", None), ("add", random.choice([1, 2, 5, -3]))]),
)
SET = Kind("set", (), _set, lambda random, n: random.choice([("read", None), ("add", n)]))
COMMENTS = Kind(
    "comments", (), _set, lambda random, n: random.choice([("read", None), ("write", n)])
)
QUEUE = Kind(
    "queue",
    (),
    _queue,
    lambda random, n: random.choice([("dequeue", None), ("enqueue", n), ("enqueue", n)]),
)
IDS = Kind("ids", 0, _ids, lambda random, n: ("generate", None))
RISING = Kind(
    "rising", 0, _rising, lambda random, n: random.choice([("read", None), ("inc", None)])
)
LOG = Kind(
    "log",
    (),
    _log,
    lambda random, n: random.choice([("final-poll", [["poll"]]), ("send", [["send", "x", n]])]),
)
WATCH = Kind(
    "watch",
    (),
    _watch,
    lambda random, n: random.choice([("watch", random.randrange(3)), ("write", n)]),
)
