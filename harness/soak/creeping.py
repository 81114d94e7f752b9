"""Floors that creep from run to run: what a gauge came down to after the load, ever higher.

A leak in what outlives a run (a database that is only attached to, a host, a file) shows in no
single one. So the floors that the checker ``metrics`` told of the runs of a cell are tested for a
rise by rank (H. B. Mann, *Nonparametric tests against trend*, 1945; M. G. Kendall, *Rank
Correlation Methods*): one-sided, with the correction for ties, at :data:`LEVEL` for all gauges of
the cell together. Runs are told in the order of their numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

from harness.soak.book import Entry

FEWEST: Final = 10
"""Runs that told a gauge, below which nothing is said of it."""
LEVEL: Final = 0.001
MOST_SHOWN: Final = 5


def creeping(runs: Sequence[Entry]) -> list[str]:
    """A sentence for each gauge whose floor rose through the runs of one cell."""
    ordered = sorted(runs, key=lambda run: run.number)
    names = sorted({name for run in ordered for name in run.floors})
    found = []
    for name in names:
        floors = [run.floors[name] for run in ordered if name in run.floors]
        if len(floors) < FEWEST:
            continue
        chance = chance_of_rise(floors)
        third = len(floors) // 3
        first, last = median(floors[:third]), median(floors[-third:])
        if chance < LEVEL / len(names) and last > first:
            found.append(
                f"{name} came down to ever more after the load: {first:g} in the first third of"
                f" {len(floors)} runs, {last:g} in the last (Mann-Kendall, p = {chance:.1g})"
            )
    return found[:MOST_SHOWN]


def chance_of_rise(values: Sequence[float]) -> float:
    """How likely so much of a rise is by chance, were the order of the values arbitrary."""
    count = len(values)
    score = sum(
        (later > earlier) - (later < earlier)
        for at, earlier in enumerate(values)
        for later in values[at + 1 :]
    )
    ties = sum(each * (each - 1) * (2 * each + 5) for each in Counter(values).values())
    variance = (count * (count - 1) * (2 * count + 5) - ties) / 18
    if score <= 0 or variance <= 0:
        return 1.0
    return math.erfc((score - 1) / math.sqrt(2 * variance)) / 2
