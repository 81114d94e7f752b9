"""Failures that are simulated: which faults they need, and how often a run then shows them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from harness.explore.shrinking import Ask, Shrink, Tally
from harness.explore.smaller import Candidate
from harness.run.schedule import At, Occurrence, Schedule

NODES = ("n1", "n2", "n3", "n4", "n5")
S = 1_000_000_000


def occurrence(name: str, at_s: float, lasts_s: float | None = 5.0) -> Occurrence:
    """A fault called by its name, on all nodes."""
    return Occurrence(
        name=name,
        fault=name.rpartition("-")[0],
        begin=At(round(at_s * S)),
        lasts_ns=None if lasts_s is None else round(lasts_s * S),
        plan={"target": "all", "order": list(NODES)},
    )


def candidate(*names: str, time_limit_s: float = 120.0) -> Candidate:
    """So many faults, one each ten seconds."""
    found = tuple(occurrence(name, 10.0 * at) for at, name in enumerate(names, 1))
    return Candidate(Schedule(seed=7, occurrences=found), time_limit_s)


def needs(*names: str) -> Callable[[Candidate], bool]:
    """Whether a schedule has all of these."""
    return lambda found: set(names) <= {each.name for each in found.schedule.occurrences}


def shrink_of(
    start: Candidate,
    rate: Callable[[Candidate], float],
    rng: Random,
    asked: list[Ask] | None = None,
    **more: object,
) -> Shrink:
    """A shrink whose runs fail with the probability that ``rate`` says."""

    def answer(ask: Ask) -> Tally:
        tally = Tally()
        while (count := ask.more(tally)) > 0:
            failed = sum(rng.random() < rate(ask.candidate) for _ in range(count))
            tally = Tally(tally.runs + count, tally.failures + failed)
        if asked is not None:
            asked.append(ask)
        return tally

    targets = {each.name: NODES for each in start.schedule.occurrences}
    return Shrink(start, answer, targets=targets, **more)  # type: ignore[arg-type]
