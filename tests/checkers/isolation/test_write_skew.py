"""write-skew: two transactions that each overwrote what the other had read."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.isolation.write_skew import WriteSkew
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.elle.registers.drawing import drawn
from tests.checkers.elle.registers.stores import recorded


def judged(text: str, **options: Any) -> Verdict:
    return WriteSkew(options).check(Record(history=drawn(text)), Budget.start(60))


def test_both_transactions_and_what_they_overwrote_are_told() -> None:
    verdict = judged("p: [wx1 wy1]\nq: [rx1 ry1 wx2]\nr: [rx1 ry1 wy2]")
    assert verdict.valid is False
    (case,) = verdict.anomalies["write-skew"]
    assert 'because T2 read key "y" = 1, which T1 overwrote with 2' in case.message
    assert case.message.endswith("a contradiction!")
    assert len(case.witness) == 2


def test_over_what_was_absent_it_is_write_skew_too() -> None:
    assert set(judged("q: [rx_ ry_ wx2]\nr: [rx_ ry_ wy2]").anomalies) == {"write-skew"}


def test_snapshot_isolation_allows_skew_and_forbids_lost_updates() -> None:
    skew = "q: [rx_ ry_ wx2]\nr: [rx_ ry_ wy2]"
    lost = "q: [rx_ wx1]\nr: [rx_ wx2]"
    assert judged(skew, claims=["snapshot-isolation"]).valid is True
    assert judged(skew, claims=["serializable"]).valid is False
    assert set(judged(lost).anomalies) == {"lost-update"}
    assert judged(lost, claims=["snapshot-isolation"]).valid is False


@pytest.mark.parametrize(
    "text",
    [
        "q: [rx_ ry_ wx2]\nr: [rx2 ry_ wy2]",
        "q: [rx_ ry_ wx2]\nr: [rx_ ry_ wy2?",
        "q: [rx_ ry_ wx2]\nr: [rx_ ry_ wy2!",
        "q: [rx_ ry_ wx2]\nr: [rx_ ry_]",
    ],
)
def test_an_order_of_the_two_is_no_skew(text: str) -> None:
    assert judged(text).valid is True


def test_each_pair_is_told_once() -> None:
    verdict = judged("q: [rx_ ry_ rz_ wx2 wz2]\nr: [rx_ ry_ rz_ wy2]")
    assert len(verdict.anomalies["write-skew"]) == 1


def test_serializable_stores_have_none_and_snapshots_do() -> None:
    found = 0
    for seed in range(20):
        for level in ("serializable", "strict-serializable"):
            history = recorded(level, seed, transactions=100)
            assert WriteSkew({}).check(Record(history=history), Budget.start(60)).valid is True
        history = recorded("snapshot-isolation", seed, transactions=300, keys=8, length=8)
        verdict = WriteSkew({}).check(Record(history=history), Budget.start(60))
        assert "lost-update" not in verdict.anomalies
        found += verdict.valid is False
    assert found >= 5


def test_values_written_twice_prove_nothing() -> None:
    assert judged("q: [rx_ wx1]\nr: [wx1]").valid == UNKNOWN
