"""Do the intervals that a soak states cover the true failure rate as often as they say?

    python benchmarks/soak_coverage.py --soaks 10000

Simulates soaks of known failure rates by either rule (a fixed number of runs; until the first
failure, with an upper limit) and counts how often the stated two-sided interval, and the
one-sided bound, hold the true rate. Also counts what the fixed-n interval would have claimed of
loops until failure, which is why there are two rules. JSON on the last line.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterable
from functools import cache

from harness.soak.statistics import Estimate, Rule, estimate

RATES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.9)
RUNS = 40


@cache
def stated(runs: int, failures: int, confidence: float, rule: Rule) -> Estimate:
    """The estimate, each kind of outcome computed once."""
    return estimate(runs, failures, confidence, rule)


def fixed(rng: random.Random, rate: float) -> tuple[int, int]:
    """(runs, failures) of a soak with its number of runs set beforehand."""
    return RUNS, sum(rng.random() < rate for _ in range(RUNS))


def until_failure(rng: random.Random, rate: float) -> tuple[int, int]:
    """(runs, failures) of a soak that stops at its first failure, or after ``RUNS`` runs."""
    for run in range(1, RUNS + 1):
        if rng.random() < rate:
            return run, 1
    return RUNS, 0


def timed(rng: random.Random, rate: float) -> tuple[int, int]:
    """(runs, failures) of a soak that begins no run after a time; runs take random times."""
    runs, failures, left = 0, 0, float(RUNS)
    while left > 0:
        left -= rng.expovariate(1.0)
        runs, failures = runs + 1, failures + (rng.random() < rate)
    return runs, failures


def simulate(soaks: int, confidence: float, seed: int) -> list[dict[str, object]]:
    """One row for each rate and rule: the share of soaks whose statement was true."""
    rows: list[dict[str, object]] = []
    ways = (("fixed-n", fixed), ("fixed-time", timed), ("until-failure", until_failure))
    for rule, draw in ways:
        for rate in RATES:
            rng = random.Random(f"{seed} {rule} {rate}")
            outcomes = [draw(rng, rate) for _ in range(soaks)]
            rows.append({"rule": rule, "rate": rate, **shares(outcomes, rate, confidence, rule)})
    return rows


def shares(
    outcomes: list[tuple[int, int]], rate: float, confidence: float, rule: Rule
) -> dict[str, float]:
    """How often interval and bound hold ``rate``, and the interval of the other rule would."""
    found = [stated(n, k, confidence, rule) for n, k in outcomes]
    naive = [stated(n, k, confidence, "fixed-n") for n, k in outcomes]
    return {
        "interval": _share(each.low <= rate <= each.high for each in found),
        "at_most": _share(rate <= each.at_most for each in found),
        "interval_by_fixed_n": _share(each.low <= rate <= each.high for each in naive),
    }


def _share(truths: Iterable[bool]) -> float:
    values = list(truths)
    return sum(values) / len(values)


def main() -> int:
    """Print the table; exit code 1 if a stated confidence was missed by more than chance."""
    parser = argparse.ArgumentParser(description="Coverage of a soak's intervals.")
    parser.add_argument("--soaks", type=int, default=10_000)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows = simulate(arguments.soaks, arguments.confidence, arguments.seed)
    for row in rows:
        print(json.dumps(row))
    noise = 4 * math.sqrt(arguments.confidence * (1 - arguments.confidence) / arguments.soaks)
    least = min(min(float(str(row["interval"])), float(str(row["at_most"]))) for row in rows)
    print(json.dumps({"soaks": arguments.soaks, "least_coverage": least, "rows": rows}))
    return 0 if least >= arguments.confidence - noise else 1


if __name__ == "__main__":
    sys.exit(main())
