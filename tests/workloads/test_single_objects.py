"""The workloads over single objects: a sound store passes, and a broken one is caught."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from typing import Any

import pytest

from harness.contract.client import ABILITIES, Failed, Indeterminate
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import limit
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.operation import Operation
from harness.plugins import Registry
from tests.toys.object_store import ObjectStore
from tests.toys.running_workloads import ran, verdicts

BROKEN = [
    ("set", "lose", {"set", "set-full"}),
    ("set", "repeat", {"set", "set-full"}),
    ("counter", "lose", {"counter"}),
    ("counter", "repeat", {"counter"}),
    ("queue", "lose", {"total-queue"}),
    ("queue", "repeat", {"queue", "total-queue"}),
    ("unique-ids", "repeat", {"unique-ids"}),
    ("log", "lose", {"log"}),
    ("log", "repeat", {"log"}),
    ("lock", "double", {"lock"}),
    ("watch", "lose", {"watch"}),
    ("insert-order", "stale", {"insert-order"}),
    ("comments", "stale", {"comments"}),
]
NAMES = sorted({name for name, _, _ in BROKEN})


def workload(name: str, **extra: Any) -> Any:
    options = WorkloadOptions(nodes=3, concurrency=4, seed=0, extra=extra)
    return Registry().get("workloads", name)(options)


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_store_passes(name: str) -> None:
    work = workload(name)
    answers = verdicts(work, ran(work, ObjectStore(), operations=400, concurrency=4))
    assert {checker: verdict.valid for checker, verdict in answers.items()} == dict.fromkeys(
        work.checkers, True
    )


@pytest.mark.parametrize(("name", "how", "by"), BROKEN)
def test_a_broken_store_is_caught(name: str, how: str, by: set[str]) -> None:
    work = workload(name)
    answers = verdicts(work, ran(work, ObjectStore(how), operations=400, concurrency=4))
    assert {checker for checker, verdict in answers.items() if verdict.valid is False} == by


@pytest.mark.parametrize("name", NAMES)
def test_it_needs_abilities_that_there_are_and_names_its_checkers(name: str) -> None:
    work = workload(name)
    assert set(work.needs) <= set(ABILITIES.values())
    assert all(Registry().get("checkers", checker) for checker in work.checkers)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_asks_the_same(name: str) -> None:
    asked = [
        [
            (each.process, each.f, each.value)
            for each in invocations(
                simulate(limit(60, workload(name).generator()), perfect, concurrency=4)
            )
        ]
        for _ in range(2)
    ]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 60


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("set", {"add": 0.8, "read": 0.2}),
        ("counter", {"add": 0.5, "read": 0.5}),
        ("queue", {"enqueue": 0.5, "dequeue": 0.5}),
        ("log", {"send": 0.5, "poll": 0.5}),
        ("watch", {"write": 0.5, "watch": 0.5}),
        ("comments", {"write": 0.5, "read": 0.5}),
    ],
)
def test_the_shares_of_operations(name: str, share: dict[str, float]) -> None:
    gen = limit(1000, workload(name).generator())
    counts = Tally(each.f for each in invocations(simulate(gen, perfect, concurrency=4)))
    for f, part in share.items():
        assert abs(counts[f] / 1000 - part) < 0.1


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("set", lambda memory: memory.add_to_set(0, 1)),
        ("counter", lambda memory: memory.add_to_counter("total", 1)),
        ("queue", lambda memory: memory.enqueue("jobs", 1)),
        ("log", lambda memory: memory.append_to_log(0, 1)),
        ("watch", lambda memory: memory.write_watched(0, 1)),
        ("lock", lambda memory: memory.acquire("probe")),
        ("insert-order", lambda memory: memory.write("part-0-0", 1)),
    ],
)
def test_setup_refuses_a_store_that_others_have_used(name: str, spoil: Any) -> None:
    memory = ObjectStore()
    asyncio.run(spoil(memory))
    with pytest.raises(SetupError, match=name):
        asyncio.run(workload(name).setup(memory))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("set", "key_operations"),
        ("log", "logs"),
        ("lock", "key_infos"),
        ("watch", "keys"),
        ("comments", "ids"),
        ("insert-order", "parts"),
    ],
)
def test_impossible_options_are_refused(name: str, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        workload(name, **{option: 0})


def test_a_drain_that_breaks_off_after_taking_something_is_in_doubt() -> None:
    class Breaking(ObjectStore):
        async def dequeue(self, name: Any) -> Any:
            if not self.queues[name]:
                raise Failed("refused")
            return await super().dequeue(name)

    memory = Breaking()
    memory.queues["jobs"] = [1]
    drain = Operation(0, 0, 0, "invoke", "drain", None)
    with pytest.raises(Indeterminate, match="after taking"):
        asyncio.run(workload("queue").invoke(memory, drain))
    with pytest.raises(Failed):
        asyncio.run(workload("queue").invoke(memory, drain))


def test_a_write_of_parts_that_breaks_off_is_in_doubt_unless_it_was_the_first() -> None:
    class Breaking(ObjectStore):
        async def write(self, key: Any, value: Any) -> None:
            if value == self.broken:
                raise Failed("refused")

    write = Operation(0, 0, 0, "invoke", "write", 3)
    for part, error in ((0, Failed), (2, Indeterminate)):
        with pytest.raises(error):
            asyncio.run(workload("insert-order").invoke(Breaking(part), write))  # type: ignore[arg-type]


def test_a_release_without_the_lock_asks_nothing_of_the_store() -> None:
    memory = ObjectStore()
    work = workload("lock")
    release = Operation(0, 0, 0, "invoke", "release", [1, None])
    assert asyncio.run(work.invoke(memory, release)).type == "fail"
    assert memory.calls == 0
