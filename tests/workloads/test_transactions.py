"""Random transactions: their shape, held ones, final reads; and that every workload over
transactions runs to its end, is valid on a sound store, and is caught on a broken one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import limit
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.operation import Operation
from tests.toys.running_workloads import judged, made, ran
from tests.toys.transactional_store import TransactionalStore
from workloads.list_append import ListAppend
from workloads.micro_operations import carry_out

NAMES = [
    "list-append",
    "rw-register",
    "mini-transactions",
    "long-fork",
    "g2",
    "causal",
    "sequential",
    "monotonic",
    "predicates",
    "torn",
    "write-skew",
    "causal-reverse",
]


def asked(name: str, count: int, seed: int = 1, **extra: Any) -> list[Operation]:
    work = limit(count, made(name, **extra).generator())
    return invocations(simulate(work, perfect, seed=seed, concurrency=6))


def test_values_are_unique_by_key_and_transactions_as_long_as_asked() -> None:
    found = asked("list-append", 2000, held_share=0.0, min_txn_length=2, max_txn_length=5)
    writes = [(k, v) for op in found for f, k, v in op.value if f == "append"]
    assert len(writes) == len(set(writes))
    assert {len(op.value) for op in found} == {2, 3, 4, 5}
    assert {f for op in found for f, _, _ in op.value} == {"append", "r"}


def test_mini_transactions_read_what_they_write() -> None:
    found = asked("mini-transactions", 500)
    writes = 0
    for op in found:
        for at, (f, key, _) in enumerate(op.value):
            assert f == "r" or ["r", key, None] in op.value[:at]
            writes += f == "w"
    assert writes > 300


def test_the_same_seed_asks_the_same() -> None:
    first, again, other = (asked("rw-register", 50, seed) for seed in (1, 1, 2))
    assert [op.value for op in first] == [op.value for op in again]
    assert [op.value for op in first] != [op.value for op in other]


@pytest.mark.parametrize("dist", ["exponential", "zipf", "uniform"])
def test_keys_are_picked_by_the_distribution(dist: str) -> None:
    found = asked("rw-register", 3000, key_dist=dist, key_count=3, read_only_share=1.0)
    picked = Counter(k for op in found for _, k, _ in op.value if k < 3)
    least, *_, most = sorted(picked.values())
    assert (most > 1.5 * least) == (dist != "uniform")


def test_a_key_is_given_up_after_its_writes() -> None:
    found = asked("list-append", 500, max_writes_per_key=4)
    writes = Counter(k for op in found for f, k, _ in op.value if f == "append")
    assert max(writes.values()) <= 4
    assert len(writes) > 100


def test_a_share_only_reads() -> None:
    found = asked("list-append", 400, read_only_share=1.0)
    assert {f for op in found for f, _, _ in op.value} == {"r"}


def test_held_transactions_pause_and_read_a_key_again() -> None:
    found = asked("list-append", 300, held_share=0.5, held_s=3.0)
    held = [op for op in found if op.extra]
    assert 100 < len(held) < 200
    for op in held:
        pauses = (op.extra or {})["pauses_s"]
        assert len(pauses) == len(op.value)
        assert pauses[0] == 0
        assert pauses[-1] > 0
        assert sum(pauses) <= 3.01
        key = op.value[-1][1]
        assert op.value[-1][0] == "r"
        assert ["r", key, None] in op.value[:-1]


def test_pauses_are_kept_and_reads_are_filled_in() -> None:
    async def go() -> tuple[Operation, float]:
        store = TransactionalStore()
        value = [["append", 1, 5], ["r", 1, None], ["r", 2, None], ["r", 1, None]]
        extra = {"pauses_s": [0, 0, 0.02, 0.03]}
        operation = Operation(0, 0, 3, "invoke", "txn", value, extra=extra)
        begun = asyncio.get_running_loop().time()
        done = await carry_out(store, operation, str)
        return done, asyncio.get_running_loop().time() - begun

    done, took = asyncio.run(go())
    assert done.value == [["append", 1, 5], ["r", 1, [5]], ["r", 2, None], ["r", 1, [5]]]
    assert (done.type, done.process) == ("ok", 3)
    assert took >= 0.05


def test_final_reads_ask_for_every_key_that_was_used() -> None:
    workload = made("list-append", max_writes_per_key=3)
    history = ran(workload, TransactionalStore(), operations=80)
    keys = {k for op in history for _, k, _ in op.value}
    final = workload.final_generator()
    reads = invocations(simulate(final, perfect))
    assert {k for op in reads for _, k, _ in op.value} >= keys
    assert max(len(op.value) for op in reads) == 8


@pytest.mark.parametrize(
    ("name", "extra", "words"),
    [
        ("list-append", {"key_dist": "gauss"}, "key_dist"),
        ("list-append", {"held_share": 2.0}, "held_share"),
        ("list-append", {"min_txn_length": 9}, "max_txn_length is below"),
        ("rw-register", {"key_count": 0}, "key_count must be at least 1"),
        ("long-fork", {"group_size": 1}, "group_size"),
        ("monotonic", {"partitions": -1}, "partitions"),
        ("torn", {"group_size": 1}, "group_size"),
        ("torn", {"held_share": 2.0}, "held_share"),
        ("write-skew", {"pairs": -1}, "pairs"),
        ("causal-reverse", {"rows": 1}, "rows"),
    ],
)
def test_impossible_options_are_refused(name: str, extra: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        made(name, **extra)


@pytest.mark.parametrize(
    ("name", "concurrency"), [("g2", 7), ("causal", 2), ("predicates", 6), ("causal-reverse", 5)]
)
def test_a_concurrency_that_does_not_fit_is_refused(name: str, concurrency: int) -> None:
    with pytest.raises(UsageError, match="concurrency"):
        made(name, concurrency=concurrency)


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_concurrency_fits(name: str) -> None:
    """Four clients on each of five nodes is what a run has unless it is told otherwise."""
    assert made(name, concurrency=20).name == name


def test_a_database_that_is_not_empty_is_refused() -> None:
    store = TransactionalStore()
    store.rows["list-append-3"] = [(0, [1])]
    with pytest.raises(SetupError, match="list-append-3"):
        asyncio.run(made("list-append").setup(store))


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_store_is_valid(name: str) -> None:
    workload = made(name, 12, held_s=0.0)
    history = ran(workload, TransactionalStore(), operations=300, concurrency=12)
    (checker,) = workload.checkers
    verdict = judged(checker, history, wfr_keys=True)
    assert verdict.valid is True, verdict.why


@pytest.mark.parametrize(
    ("name", "level", "kind"),
    [
        ("list-append", "dirty", "lost-update"),
        ("rw-register", "dirty", "lost-update"),
        ("mini-transactions", "dirty", "lost-update"),
        ("g2", "snapshot", "G2-item"),
        ("predicates", "snapshot", "G2"),
        ("sequential", "dirty", "duplicate-value"),
        ("monotonic", "snapshot", "duplicate-value-skew"),
        ("torn", "torn", "torn-transaction"),
        ("write-skew", "snapshot", "write-skew"),
        ("causal-reverse", "lagging", "causal-reverse"),
    ],
)
def test_a_broken_store_is_caught(name: str, level: str, kind: str) -> None:
    workload = made(name, 12, held_share=0.0, key_count=2)
    history = ran(workload, TransactionalStore(level), operations=400, concurrency=12)
    (checker,) = workload.checkers
    verdict = judged(checker, history, wfr_keys=True)
    assert verdict.valid is False
    assert kind in verdict.anomalies


def test_a_share_of_the_reads_of_whole_groups_is_held() -> None:
    found = asked("torn", 600, held_share=0.5, held_s=3.0)
    reads = [op for op in found if op.value[0][0] == "r"]
    held = [(op.extra or {})["pauses_s"] for op in reads if op.extra]
    assert 0.4 < len(held) / len(reads) < 0.6
    assert all(len(each) == 4 and sum(each) <= 3.01 for each in held)
    assert not any(op.extra for op in found if op.value[0][0] == "w")


class _Appending:
    """A transaction that has an append of its own."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def get_many(self, keys: Any) -> dict[Any, Any]:
        return dict.fromkeys(keys)

    async def append(self, key: Any, element: Any) -> None:
        self.done.append(("append", key, element))

    async def commit(self) -> None:
        self.done.append(("commit",))


