"""rw-register: each anomaly by hand, no false alarm at any level, and no unproved valid."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from checkers.isolation.rw_register.checker import RwRegister
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import LedgerEntry, Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.elle.registers.drawing import drawn, judged, odd_history, random_history
from tests.checkers.elle.registers.oracle import LEVELS, UNDECIDED, allowed
from tests.checkers.elle.registers.stores import LEVELS as STORES
from tests.checkers.elle.registers.stores import recorded

ASSUMPTIONS = ("wfr_keys", "sequential_keys", "linearizable_keys")


def types(verdict: Verdict) -> set[str]:
    return set(verdict.anomalies)


def test_what_one_order_explains_is_strictly_serializable() -> None:
    verdict = judged(
        """
        p: [wx1 wy1]      [rx1 wx2]
        q:    [rx_ ]  [ry1]     [rx2 ry1]
        """,
        "strict-serializable",
    )
    assert verdict.valid is True
    assert verdict.stats["proved_by"].startswith("an order of all turns")


@pytest.mark.parametrize(
    ("model", "drawing", "kind"),
    [
        ("read-atomic", "p: [wx1] [rx1 rx_]", "internal"),
        ("read-atomic", "p: [wx1]\nq:     [wx2 rx1]", "internal"),
        ("read-committed", "p: [wx1!\nq:      [rx1]", "G1a"),
        ("read-committed", "p: [wx1 wx2]\nq:   [rx1]", "G1b"),
        ("read-uncommitted", "p: [wx1] [rx7]", "thin-air"),
        ("cursor-stability", "p: [rx_ wx1]\nq: [rx_ wx2]", "lost-update"),
        ("read-committed", "p: [wx1 ry1]\nq: [wy1 rx1]", "G1c"),
        ("consistent-view", "p: [wx1 wy1]\nq: [rx1 ry_]", "G-single-item"),
        ("serializable", "p: [rx_ ry_ wx1]\nq: [rx_ ry_ wy1]", "G2-item"),
        (
            "snapshot-isolation",
            "p: [wx1]\nq: [wy1]\nr: [rx1 ry_]\ns: [ry1 rx_]",
            "G-nonadjacent-item",
        ),
        ("strict-serializable", "p: [wx1]\nq:        [rx_]", "G-single-item-realtime"),
        ("strong-session-serializable", "p: [wx1] [rx_]", "G-single-item-process"),
    ],
)
def test_each_anomaly_is_found_under_its_name(model: str, drawing: str, kind: str) -> None:
    verdict = judged(drawing, model)
    assert verdict.valid is False
    assert kind in types(verdict)
    case = verdict.anomalies[kind][0]
    assert "a contradiction!" in case.message
    assert "T1 = {index" in case.message
    assert case.witness


def test_writes_against_each_other_are_seen_where_keys_are_linearizable() -> None:
    """G0: each transaction's write came first at one key."""
    drawing = """
    p: [wx1 wy1                ]
    q: [wx2 wy2                ]
    r:    [rx1] [rx2]
    s:    [ry2] [ry1]
    """
    assert types(judged(drawing, "read-uncommitted", linearizable_keys=True)) == {"G0"}
    assert judged(drawing, "read-uncommitted").valid is True


def test_versions_that_contradict_an_assumption_are_told_with_its_transactions() -> None:
    verdict = judged(
        "p: [wx1] [wx2]\nq:            [rx2] [rx1]", "serializable", sequential_keys=True
    )
    (case,) = verdict.anomalies["cyclic-versions"]
    assert "process 1 last saw the one in T" in case.message
    assert sorted(case.data["versions"]) == [1, 2]
    assert verdict.stats["version_order_sources"] == ["initial-state", "wfr-keys"]


def test_a_version_order_edge_is_told_with_its_source() -> None:
    verdict = judged(
        "p: [wx1] [rx1 wx2 wy1]\nq:                [ry1 rx1]", "consistent-view", wfr_keys=True
    )
    (case,) = verdict.anomalies["G-single-item"]
    assert "which came later in the version order" in case.message
    assert "read the one and then wrote the other (wfr-keys)" in case.message


def test_a_commit_order_of_the_system_orders_versions() -> None:
    drawing = "p: [wx1 wy1]\nq: [wx2 wy2]\nr:           [rx1 ry1]"
    history = drawn(drawing)
    ends = {op.process: op.index for op in history if op.type == "ok"}
    first, second = ends[0], ends[1]
    assert judged(history, "strict-serializable", commit_order={second: 5, first: 9}).valid is True
    verdict = judged(history, "strict-serializable", commit_order={first: 5, second: 9})
    assert verdict.valid is False
    assert types(verdict) == {"G-single-item-realtime"}
    told = [
        replace(op, timestamps={"commit": 5 if op.index == first else 9})
        if op.index in (first, second)
        else op
        for op in history
    ]
    verdict = judged(History(told, history.header), "strict-serializable", commit_order="commit")
    assert types(verdict) == {"G-single-item-realtime"}


def test_without_an_order_of_versions_no_cycle_proves_nothing() -> None:
    """A long fork: parallel snapshots are broken, but which edges there are depends on the unknown
    order of the versions, and causally all is well.
    """
    drawing = """
    p: [wx1]        [rx1 ry8]
    q: [wy2]        [rx9 ry2]
    r: [wx9]        [rx1 ry2]
    s: [wy8]        [rx9 ry8]
    """
    verdict = judged(drawing, "parallel-snapshot-isolation")
    assert verdict.valid == UNKNOWN
    assert "is not wholly known" in verdict.why
    assert judged(drawing, "read-committed").valid is True


