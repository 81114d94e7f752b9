"""The bank workload: what it asks, what becomes of it, and that a broken store is caught."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec import structs

from checkers.objects.bank import Bank as BankChecker
from harness.contract.client import Failed, Indeterminate
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import limit
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.history import History
from harness.history.operation import FAIL, INFO, Header, Operation
from harness.plugins import Registry
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict
from workloads.bank import Bank


def bank(**extra: Any) -> Bank:
    return Bank(WorkloadOptions(nodes=3, concurrency=6, seed=0, extra=extra))


class Store:
    """Optimistic transactions in memory; ``checks`` off loses updates, as broken stores do."""

    def __init__(self, *, checks: bool = True) -> None:
        self.rows: dict[Any, tuple[int, Any]] = {}
        self.checks = checks
        self.commits = 0
        self.fails_with: Exception | None = None

    async def open(self, address: str) -> None: ...

    async def close(self) -> None: ...

    def transaction(self) -> StoreTransaction:
        return StoreTransaction(self)


class StoreTransaction:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: dict[Any, int] = {}
        self.puts: dict[Any, Any] = {}
        self.is_aborted = False

    async def get(self, key: Any) -> Any:
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        await asyncio.sleep(0)
        found = {key: self.store.rows.get(key, (0, None)) for key in keys}
        self.seen.update({key: version for key, (version, _) in found.items()})
        await asyncio.sleep(0)
        return {key: value for key, (_, value) in found.items()}

    async def put(self, key: Any, value: Any) -> None:
        self.puts[key] = value

    async def commit(self) -> None:
        await asyncio.sleep(0)
        if self.store.fails_with is not None:
            raise self.store.fails_with
        rows = self.store.rows
        changed = any(rows.get(key, (0, None))[0] != version for key, version in self.seen.items())
        if self.store.checks and self.puts and changed:
            raise Failed("conflict")
        self.store.commits += 1
        for key, value in self.puts.items():
            rows[key] = (self.store.commits, value)

    async def abort(self) -> None:
        self.is_aborted = True


def operation(f: str, value: Any = None) -> Operation:
    return Operation(0, 0, 0, "invoke", f, value)


def transfer(source: int, target: int, amount: int) -> Operation:
    return operation("transfer", {"from": source, "to": target, "amount": amount})


def test_it_is_found_by_name_and_judged_by_the_checker_of_its_name() -> None:
    assert Registry().get("workloads", "bank") is Bank
    assert Bank.checkers == ("bank",)
    assert Registry().get("checkers", "bank") is BankChecker


def test_it_reads_and_transfers_as_often_between_different_accounts() -> None:
    history = invocations(simulate(limit(2000, bank().generator()), perfect, concurrency=6))
    counts = Counter(each.f for each in history)
    assert 900 <= counts["read"] <= 1100
    moves = [each.value for each in history if each.f == "transfer"]
    assert all(move["from"] != move["to"] for move in moves)
    assert {move["amount"] for move in moves} == {1, 2, 3, 4, 5}
    pairs = {(move["from"], move["to"]) for move in moves}
    assert len(pairs) == 8 * 7, "every pair of accounts comes up"


def test_the_same_seed_asks_the_same() -> None:
    def asked(seed: int) -> list[Any]:
        return [each.value for each in simulate(limit(50, bank().generator()), seed=seed)]

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_the_final_reads_are_one_on_every_node() -> None:
    final = invocations(simulate(bank().final_generator(), perfect, concurrency=6))
    assert sorted((each.f, each.process) for each in final) == [
        ("read", 0),
        ("read", 1),
        ("read", 2),
    ]


def test_setup_makes_the_accounts_and_proves_them() -> None:
    store = Store()
    initial = asyncio.run(bank().setup(store))
    assert sum(initial.values()) == 100
    assert list(initial) == [str(account) for account in range(8)]
    read = asyncio.run(bank().invoke(store, operation("read")))
    assert read.type == "ok"
    assert read.value == initial


def test_setup_may_be_done_again() -> None:
    store = Store()
    first = asyncio.run(bank().setup(store))
    commits = store.commits
    assert asyncio.run(bank().setup(store)) == first
    assert store.commits == commits + 1, "the proving read, and no write"


def test_setup_refuses_a_store_that_others_have_used() -> None:
    store = Store()
    asyncio.run(bank().setup(store))
    asyncio.run(bank().invoke(store, transfer(0, 1, 5)))
    with pytest.raises(SetupError, match="the accounts hold"):
        asyncio.run(bank().setup(store))


def test_a_transfer_moves_money() -> None:
    store = Store()
    initial = asyncio.run(bank().setup(store))
    done = asyncio.run(bank().invoke(store, transfer(0, 3, 4)))
    assert (done.type, done.value) == ("ok", {"from": 0, "to": 3, "amount": 4})
    read = asyncio.run(bank().invoke(store, operation("read"))).value
    assert read == {**initial, "0": initial["0"] - 4, "3": initial["3"] + 4}


def test_a_transfer_without_the_money_fails_and_changes_nothing() -> None:
    store = Store()
    asyncio.run(bank().setup(store))
    before = dict(store.rows)
    done = asyncio.run(bank().invoke(store, transfer(0, 1, 99)))
    assert done.type == FAIL
    assert done.error == ["insufficient funds", 13]
    assert store.rows == before


def test_an_overdraft_is_made_where_it_is_allowed() -> None:
    store = Store()
    workload = bank(negative_balances=True)
    asyncio.run(workload.setup(store))
    assert asyncio.run(workload.invoke(store, transfer(0, 1, 99))).type == "ok"
    assert asyncio.run(workload.invoke(store, operation("read"))).value["0"] == 13 - 99


@pytest.mark.parametrize("error", [Failed("conflict"), Indeterminate("lost")])
def test_what_became_of_a_commit_passes_through(error: Exception) -> None:
    store = Store()
    asyncio.run(bank().setup(store))
    store.fails_with = error
    with pytest.raises(type(error)):
        asyncio.run(bank().invoke(store, transfer(0, 1, 1)))


@pytest.mark.parametrize("wrong", [{"accounts": 1}, {"max_transfer": 0}, {"total": -1}])
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        bank(**wrong)


async def beside_each_other(store: Store, workload: Bank, asked: Sequence[Operation]) -> History:
    """Six processes that share ``asked``, on one store, all recorded in order."""
    initial = await workload.setup(store)
    records: list[Operation] = []

    def record(process: int, kind: str, f: str, value: Any) -> None:
        records.append(Operation(len(records), len(records), process, kind, f, value))

    async def work(process: int) -> None:
        for each in asked[process::6]:
            record(process, "invoke", each.f, each.value)
            try:
                done = await workload.invoke(store, each)
            except Failed:
                record(process, FAIL, each.f, each.value)
            except Indeterminate:
                record(process, INFO, each.f, each.value)
            else:
                record(process, done.type, done.f, done.value)

    await asyncio.gather(*(work(process) for process in range(6)))
    return History(records, Header(initial=initial))


def verdict_on(store: Store) -> Verdict:
    workload = bank(held_share=0.0)  # this store has no snapshots for those
    asked = invocations(simulate(limit(600, workload.generator()), perfect, concurrency=6))
    history = asyncio.run(beside_each_other(store, workload, asked))
    return BankChecker({}).check(Record(history=history), Budget.start(60))


def test_a_sound_store_is_valid_and_one_that_loses_updates_is_caught() -> None:
    sound = verdict_on(Store())
    assert sound.valid is True
    assert sound.stats["read-count"] > 200
    broken = verdict_on(Store(checks=False))
    assert broken.valid is False
    assert "wrong-total" in broken.anomalies


def held(first_s: float, second_s: float) -> Operation:
    return structs.replace(operation("read"), extra={"pauses_s": [first_s, second_s]})


def test_a_share_of_reads_is_held() -> None:
    asked = invocations(simulate(limit(2000, bank(held_share=0.5).generator()), perfect))
    reads = [each for each in asked if each.f == "read"]
    pauses = [(each.extra or {})["pauses_s"] for each in reads if each.extra]
    assert 0.4 < len(pauses) / len(reads) < 0.6
    assert all(len(each) == 2 and 0 <= sum(each) <= 2.001 for each in pauses)


def judged(*completions: Operation) -> Verdict:
    records = [
        each
        for at, done in enumerate(completions)
        for each in (
            Operation(2 * at, 2 * at, at, "invoke", done.f, None),
            structs.replace(done, index=2 * at + 1, time=2 * at + 1, process=at),
        )
    ]
    header = Header(initial=bank().initial())
    return BankChecker({}).check(Record(history=History(records, header)), Budget.start(60))


class Shifting(Store):
    """No snapshots: money moves from one account to another before the given read of a held one."""

    def __init__(self, read: int, source: int, target: int) -> None:
        super().__init__()
        self.move = (source, target)
        self.left = -1
        self.read = read

    def transaction(self) -> StoreTransaction:
        return ShiftingTransaction(self)

    def shift(self) -> None:
        for account, amount in zip(self.move, (-2, 2), strict=True):
            version, balance = self.rows[f"account-{account}"]
            self.rows[f"account-{account}"] = (version + 1, balance + amount)


class ShiftingTransaction(StoreTransaction):
    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        store = self.store
        assert isinstance(store, Shifting)
        store.left -= 1
        if store.left == 0:
            store.shift()
        return await super().get_many(keys)


@pytest.mark.parametrize(
    ("before", "move", "anomaly"),
    [
        (2, (0, 7), "wrong-total"),
        (2, (0, 1), "unrepeatable-read"),
        (3, (0, 7), "unrepeatable-read"),
        (1, (0, 7), None),
    ],
)
def test_a_held_read_sees_that_there_is_no_snapshot(
    before: int, move: tuple[int, int], anomaly: str | None
) -> None:
    async def go() -> Operation:
        store, workload = Shifting(before, *move), bank()
        await workload.setup(store)
        store.left = before
        return await workload.invoke(store, held(0.0, 0.0))

    verdict = judged(asyncio.run(go()))
    assert list(verdict.anomalies) == ([anomaly] if anomaly else [])
    assert verdict.valid is (anomaly is None)


@pytest.mark.parametrize("wrong", [{"held_share": 1.5}, {"held_s": -1.0}])
def test_impossible_pauses_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        bank(**wrong)
