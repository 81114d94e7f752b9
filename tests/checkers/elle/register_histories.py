"""Small histories of registers: drawn by hand, or random, and their verdicts.

    p: [wx1 ry_ ]        [rx2]
    q:     [wx2 ry3 ?

See :mod:`checkers.explained.notation`.
"""

from __future__ import annotations

import random
from typing import Any

from checkers.elle.rw_register import RwRegister
from checkers.explained.notation import lanes, registers
from harness.history.history import History
from harness.history.operation import Operation
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict


def drawn(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    return lanes(text, registers, **header)


def judged(history: str | History, *models: str, **options: Any) -> Verdict:
    """The verdict of rw-register on a drawing or a history against ``models``."""
    found = drawn(history) if isinstance(history, str) else history
    checker = RwRegister({"consistency_models": models, **options})
    return checker.check(Record(history=found), Budget.start(60))


def random_history(
    seed: int, *, transactions: int = 4, keys: int = 2, most_steps: int = 3, lanes: int = 0
) -> History:
    """A history of a store that is now and then wrong: reads may find any value of the key.

    The steps of each transaction are done at one moment between its ends, on one of a few states
    that a store might show: the newest, an older one, or a mix.
    """
    rng = random.Random(seed)
    wrong = rng.choice((0.0, 0.1, 0.4, 1.0))
    lanes = lanes or rng.randint(1, 3)
    events: list[tuple[float, int, int]] = []
    clock = [0.0] * lanes
    for txn in range(transactions):
        lane = rng.randrange(lanes)
        begin = clock[lane] + rng.random()
        end = begin + rng.random() * 3
        clock[lane] = end
        events.append((begin, txn, lane))
        events.append((end, txn, lane))
    spans = {
        txn: sorted(at for at, other, _ in events if other == txn) for txn in range(transactions)
    }
    moment = {txn: rng.uniform(*span) for txn, span in spans.items()}
    steps, kinds = _done(rng, sorted(moment, key=moment.__getitem__), keys, wrong, most_steps)
    return _recorded(sorted(events), steps, kinds, lanes)


def _done(
    rng: random.Random, order: list[int], keys: int, wrong: float, most_steps: int
) -> tuple[dict[int, list[list[Any]]], dict[int, str]]:
    state: dict[str, Any] = {}
    written: dict[str, list[Any]] = {key: [None] for key in "xyz"[:keys]}
    next_value = dict.fromkeys(written, 1)
    steps: dict[int, list[list[Any]]] = {}
    kinds: dict[int, str] = {}
    for txn in order:
        view = dict(state)
        kinds[txn] = rng.choice(("ok",) * 6 + ("info", "fail"))
        steps[txn] = []
        for _ in range(rng.randint(1, most_steps)):
            key = rng.choice(list(written))
            if rng.random() < 0.5:
                value = view.get(key)
                if rng.random() < wrong:
                    value = rng.choice(written[key])
                steps[txn].append(["r", key, value])
            else:
                value = next_value[key]
                next_value[key] += 1
                written[key].append(value)
                view[key] = value
                steps[txn].append(["w", key, value])
        if kinds[txn] == "ok" or (kinds[txn] == "info" and rng.random() < 0.5):
            state = view
    return steps, kinds


def _recorded(
    events: list[tuple[float, int, int]],
    steps: dict[int, list[list[Any]]],
    kinds: dict[int, str],
    lanes: int,
) -> History:
    operations: list[Operation] = []
    open_: set[int] = set()
    process = list(range(lanes))
    for at, txn, lane in events:
        opens = txn not in open_
        open_.add(txn)
        kind = "invoke" if opens else kinds[txn]
        value = steps[txn]
        if kind != "ok":
            value = [[f, key, None if f == "r" else v] for f, key, v in value]
        operations.append(
            Operation(len(operations), int(at * 1e9), process[lane], kind, "txn", value)
        )
        if kind == "info":
            process[lane] += lanes
    return History(operations)
