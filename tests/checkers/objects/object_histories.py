"""Random small histories of single objects, with all that a real one may be spoiled by.

A simulated object (:mod:`tests.checkers.simulated`) or plain chance gives the operations. Then some
answers are made wrong, or of another shape; acknowledgements become ``info`` that still carry what
they answered; records of invocations and completions get lost; operations come in that no model
knows; and the header declares an initial state, claims, and that durability is disclaimed. A part
of the histories is a run that tells when its reads after recovery began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec import structs

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from tests.checkers.simulated import IDS, WATCH, Kind, simulated

CLAIMS: Sequence[list[str]] = (
    [],
    [],
    ["linearizable"],
    ["strict-serializable"],
    ["strong-snapshot-isolation"],
    ["serializable"],
    ["read-committed"],
    ["read-uncommitted"],
    ["causal"],
)
SHAPES: Sequence[Any] = (
    "ab",
    "1",
    7,
    True,
    None,
    {"0": 1},
    [["0", 1]],
    ["1", "2"],
    [1],
    1.0,
    [[1]],
)


@dataclass(frozen=True)
class Family:
    """A sort of history: its operations, wrong answers, and initial states that may be told."""

    history: Callable[[Random], list[Operation]]
    wrong: Callable[[Random, Any], Any]
    initials: Sequence[Any] = (None,)
    options: Sequence[dict[str, Any]] = field(default_factory=lambda: ({},))


def record_of(family: Family, random: Random) -> Record:
    """One history of the family, spoiled in several ways or in none."""
    operations = family.history(random)
    for _ in range(random.choice((0, 1, 1, 2))):
        operations = spoiled(operations, random, family.wrong)
    if random.random() < 0.1:
        operations = with_foreign(operations, random)
    operations = without_some(operations, random)
    header = Header(
        initial=random.choice(family.initials) if random.random() < 0.25 else None,
        claims=random.choice(CLAIMS),
        not_durable=random.choice((None, None, "fsync=off")),
    )
    run = None
    if random.random() < 0.4:
        final = random.randrange(len(operations) + 1) * 1_000_000
        run = {"phases": random.choice(({"final": [final, final]}, {"final": [final, final]}, {}))}
    numbered = [
        structs.replace(op, index=at, time=at * 1_000_000) for at, op in enumerate(operations)
    ]
    return Record(history=History(numbered, header), run=run)


def spoiled(
    operations: list[Operation], random: Random, wrong: Callable[[Random, Any], Any]
) -> list[Operation]:
    """With one answer changed, or one acknowledgement taken back though it says what it was."""
    places = [at for at, op in enumerate(operations) if op.type == "ok"]
    if not places:
        return operations
    at = random.choice(places)
    old, luck = operations[at], random.random()
    if luck < 0.65:
        new = structs.replace(old, value=wrong(random, old.value))
    elif luck < 0.8:
        new = structs.replace(old, value=random.choice(SHAPES))
    else:
        new = structs.replace(old, type="info")
    return [*operations[:at], new, *operations[at + 1 :]]


def with_foreign(operations: list[Operation], random: Random) -> list[Operation]:
    """With an operation of no model, at some place."""
    at = random.randrange(len(operations) + 1)
    end = random.choice(("ok", "fail", "info"))
    pair = [Operation(-1, -1, 77, kind, "reset", None) for kind in ("invoke", end)]
    return [*operations[:at], *pair, *operations[at:]]


def without_some(operations: list[Operation], random: Random) -> list[Operation]:
    """Without one or two records, or without any invocation."""
    luck = random.random()
    if luck < 0.05:
        return [op for op in operations if op.type != "invoke"]
    if luck > 0.25:
        return operations
    gone = {random.randrange(len(operations) + 1) for _ in range(random.choice((1, 2)))}
    left = [op for at, op in enumerate(operations) if at not in gone]
    return left if _is_well_formed(left) else operations


def _is_well_formed(operations: list[Operation]) -> bool:
    """Whether no process begins anew while it waits, and each answers what it was asked."""
    waiting: dict[Any, str] = {}
    for operation in operations:
        if operation.type == "invoke":
            if operation.process in waiting:
                return False
            waiting[operation.process] = operation.f
        elif waiting.pop(operation.process, operation.f) != operation.f:
            return False
    return True


def of_kind(kind: Kind) -> Callable[[Random], list[Operation]]:
    """Histories of a simulated object, of three processes."""

    def history(random: Random) -> list[Operation]:
        seed, count = random.randrange(1 << 30), random.randrange(1, 8)
        return list(simulated(kind, seed, count, processes=3))

    return history


def other_number(random: Random, value: Any) -> Any:
    """A number near ``value``."""
    return (value if isinstance(value, int) else 0) + random.choice((-3, -1, 1, 2))


def other_list(random: Random, value: Any) -> Any:
    """A list that lacks something, or shows more."""
    if not isinstance(value, list):
        return value
    return random.choice(
        [value[1:], value[:-1], [*value, random.randrange(4)], [*value, *value[:1]]]
    )


def _set(state: tuple[int, ...], f: str, value: Any) -> tuple[Any, Any]:
    if f == "read":
        return state, list(state)
    left = {*state, value} if f == "add" else {*state} - {value}
    return tuple(sorted(left)), value


def _asks_of_a_set(random: Random, n: int) -> tuple[str, Any]:
    f = random.choice(("read", "read", "add", "add", "add", "remove"))
    return f, None if f == "read" else random.randrange(3) + (4 if random.random() < 0.05 else 0)


def _count(state: int, f: str, value: Any) -> tuple[int, Any]:
    if f == "read":
        return state, state
    change = 1 if value is None else value
    return (state - change if f == "dec" else state + change), value


def _asks_of_a_counter(random: Random, n: int) -> tuple[str, Any]:
    f = random.choice(("read", "read", "add", "add", "inc", "dec"))
    if f == "read" or (f != "add" and random.random() < 0.5):
        return f, None
    return f, random.choice((1, 2, 5, -3))


def _queue(state: tuple[int, ...], f: str, value: Any) -> tuple[Any, Any]:
    if f == "enqueue":
        return (*state, value), value
    if f == "drain":
        return (), list(state)
    return (state[1:], state[0]) if state else (state, None)


def _asks_of_a_queue(random: Random, n: int) -> tuple[str, Any]:
    f = random.choice(("enqueue", "enqueue", "dequeue", "dequeue", "drain"))
    return f, random.randrange(3) if f == "enqueue" else None


def _with_empty(random: Random) -> list[Operation]:
    """Of a queue; some dequeues that found nothing fail with a word on it."""
    errors = ("empty", ":empty", ["empty", "it is"], "Empty reply from server", "not empty", None)
    return [
        structs.replace(op, type="fail", error=random.choice(errors))
        if op.f == "dequeue" and op.type == "ok" and op.value is None and random.random() < 0.5
        else op
        for op in of_kind(Kind("queue", (), _queue, _asks_of_a_queue))(random)
    ]


def _locks(random: Random) -> list[Operation]:
    """Of a lock that keeps its promise at first, and then, in a part of them, by chance."""
    operations: list[Operation] = []
    waiting: dict[int, Operation] = {}
    token, holder, luck = 0, -1, random.choice((0.0, 0.0, 0.1, 1.0))
    for _ in range(random.randrange(2, 16)):
        process = random.randrange(3)
        if process in waiting:
            asked = waiting.pop(process)
            token += random.choice((1, 1, 1, 0, -1)) if random.random() < luck else 1
            is_right = holder in ((-1,) if asked.f == "acquire" else (process,))
            end = "ok" if is_right else "fail"
            if random.random() < luck:
                end = random.choice(("ok", "ok", "fail", "info"))
            elif is_right:
                holder = process if asked.f == "acquire" else -1
            answer = random.choice((token, None)) if asked.f == "acquire" else None
            operations.append(structs.replace(asked, type=end, value=answer))
        else:
            f = "release" if process == holder else random.choice(("acquire", "acquire", "release"))
            extra = {"lease_s": random.choice((0.002, 0.1))} if random.random() < 0.1 else None
            waiting[process] = Operation(-1, -1, process, "invoke", f, None, extra=extra)
            operations.append(waiting[process])
    return operations


def _bank(state: tuple[int, ...], f: str, value: Any) -> tuple[Any, Any]:
    if f == "read":
        return state, {str(account): balance for account, balance in enumerate(state)}
    moved = list(state)
    moved[value["from"]] -= value["amount"]
    moved[value["to"]] += value["amount"]
    return tuple(moved), value


def _asks_of_a_bank(random: Random, n: int) -> tuple[str, Any]:
    if random.random() < 0.6:
        return "read", None
    source, target = random.sample(range(3), 2)
    return "transfer", {"from": source, "to": target, "amount": random.choice((1, 2, 6))}


def other_balances(random: Random, value: Any) -> Any:
    """Another balance, none, one of another kind, or a list of them all."""
    if not isinstance(value, dict) or "from" in value:
        return value
    account = random.choice(("0", "1", "2", "x"))
    balance = random.choice((0, 1, 0.5, -1, None, "5", True, float("inf"), [1]))
    return random.choice(
        [{**value, account: balance}, {}, list(value.values()), [*value.values(), 0], [5, "5"]]
    )


def other_watch(random: Random, value: Any) -> Any:
    """Other events, bounds or a write's other answer."""
    if isinstance(value, dict) and "to" in value:
        events = other_list(random, value["events"])
        if random.random() < 0.3:
            return {**value, "to": value["to"] + random.choice((-1, 1))}
        last = events[-1] if events else None
        if random.random() < 0.3 and isinstance(last, list):
            return {**value, "events": [*events[:-1], [last[0] + 1, last[1]]]}
        return {**value, "events": events}
    if not isinstance(value, list) or len(value) != 2:
        return value
    return random.choice([value[0], [value[0], 9], [99, value[1]]])


SETS = Family(
    of_kind(Kind("set", (), _set, _asks_of_a_set)), other_list, ([], [2], [0, 1], 5, "a", {})
)
COUNTERS = Family(
    of_kind(Kind("counter", 0, _count, _asks_of_a_counter)), other_number, (0, 3, "0", [1], 1.0)
)
QUEUES = Family(_with_empty, other_number, ([], [1], [0, 0], 3, "x"), ({}, {"exactly_once": True}))
ID_LISTS = Family(of_kind(IDS), other_number, ([], [1], 0, "x"))
LOCKS = Family(_locks, other_number, ("held",), ({}, {"lease_s": 0.003}, {"lease_s": 10}))
WATCHES = Family(of_kind(WATCH), other_watch, (3, "x"))
BANKS = Family(
    of_kind(Kind("bank", (5, 5, 5), _bank, _asks_of_a_bank)),
    other_balances,
    ({"0": 5, "1": 5, "2": 5}, [5, 5, 5], {"0": 15}, {"0": "5"}, 15, [5, 5, 5]),
    ({}, {"total": 15}, {"negative_balances": True}, {"accounts": ["0", "1", "2"]}),
)
