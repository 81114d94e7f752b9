"""Held transactions of workloads that read once and write once: drawn, and held between these."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.contract.client import Failed
from harness.generator import limit
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.operation import Operation
from tests.toys.running_workloads import made
from tests.toys.transactional_store import TransactionalStore
from workloads.micro_operations import PAUSES, pauses_of

CHANGES = {"g2": "insert", "monotonic": "add", "sequential": "inc"}
BETWEEN = {
    "g2": ([0, [1, None]], [0, [None, 2]]),
    "monotonic": ([0, None], [1, None]),
    "sequential": ([0, None], [0, None]),
}
"""Two operations of each that cannot both be done from one state."""


@pytest.mark.parametrize(("name", "f"), CHANGES.items())
def test_a_share_of_what_changes_is_held_before_it_writes(name: str, f: str) -> None:
    work = limit(2000, made(name, held_share=0.5, held_s=0.25).generator())
    asked = invocations(simulate(work, perfect, concurrency=6))
    changes = [op for op in asked if op.f == f]
    held = [pauses for op in changes if (pauses := pauses_of(op))]
    assert 0.4 < len(held) / len(changes) < 0.6
    assert all(first == 0.0 and 0.0 <= second <= 0.25 for first, second in held)
    assert not any(pauses_of(op) for op in asked if op.f != f)


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_held_meets_what_others_commit_meanwhile(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload, store = made(name), TransactionalStore()
    first, second = (Operation(0, 0, 0, "invoke", CHANGES[name], v) for v in BETWEEN[name])
    held = Operation(0, 0, 1, "invoke", first.f, first.value, extra={PAUSES: [0.0, 0.25]})
    waited: list[float] = []
    sleep = asyncio.sleep

    async def other(seconds: float) -> Any:
        if seconds != 0.25:
            return await sleep(seconds)
        waited.append(seconds)
        return await workload.invoke(store, second)

    monkeypatch.setattr("workloads.holding.asyncio.sleep", other)
    with pytest.raises(Failed):
        asyncio.run(workload.invoke(store, held))
    assert waited == [0.25]
