"""Random histories as records, with all the kinds that users' files have; see :func:`drawn`.

Acted out on :mod:`tests.checkers.linearizable.definitions` or answered blindly, then spoiled: an
answer changed or left out, invocations that carry an answer, infos that carry reads, operations of
no model, answers of the wrong shape, numbers that are 1.0 or true, errors that say that nothing was
found and others that only look so, and initial states of all kinds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from harness.history.history import History
from harness.history.operation import Header, Operation
from tests.checkers.linearizable.definitions import NOT_KNOWN, Done, Refused, made

LOOKS = {"read", "get", "dequeue", "pop", "contains", "acquire", "txn"}
VALUES: tuple[Any, ...] = (0, 1, 2)
LISTS: tuple[Any, ...] = ([1, 2], [2, 2], [1, None])
ODD: tuple[Any, ...] = ("1", 7, 1.5, True, False, {"a": 1}, [1], [], [[1]], "ab")
INITIALS: dict[str, Sequence[Any]] = {
    "register": (None, 0, 1, [1, 2], "1"),
    "cas-register": (None, 0, 1, [1, 2], "1"),
    "mutex": (None, True, False, "x"),
    "owner-mutex": (None, 0, 1, True, "x"),
    "reentrant-mutex": (None, 0, 1, True),
    "fenced-mutex": (None, 0, 1, [1]),
    "linearizable-set": (None, [], [1], [1, 2], 1, "12"),
    "fifo-queue": (None, [], [1], [1, 2], 1, "12"),
    "unordered-queue": (None, [], [1], [1, 1], 0, "12"),
    "stack": (None, [], [1], [1, 2], {}),
    "linearizable-counter": (None, 0, 2, 1.0, "1", [1], True),
    "kv": (None, "", "a", 1),
    "multi-register": (None, 0, {"x": 1}, {"x": 0, "y": 0}, 1),
}


def _register(random: Random, values: Sequence[Any], n: int) -> tuple[str, Any]:
    f = random.choice(["read", "read", "write", "cas"])
    pick = random.choice
    return f, None if f == "read" else [pick(values), pick(values)] if f == "cas" else pick(values)


def _transaction(random: Random, values: Sequence[Any], n: int) -> tuple[str, Any]:
    parts = []
    for _ in range(random.randint(1, 3)):
        f = random.choice("rw")
        parts.append([f, random.choice("xy"), None if f == "r" else random.choice(values)])
    return "txn", parts


def _lock(random: Random, values: Sequence[Any], n: int) -> tuple[str, Any]:
    return random.choice(["acquire", "release"]), None


def _queue(puts: str, takes: str) -> Callable[..., tuple[str, Any]]:
    def ask(random: Random, values: Sequence[Any], n: int) -> tuple[str, Any]:
        if random.random() < 0.5:
            return takes, None
        return puts, n if len(values) > 3 else random.choice(values)

    return ask


def _plain(random: Random, values: Sequence[Any], n: int) -> tuple[str, Any]:
    f, value = _register(random, values, n)
    return ("write", random.choice(values)) if f == "cas" else (f, value)


ASK: dict[str, Callable[..., tuple[str, Any]]] = {
    "register": _plain,
    "cas-register": _register,
    "mutex": _lock,
    "owner-mutex": _lock,
    "reentrant-mutex": _lock,
    "fenced-mutex": _lock,
    "linearizable-set": lambda r, v, n: r.choice(
        [("add", r.choice(v)), ("add", n), ("remove", r.choice(v)), ("contains", r.choice(v))]
        + [("read", None)] * 2
    ),
    "fifo-queue": _queue("enqueue", "dequeue"),
    "unordered-queue": _queue("enqueue", "dequeue"),
    "stack": _queue("push", "pop"),
    "linearizable-counter": lambda r, v, n: r.choice(
        [("add", r.randrange(3)), ("increment", None), ("decrement", 1)] + [("read", None)] * 3
    ),
    "kv": lambda r, v, n: r.choice(
        [("get", None)] * 3 + [("put", r.choice("ab")), ("append", r.choice("ab"))]
        if len(v) < 4
        else [("get", None), ("put", r.choice(v))]
    ),
    "multi-register": _transaction,
}


def guesses(random: Random, f: str, asked: Any, state: Any, model: str) -> list[Any]:
    """Answers that might fit ``state``, or not."""
    if f == "txn":
        held = dict(state)
        said = []
        for kind, key, value in asked:
            if kind == "w":
                held[json.dumps(key)] = json.dumps(value)
            found = held.get(json.dumps(key))
            seen = random.choice([None, 0, 1]) if found is None else json.loads(found)
            said.append([kind, key, value if kind == "w" else seen])
        return [said]
    if model == "linearizable-set" and f == "read":
        return [[json.loads(item) for item in sorted(state)]]
    if model == "linearizable-counter" and f == "read":
        return [state]
    if f == "get":
        return [json.loads(state)]
    if f == "contains":
        return [True, False]
    if f == "acquire":
        return [random.randrange(4)] if model == "fenced-mutex" else [asked]
    if f in ("dequeue", "pop"):
        return [None, *map(json.loads, state)]
    return [json.loads(state)] if f == "read" else [asked]


def drawn(seed: int, models: Sequence[str] = tuple(ASK)) -> tuple[str, History]:
    """A model and a history of it."""
    random = Random(seed)
    model = random.choice(models)
    initial = random.choice(INITIALS[model]) if random.random() < 0.3 else None
    is_foreign = random.random() < 0.3
    values = VALUES if random.random() < 0.8 else (0, 1, 2, 3)
    if not is_foreign and random.random() < 0.1 and "register" in model:
        values = LISTS
    records = _records(random, model, values, initial)
    spoiled = random.random()
    while spoiled < 0.75:
        records = random.choice(SPOILERS)(random, records, model)
        spoiled = random.random() * 1.3
    operations = [_failing(random, n, *record) for n, record in enumerate(records)]
    header = Header(initial=initial, model=None if is_foreign else model)
    return model, History(operations, header)


def _failing(random: Random, n: int, process: int, kind: str, f: str, value: Any) -> Operation:
    """The record; what takes out fails with all sorts of errors, and nil is told as one as well."""
    if f not in ("dequeue", "pop") or kind not in ("ok", "fail"):
        return Operation(n, n, process, kind, f, value)
    if kind == "ok" and (value is not None or random.random() < 0.6):
        return Operation(n, n, process, kind, f, value)
    empty: tuple[Any, ...] = ("empty", ":empty", ["empty", "it is"])
    others = ("not empty", "Empty reply from server", "queue-empty", None, ["conn", "empty"])
    error = random.choice(empty if kind == "ok" or random.random() < 0.3 else others)
    return Operation(n, n, process, "fail", f, value, error)


Records = list[tuple[int, str, str, Any]]


def _records(random: Random, model: str, values: Sequence[Any], initial: Any) -> Records:
    """Each operation acts once inside its interval, or never; unless the answers are blind."""
    thing = made(model)
    try:
        state = thing.first(initial if model != "kv" else None)
    except Refused:
        state = thing.first(None)
    is_blind = random.random() < 0.15
    lanes, unknown, size = random.randint(1, 4), random.choice([0, 0.1, 0.3]), random.randint(1, 9)
    process = list(range(lanes))
    open_calls: dict[int, list[Any]] = {}
    records: Records = []
    begun = 0
    while begun < size or open_calls:
        lane = random.randrange(lanes)
        if lane not in open_calls:
            if begun < size:
                f, asked = ASK[model](random, values, begun)
                open_calls[lane] = [f, asked, NOT_KNOWN, False]
                records.append((process[lane], "invoke", f, asked))
                begun += 1
            continue
        f, asked, answer, acted = open_calls[lane]
        if not acted:
            state, answer = _act(random, thing, model, state, f, asked, process[lane])
            open_calls[lane][2:] = [answer, True]
            continue
        del open_calls[lane]
        if random.random() < unknown:
            if random.random() < 0.5:
                records.append((process[lane], "info", f, asked))
            process[lane] += lanes
        elif answer is NOT_KNOWN and not is_blind:
            records.append((process[lane], "fail", f, asked))
        else:
            answer = asked if answer is NOT_KNOWN else answer
            if is_blind and f in LOOKS - {"txn", "acquire"}:
                answer = random.choice([None, *values, True])
            records.append((process[lane], "ok", f, answer))
    return records


def _act(
    random: Random, thing: Any, model: str, state: Any, f: str, asked: Any, process: int
) -> tuple[Any, Any]:
    """The state afterwards and the answer; not known if it cannot be done."""
    answers = guesses(random, f, asked, state, model)
    random.shuffle(answers)
    for answer in answers:
        try:
            done = thing.read(Done(0, 1, f, asked, answer, process))
        except Refused:
            continue
        if done is None:
            return state, answer
        for reached in thing.after(state, done):
            return reached, answer
    return state, NOT_KNOWN


def _pick(random: Random, records: Records, kinds: Sequence[str], fs: Any = None) -> int | None:
    places = [
        n for n, (_, kind, f, _) in enumerate(records) if kind in kinds and (not fs or f in fs)
    ]
    return random.choice(places) if places else None


def _with(records: Records, place: int | None, value: Any, kind: str = "", f: str = "") -> Records:
    if place is None:
        return records
    process, was, name, _ = records[place]
    changed = (process, kind or was, f or name, value)
    return [changed if n == place else record for n, record in enumerate(records)]


def _answer_changed(random: Random, records: Records, model: str) -> Records:
    place = _pick(random, records, ["ok"], LOOKS)
    if place is None:
        return records
    f, value = records[place][2:]
    if f == "txn" and isinstance(value, list):
        new: Any = [
            [kind, key, random.choice([None, 0, 1]) if kind == "r" else item]
            for kind, key, item in (part for part in value if isinstance(part, list) and part[1:])
        ]
    elif isinstance(value, list) and model == "linearizable-set":
        new = [item for item in value if random.random() < 0.6] + [random.randrange(4)]
    elif f == "get":
        new = random.choice(["", "a", "b", "ab", None, 1])
    else:
        new = random.choice([None, 0, 1, 2, 3])
    return _with(records, place, new)


def _answer_left_out(random: Random, records: Records, model: str) -> Records:
    return _with(records, _pick(random, records, ["ok"]), None)


def _write_answered_otherwise(random: Random, records: Records, model: str) -> Records:
    fs = {record[2] for record in records} - LOOKS
    return _with(
        records, _pick(random, records, ["ok"], fs or {"-"}), random.choice(["OK", 1, None])
    )


def _invocations_carry_answers(random: Random, records: Records, model: str) -> Records:
    carried = list(records)
    for place, (process, kind, f, value) in enumerate(records):
        if kind != "invoke" or f not in LOOKS - {"contains", "acquire"} or random.random() < 0.3:
            continue
        later = [r for r in records[place + 1 :] if r[0] == process][:1]
        own = later[0][3] if later and random.random() < 0.6 else random.choice([[], [1], 0, 1, ""])
        if f == "txn":
            own = [
                [part[0], part[1], random.choice([None, 0, 1]) if part[0] == "r" else part[2]]
                for part in (value if isinstance(value, list) else ())
                if isinstance(part, list) and len(part) == 3
            ]
        carried[place] = (process, kind, f, own)
    return carried


def _infos_carry_reads(random: Random, records: Records, model: str) -> Records:
    place = _pick(random, records, ["ok"], LOOKS)
    return records if place is None else _with(records, place, records[place][3], "info")


def _of_no_model(random: Random, records: Records, model: str) -> Records:
    kind = random.choice(["ok", "fail", "fail", "fail", "info"])
    process = 1 + max((record[0] for record in records), default=0)
    mine: Records = [(process, "invoke", "reset", 1), (process, kind, "reset", 1)]
    at = random.randint(0, len(records))
    return [*records[:at], *mine, *records[at:]]


def _of_wrong_shape(random: Random, records: Records, model: str) -> Records:
    kinds = random.choice([["ok"], ["ok"], ["ok"], ["invoke"], ["fail"]])
    return _with(records, _pick(random, records, kinds), random.choice(ODD))


def _one_as(random: Random, records: Records, model: str) -> Records:
    """Ones told as 1.0 or as true."""
    other = random.choice([1.0, 1.0, True])
    place = _pick(random, records, ["ok", "invoke"])
    if place is None:
        return records
    return _with(records, place, _told_as(records[place][3], other))


def _told_as(value: Any, other: Any) -> Any:
    if isinstance(value, list):
        return [_told_as(item, other) for item in value]
    return other if type(value) is int and value == 1 else value


SPOILERS: Sequence[Callable[[Random, Records, str], Records]] = (
    _answer_changed,
    _answer_changed,
    _answer_changed,
    _answer_left_out,
    _write_answered_otherwise,
    _invocations_carry_answers,
    _infos_carry_reads,
    _of_no_model,
    _of_wrong_shape,
    _one_as,
)
