"""What a soak came to: counts kept apart, the failure rate with its interval, kinds of anomalies.

Derived from the book alone, so it can be made again at any time, also of a soak under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    EXIT_VALID,
)
from harness.soak.book import OUTCOMES, Entry, Settings, ended
from harness.soak.sequences import Known, known
from harness.soak.statistics import Estimate, Rule, estimate, runs_still_needed

WORST_FIRST = (EXIT_INVALID, EXIT_USAGE, EXIT_INFRASTRUCTURE, EXIT_UNKNOWN, EXIT_VALID)


def summarize(
    settings: Settings, entries: Sequence[Entry], *, interrupted: bool, under_way: bool = False
) -> dict[str, Any]:
    """``summary.json``: counts, estimate, groups of violations and every run."""
    runs = ended(entries)
    counts = {outcome: sum(run.outcome == outcome for run in runs) for outcome in OUTCOMES}
    is_whole = not (interrupted or under_way)
    rule = rule_of(settings, len(runs), is_whole=is_whole)
    decided = decided_in(runs if rule != "any-time" else in_order(runs))
    found = rate(settings, decided, rule)
    return {
        "soak": 1,
        "seed": settings.seed,
        "scenario": settings.scenario,
        "runs": len(runs),
        "wanted": settings.runs,
        "counts": counts,
        "half_done": [entry.number for entry in entries if entry.event == "half-done"],
        "interrupted": interrupted,
        "estimate": found.as_json(),
        "sentence": found.sentence(),
        "at_most": settings.at_most,
        "runs_still_needed": still_needed(settings, decided),
        "known": known_of(settings, runs) if settings.until_known else "",
        "groups": groups(runs),
        "exit": exit_code(runs),
        "results": [result(run) for run in runs],
    }


def rule_of(settings: Settings, runs: int, *, is_whole: bool) -> Rule:
    """What set the number of runs, which decides what may be said of the rate."""
    if settings.until_failure:
        return "until-failure"
    if settings.until_known:
        return "any-time"
    if settings.runs is not None and runs >= settings.runs:
        return "fixed-n"
    return "fixed-time" if settings.duration_s is not None and is_whole else "any-time"


def rate(settings: Settings, decided: Sequence[Entry], rule: Rule) -> Estimate:
    """The estimate by the rule that fits how the loop stopped, in the order of the runs.

    A loop until failure with several runs side by side may end with more than one failure:
    the runs after the first one, by number, were not part of the plan and do not count.
    """
    if rule == "until-failure":
        first = next((i for i, run in enumerate(decided) if run.outcome == "violation"), None)
        decided = decided if first is None else decided[: first + 1]
    failures = sum(run.outcome == "violation" for run in decided)
    return estimate(len(decided), failures, settings.confidence, rule)


def decided_in(runs: Sequence[Entry]) -> list[Entry]:
    """Those that passed or failed."""
    return [run for run in runs if run.outcome in ("passed", "violation")]


def in_order(runs: Sequence[Entry]) -> list[Entry]:
    """The ended runs before the first that has not ended.

    With several side by side a short run ends before a longer one that began earlier; if how long
    a run takes tells of its outcome, those that have ended by now are a biased choice.
    """
    return [run for at, run in enumerate(runs, 1) if run.number == at]


def known_of(settings: Settings, runs: Sequence[Entry]) -> Known:
    """What is shown by now of the rate that was asked for."""
    decided = decided_in(in_order(runs))
    failures = sum(run.outcome == "violation" for run in decided)
    return known(len(decided), failures, settings.at_most, settings.confidence)


def still_needed(settings: Settings, decided: Sequence[Entry]) -> int | None:
    """Further passing runs until the failure rate is shown to be at most what was asked."""
    if settings.until_failure:
        return None
    failures = sum(run.outcome == "violation" for run in decided)
    return runs_still_needed(
        len(decided),
        failures,
        settings.confidence,
        settings.at_most,
        any_time=settings.until_known,
    )


def groups(runs: Sequence[Entry]) -> list[dict[str, Any]]:
    """Violations with the same kinds of anomalies, the most frequent first."""
    numbers: dict[tuple[str, ...], list[Entry]] = {}
    for run in runs:
        if run.outcome == "violation":
            numbers.setdefault(tuple(run.signatures), []).append(run)
    found = sorted(numbers.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "signatures": list(signatures),
            "runs": [run.number for run in members],
            "first": members[0].why,
            "reproduce": members[0].reproduce,
        }
        for signatures, members in found
    ]


def exit_code(runs: Sequence[Entry]) -> int:
    """The worst run's exit code, in the order 1, 4, 3, 2, 0; 2 if nothing ran at all."""
    codes = {run.exit for run in runs}
    known = [code for code in WORST_FIRST if code in codes]
    if not runs:
        return EXIT_UNKNOWN
    return known[0] if known else EXIT_INFRASTRUCTURE


def result(run: Entry) -> dict[str, Any]:
    """One row of the table of runs."""
    return {
        "number": run.number,
        "seed": run.seed,
        "outcome": run.outcome,
        "exit": run.exit,
        "seconds": run.seconds,
        "why": run.why,
        "settle": run.settle,
        "faults": run.faults,
        "operations": run.operations,
        "signatures": run.signatures,
        "run_dir": run.run_dir,
        "reproduce": run.reproduce,
    }
