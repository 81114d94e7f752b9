"""Small histories in which many write the same keys blindly, so that orders have to be guessed."""

from __future__ import annotations

import random

from harness.history.history import History
from harness.history.operation import Operation


def contested(seed: int, *, transactions: int = 6, keys: int = 2, most_steps: int = 3) -> History:
    """A random history of that kind: each read tells something that somebody wrote, or nil.

    Some end unknown or failed, some read one key twice or what they wrote themselves.
    """
    rng = random.Random(f"contested {seed}")
    lanes = rng.randint(1, transactions)
    names = "xyz"[:keys]
    given = dict.fromkeys(names, 0)
    steps: list[list[list[object]]] = []
    for _ in range(transactions):
        mine: list[list[object]] = []
        for _ in range(rng.randint(1, most_steps)):
            key = rng.choice(names)
            if rng.random() < 0.55:
                given[key] += 1
                mine.append(["w", key, given[key]])
            else:
                mine.append(["r", key, None])
        steps.append(mine)
    faithful = rng.choice((0.0, 0.5, 0.9))
    state: dict[str, object] = {}
    for mine in steps:
        view = dict(state)
        for step in mine:
            key = str(step[1])
            if step[0] == "w":
                view[key] = step[2]
            elif rng.random() < faithful or step[1] in {s[1] for s in mine if s[0] == "w"}:
                step[2] = view.get(key)
            else:
                step[2] = rng.choice([None, *range(1, given[key] + 1)])
        if rng.random() < 0.8:
            state = view
    return recorded(steps, lanes, rng)


def recorded(steps: list[list[list[object]]], lanes: int, rng: random.Random) -> History:
    """The steps of each transaction as a history of concurrent processes, a few of them open."""
    waiting = list(range(len(steps)))
    if rng.random() < 0.5:
        rng.shuffle(waiting)
    names = list(range(lanes))
    under_way: dict[int, int] = {}
    operations: list[Operation] = []

    def record(lane: int, kind: str, value: list[list[object]]) -> None:
        at = len(operations)
        told = [[f, k, None if f == "r" and kind != "ok" else v] for f, k, v in value]
        operations.append(Operation(at, at * 1000, names[lane], kind, "txn", told))

    while waiting or under_way:
        lane = rng.randrange(lanes)
        if lane not in under_way:
            if waiting:
                under_way[lane] = waiting.pop(0)
                record(lane, "invoke", steps[under_way[lane]])
            continue
        kind = rng.choice(("ok",) * 8 + ("info", "fail"))
        record(lane, kind, steps[under_way.pop(lane)])
        if kind == "info":
            names[lane] += lanes
    return History(operations)
