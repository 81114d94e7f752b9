"""Weak models by saturation: against trying every order of commits, and on mere sessions."""

from __future__ import annotations

import pytest

from checkers.elle.registers.dependencies import WRITES
from checkers.elle.registers.versions import versions
from checkers.elle.registers.weak_saturation import (
    CAUSAL,
    READ_ATOMIC,
    READ_COMMITTED,
    contradiction,
)
from checkers.elle.transactions import transactions
from harness.history.columns import columns
from harness.history.history import History
from harness.history.reader import parse_history
from harness.verdict.verdict import UNKNOWN
from tests.checkers.elle.registers.axioms import is_allowed, is_odd
from tests.checkers.elle.registers.drawing import drawn, judged, odd_history, random_history

HISTORIES = 400
FRACTURED = "r 3 0\n---\nr 1 1\nr 0 0\n===\nw 1 1\n---\nr 1 0\n===\nw 0 0\nw 1 0\nw 3 0\n"
"""A session sees 1 and then, of one transaction, 0 and what that overwrote."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [READ_COMMITTED, READ_ATOMIC, CAUSAL])
@pytest.mark.parametrize("sessions", [True, False])
def test_a_contradiction_is_found_if_no_order_of_commits_will_do(kind: str, sessions: bool) -> None:
    decided = {True: 0, False: 0}
    for seed in range(HISTORIES):
        draw = random_history if seed % 2 else odd_history
        history = draw(seed, transactions=5, most_steps=4)
        found = transactions(columns(history), WRITES, of_lists=False)
        known = versions(found, history.header.initial)
        steps = contradiction(known, kind, sessions=sessions)
        expected = is_allowed(history, kind, sessions=sessions)
        if is_odd(history):
            assert steps is None or steps
            continue
        assert steps is not None
        assert (not steps) is expected, (seed, history.operations)
        decided[expected] += 1
        if steps:
            after = [*steps[1:], steps[0]]
            assert all(a.after == b.before for a, b in zip(steps, after, strict=True))
    assert min(decided.values()) > 10


def sessions_of(text: str) -> History:
    return parse_history(text.encode(), "sessions.txt", "awdit")


@pytest.mark.parametrize("model", ["read-atomic", "causal"])
def test_sessions_without_times_count_in_weak_models(model: str) -> None:
    verdict = judged(sessions_of(FRACTURED), model)
    assert verdict.valid is False
    assert model in verdict.not_
    assert judged(sessions_of(FRACTURED), "read-committed").valid is True


def test_read_committed_of_sessions_is_broken_by_reading_what_comes_later() -> None:
    """Each session reads what the other writes only after its own read."""
    verdict = judged(sessions_of("r 1 1\n---\nw 0 0\n===\nr 0 0\n---\nw 1 1\n"), "read-committed")
    assert verdict.valid is False
    assert "read-committed" in verdict.not_
    assert "strong-session-read-committed" in verdict.not_


@pytest.mark.parametrize("text", ["w 0 1\n===\nw 0 2\n---\nr 0 1\n", "r 0 1\n===\nw 0 1\n"])
def test_the_order_of_lines_of_two_sessions_means_nothing(text: str) -> None:
    history = sessions_of(text)
    assert judged(history, "serializable").valid is True
    assert judged(history).valid is True
    verdict = judged(history, "strict-serializable")
    assert verdict.valid == UNKNOWN


def test_a_read_of_zero_in_plumes_text_found_the_initial_state() -> None:
    history = parse_history(b"r(1,0,0,0)\nw(1,5,1,1)\nr(1,5,0,2)\n", "plume.txt", "plume")
    assert judged(history, "serializable").valid is True
    stale = parse_history(b"r(1,5,0,0)\nw(1,5,1,1)\nr(1,0,0,2)\n", "plume.txt", "plume")
    assert judged(stale, "causal").valid is False


def test_a_model_is_broken_by_breaking_a_weak_one_that_it_implies() -> None:
    drawing = "p: [wx1 wy1 ]\nq: [wx2 wy2 ]\nr:             [rx1 ry2]"
    verdict = judged(drawing, "snapshot-isolation")
    assert verdict.valid is False
    assert "causal-cerone" in verdict.not_
    assert "snapshot-isolation" in verdict.also_not
    message = verdict.anomalies["no-commit-order"][0].message
    assert 'T3 saw T1 (in key "x", which T3 read as 1)' in message
    assert message.count("T3 = {index 5") == 1
    assert message.endswith("a contradiction!")
    assert judged(drawing, "read-committed").valid is True


def test_a_read_again_of_what_was_read_before_counts_after_what_was_seen_between() -> None:
    history = drawn("p: [wx2 wy1]\nq: [ry_ rx2 ry_]", extra={"order": "session"})
    assert judged(history, "read-committed").valid is False
    history = drawn("p: [wx2 wy1]\nq: [ry_ rx2]", extra={"order": "session"})
    assert judged(history, "read-committed").valid is True
