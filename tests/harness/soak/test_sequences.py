"""Confidence sequences: over 10,000 simulated soaks, looked at after every run, they hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.soak.sequences import ABOVE, BELOW, known, log_stake, lower, upper
from harness.soak.statistics import binomial_cdf, estimate, runs_still_needed

SOAKS = 10_000
ALLOWED = 0.05 + 3 * math.sqrt(0.05 * 0.95 / SOAKS)
"""A share of five percent, and three standard deviations of chance."""


def failures_so_far(rate: float, runs: int, seed: int) -> Any:
    """A row for each soak: how many of its first 1, 2, … runs failed."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.random((SOAKS, runs)) < rate, axis=1, dtype=np.int32)


def ever(so_far: Any, is_so: Callable[[int, int], bool]) -> Any:
    """In which soaks it is so after some run; each count of runs and failures is asked once."""
    wide = so_far.shape[1] + 1
    places = so_far * wide + np.arange(1, wide, dtype=np.int32)
    answers = np.zeros((int(so_far.max()) + 1) * wide, dtype=bool)
    answers[places] = True  # which pairs there are at all
    for pair in np.flatnonzero(answers).tolist():
        answers[pair] = is_so(pair % wide, pair // wide)
    return answers[places].any(axis=1)


@pytest.mark.parametrize(("rate", "runs"), [(0.01, 400), (0.1, 150), (0.5, 60)])
def test_the_true_rate_is_ever_refuted_in_one_soak_of_twenty_at_most(
    rate: float, runs: int
) -> None:
    so_far = failures_so_far(rate, runs, 1)
    for bets in (BELOW, ABOVE):
        wrong = ever(so_far, lambda n, k, bets=bets: log_stake(n, k, rate, bets) >= math.log(20))
        assert wrong.mean() <= ALLOWED


def test_a_fixed_interval_looked_at_after_every_run_is_wrong_far_more_often() -> None:
    def is_refuted(n: int, k: int) -> bool:
        at_least = 1.0 if not k else 1.0 - binomial_cdf(k - 1, n, 0.01)
        return min(binomial_cdf(k, n, 0.01), at_least) <= 0.025

    assert ever(failures_so_far(0.01, 400, 2), is_refuted).mean() > 0.1


@pytest.mark.parametrize("said", ["at most", "above"])
def test_a_rate_at_the_border_is_put_on_either_side_in_one_soak_of_twenty_at_most(
    said: str,
) -> None:
    so_far = failures_so_far(0.05, 300, 3)
    assert ever(so_far, lambda n, k: known(n, k, 0.05, 0.95) == said).mean() <= ALLOWED


def test_it_becomes_known_where_the_rate_is_clearly_on_one_side() -> None:
    high, low = failures_so_far(0.2, 150, 4), failures_so_far(0.01, 300, 5)
    assert ever(high, lambda n, k: known(n, k, 0.05, 0.95) == "above").mean() > 0.95
    assert ever(low, lambda n, k: known(n, k, 0.05, 0.95) == "at most").mean() > 0.9


def test_without_a_failure_it_costs_an_eighth_more_runs_than_a_number_set_beforehand() -> None:
    beforehand = runs_still_needed(0, 0, 0.95, 0.01)
    any_time = runs_still_needed(0, 0, 0.95, 0.01, any_time=True)
    assert (beforehand, any_time) == (299, 335)
    assert known(334, 0, 0.01, 0.95) == ""
    assert known(335, 0, 0.01, 0.95) == "at most"


@pytest.mark.parametrize(("runs", "failures"), [(1, 0), (1, 1), (20, 3), (200, 0), (200, 200)])
def test_the_interval_holds_the_observed_rate_and_is_wider_than_the_fixed_one(
    runs: int, failures: int
) -> None:
    at_any_time = estimate(runs, failures, 0.95, "any-time")
    fixed = estimate(runs, failures, 0.95, "fixed-n")
    assert at_any_time.low <= failures / runs <= at_any_time.high
    assert at_any_time.low <= fixed.low
    assert at_any_time.high >= fixed.high


def test_the_ends_are_where_the_stake_reaches_its_limit() -> None:
    high, low = upper(50, 4, 0.05), lower(50, 4, 0.05)
    assert log_stake(50, 4, high, BELOW) == pytest.approx(math.log(20), abs=1e-6)
    assert log_stake(50, 4, low, ABOVE) == pytest.approx(math.log(20), abs=1e-6)
    assert 0 < low < 4 / 50 < high < 1


def test_the_shares_of_a_stake_are_a_stake() -> None:
    for bets in (BELOW, ABOVE):
        assert math.fsum(share for _, share in bets) == pytest.approx(1)
