"""How many runs a comparison needs, planned ahead from how often the old build fails.

With too few runs nothing can be shown whatever the fix is worth: a bug that shows once in fifty
runs does not show in twenty of either build. So the number is set beforehand: the least at which a
B that never fails (or fails at a given rate) is told from an A that fails at the old rate with the
wanted power, by the very test that will judge it (:mod:`harness.soak.comparing`).
"""

from __future__ import annotations

from typing import Final

from harness.errors import UsageError
from harness.soak.comparing import border, chance, coarse

MOST_RUNS: Final = 2000
"""Of either side; a fault so rare wants a scenario in which it shows more often."""
STEPS: Final = 8
NEARLY: Final = 0.998
"""Of the level: what lies between two rates that were tried is a little more."""


def runs_needed(old_rate: float, new_rate: float, *, confidence: float, power: float) -> int:
    """The least number of runs of either side; ``UsageError`` where that would be too many."""
    if not 0 <= new_rate < old_rate <= 1:
        raise UsageError(f"a rate of {new_rate:g} is no fix of one of {old_rate:g}")
    most = 4
    while power_of(most, old_rate, new_rate, confidence) < power:
        most *= 2
        if most > MOST_RUNS:
            raise UsageError(
                f"to tell a failure rate of {old_rate:g} from {new_rate:g} takes more than"
                f" {MOST_RUNS} runs of either side",
                "a scenario in which it fails more often: more faults, more time, more load",
            )
    least = most // 2
    while most - least > max(1, most // 50):  # power is no smooth function of the number
        middle = (least + most) // 2
        if power_of(middle, old_rate, new_rate, confidence) >= power:
            most = middle
        else:
            least = middle
    return most


def power_of(runs: int, old_rate: float, new_rate: float, confidence: float) -> float:
    """How likely a true difference is to be shown with so many runs of either side."""
    return chance(region(runs, confidence), runs, runs, old_rate, new_rate)


def region(runs: int, confidence: float) -> list[int]:
    """The border of the results that show B to be better, with ``runs`` of either side.

    Boschloo's test allows at least what Fisher's does, and what it allows beyond is found by
    halving; the last that holds is kept, so that the power is hardly ever told too high.
    """
    level = 1 - confidence
    low, high, found = level, min(1.0, 4 * level), border(runs, runs, level)
    for _ in range(STEPS):
        middle = (low + high) / 2
        tried = border(runs, runs, middle)
        if max(coarse(tried, runs, runs)) <= level * NEARLY:
            low, found = middle, tried
        else:
            high = middle
    return found
