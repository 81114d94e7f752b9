"""Runs a workload against a store in memory and judges it, without a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.contract.client import Failed
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, initial_context
from harness.generator.core import PENDING, bind
from harness.history.history import History
from harness.history.operation import FAIL, Header, Operation
from harness.plugins import Registry
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict


def made(name: str, concurrency: int = 6, **extra: Any) -> Any:
    """The workload ``name`` for three nodes."""
    factory = Registry().get("workloads", name)
    return factory(WorkloadOptions(nodes=3, concurrency=concurrency, seed=0, extra=extra))


def ran(workload: Any, store: Any, *, operations: int = 200, concurrency: int = 6) -> History:
    """The history of that many operations and the final ones; clients take turns at each step."""
    return asyncio.run(_ran(workload, store, operations, concurrency))


async def _ran(workload: Any, store: Any, operations: int, concurrency: int) -> History:
    initial = await workload.setup(store)
    records: list[Operation] = []
    await _phase(workload, store, workload.generator(), records, operations, concurrency)
    final = workload.final_generator()
    if final is not None:
        await _phase(workload, store, final, records, 10_000, concurrency)
    return History(
        records,
        Header(initial=initial, independent=workload.independent, claims=["strict-serializable"]),
    )


async def _phase(
    workload: Any,
    store: Any,
    generator: Generator,
    records: list[Operation],
    most: int,
    concurrency: int,
) -> None:
    context = initial_context(concurrency, nemesis=False)
    generator = bind(generator, 7)
    running: set[asyncio.Task[None]] = set()
    free = context.all

    def record(operation: Operation) -> Operation:
        at = len(records)
        kept = Operation(
            at,
            at * 1_000_000,
            operation.process,
            operation.type,
            operation.f,
            operation.value,
            operation.error,
            extra=operation.extra,
        )
        records.append(kept)
        return kept

    async def one(operation: Operation) -> None:
        nonlocal free, generator
        try:
            done = await workload.invoke(store, operation)
        except Failed as error:
            done = Operation(
                -1, -1, operation.process, FAIL, operation.f, operation.value, error.error
            )
        free |= 1 << context.thread_of(operation.process)
        generator = generator.update(context.restrict(free), record(done))

    while most > 0 or running:
        now = context.at(len(records) * 1_000_000)
        step = generator.op(now.restrict(free)) if most > 0 else None
        if isinstance(step, tuple):
            most -= 1
            operation = record(step[0])
            generator = step[1].update(now, operation)
            free &= ~(1 << context.thread_of(operation.process))
            running.add(asyncio.create_task(one(operation)))
        elif not running and step is not PENDING:
            return
        await asyncio.sleep(0)
        running = {task for task in running if not task.done() or task.result() is not None}


def judged(name: str, history: History, **options: Any) -> Verdict:
    """The verdict of the checker ``name``."""
    checker = Registry().get("checkers", name)(options)
    verdict: Verdict = checker.check(Record(history=history), Budget.start(60))
    return verdict


def verdicts(workload: Any, history: History) -> dict[str, Verdict]:
    """What each of the workload's checkers says."""
    return {name: judged(name, history, exactly_once=True) for name in workload.checkers}
