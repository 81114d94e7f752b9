"""Weak models by columns: as every order of commits has it, and as looking one by one has it."""

from __future__ import annotations

import pytest

from checkers.elle.registers.weak_saturation import (
    CAUSAL,
    READ_ATOMIC,
    READ_COMMITTED,
    Step,
)
from checkers.elle.registers.weak_saturation import contradiction as by_looking
from checkers.isolation.rw_register.weak_levels import contradiction_by_columns
from tests.checkers.elle.registers.axioms import is_allowed, is_odd
from tests.checkers.elle.registers.drawing import odd_history, random_history
from tests.checkers.isolation.rw_register.campaign import known_of

HISTORIES = 150


def closes(steps: list[Step]) -> bool:
    after = [*steps[1:], steps[0]]
    return all(one.after == other.before for one, other in zip(steps, after, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [READ_COMMITTED, READ_ATOMIC, CAUSAL])
@pytest.mark.parametrize("sessions", [True, False])
def test_columns_tell_what_every_order_of_commits_tells(kind: str, sessions: bool) -> None:
    decided = {True: 0, False: 0}
    for seed in range(HISTORIES):
        draw = random_history if seed % 2 else odd_history
        history = draw(seed, transactions=5, most_steps=4)
        if is_odd(history):
            continue
        steps = contradiction_by_columns(known_of(history), kind, sessions=sessions)
        expected = is_allowed(history, kind, sessions=sessions)
        assert steps is not None
        assert (not steps) is expected, (seed, history.operations)
        assert not steps or closes(steps)
        decided[expected] += 1
    assert min(decided.values()) > 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", [READ_COMMITTED, READ_ATOMIC, CAUSAL])
@pytest.mark.parametrize("sessions", [True, False])
def test_columns_tell_what_looking_one_by_one_tells(kind: str, sessions: bool) -> None:
    answers = set()
    for seed in range(120):
        history = random_history(seed, transactions=14, keys=4, most_steps=5, lanes=4)
        known = known_of(history)
        steps = contradiction_by_columns(known, kind, sessions=sessions)
        if steps is not None:
            expected = by_looking(known, kind, sessions=sessions)
            assert expected is not None
            assert bool(steps) is bool(expected), seed
            answers.add(bool(steps))
            assert not steps or closes(steps)
    assert answers == {True, False}
