"""Does B fail less often than A? Boschloo's exact test on two counts of failures.

A and B are two builds or configurations whose runs were made in turn, so that what drifts meets
both. Their runs are *not* pairs: the same seed makes the same schedule and no more, so each side is
a binomial count of its own. Fisher's test of two such counts is exact and far too careful; Boschloo
(Statistica Neerlandica 24, 1970) takes Fisher's p-value for a statistic, and asks how often it is
so small at most, whatever the common rate is: exact too, and everywhere at least as powerful.

The question is asked in both directions, each at 1 - confidence: "fixed" or "better" is said of a B
that is no better with that probability at most, and so is "worse" of one that is no worse. The
effect is told with Newcombe's interval of the difference, which is approximate. Where the number of
runs was not as set beforehand (a comparison that was interrupted), no such test holds; then only
confidence sequences that lie apart show anything (:mod:`harness.soak.sequences`).

Plain Python: the loop that starts runs forks, and must not have the threads of a numerical library.
Cost: the tables that are at least as extreme have a border of n points, so a p-value costs n² for
the border and n for each rate that is tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Final, Literal

from harness.soak.statistics import estimate

RATES: Final = tuple(math.sin(math.pi / 2 * at / 120) ** 2 for at in range(1, 120))
"""Tried at first for the common rate that makes chance likeliest, denser where a rate is exact."""
REFINEMENTS: Final = 3
REFINED: Final = 20
"""Further rates between the best one's neighbours, each time."""
SLACK: Final = 1e-9
"""Two p-values that are equal but for rounding are equal."""
NOTHING: Final = 1e-17

Word = Literal["fixed", "better", "worse", "not shown"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """The decided runs of one of the two, and how many of them failed."""

    name: str
    runs: int
    failures: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two counts show. ``difference`` is by how much B's failure rate is lower."""

    word: Word
    a: Side
    b: Side
    confidence: float
    p_better: float
    p_worse: float
    difference: tuple[float, float]
    is_planned: bool

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**vars(self), "a": vars(self.a), "b": vars(self.b), "sentence": self.sentence()}

    def sentence(self) -> str:
        """What may be said, with the numbers."""
        percent = f"{self.confidence * 100:.4g} %"
        sides = ", ".join(
            f"{letter} failed in {side.failures} of {side.runs} decided runs"
            for letter, side in (("A", self.a), ("B", self.b))
        )
        said = {
            "fixed": f"Fixed, as far as {self.b.runs} runs can show: B fails less often than A"
            " and did not fail",
            "better": "Better, and not fixed: B fails less often than A, and still fails",
            "worse": "Worse: B fails more often than A",
            "not shown": "Not shown: chance alone explains this",
        }[self.word]
        low, high = (f"{end * 100:+.3g}" for end in self.difference)
        by = (
            f"Boschloo's test, p = {min(self.p_better, self.p_worse):.3g}"
            if self.is_planned
            else "confidence sequences, for its runs are not as many as were planned"
        )
        return (
            f"{said} ({sides}; {by}). B's failure rate is lower by {low} to {high} percentage"
            f" points, with {percent} confidence{' (Newcombe)' if self.is_planned else ''}."
        )


def compare(a: Side, b: Side, confidence: float, *, is_planned: bool = True) -> Comparison:
    """What the counts of ``a`` and ``b`` show; ``is_planned``: their runs were set beforehand."""
    if is_planned:
        p_better = boschloo(a.failures, a.runs, b.failures, b.runs)
        p_worse = boschloo(b.failures, b.runs, a.failures, a.runs)
    else:
        p_better = p_worse = 1.0
    difference = _difference(a, b, confidence, is_planned=is_planned)
    is_better = p_better <= 1 - confidence if is_planned else difference[0] > 0
    is_worse = p_worse <= 1 - confidence if is_planned else difference[1] < 0
    word: Word = "not shown"
    if is_better:
        word = "better" if b.failures else "fixed"
    elif is_worse:
        word = "worse"
    return Comparison(
        word=word,
        a=a,
        b=b,
        confidence=confidence,
        p_better=p_better,
        p_worse=p_worse,
        difference=difference,
        is_planned=is_planned,
    )


def boschloo(a_failures: int, a_runs: int, b_failures: int, b_runs: int) -> float:
    """How likely chance alone is to make A fail so much more often than B, at most."""
    if not a_runs or not b_runs:
        return 1.0
    observed = fisher(a_failures, a_runs, b_failures, b_runs)
    return size(border(a_runs, b_runs, observed), a_runs, b_runs)


