"""Small histories of registers: drawn by hand, or random, and their verdicts.

    p: [wx1 ry_ ]        [rx2]
    q:     [wx2 ry3 ?

As :mod:`tests.checkers.elle.drawing_lists`, with ``wx1`` writes 1 to key x, ``rx2`` reads 2 and
``rx_`` reads nil.
"""

from __future__ import annotations

import random
import re
from typing import Any

from checkers.elle.rw_register import RwRegister
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict

_TRANSACTION = re.compile(r"\[(?P<what>[^\]?!\[]*)(?P<end>[\]?!]|$)")
_ENDS = {"]": "ok", "?": "info", "!": "fail"}


def drawn(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    records: list[tuple[int, int, str, int, str, Any]] = []
    lanes = [line for line in text.splitlines() if line.strip()]
    for lane, line in enumerate(lanes):
        node, _, drawing = line.partition(":")
        process = lane
        for found in _TRANSACTION.finditer(drawing):
            answer = [_step(word) for word in found["what"].split()]
            asked = [[f, key, None if f == "r" else value] for f, key, value in answer]
            at = len(node) + 1 + found.start()
            records.append((at, lane, "invoke", process, node.strip(), asked))
            kind = _ENDS.get(found["end"])
            if kind is not None:
                end = len(node) + found.end()
                value = answer if kind == "ok" else asked
                records.append((end, lane, kind, process, node.strip(), value))
            if kind == "info":
                process += len(lanes)
    records.sort(key=lambda record: record[:2])
    return History(
        [
            Operation(index, column * 1_000_000, process, kind, "txn", value, node=node)
            for index, (column, _, kind, process, node, value) in enumerate(records)
        ],
        Header(**header),
    )


def _step(word: str) -> list[Any]:
    return [word[0], word[1], None if word[2:] == "_" else int(word[2:])]


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
