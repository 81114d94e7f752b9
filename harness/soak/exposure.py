"""How often it fails by what it was exposed to: by each fault that bit, and each minute of load.

A rate for each run is that of runs of one length with so many faults. To set runs of different
lengths side by side, failures are counted by exposure, with the exact interval of a Poisson rate
(Garwood, Biometrika 28, 1936: every mean that the count does not reject at either side). It holds
if failures come at a steady rate, each run counted as one at most, and if the exposure was set
beforehand: a figure to compare with, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from harness.soak.book import Entry

STEPS: Final = 200


def by_exposure(runs: Sequence[Entry], minutes_a_run: float, confidence: float) -> list[Any]:
    """Failures by bitten fault and by minute of load, of decided ``runs``."""
    failures = sum(run.outcome == "violation" for run in runs)
    bitten = sum(int(counts.get("bit", 0)) for run in runs for counts in run.faults.values())
    exposures = (("fault that bit", float(bitten)), ("minute of load", minutes_a_run * len(runs)))
    found = []
    for what, exposure in exposures:
        if exposure > 0:
            low, high = poisson_interval(failures, confidence)
            rate = {"failures": failures, "exposure": round(exposure, 3)}
            bounds = {"low": low / exposure, "high": high / exposure}
            found.append({"per": what, **rate, **bounds})
    return found


def poisson_interval(count: int, confidence: float) -> tuple[float, float]:
    """The exact interval of the mean of a Poisson count."""
    tail = (1 - confidence) / 2
    top = 10.0 + 3 * count + 10 * math.sqrt(count) - math.log(tail)
    low = _bisect(lambda mean: 1 - poisson_cdf(count - 1, mean) > tail, top) if count else 0.0
    return low, _bisect(lambda mean: poisson_cdf(count, mean) < tail, top)


def poisson_cdf(count: int, mean: float) -> float:
    """P(X <= count) for X Poisson of this mean."""
    if count < 0:
        return 0.0
    if mean <= 0:
        return 1.0
    logs = (-mean + i * math.log(mean) - math.lgamma(i + 1) for i in range(count + 1))
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _bisect(is_above: Callable[[float], bool], top: float) -> float:
    """The least value for which ``is_above``, which is false below and true above it."""
    low, high = 0.0, top
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high
