"""What a loop of runs shows about the failure rate, exactly, with the rule that makes it so.

Runs are taken as independent trials of one unknown failure rate p. Only decided runs count
(valid or invalid): unknown and infrastructure say nothing about p.

- *Fixed n*: the number of runs was set beforehand. The interval of Clopper and Pearson
  (Biometrika 26, 1934): every p that the count k does not reject at (1 - c)/2 on either side.
- *Fixed time*: the clock set the number of runs. The same interval, which holds if how long a
  run takes says nothing of whether it fails.
- *Any time*: a soak that was interrupted, is under way, or stops as soon as it knows. A confidence
  sequence (:mod:`harness.soak.sequences`), which holds whenever one looks and whyever one stops.
- *Until failure*: the loop stops at the first failure, or after a number of runs set
  beforehand. The number of runs is then geometric, possibly cut off, and k is no binomial count;
  the same inversion of exact tests is done with the geometric tail, P(N >= n) = (1 - p)^(n-1).

All cover the true rate with at least the stated confidence, whatever it is (``benchmarks/
soak_coverage.py`` simulates it). ``at_most`` is the one-sided bound at the same confidence, a
statement of its own: "16 of 16 passed" is "at most 17.1 %" with 95 %, and no more.

Cost: a bisection over at most k terms of the binomial sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from harness.soak import sequences

Rule = Literal["fixed-n", "fixed-time", "any-time", "until-failure"]
STEPS = 200
MOST_RUNS = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The failure rate after ``runs`` decided runs with ``failures``, at ``confidence``.

    ``low`` to ``high`` is the two-sided interval, ``at_most`` the one-sided upper bound; all
    are rates from 0 to 1. ``rule`` is the one that made them valid.
    """

    runs: int
    failures: int
    confidence: float
    rule: Rule
    low: float
    high: float
    at_most: float

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return dict(vars(self))

    def sentence(self) -> str:
        """What may be said, and by what rule."""
        percent = f"{self.confidence * 100:.4g} %"
        if not self.runs:
            return "No run was decided, so nothing is known about the failure rate."
        rule = {
            "fixed-n": "Clopper and Pearson, number of runs set beforehand",
            "fixed-time": "Clopper and Pearson, number of runs set by the clock: it holds if how"
            " long a run takes says nothing of whether it fails",
            "any-time": "a confidence sequence of the runs so far: it holds whenever one looks and"
            " whyever one stops",
            "until-failure": "geometric, stopped at the first failure",
        }[self.rule]
        return (
            f"{self.failures} of {self.runs} decided runs failed: the failure rate is between"
            f" {_percent(self.low)} and {_percent(self.high)} with {percent} confidence"
            f" ({rule}); taken alone, at most {_percent(self.at_most)}."
        )


def estimate(runs: int, failures: int, confidence: float, rule: Rule) -> Estimate:
    """The estimate for ``failures`` among ``runs`` decided runs.

    For ``until-failure`` there is at most one failure, and it was the last run. Raises
    ``ValueError`` for counts that cannot be.
    """
    if not 0 <= failures <= runs or not 0 < confidence < 1:
        raise ValueError(f"{failures} failures of {runs} runs at confidence {confidence}")
    if rule == "until-failure" and failures > 1:
        raise ValueError("a loop that stops at the first failure has one at most")
    alpha = 1 - confidence
    low = _LOW.get(rule, _clopper_pearson_low)
    high = _HIGH.get(rule, _clopper_pearson_high)
    return Estimate(
        runs=runs,
        failures=failures,
        confidence=confidence,
        rule=rule,
        low=low(runs, failures, alpha / 2),
        high=high(runs, failures, alpha / 2),
        at_most=high(runs, failures, alpha),
    )


def runs_still_needed(
    runs: int, failures: int, confidence: float, rate: float, *, any_time: bool = False
) -> int | None:
    """How many further passing runs would show that the failure rate is at most ``rate``.

    One-sided, number of runs set beforehand unless one looks at ``any_time``. 0 if it is shown;
    ``None`` if ten million would not do. ``ValueError`` unless ``rate`` lies between 0 and 1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"a rate of {rate} cannot be shown")

    def is_shown(more: int) -> bool:
        if any_time:
            return sequences.upper(runs + more, failures, 1 - confidence) <= rate
        return binomial_cdf(failures, runs + more, rate) <= 1 - confidence

    if is_shown(0):
        return 0
    most = 1
    while not is_shown(most):
        most *= 2
        if most > MOST_RUNS:
            return None
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if is_shown(middle) else (middle, most)
    return most


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X binomial of ``n`` trials with rate ``p``."""
    if k >= n:
        return 1.0
    if p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    if k > n // 2:  # the shorter tail has the smaller error
        return 1.0 - binomial_cdf(n - k - 1, n, 1.0 - p)
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(i + 1)
        - math.lgamma(n - i + 1)
        + i * math.log(p)
        + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return min(1.0, math.fsum(math.exp(log) for log in logs))


_LOW: Final[Mapping[str, Callable[[int, int, float], float]]] = {
    "until-failure": lambda n, k, tail: _geometric_low(n, k, tail),
    "any-time": sequences.lower,
}
_HIGH: Final[Mapping[str, Callable[[int, int, float], float]]] = {
    "until-failure": lambda n, k, tail: _geometric_high(n, k, tail),
    "any-time": sequences.upper,
}


def _clopper_pearson_low(n: int, k: int, tail: float) -> float:
    """The p at which ``k`` or more failures have probability ``tail``."""
    if k == 0:
        return 0.0
    return _bisect(lambda p: 1.0 - binomial_cdf(k - 1, n, p) > tail)


def _clopper_pearson_high(n: int, k: int, tail: float) -> float:
    """The p at which ``k`` or fewer failures have probability ``tail``."""
    if k == n:
        return 1.0
    if k == 0:
        return -math.expm1(math.log(tail) / n)
    return _bisect(lambda p: binomial_cdf(k, n, p) < tail)


def _geometric_low(n: int, k: int, tail: float) -> float:
    """The p at which a failure by run ``n`` has probability ``tail``; 0 without a failure."""
    return -math.expm1(math.log1p(-tail) / n) if k else 0.0


def _geometric_high(n: int, k: int, tail: float) -> float:
    """The p at which ``n - k`` runs without failure have probability ``tail``."""
    passed = n - k
    return -math.expm1(math.log(tail) / passed) if passed else 1.0


def _bisect(is_above: Callable[[float], bool]) -> float:
    """The least p in [0, 1] for which ``is_above``, which is false below and true above it."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high


def _percent(rate: float) -> str:
    return f"{rate * 100:.3g} %"
