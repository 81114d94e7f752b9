"""Values that were written more than once: decided as having every turn in every order has it."""

from __future__ import annotations

import random

import pytest

from checkers.elle.registers.duplicates import doubt
from checkers.isolation.rw_register.open_reads import MOST_TRIES, choice_beside
from harness.verdict.verdict import UNKNOWN
from tests.checkers.elle.registers.drawing import drawn, judged
from tests.checkers.isolation.rw_register.campaign import known_of
from tests.checkers.isolation.rw_register.schedule_oracle import MODELS
from tests.checkers.isolation.rw_register.value_oracle import allows_values, repeated

EITHER = """
    p: [wx1 wy1]         [wx2 wy2]
    q:           [rx1 ry1]         [rx2 ry1]
    r: [wx1 wz1]
    """
"""Whichever 1 of x was read, y is of the first transaction and x of the third one."""


def test_a_read_of_either_of_two_writers_is_a_choice() -> None:
    history = "p: [wx1] [wx1] [rx1]\nq: [rx1 wy1] [ry1]"
    assert judged(history, "serializable").valid is True


def test_what_every_choice_contradicts_is_invalid_and_supposes_each() -> None:
    verdict = judged(EITHER, "serializable")
    assert verdict.valid is False
    assert "serializable" in verdict.not_ + verdict.also_not


def test_a_choice_that_only_the_record_makes_unlikely_is_tried() -> None:
    history = """
        p: [wx1 wy1]                       [rx1 ry2]
        q:           [wx2 wy2]
        r:                     [wx1 wy1]
        s:                               [wx1 wy2]
        """
    assert judged(history, "strict-serializable").valid is True


def test_weak_models_below_read_committed_stay_in_doubt() -> None:
    verdict = judged("p: [wx1] [wx1] [rx1]", "read-uncommitted")
    assert verdict.valid == UNKNOWN
    assert "duplicate-writes" in verdict.why


def test_rulings_leave_each_choice_that_none_of_them_names() -> None:
    known = known_of(drawn("p: [wx1] [wx1] [rx1]\nq: [wx1] [rx1]\nr: [rx1]"))
    some = doubt(known, None)
    widths = [len(group.codes) for group in some.groups]
    assert widths == [3, 3, 3]
    rulings: list[dict[int, int]] = []
    while (choice := choice_beside(some, rulings)) is not None:
        assert dict(enumerate(choice)) not in rulings
        rulings.append(dict(enumerate(choice)))
    assert len(rulings) == 27 < MOST_TRIES


@pytest.mark.slow
def test_small_histories_of_repeated_values_are_decided_as_every_turn_has_it() -> None:
    seen = set()
    for seed in range(150):
        rng = random.Random(seed)
        history = repeated(seed, transactions=rng.choice((3, 4, 5, 6)), keys=rng.choice((1, 2, 3)))
        model = rng.choice(list(MODELS))
        is_allowed = allows_values(history, *MODELS[model])
        verdict = judged(history, model)
        told = verdict.why + "".join(verdict.anomalies)
        if verdict.valid == UNKNOWN:
            assert "nothing of this" in told or "empty-transaction-graph" in told, (seed, told)
            continue
        assert verdict.valid is is_allowed, (seed, model)
        seen.add((is_allowed, "whichever" in verdict.why, "writers_tried" in verdict.stats))
    assert {(True, False, True), (False, True, True)} <= seen
