"""Random histories of every shape of workload, with all the values that a format may say.

Half of their answers are what a single object would have said, the others are anything: so many are
invalid, and a reader that merges two values, or splits one, turns some verdict round.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from harness.history.history import History
from harness.history.operation import FAIL, INFO, INVOKE, OK, Header, Operation
from harness.history.values import Members, Tagged, TextKeys, set_of

Rng = random.Random
Values = list[Any]
Step = tuple[str, Any, Any]
"""f, what was asked, what was answered."""

POOLS: Final[tuple[Values, ...]] = (
    [1, 2, 3],
    ["a", "b", Tagged(":a"), Tagged(":b")],
    [1, "1", True, 1.5, Tagged(":1"), Tagged("1/2"), "1/2"],
    [1 << 70, (1 << 64) - 1, (1 << 53) + 1, -7, 0],
    ['é\n"q"', "", "nil", ":a", Tagged(":a"), Tagged("a"), Tagged("\\a"), "\\a"],
    [[1], ["1"], [Tagged(":a")], [":a"], {"1": "a"}, TextKeys({"1": "a"}), {"x": 1}],
    [{"x": [1]}, TextKeys({"x": [1]}), {"a b": None}, {}, [], Members([1]), {"#x": 2}],
)
NAMES: Final[tuple[Values, ...]] = (
    [0, 1, 2],
    ["x", "y"],
    [Tagged(":x"), Tagged(":y")],
    [Tagged(":x"), "x", ":x"],
    [1, "1", 2],
    [1 << 40, -3, "k k"],
)


def _write_or_read(rng: Rng, held: dict[Any, Any], key: Any, pool: Values) -> Step:
    name = repr(key)
    if rng.random() < 0.5:
        value = held[name] = rng.choice(pool)
        return "write", value, value
    if rng.random() < 0.2:
        return "read", None, rng.choice(pool)
    return "read", None, held.get(name)


def within(pool: Values) -> Values:
    """``pool`` as values within something else, where a set is no list of members."""
    return [set_of(item) if isinstance(item, Members) else item for item in pool]


def register(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool, held = rng.choice(POOLS), dict[Any, Any]()
    return "register", Header(), lambda: _write_or_read(rng, held, 0, pool)


def registers(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool, keys, held = rng.choice(POOLS), rng.choice(NAMES), dict[Any, Any]()

    def step() -> Step:
        key = rng.choice(keys)
        f, asked, answered = _write_or_read(rng, held, key, pool)
        return f, [key, asked], [key, answered]

    return "register", Header(independent=True), step


def lists(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    scalars = [pool for pool in POOLS if not any(isinstance(each, list | dict) for each in pool)]
    pool, keys, held = list(rng.choice(scalars)), rng.choice(NAMES), dict[str, Values]()
    unused = {repr(key): rng.sample(pool, len(pool)) for key in keys}

    def step() -> Step:
        asked, answered = [], []
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(keys)
            mine = held.setdefault(repr(key), [])
            if rng.random() < 0.5 and unused[repr(key)]:
                value = unused[repr(key)].pop()
                mine.append(value)
                asked.append(["append", key, value])
                answered.append(asked[-1])
                continue
            asked.append(["r", key, None])
            seen = list(mine)
            if rng.random() < 0.1:
                rng.shuffle(seen)
            answered.append(["r", key, seen])
        return "txn", asked, answered

    return "list-append", Header(), step


def transactions(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool, keys, held = within(rng.choice(POOLS)), rng.choice(NAMES), dict[str, Any]()
    unused = {repr(key): rng.sample(pool, len(pool)) for key in keys}

    def step() -> Step:
        asked, answered = [], []
        for _ in range(rng.randint(1, 3)):
            key = rng.choice(keys)
            if rng.random() < 0.5 and unused[repr(key)]:
                held[repr(key)] = value = unused[repr(key)].pop()
                asked.append(["w", key, value])
                answered.append(asked[-1])
            else:
                asked.append(["r", key, None])
                odd = rng.random() < 0.1
                answered.append(["r", key, rng.choice(pool) if odd else held.get(repr(key))])
        return "txn", asked, answered

    return "rw-register", Header(), step


def sets(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool, held = rng.choice(POOLS), list[Any]()
    kind = rng.choice((list, Members))

    def step() -> Step:
        if rng.random() < 0.5:
            value = rng.choice(pool)
            if not any(value == other and type(value) is type(other) for other in held):
                held.append(value)
            return "add", value, value
        seen = [value for value in held if rng.random() < 0.95]
        return "read", None, kind(sorted(seen, key=repr))

    return rng.choice(("set", "set-full", "linearizable-set")), Header(), step


def bank(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    names = rng.choice((["0", "1", "2"], ["alice", "bob"], ["a b", "c"]))
    kind: Any = rng.choice((dict, TextKeys)) if names[0] != "a b" else dict
    held = dict.fromkeys(names, 10)

    def account(name: str) -> Any:
        if kind is TextKeys or names[0] == "a b":
            return name
        return int(name) if name.isdigit() else Tagged(f":{name}")

    def step() -> Step:
        if rng.random() < 0.5:
            source, target = rng.sample(names, 2)
            amount = rng.randint(1, 3)
            held[source] -= amount
            held[target] += amount
            value = {"from": account(source), "to": account(target), "amount": amount}
            return "transfer", value, value
        return "read", None, kind({**held, **({names[0]: 7} if rng.random() < 0.05 else {})})

    return "bank", Header(), step


def logs(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    keys = rng.choice(([0, 1], ["x", "y"], [Tagged(":x"), Tagged(":y")]))
    kind: Any = TextKeys if type(keys[0]) is str else dict
    held: dict[str, Values] = {}
    unused = list(range(100, 200))

    def text(key: Any) -> str:
        return str(key).removeprefix(":")

    def step() -> Step:
        key = rng.choice(keys)
        mine = held.setdefault(text(key), [])
        if rng.random() < 0.5:
            value = unused.pop(0)
            mine.append(value)
            return "send", [["send", key, value]], [["send", key, [len(mine) - 1, value]]]
        found = [[at, value] for at, value in enumerate(mine) if rng.random() < 0.95]
        return "poll", [["poll"]], [["poll", kind({text(key): found})]]

    return "kafka", Header(), step


def queues(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool, held = rng.choice(POOLS), list[Any]()

    def step() -> Step:
        if rng.random() < 0.6 or not held:
            held.append(rng.choice(pool))
            return "enqueue", held[-1], held[-1]
        return "dequeue", None, rng.choice(pool) if rng.random() < 0.1 else held.pop(0)

    return rng.choice(("queue", "total-queue", "fifo-queue")), Header(), step


def counter(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    held = [0]

    def step() -> Step:
        if rng.random() < 0.5:
            held[0] += (by := rng.randint(1, 5))
            return "add", by, by
        return "read", None, held[0] + (rng.random() < 0.1)

    return "counter", Header(), step


def multi(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool, keys, held = within(rng.choice(POOLS)), rng.choice(NAMES), dict[str, Any]()

    def step() -> Step:
        asked, answered = [], []
        for key in rng.sample(keys, rng.randint(1, len(keys))):
            f, value, answer = _write_or_read(rng, held, key, pool)
            asked.append([f, key, value])
            answered.append([f, key, answer])
        return "txn", asked, answered

    return "multi-register", Header(), step


def ids(rng: Rng) -> tuple[str, Header, Callable[[], Step]]:
    pool = rng.choice(POOLS)
    return "unique-ids", Header(), lambda: ("generate", None, rng.choice(pool))


SHAPES: Final = (
    register,
    registers,
    lists,
    transactions,
    sets,
    bank,
    logs,
    queues,
    counter,
    multi,
    ids,
)


def history(seed: int) -> tuple[str, History]:
    """A model and a history for it; three processes, some operations of unknown outcome."""
    rng = random.Random(seed)
    model, header, step = SHAPES[seed % len(SHAPES)](rng)
    operations: list[Operation] = []
    waiting: dict[int, Step] = {}
    process = {lane: lane for lane in range(3)}
    for _ in range(rng.randint(4, 30)):
        lane = rng.randrange(3)
        at = len(operations)
        if lane not in waiting:
            f, asked, answered = waiting[lane] = step()
            operations.append(Operation(at, at * 1000, process[lane], INVOKE, f, asked))
            continue
        f, asked, answered = waiting.pop(lane)
        kind = rng.choices((OK, INFO, FAIL), (24, 2, 1))[0]
        value, error = (answered, None) if kind == OK else (asked, ["timed-out", "é"])
        operations.append(Operation(at, at * 1000, process[lane], kind, f, value, error))
        if kind == INFO:
            process[lane] += 3
    return model, History(operations, header)
