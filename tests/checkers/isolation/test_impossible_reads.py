"""Reads that no store can answer so, and answers that are none, in every checker of registers."""

from __future__ import annotations

from typing import Any

import pytest

from checkers.isolation.causal import Causal
from checkers.isolation.long_fork import LongFork
from checkers.isolation.torn import Torn
from checkers.isolation.write_skew import WriteSkew
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.elle.registers.drawing import drawn

EACH = pytest.mark.parametrize("checker", [Causal, LongFork, Torn, WriteSkew])


def judged(checker: Any, history: str | History, **options: Any) -> Verdict:
    found = drawn(history) if isinstance(history, str) else history
    verdict: Verdict = checker(options).check(Record(history=found), Budget.start(60))
    return verdict


def asked(*records: tuple[int, str, Any], **header: Any) -> History:
    """Records as (process, type, value)."""
    operations = [
        Operation(at, at, process, kind, "txn", value)
        for at, (process, kind, value) in enumerate(records)
    ]
    return History(operations, Header(**header))


@EACH
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("p: [rx1 wx1 ry_]\nq: [rx_ ry_]", "future-read"),
        ("p: [wx1]\nq: [rx_ ry_ rx1]", "internal"),
        ("p: [wx1 rx_ ry_]\nq: [rx_ ry_]", "own-write-unread"),
        ("p: [wx1 rx2 ry_]\nq: [wx2]", "own-write-overwritten"),
        ("q: [rx1 ry_]\np:           [wx1]", "G1c-realtime"),
        ("p: [wx1 wx2]\nq: [rx1 ry_]", "G1b"),
        ("p: [wx1]\nq: [rx_ ry9]", "thin-air"),
    ],
)
def test_each_is_told(checker: Any, text: str, kind: str) -> None:
    verdict = judged(checker, text)
    assert verdict.valid is False
    assert kind in verdict.anomalies


@EACH
@pytest.mark.parametrize(
    "answer",
    [[["r", "y", None], ["w", "x", 1]], [["r", "x", None], ["w", "x", 2]], "no steps", None],
)
def test_an_answer_to_another_question_proves_nothing(checker: Any, answer: Any) -> None:
    steps = [["r", "x", None], ["w", "x", 1]]
    history = asked((0, "invoke", steps), (0, "ok", answer))
    verdict = judged(checker, history)
    assert verdict.valid == UNKNOWN
    assert "index 1" in verdict.why or "operation 1" in verdict.why


@EACH
def test_operations_of_no_register_are_named(checker: Any) -> None:
    steps = [["r", "x", None], ["incr", "x", 1]]
    verdict = judged(checker, asked((0, "invoke", steps), (0, "info", steps)))
    assert verdict.valid == UNKNOWN
    assert "1 incr" in verdict.why
    failed = judged(checker, asked((0, "invoke", steps), (0, "fail", steps)))
    assert "nothing of this was tested" in failed.why


@EACH
def test_text_where_numbers_were_written_accuses_nobody(checker: Any) -> None:
    read = [["r", "x", None], ["r", "y", None]]
    found = [["r", "x", "1"], ["r", "y", None]]
    write = [["w", "x", 1]]
    records = ((0, "invoke", write), (0, "ok", write), (1, "invoke", read), (1, "ok", found))
    verdict = judged(checker, asked(*records))
    assert verdict.valid == UNKNOWN
    assert "another kind" in verdict.why


@EACH
def test_the_declared_initial_state_is_what_nil_is_elsewhere(checker: Any) -> None:
    read = [["r", "x", None], ["r", "y", None]]
    found = [["r", "x", 0], ["r", "y", None]]
    records = ((0, "invoke", read), (0, "ok", found))
    assert "thin-air" in judged(checker, asked(*records)).anomalies
    assert "thin-air" in judged(checker, asked(*records, initial=0)).anomalies  # y is nil
    assert judged(checker, asked(*records, initial={"x": 0})).valid is not False


def test_what_an_info_read_counts_once_a_committed_transaction_read_its_write() -> None:
    write = [["w", "x", 1], ["w", "y", 1]]
    steps = [["r", "x", None], ["r", "y", None], ["w", "z", 1]]
    told = [["r", "x", 1], ["r", "y", 9], ["w", "z", 1]]
    start = ((0, "invoke", write), (0, "ok", write), (1, "invoke", steps), (1, "info", told))
    seen = ((2, "invoke", [["r", "z", None]]), (2, "ok", [["r", "z", 1]]))
    assert judged(Torn, asked(*start)).valid is not False
    assert "thin-air" in judged(Torn, asked(*start, *seen)).anomalies


@EACH
def test_a_model_that_allows_what_is_looked_for_is_not_tested(checker: Any) -> None:
    text = "p: [wx1 wy1]\nq: [rx1 ry1]"
    assert judged(checker, text).valid is True
    verdict = judged(checker, text, claims=["read-committed"])
    assert (verdict.valid is True) is (checker is Torn)  # which also looks for what failed


@EACH
def test_lists_maps_and_truths_are_values_like_others(checker: Any) -> None:
    write = [["w", "x", [1]], ["w", "y", {"a": 1}], ["w", 1, True]]
    read = [["r", "x", None], ["r", "y", None], ["r", 1, None]]
    found = [["r", "x", [1]], ["r", "y", {"a": 1}], ["r", 1, 1]]
    records = ((0, "invoke", write), (0, "ok", write), (1, "invoke", read), (1, "ok", found))
    verdict = judged(checker, asked(*records))
    assert verdict.valid is not True  # 1 is not true, and nobody wrote it
