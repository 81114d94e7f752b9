"""monotonic: values that count up in the order of time, each once."""

from __future__ import annotations

from typing import Any

from checkers.isolation.monotonic import Monotonic
from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict


def judged(*records: tuple[int, str, str, Any], **options: Any) -> Verdict:
    operations = [
        Operation(at, at * 1_000_000, process, kind, f, value)
        for at, (process, kind, f, value) in enumerate(records)
    ]
    return Monotonic(options).check(Record(history=History(operations)), Budget.start(60))


def add(process: int, row: int, value: int) -> list[tuple[int, str, str, Any]]:
    return [(process, "invoke", "add", [row, None]), (process, "ok", "add", [row, value])]


def read(process: int, **rows: Any) -> list[tuple[int, str, str, Any]]:
    found = {name[1:]: value for name, value in rows.items()}
    return [(process, "invoke", "read", None), (process, "ok", "read", found)]


def test_counting_up_is_valid() -> None:
    assert judged(*add(0, 0, 1), *add(1, 1, 2), *read(2, r0=1, r1=2)).valid is True


def test_the_same_value_twice_is_lost_update_or_write_skew() -> None:
    together = [(0, "invoke", "add", [0, None]), (1, "invoke", "add", [0, None])]
    verdict = judged(*together, (0, "ok", "add", [0, 1]), (1, "ok", "add", [0, 1]))
    assert set(verdict.anomalies) == {"duplicate-value"}
    together[1] = (1, "invoke", "add", [1, None])
    skew = judged(*together, (0, "ok", "add", [0, 1]), (1, "ok", "add", [1, 1]))
    assert set(skew.anomalies) == {"duplicate-value-skew"}
    assert "repeatable-read" in skew.not_
    assert "snapshot-isolation" not in {*skew.not_, *skew.also_not}
    case = skew.anomalies["duplicate-value-skew"][0]
    assert "T1 did not see the 1 that T2 put into row 1" in case.message
    assert case.witness == (2, 3)


def test_an_add_that_misses_an_earlier_one_breaks_real_time() -> None:
    verdict = judged(*add(0, 0, 5), *add(1, 1, 4))
    assert set(verdict.anomalies) == {"falling-value"}
    assert "T1 had completed at index 1 before T2 was invoked at index 2" in (
        verdict.anomalies["falling-value"][0].message
    )
    assert judged(*add(0, 0, 5), *add(1, 1, 4), claims=["serializable"]).valid is True


def test_of_one_process_it_breaks_sessions() -> None:
    verdict = judged(*add(0, 0, 5), *read(0, r0=4))
    assert "falling-value-process" in verdict.anomalies
    assert (
        judged(*add(0, 0, 5), *read(0, r0=4), claims=["strong-session-serializable"]).valid is False
    )


def test_a_row_that_lost_its_value_is_named() -> None:
    verdict = judged(*add(0, 0, 1), *add(1, 1, 2), *read(2, r0=None, r1=2))
    (case,) = verdict.anomalies["lost-value"]
    assert "T2 found null in row 0, where T1 had put 1" in case.message
    assert case.key == "0"


def test_concurrent_ones_may_come_in_either_order() -> None:
    overlap = [(0, "invoke", "add", [0, None]), *add(1, 1, 1), (0, "ok", "add", [0, 2])]
    assert judged(*overlap, *read(2, r0=2, r1=1)).valid is True
    late = [(0, "invoke", "read", None), *add(1, 1, 1), (0, "ok", "read", {"0": None, "1": None})]
    assert judged(*late).valid is True


def test_one_operation_alone_proves_nothing() -> None:
    assert judged(*add(0, 0, 1)).valid == UNKNOWN
