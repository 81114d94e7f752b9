"""What may be said of a failure rate by who looks after every run, and stops when it pleases.

An interval for a number of runs that was set beforehand is wrong far more often than it says if
one looks after each run and stops when it shows what one hoped for (at a true rate of 1 %, one
loop in six ends with a 95 % interval that lacks it). A *confidence sequence* holds at all times at
once: the chance that it ever lacks the true rate is at most 1 - c, whenever and whyever one stops
(Darling and Robbins, PNAS 58, 1967; Howard, Ramdas, McAuliffe and Sekhon, Ann. Statist. 49, 2021).

It is made of bets. Against "the rate is at least r" one bets on each run as if the odds of a
failure were m times those of r, with m below 1. After n runs with k failures a stake of 1 is

    m^k / (1 + (m - 1) r)^n

and its expected factor for a run is (1 + (m - 1) p) / (1 + (m - 1) r), at most 1 wherever the true
rate p is at least r. So the stake is a nonnegative supermartingale, and by Ville's inequality it
ever reaches 1/a with probability a at most. With m above 1 the same is a bet against "the rate is
at most r". Which m is best depends on the true rate, so the stake is spread over several (Robbins'
method of mixtures, Ann. Math. Statist. 41, 1970; as bets: Waudby-Smith and Ramdas, J. R. Stat. Soc.
B 86, 2024). Each factor grows (m < 1) or falls (m > 1) in r, so what is not yet refuted is an
interval, and its ends are found by bisection.

The price: where no run fails, 3.4/r runs show a rate below r with 95 %, where a number set
beforehand needs 3/r. ``tests/harness/soak/test_sequences.py`` simulates 10,000 loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal

BELOW: Final = ((0.0, 0.5), *((m, 0.5 / 7) for m in (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)))
"""Bets that the rate is lower: how many times the odds, and the share of the stake."""
ABOVE: Final = tuple((m, 1 / 9) for m in (1.25, 1.6, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0))
"""Bets that the rate is higher."""
STEPS: Final = 60

Known = Literal["", "at most", "above"]


def log_stake(
    runs: int, failures: int, rate: float, bets: tuple[tuple[float, float], ...]
) -> float:
    """The logarithm of what a stake of 1 on ``bets`` against ``rate`` has become."""
    logs = [
        math.log(share)
        + (failures * math.log(m) if failures else 0.0)
        - (runs * math.log1p((m - 1) * rate) if (m - 1) * rate > -1 else -math.inf)
        for m, share in bets
        if m > 0 or not failures
    ]
    most = max(logs)
    if math.isinf(most):
        return most
    return most + math.log(math.fsum(math.exp(log - most) for log in logs))


def upper(runs: int, failures: int, tail: float) -> float:
    """The rates above it are refuted; ever wrongly so with probability ``tail`` at most."""
    if failures >= runs:
        return 1.0
    return _least(lambda rate: log_stake(runs, failures, rate, BELOW) >= -math.log(tail))


def lower(runs: int, failures: int, tail: float) -> float:
    """The rates below it are refuted; ever wrongly so with probability ``tail`` at most."""
    if not failures:
        return 0.0
    return _least(lambda rate: log_stake(runs, failures, rate, ABOVE) < -math.log(tail))


def known(runs: int, failures: int, rate: float, confidence: float) -> Known:
    """Whether it is shown that the failure rate is ``at most`` this one, or ``above`` it.

    Each is said wrongly with probability ``1 - confidence`` at most, though asked after every run.
    """
    limit = -math.log(1 - confidence)
    if log_stake(runs, failures, rate, BELOW) >= limit:
        return "at most"
    return "above" if log_stake(runs, failures, rate, ABOVE) >= limit else ""


def _least(is_so: Callable[[float], bool]) -> float:
    """The least rate for which ``is_so``, which is false below and true above it."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if is_so(middle) else (middle, high)
    return high
