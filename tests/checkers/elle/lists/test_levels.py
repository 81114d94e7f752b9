"""Verdicts against brute force: every level, thousands of small histories of every kind."""

from __future__ import annotations

from random import Random

import pytest

from harness.history.history import History
from harness.verdict.verdict import UNKNOWN, Verdict
from tests.checkers.elle.lists.brute_force import LEVELS, has_an_order, txns_of
from tests.checkers.elle.lists.drawing import judged
from tests.checkers.elle.lists.random_lists import (
    completions_alone,
    random_history,
    with_an_odd_answer,
    with_another_answer,
    with_initial,
    with_nested_lists,
)

pytestmark = pytest.mark.slow


HISTORIES = 300
INITIAL = {"x": ["begun", 1000], "y": [[1]]}
ODD = ("1,2", "[1]", 7, {"a": 1}, "", True, 1.5)


def is_compared(level: str, history: History) -> bool:
    """Where reads may show what was never committed, they may tell no order at all."""
    return "uncommitted" not in level or has_an_order(txns_of(history))


def is_tested(verdict: Verdict) -> bool:
    """Whether there was anything to decide."""
    return "empty-transaction-graph" not in verdict.anomalies and "nothing of this" not in (
        verdict.why
    )


def agrees(level: str, history: History, verdict: Verdict) -> bool:
    """Whether ``verdict`` is what trying everything gives, or rightly undecided."""
    allowed = LEVELS[level](txns_of(history))
    if verdict.valid is UNKNOWN:
        gone = "snapshot" in level or level == "consistent-view"
        return not is_tested(verdict) or (gone and not allowed) or level == "consistent-view"
    return verdict.valid is allowed


@pytest.mark.slow
@pytest.mark.parametrize("level", sorted(LEVELS))
def test_a_verdict_is_what_trying_everything_gives(level: str) -> None:
    rng = Random(f"levels {level}")
    decided = {True: 0, False: 0, UNKNOWN: 0}
    for number in range(HISTORIES):
        history = random_history(rng, rng.randint(2, 4))
        if is_compared(level, history):
            verdict = judged(history, level)
            assert agrees(level, history, verdict), (number, verdict, history.operations)
            decided[verdict.valid] += 1
    assert decided[True] > HISTORIES / 5
    assert decided[False] > 0


@pytest.mark.slow
@pytest.mark.parametrize("level", sorted(LEVELS))
def test_the_same_history_told_otherwise_is_judged_alike(level: str) -> None:
    """Lists as elements, and lists that were not empty at the beginning."""
    rng = Random(f"told {level}")
    for number in range(HISTORIES // 6):
        history = random_history(rng, rng.randint(2, 4))
        expected = judged(history, level)
        for other in (with_nested_lists(history), with_initial(history, INITIAL)):
            verdict = judged(other, level)
            if is_compared(level, history):
                assert verdict.valid == expected.valid, (number, verdict, other.operations)


@pytest.mark.slow
@pytest.mark.parametrize("level", sorted(LEVELS))
def test_completions_alone_are_judged_without_real_time(level: str) -> None:
    rng = Random(f"completions {level}")
    decided = {True: 0, False: 0, UNKNOWN: 0}
    for number in range(HISTORIES // 3):
        history = completions_alone(random_history(rng, rng.randint(2, 4)))
        if not is_compared(level, history) or not any(one.value for one in history.operations):
            continue  # infos alone tell not even that they are transactions
        verdict = judged(history, level)
        decided[verdict.valid] += 1
        if level.startswith("str") and "session" not in level and verdict.valid is UNKNOWN:
            continue  # nothing is proved of what needs real time
        assert agrees(level, history, verdict), (number, verdict, history.operations)
    assert decided[False] > 0


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_answers_of_the_wrong_shape_prove_nothing(level: str) -> None:
    rng = Random(f"shape {level}")
    for number in range(HISTORIES // 3):
        found = with_an_odd_answer(random_history(rng, rng.randint(2, 4)), rng, rng.choice(ODD))
        if found is None or not is_compared(level, found[1]):
            continue
        given, without = found
        verdict = judged(given, level)
        assert verdict.valid is not True, (number, given.operations)
        if verdict.valid is False:
            assert not LEVELS[level](txns_of(without)), (number, verdict, given.operations)
        else:
            assert "which is no list" in verdict.why


@pytest.mark.parametrize("level", ["read-uncommitted", "strict-serializable"])
def test_an_answer_to_something_else_is_unknown(level: str) -> None:
    rng = Random(f"answers {level}")
    for number in range(HISTORIES // 3):
        history = with_another_answer(random_history(rng, rng.randint(2, 4)), rng)
        if history is not None:
            verdict = judged(history, level)
            assert verdict.valid is UNKNOWN, (number, verdict, history.operations)
            assert "none to what was asked" in verdict.why
