"""The search for a serial order: the compiled loop has the turns of the plain one."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from checkers.elle.kernels import has_numba
from checkers.elle.registers import serial_order
from checkers.isolation.rw_register import checker
from harness.history.history import History
from harness.history.operation import Operation
from tests.checkers.elle.registers.drawing import judged, random_history


def on_one_store(seed: int, count: int, *, mixed: bool) -> History:
    """Blind writes and reads of one store at random moments; ``mixed`` has two reads swapped."""
    rng, state = Random(seed), dict.fromkeys("xyz", 0)
    records: list[tuple[float, int, str, Any]] = []
    for process in range(count):
        begin = rng.uniform(process, process + 2.5)
        moment, end = sorted(rng.uniform(begin, process + 3.5) for _ in range(2))
        records.append((begin, process, "invoke", None))
        records.append((moment, process, "does", None))
        records.append((end, process, "ok", None))
    steps: dict[int, list[list[Any]]] = {}
    operations: list[Operation] = []
    asked = {
        process: [[rng.choice("rw"), rng.choice("xyz")] for _ in range(rng.randint(1, 3))]
        for process in range(count)
    }
    for _, process, kind, _ in sorted(records):
        if kind == "does":
            steps[process] = []
            for at, (f, key) in enumerate(asked[process]):
                if f == "w":
                    state[key] = 10 * process + at + 1
                steps[process].append([f, key, state[key] or None])
        value = [[f, key, None] for f, key in asked[process]] if kind == "invoke" else None
        if kind != "does":
            value = value or steps[process]
            operations.append(
                Operation(len(operations), len(operations), process, kind, "txn", value)
            )
    reads = [s for p in range(count // 2, count) for s in steps[p] if s[0] == "r"]
    if mixed and len(reads) > 1:
        reads[0][2], reads[-1][2] = reads[-1][2], reads[0][2]
    return History(with_what_is_written(operations, steps))


def with_what_is_written(
    operations: list[Operation], steps: dict[int, list[list[Any]]]
) -> list[Operation]:
    """Invocations that know what they write."""
    return [
        Operation(op.index, op.time, op.process, op.type, op.f, value_of(op, steps))
        for op in operations
    ]


def value_of(op: Operation, steps: dict[int, list[list[Any]]]) -> list[list[Any]]:
    assert isinstance(op.process, int)
    done = steps[op.process]
    return [[f, k, None if f == "r" and op.type == "invoke" else v] for f, k, v in done]


def histories() -> list[History]:
    small = [random_history(seed, transactions=6, most_steps=3) for seed in range(60)]
    large = [on_one_store(seed, 120, mixed=seed % 2 == 1) for seed in range(12)]
    return small + large


@pytest.mark.slow
@pytest.mark.parametrize("model", ["serializable", "strong-session-serializable", "PL-SS"])
@pytest.mark.skipif(not has_numba(), reason="needs numba")
def test_the_compiled_loop_finds_the_orders_that_the_plain_one_finds(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker, "question", lambda *given: None)  # which would tell before
    answers = []
    for compiled in (False, True):
        monkeypatch.setattr(
            serial_order, "is_worth_compiling", lambda work, compiled=compiled: compiled
        )
        answers.append([judged(history, model) for history in histories()])
    assert answers[0] == answers[1]
    proved = [answer.stats.get("proved_by", "") for answer in answers[0]]
    assert sum("all transactions" in how for how in proved) > 10


def test_a_store_that_did_one_after_the_other_has_an_order() -> None:
    for seed in range(5):
        assert judged(on_one_store(seed, 200, mixed=False), "strict-serializable").valid is True