class _AppendingClient:
    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction

    async def begin(self, *, read_only: bool = False) -> Any:
        return self._transaction


def test_a_transactions_own_append_is_used_and_told() -> None:
    transaction = _Appending()
    client: Any = _AppendingClient(transaction)
    workload: Any = ListAppend(WorkloadOptions(nodes=1, concurrency=1, seed=1))
    asyncio.run(workload.setup(client))
    assert workload.facts == {"appends": "own"}
    asked = Operation(0, 0, 0, "invoke", "txn", [["append", 1, 7]])
    assert asyncio.run(workload.invoke(client, asked)).value == [["append", 1, 7]]
    assert transaction.done[-2:] == [("append", "list-append-1", 7), ("commit",)]


@pytest.mark.parametrize("name", ["write-skew", "long-fork", "predicates"])
def test_a_share_of_transactions_is_held_and_none_where_that_is_not_wanted(name: str) -> None:
    def drawn(**extra: Any) -> list[Operation]:
        work = limit(600, made(name, 12, **extra).generator())
        return invocations(simulate(work, perfect, seed=1, concurrency=12))

    held = [op for op in drawn(held_share=0.5, held_s=3.0) if op.extra]
    assert 60 < len(held) < 400
    for op in held:
        steps = op.value[1] if name == "predicates" else op.value
        pauses = (op.extra or {})["pauses_s"]
        assert len(pauses) == len(steps) > 1
        assert pauses[0] == 0
        assert 0 < sum(pauses) <= 3.01
    assert not any(op.extra for op in drawn(held_share=0.0))


def test_a_predicate_that_is_asked_twice_waits_in_between() -> None:
    async def go() -> tuple[Operation, float]:
        store, workload = TransactionalStore(), made("predicates", 12)
        value = [3, [["rp", "true", None], ["rp", "true", None]]]
        operation = Operation(0, 0, 3, "invoke", "txn", value, extra={"pauses_s": [0.0, 0.05]})
        begun = asyncio.get_running_loop().time()
        done = await workload.invoke(store, operation)
        return done, asyncio.get_running_loop().time() - begun

    done, took = asyncio.run(go())
    assert done.value == [3, [["rp", "true", {}], ["rp", "true", {}]]]
    assert took >= 0.05
