"""The bank workload: what it asks, what becomes of it, and that a broken store is caught."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import pytest
from msgspec import structs

from checkers.objects.bank import Bank as BankChecker
from harness.contract.client import Failed, Indeterminate, Predicates, Transactions
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import limit
from harness.generator.simulate import invocations, perfect, simulate
from harness.history.history import History
from harness.history.operation import FAIL, Header, Operation
from harness.plugins import Registry
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict
from tests.toys.running_workloads import judged, ran
from tests.toys.transactional_store import Transaction, TransactionalStore
from workloads.bank import Bank


def bank(**extra: Any) -> Bank:
    return Bank(WorkloadOptions(nodes=3, concurrency=6, seed=0, extra=extra))


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
    store = TransactionalStore()
    initial = asyncio.run(bank().setup(store))
    assert sum(initial.values()) == 100
    assert list(initial) == [str(account) for account in range(8)]
    read = asyncio.run(bank().invoke(store, operation("read")))
    assert read.type == "ok"
    assert read.value == initial


def test_setup_may_be_done_again() -> None:
    store = TransactionalStore()
    first = asyncio.run(bank().setup(store))
    commits = store.commits
    assert asyncio.run(bank().setup(store)) == first
    assert store.commits == commits, "nothing is written again"


def test_setup_refuses_a_store_that_others_have_used() -> None:
    store = TransactionalStore()
    asyncio.run(bank().setup(store))
    asyncio.run(bank().invoke(store, transfer(0, 1, 5)))
    with pytest.raises(SetupError, match="the accounts hold"):
        asyncio.run(bank().setup(store))


def test_a_transfer_moves_money() -> None:
    store = TransactionalStore()
    initial = asyncio.run(bank().setup(store))
    done = asyncio.run(bank().invoke(store, transfer(0, 3, 4)))
    assert (done.type, done.value) == ("ok", {"from": 0, "to": 3, "amount": 4})
    read = asyncio.run(bank().invoke(store, operation("read"))).value
    assert read == {**initial, "0": initial["0"] - 4, "3": initial["3"] + 4}


def test_a_transfer_without_the_money_fails_and_changes_nothing() -> None:
    store = TransactionalStore()
    asyncio.run(bank().setup(store))
    before = deepcopy(store.rows)
    done = asyncio.run(bank().invoke(store, transfer(0, 1, 99)))
    assert done.type == FAIL
    assert done.error == ["insufficient funds", 13]
    assert store.rows == before


def test_an_overdraft_is_made_where_it_is_allowed() -> None:
    store = TransactionalStore()
    workload = bank(negative_balances=True)
    asyncio.run(workload.setup(store))
    assert asyncio.run(workload.invoke(store, transfer(0, 1, 99))).type == "ok"
    assert asyncio.run(workload.invoke(store, operation("read"))).value["0"] == 13 - 99


@pytest.mark.parametrize("error", [Failed("conflict"), Indeterminate("lost")])
def test_what_became_of_a_commit_passes_through(error: Exception) -> None:
    store = TransactionalStore()
    asyncio.run(bank().setup(store))
    store.fails_with = error
    with pytest.raises(type(error)):
        asyncio.run(bank().invoke(store, transfer(0, 1, 1)))


@pytest.mark.parametrize("wrong", [{"accounts": 1}, {"max_transfer": 0}, {"total": -1}])
def test_impossible_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        bank(**wrong)


def verdict_on(store: TransactionalStore) -> Verdict:
    return judged("bank", ran(bank(held_s=0.0), store, operations=600))


def test_a_sound_store_is_valid_and_one_that_loses_updates_is_caught() -> None:
    sound = verdict_on(TransactionalStore())
    assert sound.valid is True
    assert sound.stats["read-count"] > 200
    broken = verdict_on(TransactionalStore("dirty"))
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


def verdict_of(*completions: Operation) -> Verdict:
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


class Shifting(TransactionalStore):
    """No snapshots: money moves from one account to another before the given read of a held one."""

    def __init__(self, read: int, source: int, target: int) -> None:
        super().__init__("dirty")
        self.move = (source, target)
        self.left = -1
        self.read = read

    async def begin(self, *, read_only: bool = False) -> Transaction:
        return ShiftingTransaction(self)

    def shift(self) -> None:
        for account, amount in zip(self.move, (-2, 2), strict=True):
            version, balance = self.rows[f"account-{account}"][-1]
            self.rows[f"account-{account}"].append((version, balance + amount))


class ShiftingTransaction(Transaction):
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

    verdict = verdict_of(asyncio.run(go()))
    assert list(verdict.anomalies) == ([anomaly] if anomaly else [])
    assert verdict.valid is (anomaly is None)


@pytest.mark.parametrize("wrong", [{"held_share": 1.5}, {"held_s": -1.0}])
def test_impossible_pauses_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        bank(**wrong)


def deleting(**extra: Any) -> Bank:
    abilities = frozenset({Predicates, Transactions})
    return Bank(WorkloadOptions(nodes=3, concurrency=6, seed=0, extra=extra, abilities=abilities))


def scanned(*pauses: float) -> Operation:
    beside: dict[str, Any] = {"scan": True} | ({"pauses_s": list(pauses)} if pauses else {})
    return structs.replace(operation("read"), extra=beside)


def test_an_account_at_zero_is_deleted_and_made_anew() -> None:
    async def go() -> list[Any]:
        store, workload = TransactionalStore(), deleting()
        await workload.setup(store)
        seen = []
        for move in (transfer(0, 1, 13), transfer(0, 1, 1), transfer(1, 0, 2)):
            seen.append((await workload.invoke(store, move)).type)
            reads = [await workload.invoke(store, each) for each in (operation("read"), scanned())]
            assert reads[0].value == reads[1].value
            seen.append(reads[0].value.get("0"))
        return seen

    assert asyncio.run(go()) == ["ok", None, "fail", None, "ok", 2]
    assert deleting().facts == {"deletes": "at zero"}


def test_without_the_ability_or_asked_not_to_nothing_is_deleted() -> None:
    for workload in (bank(), deleting(delete=False)):
        store = TransactionalStore()
        asyncio.run(workload.setup(store))
        asyncio.run(workload.invoke(store, transfer(0, 1, 13)))
        assert asyncio.run(workload.invoke(store, operation("read"))).value["0"] == 0
        assert workload.facts == {}
        asked = invocations(simulate(limit(200, workload.generator()), perfect))
        assert not any("scan" in (each.extra or {}) for each in asked)


def test_half_of_the_reads_ask_by_a_condition_held_ones_too() -> None:
    asked = invocations(simulate(limit(2000, deleting(held_share=0.5).generator()), perfect))
    besides = [each.extra or {} for each in asked if each.f == "read"]
    assert 0.4 < sum("scan" in beside for beside in besides) / len(besides) < 0.6
    assert any({"scan", "pauses_s"} <= beside.keys() for beside in besides)


@pytest.mark.parametrize("read", [held(0.0, 0.0), scanned(0.0, 0.0)])
def test_a_record_deleted_later_and_lost_to_an_older_snapshot_is_seen(read: Operation) -> None:
    """As a current database did: the second look of one transaction lacks what the first saw."""

    class Forgetful(TransactionalStore):
        async def begin(self, *, read_only: bool = False) -> Transaction:
            return ForgetfulTransaction(self)

    class ForgetfulTransaction(Transaction):
        asked = 0

        async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
            self.asked += bool(keys)
            found = await super().get_many(keys)
            is_later = self.asked > 2
            return {k: None if is_later and k == "account-0" else v for k, v in found.items()}

    async def go() -> Operation:
        store, workload = Forgetful(), deleting()
        await workload.setup(store)
        return await workload.invoke(store, read)

    done = asyncio.run(go())
    assert (done.extra or {})["again"] == {"0": None}
    verdict = verdict_of(done)
    assert list(verdict.anomalies) == ["unrepeatable-read"]


def test_with_deletions_a_sound_store_is_valid_and_a_broken_one_is_caught() -> None:
    def judge(store: TransactionalStore) -> Verdict:
        workload = deleting(held_s=0.0, total=30)
        history = ran(workload, store, operations=800)
        assert any("scan" in (each.extra or {}) for each in history)
        return judged("bank", history)

    assert judge(TransactionalStore()).valid is True
    assert judge(TransactionalStore("snapshot")).valid is True
    assert judge(TransactionalStore("dirty")).valid is False


def against(claim: str, *, deletes: bool, total: int) -> Verdict:
    """A read of that total, judged against a claim."""
    read = Operation(1, 1, 0, "ok", "read", {"0": total})
    header = Header(
        initial={"0": 10}, claims=[claim], options={"deletes": "at zero"} if deletes else {}
    )
    history = History([Operation(0, 0, 0, "invoke", "read", None), read], header)
    return BankChecker({}).check(Record(history=history), Budget.start(60))


@pytest.mark.parametrize(
    ("claim", "deletes", "forbids"),
    [
        ("snapshot-isolation", True, True),
        ("consistent-view", True, True),
        ("serializable", True, True),
        ("repeatable-read", True, False),
        ("parallel-snapshot-isolation", True, False),
        ("repeatable-read", False, True),
        ("parallel-snapshot-isolation", False, True),
        ("read-committed", False, False),
    ],
)
def test_what_cannot_fail_at_the_claimed_level_is_not_valid(
    claim: str, deletes: bool, forbids: bool
) -> None:
    good = against(claim, deletes=deletes, total=10)
    assert good.valid == (True if forbids else "unknown")
    bad = against(claim, deletes=deletes, total=9)
    assert bad.valid is False
    assert (claim in (*bad.not_, *bad.also_not)) is forbids
    if not forbids:
        assert claim in (good.why or "")
        assert good.settle
