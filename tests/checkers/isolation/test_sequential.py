"""sequential: a counter that one process sees fall."""

from __future__ import annotations

from typing import Any

from checkers.isolation.sequential import Sequential
from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def judged(*done: tuple[int, str, Any, str], **options: Any) -> Verdict:
    operations: list[Operation] = []
    for process, f, value, end in done:
        key, told = value
        for kind, given in (("invoke", None), (end, told)):
            at = len(operations)
            operations.append(Operation(at, at * 1_000_000, process, kind, f, [key, given]))
    return Sequential(options).check(Record(history=History(operations)), Budget.start(60))


def test_a_fall_is_told_with_both_operations() -> None:
    verdict = judged((0, "read", ("k", 5), "ok"), (0, "read", ("k", 4), "ok"))
    assert verdict.valid is False
    (case,) = verdict.anomalies["falling-value"]
    assert "the same process did T1 before T2" in case.message
    assert case.witness == (1, 3)
    assert (case.data["before"], case.data["after"]) == (5, 4)
    assert "strong-session-snapshot-isolation" in verdict.not_


def test_an_increment_must_rise() -> None:
    assert judged((0, "read", ("k", 5), "ok"), (0, "inc", ("k", 5), "ok")).valid is False
    assert judged((0, "read", ("k", 5), "ok"), (0, "inc", ("k", 6), "ok")).valid is True
    assert judged((0, "read", ("k", 1), "ok"), (0, "read", ("k", None), "ok")).valid is False


def test_other_processes_and_keys_and_unknown_outcomes_prove_nothing() -> None:
    first = ((0, "read", ("k", 5), "ok"), (0, "read", ("k", 5), "ok"))
    assert judged(*first, (1, "read", ("k", 4), "ok")).valid is True
    assert judged(*first, (0, "read", ("j", 4), "ok")).valid is True
    assert judged(*first, (0, "inc", ("k", None), "fail")).valid is True
    assert judged(first[0], (1, "read", ("k", 4), "ok")).valid == UNKNOWN
    assert judged((0, "inc", ("k", None), "info")).valid == UNKNOWN


def test_two_increments_to_one_value_are_a_lost_update() -> None:
    verdict = judged((0, "inc", ("k", 3), "ok"), (1, "inc", ("k", 3), "ok"))
    assert set(verdict.anomalies) == {"duplicate-value"}
    assert 'T1 found key "k" at 2 and made it 3' in verdict.anomalies["duplicate-value"][0].message


def test_plain_serializability_lets_a_session_go_back() -> None:
    fall = ((0, "read", ("k", 5), "ok"), (0, "read", ("k", 4), "ok"))
    assert judged(*fall, claims=["serializable"]).valid == UNKNOWN
    assert judged(*fall, claims=["strict-serializable"]).valid is False
