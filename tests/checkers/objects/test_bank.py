"""The checker bank: each kind of error, where the total comes from, and recorded histories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from checkers.objects.bank import Bank
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.history.reader import read_history
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.shared_data import HISTORIES

recorded = pytest.mark.histories
START = {"0": 60, "1": 40}


def history(*reads: Any, initial: Any = START, extra: Any = None, **options: Any) -> History:
    """Reads one after the other by one process, a transfer after each."""
    operations: list[Operation] = []

    def add(kind: str, f: str, value: Any) -> None:
        index = len(operations)
        operations.append(Operation(index, index * 1_000_000, 0, kind, f, value, node="n1"))

    for value in reads:
        add("invoke", "read", None)
        add("ok", "read", value)
        transfer = {"from": 0, "to": 1, "amount": 5}
        add("invoke", "transfer", transfer)
        add("ok", "transfer", transfer)
    return History(operations, Header(initial=initial, options=options, extra=extra))


def judged(found: History, **options: Any) -> Verdict:
    return Bank(options).check(Record(history=found), Budget.start(60))


def types(verdict: Verdict) -> dict[str, int]:
    return {kind: facts["count"] for kind, facts in verdict.stats["errors"].items()}


def test_money_that_only_moves_is_valid() -> None:
    verdict = judged(history({"0": 60, "1": 40}, {"0": 55, "1": 45}, {"1": 100}))
    assert verdict.valid is True
    assert (verdict.stats["read-count"], verdict.stats["error-count"]) == (3, 0)


@pytest.mark.parametrize(
    ("read", "kind", "words"),
    [
        ({"0": 60, "1": 41}, "wrong-total", "adds up to 101, not to 100 (+1)"),
        ({"0": 60}, "wrong-total", "adds up to 60, not to 100 (-40)"),
        ({"0": 101, "1": -1}, "negative-value", "account below zero: 1 at -1"),
        ({"0": 60, "1": None}, "nil-balance", "no balance for account '1'"),
        ({"0": 60, "1": 30, "7": 10}, "unexpected-key", "account '7', which is no account"),
        ({"0": 60, "null": 40}, "unexpected-key", "account 'null', which is no account"),
    ],
)
def test_each_kind_of_error_is_named_and_told(
    read: Mapping[str, Any], kind: str, words: str
) -> None:
    verdict = judged(history({"0": 60, "1": 40}, read))
    assert verdict.valid is False
    assert types(verdict) == {kind: 1}
    (case,) = verdict.anomalies[kind]
    assert words in case.message
    assert "The last sound read before it (T2) was answered at index 1" in case.message
    assert "0 -> 1: 5 (ok, index 3)" in case.message
    assert set(case.witness) == {1, 3, 5}
    assert case.data["read"] == 5


def test_a_read_counts_once_under_the_first_error_that_applies() -> None:
    verdict = judged(history({"0": None, "9": 5}))
    assert types(verdict) == {"unexpected-key": 1}


def test_an_overdraft_is_no_error_where_it_is_allowed() -> None:
    overdrawn = {"0": 101, "1": -1}
    assert judged(history(overdrawn), negative_balances=True).valid is True
    assert judged(history(overdrawn, negative_balances=True)).valid is True
    assert judged(history(overdrawn)).valid is False


def test_first_worst_and_last_are_told_and_all_are_counted() -> None:
    reads = [{"0": 60, "1": 40 + off} for off in (0, 1, 2, 9, 3, 4)]
    verdict = judged(history(*reads))
    facts = verdict.stats["errors"]["wrong-total"]
    assert facts == {
        "count": 5,
        "first": 5,
        "worst": 13,
        "last": 21,
        "lowest": 101,
        "highest": 109,
    }
    roles = [case.data["role"] for case in verdict.anomalies["wrong-total"]]
    assert roles == ["first", "worst", "last"]
    assert "5 of 6 reads" in verdict.why


def test_the_total_is_known_from_options_then_header_then_the_first_sound_read() -> None:
    read = {"0": 60, "1": 40}
    assert judged(history(read), total=90).valid is False
    assert judged(history(read, initial=None, extra={"total": 100})).valid is True
    assert judged(history(read, initial=None, extra={"total": 99})).valid is False
    assert judged(history(read, initial={"0": 1, "1": 2})).valid is False
    unknown = judged(history({"0": None}, read, {"0": 1}, initial=None))
    assert unknown.stats["total-from"] == "first read"
    assert types(unknown) == {"nil-balance": 1, "wrong-total": 1}


def test_accounts_are_not_judged_where_nobody_names_them() -> None:
    assert judged(history({"0": 60, "zero": 40}, initial=None)).valid is True


def test_only_answered_reads_of_clients_count() -> None:
    operations = [
        Operation(0, 0, 0, "invoke", "read", None),
        Operation(1, 1, 0, "info", "read", {"0": 1}),
        Operation(2, 2, "nemesis", "ok", "read", {"0": 1}),
        Operation(3, 3, 1, "invoke", "read", None),
        Operation(4, 4, 1, "fail", "read", {"0": 1}),
    ]
    verdict = judged(History(operations, Header(initial=START)))
    assert verdict.valid == UNKNOWN
    assert verdict.stats["read-count"] == 0


@pytest.mark.parametrize(
    "read",
    [
        "60",
        60,
        True,
        {"0": "60", "1": "40"},
        {"0": "60", "1": 41},
        {"0": True, "1": 40},
        {"0": [60], "1": 40},
        [["0", 60], ["1", 40]],
        ["60", "40"],
    ],
)
def test_a_read_of_the_wrong_shape_is_unknown_and_accuses_nobody(read: Any) -> None:
    verdict = judged(history(read))
    assert verdict.valid == UNKNOWN
    assert "read 1 is not balances by account" in verdict.why
    assert judged(history(read, {"0": 60, "1": 41})).valid is False


def test_a_list_of_balances_is_read_by_its_positions() -> None:
    assert judged(history([60, 40], [55, 45])).valid is True
    assert judged(history([10, 10, 10], [7, 13, 10], initial=None)).valid is True
    assert types(judged(history([60, 41]))) == {"wrong-total": 1}
    assert types(judged(history([101, -1]))) == {"negative-value": 1}
    assert types(judged(history([60, None]))) == {"nil-balance": 1}
    assert judged(history([60, 40], initial=[50, 50])).valid is True
    assert judged(history([60, 40], initial=[50, 51])).valid is False


def test_an_answer_that_shows_nothing_tests_nothing() -> None:
    for reads in ([], [None], [{}]):
        verdict = judged(history(*reads, initial=None))
        assert verdict.valid == UNKNOWN
        assert "nothing of this was tested" in verdict.why
    assert judged(history({})).valid is False, "absent accounts are an answer"


@pytest.mark.parametrize("initial", [7, "rich", {"0": "60", "1": "40"}, ["60"], True])
def test_an_initial_state_that_is_no_balances_is_refused(initial: Any) -> None:
    verdict = judged(history({"0": 60, "1": 40}, initial=initial))
    assert verdict.valid == UNKNOWN
    assert "the initial state" in verdict.why


def test_the_transfers_out_of_an_account_that_vanished_are_the_culprits() -> None:
    def transfer(source: int, target: int) -> dict[str, int]:
        return {"from": source, "to": target, "amount": 40}

    operations: list[Operation] = []

    def add(process: int, kind: str, f: str, value: Any, extra: Any = None) -> None:
        at = len(operations)
        operations.append(Operation(at, at * 1_000_000, process, kind, f, value, extra=extra))

    add(0, "invoke", "transfer", transfer(1, 0))
    add(0, "ok", "transfer", transfer(1, 0))
    add(1, "invoke", "read", None, {"pauses_s": [0.2, 0.1]})
    for source, target in [(1, 0), *[(0, 2)] * 7]:
        add(0, "invoke", "transfer", transfer(source, target))
        add(0, "ok", "transfer", transfer(source, target), {"commit_ts": len(operations)})
    add(1, "ok", "read", {"0": 60}, {"start_ts": 3})
    verdict = judged(History(operations, Header(initial=START)))
    (case,) = verdict.anomalies["wrong-total"]
    assert case.data["culprits"] == [4]
    assert "1 -> 0: 40 (ok, index 4)" in case.message
    assert "0 -> 2" not in case.message
    assert case.data["beside"] == {
        "2": {"pauses_s": [0.2, 0.1]},
        "4": {"commit_ts": 4},
        "19": {"start_ts": 3},
    }
    assert "Beside the value of 19" in case.message


def test_an_unrepeatable_read_is_told_as_one_of_two_snapshots() -> None:
    operations = [
        Operation(0, 0, 0, "invoke", "read", None),
        Operation(1, 1, 1, "invoke", "transfer", {"from": 0, "to": 1, "amount": 5}),
        Operation(2, 2, 1, "ok", "transfer", {"from": 0, "to": 1, "amount": 5}),
        Operation(3, 1_500_000_000, 0, "ok", "read", START, extra={"again": {"0": 55}}),
    ]
    verdict = judged(History(operations, Header(initial=START)))
    (case,) = verdict.anomalies["unrepeatable-read"]
    assert "One transaction reads one snapshot, and this one was open for 1.500 s" in case.message
    assert case.data["culprits"] == [2]


def test_an_isolation_anomaly_rules_out_models_but_broken_records_excuse_none() -> None:
    verdict = judged(history({"0": 1}))
    assert "snapshot-isolation" in verdict.also_not
    assert verdict.not_ == ("consistent-view", "parallel-snapshot-isolation", "repeatable-read")
    assert judged(history({"0": 1}, {"0": None})).not_ == ()


def test_the_faults_then_active_are_told() -> None:
    ledger = [
        LedgerEntry(7, "pause", ["n2"], "injected", 4_000_000),
        LedgerEntry(7, "pause", ["n2"], "healed", 4_500_000),
        LedgerEntry(8, "kill", ["n3"], "injected", 900_000_000),
    ]
    record = Record(history=history({"0": 60, "1": 40}, {"0": 1}), faults=ledger)
    (case,) = Bank({}).check(record, Budget.start(60)).anomalies["wrong-total"]
    assert "While it ran: pause of n2 (fault 7, from 0.0 s to 0.0 s)." in case.message
    assert "kill" not in case.message


@recorded
@pytest.mark.parametrize(
    ("name", "reads", "errors"),
    [
        ("dgraph/bank-v1.0.10-drift.jsonl.gz", 3525, {"wrong-total": 2265}),
        ("dgraph/bank-v1.1.1-moves.jsonl.gz", 2046, {"nil-balance": 6, "unexpected-key": 11}),
        ("dgraph/bank-v25.4.0-held.jsonl.gz", 1843, {"wrong-total": 22}),
        ("elle-cli/jepsen/bank-neg.edn", 1, {}),
        ("elle-cli/jepsen/bank-tidb.edn.gz", 1805, {"wrong-total": 1731}),
    ],
)
def test_recorded_banks_get_the_known_verdicts_and_counts(
    name: str, reads: int, errors: Mapping[str, int]
) -> None:
    verdict = judged(read_history(HISTORIES / name))
    assert verdict.stats["read-count"] == reads
    assert types(verdict) == errors
    assert verdict.valid is (not errors)


@recorded
def test_the_drifted_bank_reads_one_wrong_total_for_good() -> None:
    found = read_history(HISTORIES / "dgraph/bank-v1.0.10-drift.jsonl.gz")
    facts = judged(found).stats["errors"]["wrong-total"]
    assert (facts["lowest"], facts["highest"]) == (106, 106)


TENTHS = {"0": 0.1, "1": 0.2, "2": 0.7}


@pytest.mark.parametrize("order", ["012", "021", "102", "120", "201", "210"])
def test_decimal_balances_add_up_exactly_in_any_order(order: str) -> None:
    read = {account: TENTHS[account] for account in order}
    moved = {"0": 0.3, "1": 0.3, "2": 0.4}
    assert judged(history(TENTHS, read, moved, {"0": 1}, initial=None)).valid is True
    assert judged(history(read, initial=None), total=1).valid is True
    assert judged(history(moved, initial=None), total=1.0).valid is True
    assert judged(history({"0": 1}, moved, initial=read)).valid is True


def test_a_wrong_total_of_decimal_balances_is_told_however_small() -> None:
    verdict = judged(history({"0": 0.1, "1": 0.2, "2": 0.5}, initial=TENTHS))
    assert types(verdict) == {"wrong-total": 1}
    (case,) = verdict.anomalies["wrong-total"]
    assert "adds up to 0.8, not to 1 (-0.2)" in case.message
    assert (case.data["found"], case.data["expected"]) == (0.8, 1)
    little = judged(history({"0": 0.1, "1": 0.2, "2": 0.7000000000000001}, initial=TENTHS))
    assert types(little) == {"wrong-total": 1}


def test_a_large_balance_hides_no_small_loss() -> None:
    """In doubles 1e16 + 1 is 1e16."""
    verdict = judged(history({"0": 1e16, "1": 0.5}, initial={"0": 1e16, "1": 1.5}))
    assert types(verdict) == {"wrong-total": 1}
    huge = judged(history({"0": 1e308, "1": 1e308}, initial={"0": 1e308, "1": 1e308, "2": 0.5}))
    assert types(huge) == {"wrong-total": 1}
    assert msgspec.json.encode(huge.stats)


def test_decimal_balances_below_zero_are_told() -> None:
    verdict = judged(history({"0": 1.5, "1": -0.5}, initial={"0": 1}))
    assert types(verdict) == {"unexpected-key": 1}
    verdict = judged(history({"0": 1.5, "1": -0.5}, initial={"0": 1, "1": 0}))
    assert "account below zero: 1 at -0.5" in verdict.anomalies["negative-value"][0].message
    assert verdict.stats["errors"]["negative-value"]["lowest"] == -0.5


def test_a_balance_that_is_not_finite_is_no_balance() -> None:
    verdict = judged(history({"0": 60, "1": float("nan")}))
    assert types(verdict) == {"nil-balance": 1}
