"""Floors of gauges over the runs of a soak."""

from __future__ import annotations

import itertools
import random

import pytest

from harness.soak.book import Entry
from harness.soak.creeping import chance_of_rise, creeping


def runs_with(floors: list[float]) -> list[Entry]:
    return [
        Entry(number=at, event="ended", seed=at, wall_ns=at, floors={"pending": each, "files": 7.0})
        for at, each in enumerate(floors, start=1)
    ]


def test_a_floor_that_rises_by_a_quarter_of_a_percent_a_run_is_told() -> None:
    rng = random.Random(1)
    floors = [1000 * 1.0025**at + rng.gauss(0, 2) for at in range(20)]
    (sentence,) = creeping(list(reversed(runs_with(floors))))
    assert sentence.startswith("pending came down to ever more")
    assert creeping(runs_with(floors[:9])) == []
    assert creeping(runs_with(floors[::-1])) == []


def test_floors_that_only_scatter_are_not() -> None:
    rng = random.Random(2)
    told = sum(bool(creeping(runs_with([rng.gauss(9, 2) for _ in range(20)]))) for _ in range(500))
    assert told <= 3  # half of one is expected at a level of 0.001; four have a chance of 1 in 570


def test_the_chance_is_that_of_all_orders() -> None:
    """Against every order of six values: near, for the normal approximation is for many."""
    values = (1, 2, 3, 5, 4, 6)

    def score(order: tuple[int, ...]) -> int:
        return sum((b > a) - (b < a) for a, b in itertools.combinations(order, 2))

    orders = list(itertools.permutations(values))
    exact = sum(score(order) >= score(values) for order in orders) / len(orders)
    assert chance_of_rise(values) == pytest.approx(exact, abs=0.01)
    assert chance_of_rise([3.0] * 12) == 1.0
