"""How a rise is told from all that is none, on simulated series of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from checkers.run.trend import FEWEST, Trend, trend_of

TIME_S = np.arange(120) * 0.5
"""A minute of load, sampled as a run does."""
Draw = Callable[[np.random.Generator], Any]


def constant(rng: np.random.Generator) -> Any:
    return np.full(len(TIME_S), 17.0)


def noise(rng: np.random.Generator) -> Any:
    return rng.poisson(20, len(TIME_S))


def fills(rng: np.random.Generator) -> Any:
    return np.round(100 * (1 - np.exp(-TIME_S / rng.uniform(3, 15))) + rng.normal(0, 2, 120))


def sawtooth(rng: np.random.Generator) -> Any:
    return (TIME_S + rng.uniform(0, 20)) % rng.uniform(5, 25) + rng.normal(0, 0.1, 120)


def steps(rng: np.random.Generator) -> Any:
    return 10 + 5 * (rng.uniform(0, 60) < TIME_S) + 5 * (rng.uniform(0, 60) < TIME_S)


def queue(rng: np.random.Generator) -> Any:
    """Arrivals a little slower than what takes them away: it wanders, and comes back."""
    level, found = 0.0, []
    for _ in TIME_S:
        level = max(0.0, level + float(rng.poisson(4)) - float(rng.poisson(4.4)))
        found.append(level)
    return np.array(found)


def connections(rng: np.random.Generator) -> Any:
    """A pool whose members are replaced now and then."""
    return 30 + np.clip(np.cumsum(rng.integers(-1, 2, len(TIME_S))), -3, 3)


CLEAN: tuple[Draw, ...] = (constant, noise, fills, sawtooth, steps, connections)


@pytest.mark.parametrize("draw", CLEAN)
def test_what_does_not_leak_is_not_told(draw: Draw) -> None:
    """4,000 of each kind were tried, and none was told."""
    rng = np.random.default_rng(1)
    assert not any(trend_of(TIME_S, draw(rng).astype(float)) for _ in range(100))


def test_what_wanders_is_told_seldom() -> None:
    """19 of 4,000 queues that are nearly overloaded are told: they come down after the load."""
    rng = np.random.default_rng(1)
    assert sum(trend_of(TIME_S, queue(rng)) is not None for _ in range(100)) <= 4


@pytest.mark.parametrize("draw", CLEAN[:2] + CLEAN[-1:])
def test_the_same_series_with_a_leak_is_told(draw: Draw) -> None:
    """The leak is a quarter of a percent of 400 operations a second: one a second."""
    rng = np.random.default_rng(2)
    told = 0
    for _ in range(20):
        leaked = np.cumsum(rng.poisson(0.5, len(TIME_S)))
        found = trend_of(TIME_S, draw(rng) + leaked.astype(float))
        if found is None:
            continue
        told += 1
        assert found.low < found.slope < found.high
        assert 0.5 < found.slope < 1.6  # 4 standard deviations of so many arrivals, and the noise
    assert told >= 14  # of 200 of these kinds 170 to 190 were


def test_the_interval_of_a_rise_holds_its_slope() -> None:
    rng = np.random.default_rng(3)
    found = trend_of(TIME_S, 5 + 0.25 * TIME_S + rng.normal(0, 0.5, len(TIME_S)))
    assert isinstance(found, Trend)
    assert found.low <= 0.25 <= found.high
    assert (found.begin_s, found.end_s) == (20.0, 59.5)
    assert found.rise == pytest.approx(found.slope * 39.5)


def test_too_few_samples_tell_no_trend() -> None:
    few = np.arange(FEWEST) * 1.0
    assert trend_of(few, few) is None
    assert trend_of(few[:0], few[:0]) is None
