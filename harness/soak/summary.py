"""What a soak came to: counts kept apart, the failure rate with its interval, kinds of anomalies.

Derived from the book alone, so it can be made again at any time, also of a soak under way.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    EXIT_VALID,
)
from harness.soak.book import OUTCOMES, Entry, Settings, by_cell, ended
from harness.soak.cells import Cell
from harness.soak.comparing import Comparison, Side, compare
from harness.soak.creeping import creeping
from harness.soak.exposure import by_exposure
from harness.soak.oddities import oddest, slowest
from harness.soak.sequences import Known, known
from harness.soak.statistics import Estimate, Rule, estimate, runs_still_needed

WORST_FIRST = (EXIT_INVALID, EXIT_USAGE, EXIT_INFRASTRUCTURE, EXIT_UNKNOWN, EXIT_VALID)

MOST_NAMED: Final = 5


def summarize(
    settings: Settings, entries: Sequence[Entry], *, interrupted: bool, under_way: bool = False
) -> dict[str, Any]:
    """``summary.json``: counts, estimate, groups of violations and every run."""
    runs = ended(entries)
    is_whole = not (interrupted or under_way)
    by_name = by_cell(settings, entries)
    cells = [
        of_one(settings, cell, by_name[cell.name], is_whole=is_whole) for cell in settings.all_cells
    ]
    only = cells[0] if len(cells) == 1 else None
    compared = comparison(settings, by_name, is_whole=is_whole) if settings.compares else None
    sentence = of_all(cells) if compared is None else compared.sentence()
    return {
        "soak": 1,
        "seed": settings.seed,
        "scenario": settings.scenario,
        "runs": len(runs),
        "wanted": settings.runs,
        "counts": counts_of(runs),
        "half_done": [entry.number for entry in entries if entry.event == "half-done"],
        "interrupted": interrupted,
        "confidence": settings.confidence,
        "estimate": only["estimate"] if only else None,
        "sentence": only["sentence"] if only else sentence,
        "comparison": None if compared is None else compared.as_json(),
        "worst_case": only["worst_case"] if only else "",
        "by_exposure": only["by_exposure"] if only else [],
        "milestones": only["milestones"] if only else [],
        "slowest": slowest(runs),
        "oddest": [one for cell in cells for one in cell["oddest"]],
        "creeping": [one for cell in cells for one in cell["creeping"]],
        "at_most": settings.at_most,
        "runs_still_needed": only["runs_still_needed"] if only else None,
        "known": only["known"] if only else "",
        "cells": [] if only else cells,
        "groups": groups(runs),
        "exit": exit_code(runs),
        "results": [result(run) for run in runs],
    }


def of_one(
    settings: Settings, cell: Cell, entries: Sequence[Entry], *, is_whole: bool
) -> dict[str, Any]:
    """What is said of one cell: a failure rate is that of runs of one kind."""
    runs = ended(entries)
    rule = rule_of(settings, len(runs), is_whole=is_whole)
    decided = decided_in(runs if rule != "any-time" else in_order(entries))
    found = rate(settings, decided, rule)
    return {
        "name": cell.name,
        "runs": len(runs),
        "counts": counts_of(runs),
        "estimate": found.as_json(),
        "sentence": found.sentence(),
        "worst_case": worst_case(settings, runs, rule),
        "by_exposure": by_exposure(decided, minutes_of(cell), settings.confidence),
        "oddest": oddest(runs),
        "milestones": reached(runs, settings.confidence),
        "creeping": creeping(runs),
        "runs_still_needed": still_needed(settings, decided),
        "known": known_of(settings, entries) if settings.until_known else "",
    }


def worst_case(settings: Settings, runs: Sequence[Entry], rule: Rule) -> str:
    """What the rate would be at most, had every run that decided nothing failed; empty if none."""
    undecided = len(runs) - len(decided_in(runs))
    if not undecided:
        return ""
    failures = undecided + sum(run.outcome == "violation" for run in runs)
    # Such runs failed nobody knows when, so no rule of a first failure applies.
    found = estimate(
        len(runs), failures, settings.confidence, "any-time" if rule == "until-failure" else rule
    )
    return (
        f"Had all {undecided} that decided nothing failed: at most {found.high * 100:.3g} %"
        f" ({failures} of {len(runs)} runs)."
    )


def reached(runs: Sequence[Entry], confidence: float) -> list[dict[str, Any]]:
    """Each milestone that the system declares: in how many of the runs that tell it was reached.

    One that never was has ``at_most``, the share of runs that it is reached in at most. Of what a
    soak never reached its runs say nothing.
    """
    telling = [run for run in runs if run.milestones]
    names = dict.fromkeys(name for run in telling for name in run.milestones)
    found = []
    for name in names:
        of = [run.milestones[name] for run in telling if name in run.milestones]
        at = sum(count > 0 for count in of)
        most = estimate(len(of), at, confidence, "fixed-n").at_most
        counted = {"name": name, "runs": len(of), "reached_in": at, "times": sum(of)}
        found.append(counted if at else {**counted, "at_most": most})
    return found


def never_reached(summary: Mapping[str, Any]) -> list[str]:
    """A sentence for each milestone that no run reached, of each cell with its name."""
    cells = summary.get("cells") or [{"name": "", "milestones": summary.get("milestones") or []}]
    return [
        f"{cell['name']}{': ' if cell['name'] else ''}never reached in {each['runs']} runs:"
        f" {each['name']} (a run reaches it with at most {each['at_most'] * 100:.3g} %)"
        for cell in cells
        for each in cell.get("milestones") or ()
        if not each["reached_in"]
    ]


def minutes_of(cell: Cell) -> float:
    """How long a run of this cell is under load."""
    limit_s = cell.scenario.get("time_limit")
    is_number = isinstance(limit_s, int | float) and not isinstance(limit_s, bool)
    return float(limit_s) / 60 if is_number and limit_s is not None else 0.0


def comparison(
    settings: Settings, by_name: Mapping[str, Sequence[Entry]], *, is_whole: bool
) -> Comparison:
    """What the two cells show of each other."""
    is_planned = is_whole and all(
        len(ended(entries)) == settings.runs for entries in by_name.values()
    )
    sides = []
    for name, entries in by_name.items():
        decided = decided_in(ended(entries) if is_planned else in_order(entries))
        failures = sum(run.outcome == "violation" for run in decided)
        sides.append(Side(name=name, runs=len(decided), failures=failures))
    a, b = sides
    return compare(a, b, settings.confidence, is_planned=is_planned)


def of_all(cells: Sequence[Mapping[str, Any]]) -> str:
    """What is said of a matrix: which cells failed, and no rate of all together."""
    failed = [cell["name"] for cell in cells if cell["counts"]["violation"]]
    some = f": {', '.join(failed[:MOST_NAMED])}" if failed else ""
    more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
    return f"{len(failed)} of {len(cells)} cells had a violation{some}{more}."


def counts_of(runs: Sequence[Entry]) -> dict[str, int]:
    """How many runs had which outcome."""
    return {outcome: sum(run.outcome == outcome for run in runs) for outcome in OUTCOMES}


def rule_of(settings: Settings, runs: int, *, is_whole: bool) -> Rule:
    """What set the number of runs, which decides what may be said of the rate."""
    if settings.until_known or settings.is_adaptive:
        return "any-time"
    if settings.until_failure:  # in a matrix it may be another cell's
        return "any-time" if settings.cells else "until-failure"
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


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """The ended runs before the first that has not ended.

    With several side by side a short run ends before a longer one that began earlier; if how long
    a run takes tells of its outcome, those that have ended by now are a biased choice.
    """
    done = {entry.number: entry for entry in ended(entries)}
    numbers = sorted({entry.number for entry in entries})
    return [done[number] for number in itertools.takewhile(done.__contains__, numbers)]


def known_of(settings: Settings, entries: Sequence[Entry]) -> Known:
    """What is shown by now of the rate that was asked for, of one cell."""
    decided = decided_in(in_order(entries))
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
        any_time=settings.until_known or settings.is_adaptive,
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
            "cells": sorted({run.cell for run in members if run.cell}),
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
        "cell": run.cell,
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
