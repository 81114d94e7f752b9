"""Calls, their lanes by thread, and their words."""

from __future__ import annotations

from typing import Any

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.report.concurrency import thread_count
from harness.report.intervals import pair_calls
from harness.report.wording import Wording


def history(*rows: tuple[Any, str, str, Any], keyed: bool = False) -> History:
    """Records at 1 ms steps from (process, type, f, value)."""
    operations = [
        Operation(index, index * 1_000_000, process, type, f, value)
        for index, (process, type, f, value) in enumerate(rows)
    ]
    return History(operations, Header(independent=keyed))


def test_an_operation_is_one_call_from_invoke_to_completion() -> None:
    calls = pair_calls(
        history(
            (0, "invoke", "read", None),
            (1, "invoke", "write", 3),
            (0, "ok", "read", 3),
            (1, "fail", "write", 3),
        )
    )
    assert calls.start.tolist() == [0, 1_000_000]
    assert calls.end.tolist() == [2_000_000, 3_000_000]
    assert calls.type.tolist() == [1, 2]
    assert calls.f_names == ("read", "write")
    assert [calls.by_index[index] for index in range(4)] == [0, 1, 0, 1]


def test_a_call_without_completion_is_info_and_open_to_the_end() -> None:
    calls = pair_calls(history((0, "invoke", "read", None), ("nemesis", "info", "kill", None)))
    assert calls.type.tolist() == [3]
    assert calls.complete.tolist() == [-1]
    assert calls.end.tolist() == [1_000_000]
    assert calls.span(0) == (0, 2)


def test_a_completion_without_invoke_is_a_call_of_its_own() -> None:
    calls = pair_calls(history((0, "ok", "txn", [["r", "x", 1]])))
    assert calls.invoke.tolist() == [-1]
    assert calls.span(0) == (0, 0)
    assert Wording(calls).phrase(0) == "txn r x 1"


def test_a_history_without_operations_has_no_calls() -> None:
    assert len(pair_calls(History([]))) == 0
    assert len(pair_calls(history(("nemesis", "info", "kill", None)))) == 0


def test_words_tell_the_question_the_answer_and_the_doubt() -> None:
    calls = pair_calls(
        history(
            (0, "invoke", "read", ["k", None]),
            (0, "ok", "read", ["k", None]),
            (0, "invoke", "cas", ["k", [1, 2]]),
            (0, "fail", "cas", ["k", [1, 2]]),
            (0, "invoke", "write", ["k", 5]),
            (0, "info", "write", ["k", 5]),
            keyed=True,
        )
    )
    words = Wording(calls)
    assert [words.phrase(call) for call in range(3)] == ["read → nil", "cas [1,2] ✗", "write 5 ?"]
    assert words.phrase(2, with_key=True) == "write kk 5 ?"
    assert words.keys == ["k", "k", "k"]


def test_threads_are_told_from_the_first_retired_process() -> None:
    rows: list[tuple[Any, str, str, Any]] = [
        (0, "invoke", "read", None),
        (1, "invoke", "read", None),
        (0, "info", "read", None),
        (2, "invoke", "read", None),
        (1, "ok", "read", 1),
        (2, "ok", "read", 1),
    ]
    assert thread_count(pair_calls(history(*rows)), {}) == 2


def test_the_concurrency_asked_for_is_used_where_it_fits() -> None:
    rows: list[tuple[Any, str, str, Any]] = [(0, "invoke", "read", None), (0, "ok", "read", 1)]
    calls = pair_calls(history(*rows))
    assert thread_count(calls, {"concurrency": "4n", "nodes": 5}) == 20
    assert thread_count(calls, {"concurrency": 7}) == 7
    assert thread_count(calls, {"concurrency": "many"}) == 1


def test_a_concurrency_that_would_overlap_calls_is_refused() -> None:
    rows: list[tuple[Any, str, str, Any]] = [
        (0, "invoke", "read", None),
        (5, "invoke", "read", None),
        (0, "ok", "read", 1),
        (5, "ok", "read", 1),
    ]
    assert thread_count(pair_calls(history(*rows)), {"concurrency": 5}) == 6
