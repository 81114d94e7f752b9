"""Does a smaller fault schedule still fail? As many runs as that asks for, and no more.

A failure of a real cluster is a matter of chance, so one run that passes shows little. Each
candidate is judged by Wald's sequential probability ratio test (Ann. Math. Statist. 16, 1945): of
two rates, ``still`` (it fails so often, or oftener) and ``rare`` (so seldom, or more seldom), after
n runs of which k failed the likelihood ratio is

    (still / rare)^k ((1 - still) / (1 - rare))^(n - k)

Where the true rate is at most ``rare`` this is a nonnegative supermartingale that begins at 1, so
it ever reaches 1/e with probability e at most (Ville); where the rate is at least ``still`` so is
its inverse. Stopping at 1/e and at e therefore errs with probability e at most in either direction,
whenever one looks. Between the two rates either answer is right.

*Which rates* the failure itself says: its schedule is run again until it has failed a few times,
however many runs that takes. That number of runs is negative binomial, and the exact lower bound of
the rate is Clopper and Pearson's of the same counts, as P(N <= n) = P(Bin(n, p) >= k). That bound
is ``still``, and a fifth of it ``rare``. So a bug that shows every time costs two runs for each
step kept and four for each refused, one that shows in one run of five about eight and thirty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from harness.soak.statistics import estimate

FAILURES: Final = 4
"""The schedule as it was is run until it has failed so often."""
REFERENCE_CONFIDENCE: Final = 0.8
"""With which its rate is at least the one that a smaller schedule must keep."""
MOST_STILL: Final = 0.95
"""Not even of one that always failed is it asked to fail always: a machine may be slow once."""
SELDOMER: Final = 5.0
PATIENCE: Final = 10
"""A test that has not decided after so many times the runs that a refusal takes is given up."""

Decision = Literal["", "still", "not"]


@dataclass(frozen=True)
class Rates:
    """Two failure rates of runs, ``rare`` below ``still``, both between 0 and 1."""

    still: float
    rare: float


def rates_of(runs: int, failures: int) -> Rates:
    """The rates to tell apart, of a schedule that failed in ``failures`` of ``runs`` runs.

    ``ValueError`` where it never failed.
    """
    if not failures:
        raise ValueError("what never failed again says nothing of how often it does")
    confidence = 1 - 2 * (1 - REFERENCE_CONFIDENCE)  # each side of an interval has a half of it
    lower = estimate(runs, failures, confidence, "fixed-n").low
    still = min(lower, MOST_STILL)
    return Rates(still, still / SELDOMER)


def log_ratio(runs: int, failures: int, rates: Rates) -> float:
    """The logarithm of the likelihood ratio, above 0 where it looks as if it still fails."""
    passed = runs - failures
    by_failures = failures * math.log(rates.still / rates.rare)
    return by_failures + passed * math.log((1 - rates.still) / (1 - rates.rare))


def decided(runs: int, failures: int, rates: Rates, error: float) -> Decision:
    """What so many runs show, wrongly with probability ``error`` at most; nothing yet: empty.

    A test that does not come to an end is given up as ``not``: then nothing is made smaller.
    """
    ratio, limit = log_ratio(runs, failures, rates), -math.log(error)
    if ratio >= limit:
        return "still"
    return "not" if ratio <= -limit or runs >= most_runs(rates, error) else ""


@lru_cache
def runs_to_refuse(rates: Rates, error: float) -> int:
    """How many runs in a row must pass for it to be refused."""
    return math.ceil(math.log(error) / log_ratio(1, 0, rates))


def runs_to_keep(rates: Rates, error: float) -> int:
    """How many runs in a row must fail for it to be kept."""
    return math.ceil(-math.log(error) / log_ratio(1, 1, rates))


def most_runs(rates: Rates, error: float) -> int:
    """After so many the test is given up."""
    return PATIENCE * runs_to_refuse(rates, error)


def least_further(runs: int, failures: int, rates: Rates, error: float) -> int:
    """How many further runs it takes at least until it is decided: so many may run at once."""
    if decided(runs, failures, rates, error):
        return 0
    ratio, limit = log_ratio(runs, failures, rates), -math.log(error)
    to_keep = math.ceil((limit - ratio) / log_ratio(1, 1, rates))
    to_refuse = math.ceil((-limit - ratio) / log_ratio(1, 0, rates))
    return max(1, min(to_keep, to_refuse))
