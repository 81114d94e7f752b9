"""The runs of a soak that are worth a look though they passed: the slowest, and the odd ones.

A run stands out if its time or its number of operations lies far from those of its cell: more than
3.5 times the median absolute deviation from the median, scaled to a standard deviation (Iglewicz
and Hoaglin, *How to Detect and Handle Outliers*, 1993), which a few odd runs do not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from harness.soak.book import Entry

FEWEST: Final = 8
"""Runs of a cell, below which nothing can stand out."""
FAR: Final = 3.5
SCALE: Final = 0.6745
MOST_SHOWN: Final = 5


def slowest(runs: Sequence[Entry]) -> list[dict[str, Any]]:
    """Those that took longest, with how long."""
    longest = sorted(runs, key=lambda run: -run.seconds)[:MOST_SHOWN]
    return [{"number": run.number, "seconds": run.seconds} for run in longest]


def oddest(runs: Sequence[Entry]) -> list[dict[str, Any]]:
    """Those of one cell that stand out, the furthest first, with what is odd."""
    if len(runs) < FEWEST:
        return []
    odd: dict[int, tuple[float, list[str]]] = {}
    measured = (
        ("seconds", [run.seconds for run in runs]),
        ("operations", [float(run.operations) for run in runs]),
    )
    for what, values in measured:
        middle = median(values)
        spread = median(abs(value - middle) for value in values)
        for run, value in zip(runs, values, strict=True):
            # Where most are equal to the letter, a hundredth of them is the least that counts.
            far = SCALE * abs(value - middle) / max(spread, abs(middle) / 100, 1e-9)
            if far > FAR:
                worst, words = odd.get(run.number, (0.0, []))
                words = [*words, f"{value:.4g} {what} where {middle:.4g} are usual"]
                odd[run.number] = (max(worst, far), words)
    ordered = sorted(odd.items(), key=lambda item: -item[1][0])[:MOST_SHOWN]
    return [{"number": number, "why": "; ".join(words)} for number, (_, words) in ordered]
