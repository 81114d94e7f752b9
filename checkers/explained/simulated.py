"""Histories of a store that keeps every promise, with one thing wrong where it is asked for.

Each operation takes effect at one moment between its invocation and its answer, in random order,
so whatever a store of that kind promises holds by construction. Then one answer is changed. The
seed fixes everything.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import structs

from harness.history.history import History
from harness.history.operation import OK, Header, Operation

Ask = Callable[[Random, int], tuple[str, Any]]
"""What the n-th operation asks, as f and value."""
Apply = Callable[[Any, str, Any], Any]
"""What a state answers to f and value; changes the state."""
Wrong = Callable[[Random, str, Any], Any]
"""Another answer in place of the right one, or ``None`` where this one cannot be made wrong."""

PROCESSES = 5


def simulated(
    ask: Ask, apply: Apply, state: Any, *, count: int, seed: int, initial: Any = None
) -> History:
    """``count`` operations of five processes on ``state``; ``initial`` is told by the header."""
    rng = Random(seed)
    operations: list[Operation] = []
    waiting: dict[int, tuple[str, Any]] = {}
    answered: dict[int, tuple[str, Any]] = {}

    def record(process: int, kind: str, f: str, value: Any) -> None:
        at = len(operations)
        operations.append(Operation(at, at * 1_000_000, process, kind, f, value))

    asked = 0
    while asked < count or waiting or answered:
        process = rng.randrange(PROCESSES)
        if process in waiting:
            f, value = waiting.pop(process)
            answered[process] = f, apply(state, f, value)
        elif process in answered:
            record(process, OK, *answered.pop(process))
        elif asked < count:
            waiting[process] = ask(rng, asked)
            record(process, "invoke", *waiting[process])
            asked += 1
    return History(operations, Header(initial=initial))


def spoiled(history: History, wrong: Wrong, seed: int) -> History:
    """``history`` with one answer, in its second half, made wrong."""
    rng = Random(seed)
    operations = list(history.operations)
    places = [at for at, op in enumerate(operations) if op.type == OK]
    places = places[len(places) // 2 :]
    rng.shuffle(places)
    for at in places:
        answer = wrong(rng, operations[at].f, operations[at].value)
        if answer is not None:
            operations[at] = structs.replace(operations[at], value=answer)
            return History(operations, history.header)
    raise ValueError("no answer can be made wrong")


def register_asks(rng: Random, number: int) -> tuple[str, Any]:
    """Reads, and writes of values that are never written twice."""
    return ("read", None) if rng.random() < 0.5 else ("write", number)


def register_applies(state: dict[str, Any], f: str, value: Any) -> Any:
    """One register."""
    if f == "write":
        state["x"] = value
        return value
    return state.get("x")


def transaction_asks(rng: Random, number: int) -> tuple[str, Any]:
    """Transactions of three steps on lists or registers, by :func:`list_applies` and so on."""
    steps: list[list[Any]] = []
    for part in range(3):
        key = str(rng.randrange(4))
        append = rng.random() < 0.5
        steps.append(["append", key, 3 * number + part] if append else ["r", key, None])
    return "txn", steps


def list_applies(state: dict[str, list[int]], f: str, steps: Any) -> Any:
    """Lists that transactions read and append to."""
    answers: list[list[Any]] = []
    for kind, key, value in steps:
        if kind == "append":
            state.setdefault(key, []).append(value)
            answers.append([kind, key, value])
        else:
            answers.append([kind, key, list(state.get(key, []))])
    return answers


def bank_asks(rng: Random, number: int) -> tuple[str, Any]:
    """Reads of all accounts, and transfers."""
    if rng.random() < 0.5:
        return "read", None
    source, target = rng.sample(range(4), 2)
    return "transfer", {"from": source, "to": target, "amount": rng.randint(1, 3)}


def bank_applies(state: dict[str, int], f: str, value: Any) -> Any:
    """Accounts; nobody asks whether there is enough."""
    if f == "read":
        return dict(state)
    state[str(value["from"])] -= value["amount"]
    state[str(value["to"])] += value["amount"]
    return value


def set_asks(rng: Random, number: int) -> tuple[str, Any]:
    """Adds of new elements, and reads of all."""
    return ("read", None) if rng.random() < 0.2 else ("add", number)


def set_applies(state: list[int], f: str, value: Any) -> Any:
    """A set."""
    if f == "read":
        return list(state)
    state.append(value)
    return value


def counter_asks(rng: Random, number: int) -> tuple[str, Any]:
    """Changes up and down, and reads."""
    return ("read", None) if rng.random() < 0.3 else ("add", rng.choice((1, 2, 5, -1)))


def counter_applies(state: dict[str, int], f: str, value: Any) -> Any:
    """A counter."""
    if f == "read":
        return state["sum"]
    state["sum"] += value
    return value


def queue_asks(rng: Random, number: int) -> tuple[str, Any]:
    """Values in and out."""
    return ("enqueue", number) if rng.random() < 0.6 else ("dequeue", None)


def queue_applies(state: list[int], f: str, value: Any) -> Any:
    """A queue, first in, first out; nil where it is empty."""
    if f == "enqueue":
        state.append(value)
        return value
    return state.pop(0) if state else None
