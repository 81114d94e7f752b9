"""The checker of logs against definitions written anew, on thousands of small random histories."""

from __future__ import annotations

from random import Random

import pytest

from checkers.log import Log
from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Verdict
from tests.checkers.log.random_logs import errors, random_log_history


def judged(history: History, **options: object) -> Verdict:
    return Log(options).check(Record(history=history), Budget.start(60))


@pytest.mark.parametrize("seed", range(4))
def test_every_error_and_no_other_is_told(seed: int) -> None:
    rng = Random(f"logs {seed}")
    answers = {True: 0, False: 0, UNKNOWN: 0}
    for number in range(250):
        history = random_log_history(rng, rng.randint(2, 8))
        verdict = judged(history)
        expected, waiting = errors(history)
        assert set(verdict.anomalies) == expected, (number, verdict.why, history.operations)
        if not expected and waiting:
            assert verdict.valid is UNKNOWN
        answers[verdict.valid] += 1
    assert answers[True] > 30
    assert answers[False] > 60


@pytest.mark.parametrize("odd", ["a", 7, {"a": "b"}, {"a": [1]}, {"a": [["x", 1]]}, {"a": 3}])
def test_a_poll_answered_in_another_shape_is_unknown(odd: object) -> None:
    history = random_log_history(Random("shape"), 3)
    last = history.operations[-1]
    operations = [*history.operations[:-1], _with(last, [["poll", odd]])]
    assert judged(History(operations)).valid is UNKNOWN


@pytest.mark.parametrize("told", [[], [["send", "b", [0, 1]]], [["send", "a", [0, 2]]], "ok"])
def test_an_answer_to_something_else_is_unknown(told: object) -> None:
    poll = [["poll", {"a": [[0, 1]]}]]
    verdict = judged(
        History(
            [
                Operation(0, 0, 0, "invoke", "send", [["send", "a", 1]]),
                Operation(1, 1, 0, "ok", "send", told),
                Operation(2, 2, 1, "invoke", "poll", [["poll"]]),
                Operation(3, 3, 1, "ok", "poll", poll),
            ]
        )
    )
    assert verdict.valid is (True if told == [] else UNKNOWN)


def test_completions_alone_are_judged_as_what_they_are() -> None:
    records = [
        Operation(0, 0, 0, "ok", "txn", [["send", "a", [0, 1]], ["poll", {"b": [[0, 2]]}]]),
        Operation(1, 1, 1, "ok", "txn", [["send", "b", [0, 2]], ["poll", {"a": [[0, 1]]}]]),
    ]
    assert set(judged(History(records)).anomalies) == {"G1c"}


def test_without_transactions_a_message_proves_itself_alone() -> None:
    records = [
        Operation(0, 0, 0, "invoke", "send", [["send", "a", 1], ["send", "b", 2]]),
        Operation(1, 1, 0, "info", "send", [["send", "a", 1], ["send", "b", [0, 2]]]),
        Operation(2, 2, 1, "invoke", "send", [["send", "b", 3]]),
        Operation(3, 3, 1, "info", "send", [["send", "b", 3]]),
        Operation(4, 4, 2, "invoke", "poll", [["poll"]]),
        Operation(5, 5, 2, "ok", "poll", [["poll", {"a": [[0, 1]], "b": [[1, 3]]}]]),
    ]
    assert set(judged(History(records)).anomalies) == {"lost-write"}
    assert judged(History(records), transactional=False).valid is True
    assert judged(History(records), isolation_level="read_uncommitted").valid is True


def test_logs_that_did_not_begin_empty_are_unknown() -> None:
    history = random_log_history(Random("initial"), 3)
    assert judged(History(history.operations, Header(initial={"a": [1]}))).valid is UNKNOWN


def _with(operation: Operation, value: object) -> Operation:
    return Operation(operation.index, 0, operation.process, operation.type, operation.f, value)
