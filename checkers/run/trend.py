"""Whether a series of samples rises without end: the robust slope, with reasons to doubt it.

A leak rises steadily, through the whole of a run, and stays when the load is gone. A pool that
fills, a cache that warms, a queue under load, a figure that wanders at random do not do all of
that. So a rise counts only if

* the Theil-Sen slope (the median of the slopes between all pairs of samples; H. Theil 1950,
  P. K. Sen, *Estimates of the regression coefficient based on Kendall's tau*, 1968) is above 0 with
  its whole confidence interval, and so it is in either half of the time;
* neither half is more than :data:`UNEVEN` times as steep as the other;
* the median of every part of :data:`PARTS` is higher than that of the part before;
* it makes up more than a tenth of the level, and more than what samples scatter around it.

The first third of the time is left out, when everything warms up. Samples that follow each other
are not independent, so no interval alone could carry the claim; how seldom the whole errs is
measured on simulated series (``tests/checkers/run/test_trend.py``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST: Final = 30
"""Samples after the warm-up, below which no trend is told."""
CONFIDENCE: Final = 0.999
PARTS: Final = 5
UNEVEN: Final = 2.0
MOST: Final = 300
"""Samples that are looked at; of more, evenly spread ones: pairs are the square of it."""
LEAST_SHARE: Final = 0.1
LEAST_RISE: Final = 8.0
"""A rise counts from so many times the scatter of the samples on."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A rise: its slope a second with the interval of :data:`CONFIDENCE`, from when to when."""

    slope: float
    low: float
    high: float
    begin_s: float
    end_s: float
    begin_value: float
    end_value: float

    @property
    def rise(self) -> float:
        """By how much it rose in that time."""
        return self.end_value - self.begin_value


def trend_of(time_s: Numbers, value: Numbers) -> Trend | None:
    """The rise of a series without end, if it is one by all of the rules above."""
    late = time_s >= time_s[0] + (time_s[-1] - time_s[0]) / 3 if len(time_s) else time_s > 0
    time_s, value = time_s[late], value[late]
    if len(time_s) < FEWEST or value[-1] <= value[0]:
        return None
    if len(time_s) > MOST:
        at = np.linspace(0, len(time_s) - 1, MOST).astype(int)
        time_s, value = time_s[at], value[at]
    levels = [float(np.median(part)) for part in np.array_split(value, PARTS)]
    if not all(later > earlier for earlier, later in itertools.pairwise(levels)):
        return None
    half = len(time_s) // 2
    whole = _slope(time_s, value)
    halves = _slope(time_s[:half], value[:half]), _slope(time_s[half:], value[half:])
    if whole[1] <= 0 or any(low <= 0 for _, low, _ in halves):
        return None
    if max(halves)[0] > UNEVEN * min(halves)[0]:
        return None
    return _told(time_s, value, *whole)


def _slope(time_s: Numbers, value: Numbers) -> tuple[float, float, float]:
    """The slope, and the ends of its interval."""
    from scipy.stats import theilslopes

    if time_s[-1] <= time_s[0]:
        return 0.0, 0.0, 0.0
    found = theilslopes(value, time_s, CONFIDENCE)
    return float(found.slope), float(found.low_slope), float(found.high_slope)


def _told(time_s: Numbers, value: Numbers, slope: float, low: float, high: float) -> Trend | None:
    middle = float(np.median(value - slope * time_s))
    scatter = float(np.median(np.abs(value - slope * time_s - middle)))
    begin, end = (middle + slope * float(at) for at in (time_s[0], time_s[-1]))
    if end - begin < max(LEAST_RISE * scatter, LEAST_SHARE * abs(float(np.median(value)))):
        return None
    return Trend(
        slope=slope,
        low=low,
        high=high,
        begin_s=float(time_s[0]),
        end_s=float(time_s[-1]),
        begin_value=begin,
        end_value=end,
    )
