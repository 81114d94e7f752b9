"""causal-reverse: a later write visible without an earlier one that had been acknowledged."""

from __future__ import annotations

from typing import Any

from checkers.isolation.causal_reverse import CausalReverse
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def judged(
    *records: tuple[int, str, str, Any], independent: bool = False, **options: Any
) -> Verdict:
    operations = [
        Operation(at, at * 1_000_000, process, kind, f, value)
        for at, (process, kind, f, value) in enumerate(records)
    ]
    history = History(operations, Header(independent=independent))
    return CausalReverse(options).check(Record(history=history), Budget.start(60))


def write(process: int, value: Any, end: str = "ok") -> list[tuple[int, str, str, Any]]:
    return [(process, "invoke", "write", value), (process, end, "write", value)]


def read(process: int, value: Any) -> list[tuple[int, str, str, Any]]:
    return [(process, "invoke", "read", None), (process, "ok", "read", value)]


def test_the_missing_write_and_the_visible_one_are_told() -> None:
    verdict = judged(*write(0, 7), *write(1, 8), *read(2, [8]))
    assert verdict.valid is False
    (case,) = verdict.anomalies["causal-reverse"]
    assert "T1 had completed at index 1 before T2 was invoked at index 2" in case.message
    assert "T3 did not observe 7, which T1 inserted: a contradiction!" in case.message
    assert case.witness == (1, 3, 5)
    assert case.data["missing"] == [7]


def test_it_breaks_strict_but_not_plain_serializability() -> None:
    records = (*write(0, 7), *write(1, 8), *read(2, [8]))
    assert judged(*records, claims=["strict-serializable"]).valid is False
    assert judged(*records, claims=["serializable"]).valid == UNKNOWN


def test_what_had_not_completed_may_be_missing() -> None:
    overlapping = [(0, "invoke", "write", 7), *write(1, 8), (0, "ok", "write", 7)]
    assert judged(*overlapping, *read(2, [8])).valid is True
    assert judged(*write(0, 7, "info"), *write(1, 8), *read(2, [8])).valid is True
    assert judged(*write(0, 7, "fail"), *write(1, 8), *read(2, [8])).valid is True
    assert judged(*write(0, 7), *write(1, 8), *read(2, [7])).valid is True


def test_a_visible_write_without_answer_counts() -> None:
    verdict = judged(*write(0, 7), *write(1, 8, "info"), *read(2, [8]))
    assert verdict.valid is False


def test_tables_of_independent_keys_do_not_mix() -> None:
    records = [*write(0, ["a", 7]), *write(1, ["b", 8]), *read(2, ["b", [8]])]
    assert judged(*records, independent=True).valid is True
    records = [*write(0, ["a", 7]), *write(1, ["a", 8]), *read(2, ["a", [8]])]
    assert judged(*records, independent=True).valid is False


def test_odd_values_are_named() -> None:
    assert set(judged(*write(0, 7), *read(1, [9])).anomalies) == {"thin-air"}
    assert set(judged(*write(0, 7, "fail"), *read(1, [7])).anomalies) == {"G1a"}
    assert judged(*write(0, 7), *write(0, 7), *read(1, [7])).valid == UNKNOWN
    assert judged(*write(0, 7)).valid == UNKNOWN
    assert judged(*write(0, 7), *read(1, 3)).valid == UNKNOWN