@lru_cache(maxsize=1 << 18)
def fisher(a_failures: int, a_runs: int, b_failures: int, b_runs: int) -> float:
    """The chance that A has so many of all failures or more, were they dealt out blindly.

    Summed from its greatest term, either way until what is left is nothing.
    """
    failures, runs = a_failures + b_failures, a_runs + b_runs
    likeliest = (failures + 1) * (a_runs + 1) // (runs + 2)
    most = min(failures, a_runs)
    middle = min(max(a_failures, likeliest), most)
    log = _log_choose(a_runs, middle) + _log_choose(b_runs, failures - middle)
    first = math.exp(log - _log_choose(runs, failures))
    total = term = first
    for i in range(middle, most):
        term *= (a_runs - i) * (failures - i) / ((i + 1) * (b_runs - failures + i + 1))
        total += term
        if term < total * NOTHING:
            break
    term = first
    for i in range(middle, max(a_failures, failures - b_runs), -1):
        term *= i * (b_runs - failures + i) / ((a_runs - i + 1) * (failures - i + 1))
        total += term
        if term < total * NOTHING:
            break
    return min(1.0, total)


def border(a_runs: int, b_runs: int, critical: float) -> list[int]:
    """For each number of failures of A the most of B that are as extreme; -1 where none is.

    Fisher's p-value falls as A fails more often and grows as B does, so these never fall.
    """
    found, most = [], -1
    for a_failures in range(a_runs + 1):
        while most < b_runs and fisher(a_failures, a_runs, most + 1, b_runs) <= critical * (
            1 + SLACK
        ):
            most += 1
        found.append(most)
    return found


def size(most: Sequence[int], a_runs: int, b_runs: int) -> float:
    """The greatest chance to be inside the border if both sides fail at one rate."""
    chances = coarse(most, a_runs, b_runs)
    place = max(range(len(RATES)), key=chances.__getitem__)
    best, low = chances[place], RATES[place - 1] if place else 0.0
    high = RATES[place + 1] if place + 1 < len(RATES) else 1.0
    for _ in range(REFINEMENTS):
        step = (high - low) / REFINED
        tried = [low + step * at for at in range(1, REFINED)]
        best_now, at = max((chance(most, a_runs, b_runs, rate, rate), rate) for rate in tried)
        best, low, high = max(best, best_now), at - step, at + step
    return min(1.0, best)


def coarse(most: Sequence[int], a_runs: int, b_runs: int) -> list[float]:
    """The chance to be inside the border at each of :data:`RATES`."""
    tables = zip(_tables(a_runs), _tables(b_runs), strict=True)
    return [_inside(most, weights, cumulative) for (weights, _), (_, cumulative) in tables]


def chance(most: Sequence[int], a_runs: int, b_runs: int, a_rate: float, b_rate: float) -> float:
    """The chance to be inside the border, at these failure rates."""
    return _inside(most, _binomial(a_runs, a_rate), _cumulative(_binomial(b_runs, b_rate)))


def _inside(most: Sequence[int], weights: Sequence[float], cumulative: Sequence[float]) -> float:
    return math.fsum(
        weight * cumulative[at] for weight, at in zip(weights, most, strict=True) if at >= 0
    )


@lru_cache(maxsize=8)
def _tables(runs: int) -> list[tuple[list[float], list[float]]]:
    """The chance of each number of failures, and of so many at most, at each of :data:`RATES`."""
    found = [_binomial(runs, rate) for rate in RATES]
    return [(weights, _cumulative(weights)) for weights in found]


def _cumulative(weights: Sequence[float]) -> list[float]:
    return [min(1.0, total) for total in itertools.accumulate(weights)]


def _binomial(runs: int, rate: float) -> list[float]:
    """The chance of each number of failures."""
    if rate <= 0 or rate >= 1:
        sure = 0 if rate <= 0 else runs
        return [float(i == sure) for i in range(runs + 1)]
    log, other = math.log(rate), math.log1p(-rate)
    return [math.exp(_log_choose(runs, i) + i * log + (runs - i) * other) for i in range(runs + 1)]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _difference(a: Side, b: Side, confidence: float, *, is_planned: bool) -> tuple[float, float]:
    """A's rate less B's: Newcombe's interval, or that between two confidence sequences.

    The latter hold together, each at the root of the confidence, and at any time.
    """
    if not a.runs or not b.runs:
        return -1.0, 1.0
    if is_planned:
        return newcombe(a, b, confidence)
    root = math.sqrt(confidence)
    of_a, of_b = (estimate(side.runs, side.failures, root, "any-time") for side in (a, b))
    return of_a.low - of_b.high, of_a.high - of_b.low


def newcombe(a: Side, b: Side, confidence: float) -> tuple[float, float]:
    """A's rate less B's, approximately: method 10 of Newcombe (Statistics in Medicine 17, 1998)."""
    p_a, p_b = a.failures / a.runs, b.failures / b.runs
    (low_a, high_a), (low_b, high_b) = (wilson(side, confidence) for side in (a, b))
    return (
        p_a - p_b - math.hypot(p_a - low_a, high_b - p_b),
        p_a - p_b + math.hypot(high_a - p_a, p_b - low_b),
    )


def wilson(side: Side, confidence: float) -> tuple[float, float]:
    """Wilson's score interval (J. Am. Stat. Assoc. 22, 1927)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n, p = side.runs, side.failures / side.runs
    middle, whole = p + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)
