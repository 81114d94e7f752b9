"""rw-register: each kind of odd read by hand, and random histories of all kinds at every level."""

from __future__ import annotations

from typing import Any

import pytest

from harness.history.history import History
from harness.history.operation import Header, Operation
from harness.verdict.verdict import UNKNOWN
from tests.checkers.elle.registers.campaign import Tally, judge_one
from tests.checkers.elle.registers.drawing import judged

EVERY = ("read-uncommitted", "read-committed", "causal", "PRAM", "serializable")
HISTORIES = 250


@pytest.mark.slow
def test_random_histories_of_all_kinds_are_judged_as_the_oracles_have_it() -> None:
    tally = Tally()
    for seed in range(HISTORIES):
        judge_one(seed, tally, 3)
    assert tally.wrong == []
    assert sum(n for (_, _, allows), n in tally.answers.items() if not allows) > HISTORIES


def records(*rows: tuple[int, str, list[list[Any]]], **header: Any) -> History:
    return History(
        [
            Operation(n, n, process, kind, "txn", value)
            for n, (process, kind, value) in enumerate(rows)
        ],
        Header(**header),
    )


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize(
    ("drawing", "kind"),
    [
        ("p: [rx1 wx1] [ry1]\nq: [wy1]", "future-read"),
        ("p: [rx1 wx1 wx2] [ry1]\nq: [wy1]", "future-read"),
        ("p: [wx1 rx_] [ry1]\nq: [wy1]", "own-write-unread"),
        ("p: [wx1 wx2 rx1] [ry1]\nq: [wy1]", "own-write-unread"),
        ("p: [wx1] [rx7]", "thin-air"),
    ],
)
@pytest.mark.parametrize("assume", [{}, {"wfr_keys": True}, {"linearizable_keys": True}])
def test_what_no_history_has_is_wrong_at_every_level(
    model: str, drawing: str, kind: str, assume: dict[str, bool]
) -> None:
    verdict = judged(drawing, model, **assume)
    assert verdict.valid is False
    assert kind in verdict.anomalies
    assert model in verdict.not_ + verdict.also_not


def test_anothers_value_over_ones_own_is_open_below_read_committed_alone() -> None:
    drawing = "p: [wx1    ] [rx2]\nq: [wx2 rx1]"
    assert judged(drawing, "read-committed").valid is False
    verdict = judged(drawing, "read-uncommitted")
    assert verdict.valid == UNKNOWN
    assert "own-write-overwritten" in verdict.why


@pytest.mark.parametrize("model", ["consistent-view", "repeatable-read", "update-serializable"])
@pytest.mark.parametrize("answers", ["rx1 rx2", "rx2 rx1", "rx_ rx1", "rx1 rx_"])
def test_two_answers_are_allowed_by_read_committed_alone(model: str, answers: str) -> None:
    drawing = f"p: [wx1 ] [wx2 ]\nq:   [{answers}     ]"
    assert judged(drawing, model).valid is False
    assert judged(drawing, "read-committed").valid is True


def test_a_circle_of_second_reads_is_found() -> None:
    drawing = "p: [wx1 ry_ ry1]\nq: [wy1 rx_ rx1]"
    assert "G1c" in judged(drawing, "read-committed").anomalies


def test_intermediate_and_aborted_values_are_allowed_at_read_uncommitted() -> None:
    assert judged("p: [wx1 wx2]\nq: [rx1] [rx2]", "read-uncommitted").valid is True
    assert judged("p: [wx1!\nq: [rx1] [wx2] [rx2]", "read-uncommitted").valid is True


