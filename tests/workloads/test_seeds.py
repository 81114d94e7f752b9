"""What a seed draws stays what it is: the histories of every workload, byte for byte.

A scenario names its seed so that others, perhaps with another version of the tool, get the same
operations. So a change that draws differently has to say so here, and in the change log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from harness.contract.workload import WorkloadOptions
from harness.generator import clients, limit
from harness.generator.simulate import erratic, simulate
from harness.history.operation import Operation
from harness.plugins import Registry
from tests.toys.object_store import ObjectStore
from tests.toys.running_workloads import ran

REGISTRY = Registry()
NODES, CONCURRENCY = 3, 12

DRAWN: dict[str, str] = {
    "bank": "780165b9fc9a7095",
    "causal": "67d9b53e39dc40b5",
    "causal-reverse": "83eb4ca6cd8ac552",
    "comments": "2d29fae16fb786a4",
    "counter": "55bb4b4e5bbf860a",
    "g2": "552372728e2a1597",
    "insert-order": "bd92079a311fce19",
    "list-append": "4e57697147b80b1b",
    "lock": "df3301ef117196bb",
    "log": "8bdb2ddad4a0cef0",
    "long-fork": "c02f7d03ecce1d04",
    "mini-transactions": "353e26ea6e89e69e",
    "monotonic": "5d4d71aeeb66ae35",
    "predicates": "ce26b044f86cebce",
    "queue": "34fa1aef040d2b52",
    "register": "e4c52f54a14a83ec",
    "rw-register": "e68beb07a451e2ff",
    "sequential": "e000f53d3aa582c7",
    "set": "64c6f07b6ef7008f",
    "torn": "34f725cf15c94d49",
    "unique-ids": "66ea08bc147b0b14",
    "watch": "616a1daeaf05e1f2",
    "write-skew": "10e429bd989507fa",
}
"""By workload, of 600 operations and the final ones by erratic clients."""

ANSWERED: dict[str, str] = {
    "bank": "dfb0ffcc5a8aaf7b",
    "causal": "18ca672cd82414c2",
    "causal-reverse": "05f5784dba4b668d",
    "comments": "e5995caee1abd0c2",
    "counter": "f43cb6684e664f13",
    "g2": "ce73b2e5434924cd",
    "insert-order": "2182137c2d5d3adf",
    "list-append": "9be767c209df853f",
    "lock": "81554705bba79d3f",
    "log": "25fea25ce5078655",
    "long-fork": "054c43c1ce00d2f5",
    "mini-transactions": "24a259b6deb15ee3",
    "monotonic": "8236d01c180072a3",
    "predicates": "600d829b01323d23",
    "queue": "9ba34a479930c169",
    "register": "aac237b58a87c743",
    "rw-register": "33ceca88078dffeb",
    "sequential": "3f4d7c624418f12f",
    "set": "de3e0814d046c0a0",
    "torn": "3d55180f96f55c5a",
    "unique-ids": "aa70294aaf9303c4",
    "watch": "9ae86d72f1bf5ed2",
    "write-skew": "8e3b21b928d7dda8",
}
"""By workload, of 300 operations and the final ones on a sound store in memory."""


def workload(name: str) -> Any:
    factory = REGISTRY.get("workloads", name)
    has_pauses = any(option.name == "held_share" for option in factory.options)
    extra = {"held_share": 0.0} if has_pauses else {}
    return factory(WorkloadOptions(nodes=NODES, concurrency=CONCURRENCY, seed=0, extra=extra))


def _drawn(operation: Operation) -> dict[str, Any]:
    """What is drawn; who serves it, and when, is nothing that a generator says."""
    fields = msgspec.structs.asdict(operation)
    return {name: fields[name] for name in fields if name not in ("served", "timestamps")}


def digest(operations: Iterable[Operation]) -> str:
    lines = (msgspec.json.encode(_drawn(operation)) for operation in operations)
    return hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]


@pytest.mark.parametrize("name", REGISTRY.names("workloads"))
def test_a_seed_draws_the_operations_that_it_always_drew(name: str) -> None:
    factory = REGISTRY.get("workloads", name)
    made = factory(WorkloadOptions(nodes=NODES, concurrency=CONCURRENCY, seed=0))
    drawn: list[Operation] = []
    for generator in (limit(600, made.generator()), made.final_generator()):
        if generator is not None:
            drawn += simulate(clients(generator), erratic(5), seed=3, concurrency=CONCURRENCY)
    assert digest(drawn) == DRAWN[name]


@pytest.mark.parametrize("name", REGISTRY.names("workloads"))
def test_a_seed_on_a_store_in_memory_gives_the_history_that_it_always_gave(name: str) -> None:
    made = workload(name)
    history = ran(made, ObjectStore(), operations=300, concurrency=CONCURRENCY)
    assert digest(history.operations) == ANSWERED[name]
