"""Shrinks on simulated failures whose smallest schedule is known, and the error that is stated."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from harness.explore.deciding import decided, log_ratio, most_runs, rates_of, runs_to_refuse
from harness.explore.shrinking import FAILURES, NeverAgain, Tally
from harness.explore.smaller import LEAST_LASTS_S, Candidate
from tests.harness.explore.simulated import S, candidate, needs, shrink_of

FOUR = ("kill-1", "pause-1", "partition-1", "clock-1")
ERROR = 0.05


def names_of(found: Candidate) -> list[str]:
    return [each.name for each in found.schedule.occurrences]


def always(is_failing: Callable[[Candidate], bool]) -> Callable[[Candidate], float]:
    return lambda found: float(is_failing(found))


@pytest.mark.parametrize(
    "needed", [("partition-1",), ("kill-1", "clock-1"), ("kill-1", "pause-1", "clock-1"), FOUR]
)
def test_a_failure_that_always_shows_is_shrunk_to_what_it_needs(needed: tuple[str, ...]) -> None:
    found = shrink_of(candidate(*FOUR), always(needs(*needed)), Random(1)).run()
    assert names_of(found) == list(needed)
    for each in found.schedule.occurrences:
        assert (each.lasts_ns or 0) <= LEAST_LASTS_S * S
        assert len(each.plan["order"]) == 1
    assert found.time_limit_s < 50


def test_what_fails_without_any_fault_is_told_so() -> None:
    found = shrink_of(candidate(*FOUR), lambda _: 1.0, Random(1)).run()
    assert names_of(found) == []
    assert found.time_limit_s == 8


def test_two_faults_in_order_are_both_kept_in_their_order_and_apart() -> None:
    """It fails only if the kill begins before the pause, while both last long enough."""

    def fails(found: Candidate) -> bool:
        by_name = {each.name: each for each in found.schedule.occurrences}
        kill, pause = by_name.get("kill-1"), by_name.get("pause-1")
        if kill is None or pause is None:
            return False
        return (kill.start_ns or 0) < (pause.start_ns or 0) and (pause.lasts_ns or 0) >= 2 * S

    found = shrink_of(candidate(*FOUR), always(fails), Random(1)).run()
    assert names_of(found) == ["kill-1", "pause-1"]
    assert found.schedule.occurrences[1].lasts_ns == round(2.5 * S)


def test_targets_that_are_needed_stay() -> None:
    def fails(found: Candidate) -> bool:
        kept = [set(each.plan["order"]) for each in found.schedule.occurrences]
        return any({"n2", "n5"} <= order for order in kept)

    found = shrink_of(candidate("kill-1"), always(fails), Random(1)).run()
    assert [set(each.plan["order"]) for each in found.schedule.occurrences] == [{"n2", "n5"}]


def test_what_never_fails_again_is_not_shrunk() -> None:
    with pytest.raises(NeverAgain) as told:
        shrink_of(candidate(*FOUR), lambda _: 0.0, Random(1), most_reference_runs=9).run()
    assert told.value.tally == Tally(9, 0)


def test_the_same_answers_make_the_same_search() -> None:
    asked = [[ask.candidate.key for ask in each] for each in (_asked(seed) for seed in (3, 3))]
    assert asked[0] == asked[1]
    assert len(asked[0]) == len(set(asked[0]))  # nothing is asked twice


def _asked(seed: int) -> list[object]:
    asked: list[object] = []
    rate = flaky(needs("pause-1"), 0.5)
    shrink_of(candidate(*FOUR), rate, Random(seed), asked).run()  # type: ignore[arg-type]
    return asked


def flaky(is_failing: Callable[[Candidate], bool], rate: float) -> Callable[[Candidate], float]:
    return lambda found: rate if is_failing(found) else 0.0


# -- the stated error --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "shrinks"), [(1.0, 100), (0.5, 200), (0.2, 100)])
def test_the_stated_error_of_a_step_holds_over_hundreds_of_shrinks(
    rate: float, shrinks: int
) -> None:
    """Of steps at the failure's own rate few are refused, of those that cannot fail none is kept.

    The rate that a step must keep is estimated, and is above the true one in a fifth of shrinks; so
    the share of shrinks with any wrong step is bounded by that and by their steps.
    """
    needed = needs("pause-1", "clock-1")
    wrong = steps = whole = runs = 0
    for seed in range(shrinks):
        rng = Random(f"{rate} {seed}")
        shrink = shrink_of(candidate(*FOUR, "kill-2"), flaky(needed, rate), rng)
        found = shrink.run()
        still = [step for step in shrink.steps if needed(step.candidate)]
        assert not [s for s in shrink.steps if s.decision == "still" and s not in still]
        if rate >= (shrink.rates or rates_of(1, 1)).still:
            steps += len(still)
            wrong += sum(step.decision != "still" for step in still)
        whole += names_of(found) == ["pause-1", "clock-1"]
        runs += shrink.reference.runs + sum(step.tally.runs for step in shrink.steps)
    print(f"rate {rate}: {wrong}/{steps} steps, {whole}/{shrinks} whole, {runs / shrinks:.0f} runs")
    assert wrong <= steps * ERROR + 3 * (steps * ERROR) ** 0.5
    assert whole >= shrinks * 0.8


def test_a_background_rate_is_not_taken_for_the_failure() -> None:
    """What fails once in fifty without any fault, and always with one, needs that fault."""
    kept = 0
    for seed in range(200):
        rate = lambda found: 1.0 if needs("kill-1")(found) else 0.02  # noqa: E731
        kept += names_of(shrink_of(candidate(*FOUR), rate, Random(seed)).run()) == ["kill-1"]
    assert kept >= 200 * (1 - ERROR) - 3 * (200 * ERROR) ** 0.5


@pytest.mark.parametrize(("runs", "failures"), [(FAILURES, FAILURES), (8, 4), (20, 4)])
def test_a_test_errs_no_more_often_than_it_says(runs: int, failures: int) -> None:
    """At either rate, by simulation of 2,000 tests, each looked at after every run."""
    rates = rates_of(runs, failures)
    rng = Random(5)
    for rate, wrong in ((rates.still, "not"), (rates.rare, "still")):
        errors = 0
        for _ in range(2000):
            made = failed = 0
            while not (answer := decided(made, failed, rates, ERROR)):
                made, failed = made + 1, failed + (rng.random() < rate)
            errors += answer == wrong
        assert errors <= 2000 * ERROR + 3 * (2000 * ERROR) ** 0.5


def test_how_many_runs_a_step_takes_follows_from_the_failure_rate() -> None:
    assert [runs_to_refuse(rates_of(*pair), ERROR) for pair in ((4, 4), (8, 4), (20, 4))] == [
        4,
        11,
        30,
    ]
    assert most_runs(rates_of(4, 4), ERROR) == 40
    assert log_ratio(1, 1, rates_of(4, 4)) > 0 > log_ratio(1, 0, rates_of(4, 4))
    with pytest.raises(ValueError, match="never failed"):
        rates_of(10, 0)
