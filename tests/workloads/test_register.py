"""The register workload: who does what to which key, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import msgspec
import pytest

from harness.contract.client import Indeterminate
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import limit
from harness.generator.simulate import crashing, erratic, invocations, perfect, simulate
from harness.history.operation import Operation
from harness.plugins import Registry
from tests.toys.object_store import ObjectStore
from workloads.register import Register


def register(nodes: int = 3, concurrency: int = 12, **extra: Any) -> Register:
    return Register(WorkloadOptions(nodes=nodes, concurrency=concurrency, seed=0, extra=extra))


def keys_of(history: list[Operation]) -> dict[int, list[Operation]]:
    keys: dict[int, list[Operation]] = defaultdict(list)
    for operation in history:
        keys[operation.value[0]].append(operation)
    return keys


def simulated(workload: Register, n: int, client: Any = perfect, seed: int = 0) -> list[Operation]:
    return simulate(limit(n, workload.generator()), client, concurrency=12, seed=seed)


def test_it_is_found_by_name() -> None:
    assert Registry().get("workloads", "register") is Register


def test_each_key_has_two_threads_a_node_the_first_half_readers() -> None:
    keys = keys_of(invocations(simulated(register(), 3000)))
    for operations in keys.values():
        (group,) = {o.process // 6 for o in operations}  # type: ignore[operator]
        readers = {o.process for o in operations if o.f == "read"}
        writers = {o.process for o in operations if o.f != "read"}
        assert readers <= {6 * group, 6 * group + 1, 6 * group + 2}
        assert writers <= {6 * group + 3, 6 * group + 4, 6 * group + 5}
    full = [operations for operations in keys.values() if len(operations) == 200]
    assert len(full) >= 10
    for operations in full:
        nodes = {o.process % 3 for o in operations if o.f == "read"}  # type: ignore[operator]
        assert nodes == {0, 1, 2}, "one reader on every node"
        shares = Counter(o.f for o in operations)
        assert 80 <= shares["read"] <= 120
        assert shares["write"] >= 20
        assert shares["cas"] >= 20


def test_a_key_ends_after_200_operations_by_default() -> None:
    sizes = {k: len(v) for k, v in keys_of(invocations(simulated(register(), 2000))).items()}
    assert set(list(sizes.values())[:-2]) == {200}
    sizes = {
        k: len(v)
        for k, v in keys_of(invocations(simulated(register(key_operations=50), 500))).items()
    }
    assert set(list(sizes.values())[:-2]) == {50}


def test_a_key_ends_after_8_infos() -> None:
    history = simulated(register(), 300, crashing)
    infos = Counter(o.value[0] for o in history if o.type == "info")
    counts = [n for _, n in sorted(infos.items())][:-2]
    assert counts
    assert all(8 <= n <= 8 + 5 for n in counts), "those open when the eighth came, and no more"


def test_values_are_unique_within_a_key() -> None:
    for operations in keys_of(invocations(simulated(register(), 1000))).values():
        written = [o.value[1] for o in operations if o.f == "write"]
        written += [o.value[1][1] for o in operations if o.f == "cas"]
        assert len(set(written)) == len(written)
        assert None not in written


def test_a_small_range_gives_values_below_it_again_and_again() -> None:
    history = invocations(simulated(register(value_range=3), 1000))
    values = Counter(o.value[1] for o in history if o.f == "write")
    assert set(values) == {0, 1, 2}
    assert min(values.values()) > 50


def test_a_cas_expects_the_last_value_that_its_process_wrote() -> None:
    client = erratic(1, kinds=("ok", "ok", "ok", "fail", "info"))
    known: dict[tuple[int, Any], Any] = {}
    expected = []
    for operation in simulated(register(), 3000, client):
        key, value = operation.value
        if operation.f == "cas" and operation.type == "invoke":
            expected.append(value[0])
            assert value[0] == known.get((key, operation.process))
        elif operation.f in ("write", "cas") and operation.type == "ok":
            known[key, operation.process] = value if operation.f == "write" else value[1]
    assert len([old for old in expected if old is not None]) > 100


def test_equal_seeds_give_equal_operations() -> None:
    runs = [
        [msgspec.json.encode(o) for o in simulated(register(value_range=5), 500, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_what_the_client_says_becomes_the_completion() -> None:
    async def main() -> None:
        workload, client = register(), ObjectStore()

        async def do(f: str, value: Any) -> tuple[str, Any]:
            operation = Operation(4, 5, 6, "invoke", f, [9, value])
            done = await workload.invoke(client, operation)
            assert (done.process, done.f) == (6, f)
            return done.type, done.value

        assert await do("read", None) == ("ok", [9, None])
        assert await do("write", 3) == ("ok", [9, 3])
        assert await do("cas", [3, 4]) == ("ok", [9, [3, 4]])
        assert await do("cas", [3, 5]) == ("fail", [9, [3, 5]])
        assert await do("read", None) == ("ok", [9, 4])

    asyncio.run(main())


def test_what_the_client_raises_passes_through() -> None:
    class Broken(ObjectStore):
        async def read(self, key: Any) -> Any:
            raise Indeterminate("reset")

    with pytest.raises(Indeterminate, match="reset"):
        asyncio.run(register().invoke(Broken(), Operation(0, 0, 0, "invoke", "read", [1, None])))


def test_set_up_proves_that_a_read_answers_and_that_nothing_is_there() -> None:
    client = ObjectStore()
    assert asyncio.run(register().setup(client)) is None  # type: ignore[func-returns-value]
    client.rows[0] = 7
    with pytest.raises(SetupError, match="key 0 holds 7"):
        asyncio.run(register().setup(client))


def test_final_reads_reach_the_last_keys_on_every_node() -> None:
    workload, client = register(), ObjectStore()
    for key in range(9):
        operation = Operation(0, 0, 0, "invoke", "write", [key, 1])
        asyncio.run(workload.invoke(client, operation))
    found = invocations(simulate(workload.final_generator(), concurrency=12))
    assert {(o.f, o.process, o.value[0]) for o in found} == {
        ("read", process, key) for process in (0, 1, 2) for key in (5, 6, 7, 8)
    }


def test_before_any_operation_there_is_nothing_to_read_at_the_end() -> None:
    assert simulate(register().final_generator(), concurrency=12) == []


def test_a_concurrency_that_does_not_fit_is_refused_with_what_does() -> None:
    with pytest.raises(UsageError, match="--concurrency 10 or 20"):
        register(nodes=5, concurrency=12)
    with pytest.raises(UsageError, match=r"--concurrency 10$"):
        register(nodes=5, concurrency=5)


@pytest.mark.parametrize("option", ["value_range", "key_operations", "key_infos"])
def test_options_below_one_are_refused(option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} must be at least 1"):
        register(**{option: 0})
