"""Two counts of failures: over 10,000 comparisons the errors are as stated, and the test exact."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.stats import boschloo_exact, hypergeom

from harness.errors import UsageError
from harness.soak.comparing import Side, boschloo, chance, compare, fisher, newcombe
from harness.soak.planning import power_of, region, runs_needed

COMPARISONS = 10_000


def side(runs: int, failures: int) -> Side:
    return Side(name="", runs=runs, failures=failures)


@cache
def word(a_runs: int, a_failures: int, b_runs: int, b_failures: int) -> str:
    return compare(side(a_runs, a_failures), side(b_runs, b_failures), 0.95).word


def drawn(runs: int, a_rate: float, b_rate: float, seed: int) -> list[tuple[int, int]]:
    """Failures of A and B in so many comparisons."""
    rng = np.random.default_rng(seed)
    counts = [rng.binomial(runs, rate, COMPARISONS).tolist() for rate in (a_rate, b_rate)]
    return list(zip(*counts, strict=True))


def spread(share: float) -> float:
    """Three standard deviations of a share of all comparisons."""
    return 3 * math.sqrt(share * (1 - share) / COMPARISONS)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.03, 0.2, 0.5])
def test_where_both_fail_alike_either_word_is_said_in_one_comparison_of_twenty_at_most(
    rate: float,
) -> None:
    words = [word(14, a, 14, b) for a, b in drawn(14, rate, rate, 1)]
    for said in (("fixed", "better"), ("worse",)):
        assert sum(each in said for each in words) / COMPARISONS <= 0.05 + spread(0.05)


def test_a_planned_comparison_shows_the_fix_as_often_as_was_planned() -> None:
    runs = runs_needed(0.3, 0.0, confidence=0.95, power=0.8)
    power = power_of(runs, 0.3, 0.0, 0.95)
    found = sum(word(runs, a, runs, b) == "fixed" for a, b in drawn(runs, 0.3, 0.0, 2))
    assert power >= 0.8
    assert found / COMPARISONS == pytest.approx(power, abs=spread(power))
    assert power_of(runs - max(1, runs // 50) - 1, 0.3, 0.0, 0.95) < 0.8


@pytest.mark.slow
def test_a_bug_of_one_run_in_fifty_is_told_from_its_fix_with_the_planned_runs() -> None:
    runs = runs_needed(0.02, 0.0, confidence=0.95, power=0.8)
    border = region(runs, 0.95)
    fixed = [b <= border[a] for a, b in drawn(runs, 0.02, 0.0, 3)]
    assert 300 < runs < 360
    assert sum(fixed) / COMPARISONS >= 0.8 - spread(0.8)
    least = next(a for a, most in enumerate(border) if most >= 0)
    assert word(runs, least, runs, 0) == "fixed"
    assert word(runs, least - 1, runs, 0) == "not shown"


@pytest.mark.parametrize("rates", [(0.3, 0.05), (0.5, 0.5), (0.1, 0.02)])
def test_the_interval_of_the_difference_holds_it_about_as_often_as_it_says(
    rates: tuple[float, float],
) -> None:
    wanted = rates[0] - rates[1]
    intervals = cache(lambda a, b: newcombe(side(50, a), side(50, b), 0.95))
    found = [intervals(a, b) for a, b in drawn(50, *rates, 4)]
    assert sum(low <= wanted <= high for low, high in found) / COMPARISONS > 0.93


@pytest.mark.parametrize("table", [(5, 30, 0, 30), (7, 20, 2, 25), (10, 60, 3, 50), (0, 9, 4, 9)])
def test_boschloo_is_as_scipy_has_it(table: tuple[int, int, int, int]) -> None:
    a, a_runs, b, b_runs = table
    counts = [[a, b], [a_runs - a, b_runs - b]]
    found = boschloo_exact(counts, alternative="greater", n=64).pvalue
    assert boschloo(a, a_runs, b, b_runs) == pytest.approx(found, abs=2e-5)


def test_fisher_is_the_hypergeometric_tail() -> None:
    for a in range(13):
        for b in range(8):
            tail = hypergeom.sf(a - 1, 19, a + b, 12)
            assert fisher(a, 12, b, 7) == pytest.approx(tail, rel=1e-9, abs=1e-12)


def test_the_border_of_a_plan_keeps_to_its_level_whatever_the_common_rate() -> None:
    border = region(30, 0.95)
    assert max(chance(border, 30, 30, rate / 997, rate / 997) for rate in range(1, 997)) <= 0.05


@pytest.mark.parametrize(
    ("a", "b", "said", "sentence"),
    [
        ((40, 12), (40, 0), "fixed", "Fixed, as far as 40 runs can show"),
        ((40, 20), (40, 2), "better", "Better, and not fixed"),
        ((40, 1), (40, 14), "worse", "Worse: B fails more often"),
        ((16, 1), (16, 0), "not shown", "Not shown: chance alone explains this"),
        ((0, 0), (16, 0), "not shown", "A failed in 0 of 0 decided runs"),
    ],
)
def test_the_words_and_their_numbers(
    a: tuple[int, int], b: tuple[int, int], said: str, sentence: str
) -> None:
    found = compare(side(*a), side(*b), 0.95)
    assert found.word == said
    assert sentence in found.sentence()
    assert found.as_json()["a"]["runs"] == a[0]


def test_an_unplanned_number_of_runs_shows_only_what_confidence_sequences_show() -> None:
    def found(a: Any, b: Any) -> str:
        return compare(side(*a), side(*b), 0.95, is_planned=False).word

    assert found((40, 12), (40, 0)) == "not shown"
    assert found((60, 40), (60, 0)) == "fixed"
    assert found((60, 0), (60, 40)) == "worse"
    told = compare(side(40, 12), side(40, 0), 0.95, is_planned=False).sentence()
    assert "not as many as were planned" in told


@pytest.mark.parametrize(("old", "new"), [(0.1, 0.1), (0.1, 0.2), (1.5, 0.0), (0.1, -0.1)])
def test_what_is_no_fix_is_no_plan(old: float, new: float) -> None:
    with pytest.raises(UsageError, match="no fix"):
        runs_needed(old, new, confidence=0.95, power=0.8)
