"""torn: transactions over several keys seen in part, or after they failed."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.isolation.torn import Torn
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.elle.registers.drawing import drawn
from tests.checkers.elle.registers.drawing import judged as elle
from tests.checkers.elle.registers.stores import recorded


def judged(text: str, **options: Any) -> Verdict:
    return Torn(options).check(Record(history=drawn(text)), Budget.start(60))


def test_a_read_of_two_transactions_that_wrote_both_keys_is_torn() -> None:
    verdict = judged("p: [wx1 wy1 ]\nq: [wx2 wy2 ]\nr:  [rx1 ry2]")
    assert verdict.valid is False
    (case,) = verdict.anomalies["torn-transaction"]
    assert "because else T2's 2 had replaced T1's 1 at key" in case.message
    assert case.message.endswith("a contradiction!")
    assert len(case.witness) == 3


def test_a_read_of_one_key_before_the_first_transaction_and_one_after_is_torn() -> None:
    verdict = judged("p: [wx1 wy1 ]\nr:  [rx1 ry_]")
    (case,) = verdict.anomalies["torn-transaction"]
    assert "T3 read the initial (nil) state of key" in case.message


def test_a_store_left_in_two_parts_is_told_apart_from_a_torn_read() -> None:
    assert set(judged("p: [wx1 wy1]\nr:            [rx1 ry_]").anomalies) == {"torn-write"}
    under_way = "p: [wx1 wy1?\nr:            [rx1 ry_]"
    assert set(judged(under_way).anomalies) == {"torn-transaction"}


@pytest.mark.parametrize(
    "text",
    [
        "p: [wx1 wy1 ]\nr:  [rx1 ry1] [rx_ ry_]",
        "p: [wx1 wy1 ]\nq: [wx2 ]\nr:  [rx2 ry1]",
        "p: [wx1 ]\nq: [wy1 ]\nr:  [rx1 ry_]\ns:  [rx_ ry1]",
        "p: [rx_ wx1 wy1 ry1]\nr: [rx1 ry1]",
    ],
)
def test_whole_transactions_are_not_torn(text: str) -> None:
    assert judged(text).valid is True


def test_it_breaks_read_atomicity_and_leaves_read_committed() -> None:
    text = "p: [wx1 wy1 ]\nr:  [rx1 ry_]"
    assert "read-atomic" in judged(text).not_
    assert judged(text, claims=["read-committed"]).valid is True
    assert judged(text, claims=["snapshot-isolation"]).valid is False


def test_what_failed_or_passed_or_never_was_must_not_be_seen() -> None:
    assert set(judged("p: [wx1 wy1!\nr: [rx1 ry_]").anomalies) == {"G1a"}
    assert set(judged("p: [wx1 wx2 ]\nr: [rx1 ry_]").anomalies) == {"G1b"}
    assert set(judged("p: [wx1 ]\nr: [rx3 ry_]").anomalies) == {"thin-air"}


def test_values_written_twice_prove_nothing() -> None:
    assert judged("p: [wx1 wy1 ]\nq: [wx1 wy2 ]\nr:  [rx1 ry2]").valid == UNKNOWN


def test_stores_that_are_atomic_are_never_torn() -> None:
    for level in ("snapshot-isolation", "serializable", "strict-serializable"):
        for seed in range(20):
            history = recorded(level, seed, transactions=100)
            verdict = Torn({}).check(Record(history=history), Budget.start(60))
            assert verdict.valid is True, (level, seed)


def test_a_store_that_is_not_is_caught_and_elle_never_calls_it_valid() -> None:
    caught = 0
    for seed in range(10):
        history = recorded("read-committed", seed, transactions=100, keys=2, length=6)
        verdict = Torn({}).check(Record(history=history), Budget.start(60))
        if verdict.valid is False:
            caught += 1
            assert elle(history, "snapshot-isolation").valid is not True
    assert caught >= 8