@pytest.mark.parametrize(("key", "value", "valid"), [("y", 1, False), ("z", None, True)])
def test_reads_of_an_info_count_once_it_was_read_from(key: str, value: Any, valid: bool) -> None:
    """It read x = 9 from nowhere; that tells nothing unless it committed."""
    history = records(
        (0, "invoke", [["r", "x", None], ["w", "y", 1]]),
        (0, "info", [["r", "x", 9], ["w", "y", 1]]),
        (1, "invoke", [["r", key, None]]),
        (1, "ok", [["r", key, value]]),
        (1, "invoke", [["w", "z", 1]]),
        (1, "ok", [["w", "z", 1]]),
    )
    verdict = judged(history, "serializable")
    assert verdict.valid is valid
    if not valid:
        assert "it cannot have committed" in verdict.anomalies["G1a"][0].message
    assert judged(history, "read-uncommitted").valid is not False


def test_what_an_info_was_asked_already_is_no_answer() -> None:
    history = records(
        (0, "invoke", [["r", "x", 9], ["w", "y", 1]]),
        (0, "info", [["r", "x", 9], ["w", "y", 1]]),
        (1, "invoke", [["r", "y", None]]),
        (1, "ok", [["r", "y", 1]]),
    )
    assert judged(history, "serializable").valid is True


@pytest.mark.parametrize("initial", [0, {"x": 0}, {"x": 0, "unused": 1}])
def test_the_declared_initial_state_is_what_is_there_first(initial: Any) -> None:
    rows = [
        (0, "invoke", [["r", "x", None], ["w", "x", 1]]),
        (0, "ok", [["r", "x", 0], ["w", "x", 1]]),
        (1, "invoke", [["r", "x", None]]),
        (1, "ok", [["r", "x", 1]]),
    ]
    assert judged(records(*rows, initial=initial), "strict-serializable").valid is True
    assert judged(records(*rows), "serializable").valid is False
    stale = [*rows[:3], (1, "ok", [["r", "x", 0]])]
    verdict = judged(records(*stale, initial=initial), "strict-serializable")
    assert "initial (0) state" in verdict.anomalies["G-single-item-realtime"][0].message
    absent = [*rows[:3], (1, "ok", [["r", "x", None]])]
    assert "thin-air" in judged(records(*absent, initial=initial), "serializable").anomalies
    twice = [(0, "invoke", [["w", "x", 0]]), (0, "ok", [["w", "x", 0]])]
    assert (
        "the declared initial state"
        in judged(records(*rows, *twice, initial=initial), "read-uncommitted").why
    )


def test_a_key_that_is_a_number_is_declared_as_text() -> None:
    rows = [
        (0, "invoke", [["r", 1, None], ["w", 1, 1]]),
        (0, "ok", [["r", 1, 7], ["w", 1, 1]]),
        (0, "invoke", [["r", 1, None]]),
        (0, "ok", [["r", 1, 1]]),
    ]
    assert judged(records(*rows, initial={"1": 7}), "serializable").valid is True


def test_a_list_is_a_value_of_a_register() -> None:
    rows = [
        (0, "invoke", [["w", "x", [2]]]),
        (0, "ok", [["w", "x", [2]]]),
        (1, "invoke", [["r", "x", None]]),
    ]
    assert judged(records(*rows, (1, "ok", [["r", "x", [2]]])), "serializable").valid is True
    for other in ([], [3], [2, 2], 2):
        verdict = judged(records(*rows, (1, "ok", [["r", "x", other]])), "serializable")
        assert "thin-air" in verdict.anomalies


def test_completions_alone_tell_the_order_of_sessions_and_no_times() -> None:
    wrote, stale = (0, "ok", [["w", "x", 1]]), [["r", "x", None]]
    assert judged(records(wrote, (1, "ok", stale))).valid is True
    assert judged(records(wrote, (0, "ok", stale))).valid is False
    assert judged(records(wrote, (1, "ok", stale)), "strict-serializable").valid == UNKNOWN
    assert judged(records(wrote, (0, "ok", stale)), "strict-serializable").valid is False
    assert judged(records(wrote, (0, "ok", stale)), "serializable").valid is True


def test_without_a_read_nothing_is_tested() -> None:
    verdict = judged("p: [wx1] [wx2]\nq:            [wx3]", "strict-serializable")
    assert verdict.valid == UNKNOWN
    assert "nothing of this was tested" in verdict.why
