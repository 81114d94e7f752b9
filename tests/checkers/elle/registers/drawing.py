"""Small histories of registers: drawn by hand, or random, and their verdicts.

    p: [wx1 ry_ ]        [rx2]
    q:     [wx2 ry3 ?

See :mod:`checkers.explained.notation`.
"""

from __future__ import annotations

import random
from typing import Any, Final

from msgspec.structs import replace

from checkers.explained.notation import lanes, registers
from checkers.isolation.rw_register.checker import RwRegister
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def drawn(text: str, **header: Any) -> History:
    """The history that ``text`` draws."""
    return lanes(text, registers, **header)


def judged(history: str | History, *models: str, **options: Any) -> Verdict:
    """The verdict of rw-register on a drawing or a history against ``models``."""
    found = drawn(history) if isinstance(history, str) else history
    checker = RwRegister({"consistency_models": models, **options})
    return checker.check(Record(history=found), Budget.start(60))


def says_nothing(verdict: Verdict) -> bool:
    """Whether it is unknown only because the history tells nothing of isolation."""
    return verdict.valid == UNKNOWN and (
        "nothing of this was tested" in verdict.why
        or set(verdict.anomalies) == {"empty-transaction-graph"}
    )


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


KINDS: Final = ("future", "own", "infos", "initial", "begins", "lists", "failed")
"""Ways in which :func:`odd_history` is stranger than :func:`random_history`."""


def odd_history(seed: int, **shape: int) -> History:
    """A random history of the kinds that checkers of registers are fooled by.

    Reads of a transaction's own future or of its older writes, answers in infos, a declared initial
    state, transactions without an invocation, lists as values, reads of what failed.
    """
    history = random_history(seed, **shape)
    rng = random.Random(f"odd {seed}")
    kinds = {kind for kind in KINDS if rng.random() < 0.25}
    done = [o for o in history.operations if o.type in ("ok", "info")]
    answers = {o.index: [list(step) for step in o.value] for o in done}
    failed = [s for o in history.operations if o.type == "fail" for s in o.value if s[0] == "w"]
    for steps in answers.values():
        _turn(steps, failed, kinds, rng)
    told = {"ok", "info"} if "infos" in kinds else {"ok"}
    operations = []
    for operation in history.operations:
        steps = answers.get(operation.index, operation.value)
        if operation.type == "info":
            steps = _guessed(steps, rng) if operation.type in told else operation.value
        operations.append(replace(operation, value=steps))
    initial = rng.choice((0, {"x": 0}, {"x": 0, "y": 7})) if "initial" in kinds else None
    if initial is not None:
        operations = [_begun_with(initial, operation, rng) for operation in operations]
    if "lists" in kinds:
        operations = [replace(o, value=_listed(o.value)) for o in operations]
    if "begins" in kinds:
        share = rng.choice((0.3, 1.0))
        gone = {o.index for o in operations if o.type == "invoke" and rng.random() < share}
        pairs = dict(enumerate(history.pairs))
        operations = [o for o in operations if o.index not in gone or pairs[o.index] < 0]
    return History(operations, Header(initial=initial))


def _turn(
    steps: list[list[Any]], failed: list[list[Any]], kinds: set[str], rng: random.Random
) -> None:
    """Make some reads show a write of their own, or one that failed."""
    for at, step in enumerate(steps):
        if step[0] != "r" or rng.random() < 0.5:
            continue
        later = [s[2] for s in steps[at:] if s[:2] == ["w", step[1]]]
        earlier = [s[2] for s in steps[:at] if s[:2] == ["w", step[1]]]
        lost = [s[2] for s in failed if s[1] == step[1]]
        for kind, found in (("future", later), ("own", earlier), ("failed", lost)):
            if kind in kinds and found:
                step[2] = rng.choice(found)


def _guessed(steps: list[list[Any]], rng: random.Random) -> list[list[Any]]:
    """What an info tells: any of its reads may show any small number."""
    return [
        [f, key, rng.choice((None, 1, 2, 3, value)) if f == "r" else value]
        for f, key, value in steps
    ]


def _begun_with(initial: Any, operation: Operation, rng: random.Random) -> Operation:
    """Reads of nil as reads of the declared initial state, but for a few."""
    steps = []
    for f, key, value in operation.value:
        first = initial.get(key) if isinstance(initial, dict) else initial
        is_answer = f == "r" and value is None and operation.type == "ok"
        steps.append([f, key, first if is_answer and rng.random() < 0.95 else value])
    return replace(operation, value=steps)


def _listed(steps: list[list[Any]]) -> list[list[Any]]:
    return [
        [f, key, [value] if isinstance(value, int) and value % 2 else value]
        for f, key, value in steps
    ]
