"""Lists: what was answered, what was asked, and what nobody modelled."""

from __future__ import annotations

from typing import Any

import pytest

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.verdict import UNKNOWN, Verdict
from tests.checkers.elle.lists.drawing import judged

Record = tuple[int, str, Any]
BASE: list[Record] = [
    (0, "invoke", [["append", "x", 1]]),
    (0, "ok", [["append", "x", 1]]),
    (1, "invoke", [["r", "x", None]]),
    (1, "ok", [["r", "x", [1]]]),
]


def history(*records: Record, f: str = "txn", header: Header | None = None) -> History:
    """``BASE`` and then ``records``, which are called ``f``."""
    all_of_them = [*((p, k, v, "txn") for p, k, v in BASE), *((p, k, v, f) for p, k, v in records)]
    operations = [
        Operation(n, n, process, kind, name, value)
        for n, (process, kind, value, name) in enumerate(all_of_them)
    ]
    return History(operations, header or Header())


def strictly(*records: Record, **more: Any) -> Verdict:
    return judged(history(*records, **more), "strict-serializable")


def test_the_base_is_valid() -> None:
    assert strictly().valid is True


@pytest.mark.parametrize("value", [5, "x", {"a": 1}, None, [1, 2]])
def test_operations_that_are_no_transactions_are_named(value: Any) -> None:
    verdict = strictly((2, "invoke", value), (2, "ok", value), f="reset")
    assert verdict.valid is UNKNOWN
    assert "(reset)" in verdict.why


@pytest.mark.parametrize("value", [5, "x", None])
def test_failed_ones_are_no_matter(value: Any) -> None:
    assert strictly((2, "invoke", value), (2, "fail", value), f="reset").valid is True


@pytest.mark.parametrize("told", [None, "timed out", 5, [["append", "x", 2]]])
def test_an_info_may_have_done_what_it_was_asked_whatever_it_says(told: Any) -> None:
    asked = [["append", "x", 2], ["append", "y", 3]]
    reads = [["r", "x", [1, 2]], ["r", "y", [3]]]
    verdict = strictly(
        (2, "invoke", asked),
        (2, "info", told),
        (3, "invoke", [["r", "x", None], ["r", "y", None]]),
        (3, "ok", reads),
    )
    assert verdict.valid is True, verdict.why


@pytest.mark.parametrize("told", [None, [], "done"])
def test_an_ok_without_an_answer_makes_nothing_valid(told: Any) -> None:
    silent: tuple[Record, ...] = ((2, "invoke", [["r", "x", None]]), (2, "ok", told))
    verdict = strictly(*silent)
    assert verdict.valid is UNKNOWN
    assert "is ok and does not say" in verdict.why
    stale: tuple[Record, ...] = ((3, "invoke", [["r", "x", None]]), (3, "ok", [["r", "x", []]]))
    assert strictly(*silent, *stale).valid is False


def test_invocations_without_micro_operations_are_fine() -> None:
    assert strictly((2, "invoke", None), (2, "ok", [["r", "x", [1]]])).valid is True


def test_appends_alone_test_nothing() -> None:
    made: list[Record] = [(p, k, [["append", "x", p]]) for p in (0, 1) for k in ("invoke", "ok")]
    operations = [Operation(n, n, p, k, "txn", v) for n, (p, k, v) in enumerate(made)]
    verdict = judged(History(operations), "serializable")
    assert verdict.valid is UNKNOWN
    assert strictly((2, "invoke", [["r", "z", None]]), (2, "ok", [["r", "z", []]])).valid is True
    nothing = [Operation(0, 0, 0, "invoke", "txn", [["r", "z", None]])]
    nothing += [Operation(1, 1, 0, "ok", "txn", [["r", "z", []]])]
    nothing += [Operation(2, 2, 0, "invoke", "txn", [["append", "x", 1]])]
    nothing += [Operation(3, 3, 0, "ok", "txn", [["append", "x", 1]])]
    assert "nothing of this was tested" in judged(History(nothing), "strict-serializable").why


def test_completions_alone_prove_nothing_of_real_time() -> None:
    operations = [
        Operation(0, 0, 0, "ok", "txn", [["append", "x", 1]]),
        Operation(1, 1, 1, "ok", "txn", [["r", "x", []]]),
    ]
    assert judged(History(operations), "serializable").valid is True
    assert judged(History(operations)).valid is True  # by sessions, as nothing was claimed
    assert judged(History(operations), "strict-serializable").valid is UNKNOWN


@pytest.mark.parametrize("initial", [{"x": [7]}, [7], {"x": [7], "z": None}])
def test_the_declared_initial_state_comes_first_in_every_read(initial: Any) -> None:
    verdict = strictly(header=Header(initial=initial))
    assert verdict.valid is False
    assert "when the history began" in verdict.anomalies["incompatible-order"][0].message
    more: list[Record] = [(2, "invoke", [["r", "y", None]]), (2, "ok", [["r", "y", [7]]])]
    assert strictly(*more, header=Header(initial={"y": [7]})).valid is True
    assert strictly(*more).valid is False


@pytest.mark.parametrize("initial", [0, "x", {"x": 1}])
def test_a_declared_state_that_is_no_list_is_refused(initial: Any) -> None:
    assert strictly(header=Header(initial=initial)).valid is UNKNOWN


def test_a_lost_update_is_told_by_the_last_read_before_the_append() -> None:
    """At cursor stability, which lets a transaction read a key again and find more."""
    verdict = judged(
        History(
            [
                Operation(0, 0, 0, "invoke", "txn", [["r", "x", None], ["r", "x", None]]),
                Operation(1, 1, 1, "invoke", "txn", [["r", "x", None], ["append", "x", 1]]),
                Operation(2, 2, 1, "ok", "txn", [["r", "x", []], ["append", "x", 1]]),
                Operation(3, 3, 0, "ok", "txn", [["r", "x", []], ["r", "x", [1]]]),
            ]
        ),
        "cursor-stability",
    )
    assert "lost-update" not in verdict.anomalies