def test_strict_serializability_itself_orders_versions_in_time() -> None:
    """A stale read of one of two blind writes; no assumption is made."""
    drawing = "p: [wx1] [wx2]\nq:                [rx1]"
    verdict = judged(drawing, "strict-serializable")
    assert verdict.valid is False
    assert verdict.not_ == ("strong-snapshot-isolation",)
    assert verdict.also_not == ("strict-serializable",)
    alone = judged(drawing, "strict-serializable", inference="elle")
    assert alone.valid == UNKNOWN
    assert judged(drawing, "serializable").valid is True


def test_values_written_twice_leave_it_undecided_where_uncommitted_writes_may_be_read() -> None:
    assert "duplicate-writes" in judged("p: [wx1] [wx1] [rx1]", "read-uncommitted").why
    assert "nil-writes" in judged("p: [wx_] [rx_]", "read-uncommitted").why


def test_other_micro_operations_leave_it_undecided() -> None:
    history = History([Operation(0, 0, 0, "invoke", "txn", [["append", "x", 1]])])
    verdict = judged(history, "serializable")
    assert verdict.valid == UNKNOWN
    assert "append" in verdict.why


def test_an_info_write_that_nobody_read_accuses_nobody() -> None:
    assert judged("p: [wx1?\nq:      [rx_] [rx_]", "strict-serializable").valid is True
    assert judged("p: [wx1?\nq:      [rx1] [rx_]", "strict-serializable").valid is False


def test_assumptions_are_taken_from_the_header_of_a_run() -> None:
    history = drawn(
        "p: [wx1] [wx2]\nq:            [rx2] [rx1]",
        options={"sequential_keys": True},
        claims=["serializable"],
    )
    verdict = RwRegister({}).check(Record(history=history), Budget.start(60))
    assert types(verdict) == {"cyclic-versions"}


def test_the_faults_active_are_told() -> None:
    history = drawn("p: [wx1]\nq:        [rx_]")
    cut = LedgerEntry(id=1, fault="partition", targets=["n1"], event="injected", time=0)
    record = Record(history=history, faults=[cut])
    verdict = RwRegister({}).check(record, Budget.start(60))
    case = verdict.anomalies["G-single-item-realtime"][0]
    assert "partition of n1 (fault 1, from 0.0 s never healed)" in case.message


@pytest.mark.slow
@pytest.mark.parametrize("assume", [(), *((name,) for name in ASSUMPTIONS)])
def test_small_histories_are_judged_as_trying_everything_does(assume: tuple[str, ...]) -> None:
    """Invalid only where no order of versions that goes with the assumption is allowed, valid
    only where some order is.
    """
    answers: dict[Any, int] = {True: 0, False: 0, UNKNOWN: 0}
    for seed in range(240):
        draw = random_history if seed % 2 else odd_history
        history = draw(seed, transactions=3 + seed % 4 // 2)
        possible, assumed = allowed(history), allowed(history, assume)
        for level in LEVELS:
            valid = judged(history, level, **dict.fromkeys(assume, True)).valid
            answers[valid] += 1
            if UNDECIDED in assumed and level == LEVELS[0]:
                assert valid == UNKNOWN, (seed, level)
                continue
            assert valid is not False or level not in assumed, (seed, level)
            assert valid is not True or level in possible, (seed, level)
    assert min(answers.values()) > 50


@pytest.mark.parametrize("level", STORES)
def test_a_store_that_keeps_its_promise_is_never_called_invalid(level: str) -> None:
    safe = ASSUMPTIONS if level in ("snapshot-isolation", "strict-serializable") else ()
    for seed in range(12):
        history = recorded(level, seed)
        for assume in [(), *((name,) for name in safe)]:
            verdict = judged(history, level, **dict.fromkeys(assume, True))
            assert verdict.valid is not False, (seed, assume, verdict.why)


def test_long_valid_histories_are_proved_valid_also_where_keys_are_linearizable() -> None:
    """Elle's false alarm: 60 transactions, 10 processes, 5 keys, up to 4 micro-operations."""
    answers = [
        judged(
            recorded("strict-serializable", seed, processes=10, keys=5, infos=0.0),
            "strict-serializable",
            linearizable_keys=True,
        ).valid
        for seed in range(30)
    ]
    assert False not in answers
    assert answers.count(True) >= 25


@pytest.mark.parametrize(
    ("level", "stronger"),
    [
        ("read-committed", "snapshot-isolation"),
        ("snapshot-isolation", "serializable"),
        ("serializable", "strict-serializable"),
    ],
)
def test_a_weaker_store_is_caught_at_the_next_level(level: str, stronger: str) -> None:
    assume = {} if level == "read-committed" else {"linearizable_keys": True}
    answers = [
        judged(recorded(level, seed, transactions=100), stronger, **assume).valid
        for seed in range(6)
    ]
    assert answers.count(False) >= 5


def test_a_header_alone_is_unknown() -> None:
    verdict = RwRegister({}).check(Record(history=History((), Header())), Budget.start(60))
    assert verdict.valid == UNKNOWN
