"""The intervals of a soak: against published figures, exact sums and simulation."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.soak.statistics import binomial_cdf, estimate, runs_still_needed


def exact_cdf(k: int, n: int, p: Fraction) -> Fraction:
    """P(X <= k), in fractions: slow and without rounding."""
    return sum(
        (math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(min(k, n) + 1)),
        start=Fraction(0),
    )


@given(n=st.integers(1, 40), k=st.integers(0, 40), p=st.fractions(0, 1, max_denominator=50))
def test_the_binomial_sum_equals_the_exact_one(n: int, k: int, p: Fraction) -> None:
    assert binomial_cdf(k, n, float(p)) == pytest.approx(float(exact_cdf(k, n, p)), abs=1e-9)


@pytest.mark.parametrize(
    ("runs", "at_most"), [(5, 0.4507), (16, 0.171), (20, 0.139), (60, 0.049), (299, 0.010)]
)
def test_no_failure_in_n_runs_is_the_rule_of_three(runs: int, at_most: float) -> None:
    assert estimate(runs, 0, 0.95, "fixed-n").at_most == pytest.approx(at_most, abs=5e-4)


def test_clopper_pearson_equals_the_tables() -> None:
    # scipy.stats.beta.ppf, as binom.test of R
    few = estimate(200, 3, 0.95, "fixed-n")
    assert (few.low, few.high) == pytest.approx((0.0031041076, 0.0432082819), abs=1e-6)
    half = estimate(20, 10, 0.95, "fixed-n")
    assert (half.low, half.high) == pytest.approx((0.2719578, 0.7280422), abs=1e-6)


def test_all_runs_failed() -> None:
    every = estimate(4, 4, 0.95, "fixed-n")
    assert every.high == 1.0
    assert every.low == pytest.approx(0.025**0.25)


def test_nothing_decided_says_nothing() -> None:
    none = estimate(0, 0, 0.95, "until-failure")
    assert (none.low, none.high) == (0.0, 1.0)
    assert "nothing is known" in none.sentence()


def coverage(p: float, most: int, confidence: float) -> float:
    """The exact chance that a loop until failure, of ``most`` runs, states an interval with p."""
    covered = 0.0
    for n in range(1, most + 1):
        stated = estimate(n, 1, confidence, "until-failure")
        covered += (1 - p) ** (n - 1) * p * (stated.low <= p <= stated.high)
    stated = estimate(most, 0, confidence, "until-failure")
    return covered + (1 - p) ** most * (stated.low <= p <= stated.high)


@given(p=st.floats(0.001, 0.999), most=st.integers(1, 60))
def test_until_failure_covers_the_rate_at_least_as_often_as_stated(p: float, most: int) -> None:
    assert coverage(p, most, 0.9) >= 0.9 - 1e-9


@pytest.mark.slow
@given(p=st.floats(0.001, 0.999), n=st.integers(1, 40))
def test_fixed_n_covers_the_rate_at_least_as_often_as_stated(p: float, n: int) -> None:
    chance = 0.0
    for k in range(n + 1):
        stated = estimate(n, k, 0.9, "fixed-n")
        mass = math.comb(n, k) * p**k * (1 - p) ** (n - k)
        chance += mass * (stated.low <= p <= stated.high)
    assert chance >= 0.9 - 1e-9


def test_the_fixed_rule_would_lie_about_a_loop_that_stops_at_its_first_failure() -> None:
    # Stopping at the first failure and then using the fixed rule misses more than stated.
    p, missed = 0.6, 0.0
    for n in range(1, 200):
        wrong = estimate(n, 1, 0.9, "fixed-n")
        missed += (1 - p) ** (n - 1) * p * (not wrong.low <= p <= wrong.high)
    right = 1 - coverage(p, 200, 0.9)
    assert right <= 0.1 + 1e-9
    assert missed != pytest.approx(right)


@pytest.mark.parametrize(("rate", "runs"), [(0.25, 11), (0.10, 29), (0.04, 74), (0.01, 299)])
def test_runs_needed_to_show_a_rate(rate: float, runs: int) -> None:
    assert runs_still_needed(0, 0, 0.95, rate) == runs
    assert runs_still_needed(runs - 1, 0, 0.95, rate) == 1
    assert runs_still_needed(runs, 0, 0.95, rate) == 0


def test_a_failure_costs_further_runs_and_the_answer_suffices() -> None:
    more = runs_still_needed(20, 1, 0.95, 0.05)
    assert more is not None
    assert estimate(20 + more, 1, 0.95, "fixed-n").at_most <= 0.05
    assert estimate(19 + more, 1, 0.95, "fixed-n").at_most > 0.05


@pytest.mark.parametrize(("runs", "failures"), [(3, 4), (3, -1), (-1, 0)])
def test_impossible_counts_are_refused(runs: int, failures: int) -> None:
    with pytest.raises(ValueError, match="failures"):
        estimate(runs, failures, 0.95, "fixed-n")


def test_two_failures_of_a_loop_that_stops_at_the_first_are_refused() -> None:
    with pytest.raises(ValueError, match="first failure"):
        estimate(5, 2, 0.95, "until-failure")
