"""``polygraph replay RUN``: the recorded fault schedule again, and how often it fails again.

What is run is a soak of its own (:mod:`harness.soak`): resumable, with a page, but every run by the
one schedule and, as a rule, the one seed. What was otherwise than in RUN is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.flags import Command, completes, flag
from harness.cli.options import json_option, plugin_option, store_option
from harness.cli.soak import FINISH_S
from harness.cli.soak_report import carried_out, new_book
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_INTERRUPTED, PolygraphError, UsageError
from harness.option import Duration

if TYPE_CHECKING:
    from harness.explore.recorded import Recorded
    from harness.plugins import Registry

AGAIN: Final = "The schedule"
RUNS: Final = "The runs"


def schedule_flags(command: Command) -> Command:
    """How a recorded schedule is taken: shared with ``shrink``."""
    given: tuple[Callable[[Command], Command], ...] = (
        flag(
            "targets",
            choices=("planned", "happened"),
            default="planned",
            group=AGAIN,
            help="planned: who leads by then; happened: the nodes that were hit",
        ),
        flag(
            "moments",
            choices=("planned", "happened"),
            default="planned",
            group=AGAIN,
            help="planned: after milestones again; happened: at the offsets at which they came",
        ),
    )
    given += (
        flag(
            "paths",
            bool,
            group=AGAIN,
            help="agree to the programs and files that RUN names (--client, --binary)",
        ),
    )
    for each in reversed(given):
        each(command)
    return command


@click.command("replay", cls=Verb)
@click.argument("run", default="latest", shell_complete=completes("run"))
@flag("runs", int, least=1, default=5, group=RUNS, help="how many runs, set beforehand")
@schedule_flags
@flag(
    "seeds",
    choices=("same", "new"),
    default="same",
    group=RUNS,
    help="same: operations are drawn as they were; new: anew in each run",
)
@flag("parallel", int, least=1, default=1, group=RUNS, help="clusters side by side")
@flag("confidence", float, default=0.95, group=RUNS, help="of the interval")
@flag("hard_limit", Duration, above=0, group=RUNS, help="when a run is killed")
@flag("yes", bool, group=RUNS, help="agree to what a run does to what runs already")
@plugin_option
@store_option
@json_option
def VERB(run: str, **flags: Any) -> int:
    """Run the recorded schedule of RUN (a folder, or latest) again, and say how often it fails.

    Same system, workload, options, seed and offsets. Exits with the worst of all runs, as a soak;
    130 if interrupted.
    """
    from harness.explore.recorded import recorded
    from harness.store.runs import find_run

    was = recorded(find_run(flags["store"], run))
    book, agreed = new_book(_settings(was, flags), flags)
    shown = {**dict.fromkeys(("junit", "artifacts", "scheduler", "results")), **flags}
    summary = carried_out(book, shown, agreed)
    for line in told(was, summary, flags["confidence"]):
        say(line, err=flags["as_json"])
    return EXIT_INTERRUPTED if summary["interrupted"] else int(summary["exit"])


def told(was: Recorded, summary: Mapping[str, Any], confidence: float) -> list[str]:
    """How often the same showed again, and what was otherwise."""
    from harness.explore.differences import differences
    from harness.explore.recorded import recorded
    from harness.soak.statistics import estimate

    lines = []
    judged = [run for run in summary["results"] if run["outcome"] != "infrastructure"]
    if was.signatures and judged:
        same = [run for run in judged if set(run["signatures"]) & set(was.signatures)]
        found = estimate(len(judged), len(same), confidence, "fixed-n")
        lines.append(
            f"the same again ({'; '.join(was.signatures)}): {len(same)} of {len(judged)} runs,"
            f" {found.low * 100:.3g} to {found.high * 100:.3g} % with"
            f" {confidence * 100:.4g} % confidence"
        )
    elif not was.signatures:
        lines.append("the run itself had no anomaly that could show again")
    again = []
    for run in judged:
        try:
            again.append(recorded(Path(run["run_dir"])))
        except (PolygraphError, TypeError):  # its folder is gone
            continue
    return lines + [f"  differs: {line}" for line in differences(was, again)]


def ready(was: Recorded, flags: Mapping[str, Any]) -> Registry:
    """The registry for the run's parts; ``UsageError`` for what the user must name or agree to.

    A run's folder may be somebody else's: its plug-ins are code, and its paths (a program to test,
    a file with a password) are what the runs would start and read.
    """
    from harness.store.scenario import refuse_unnamed, registry_of

    refuse_unnamed(was.table, flags["plugin"], f"the run {was.run_dir}")
    registry = registry_of(was.table)
    named = was.paths(registry)
    if named and not flags["paths"]:
        told = ", ".join(f"{name} {value}" for name, value in named.items())
        raise UsageError(
            f"the run {was.run_dir} names what its runs would start or read: {told}",
            "--paths, if you trust it",
        )
    return registry


def limit_s(table: Mapping[str, Any]) -> float:
    """When a run of this scenario is killed."""
    from harness.store.scenario import recorded as scenario_of

    found = scenario_of(table)
    spent_s = found.time_limit + 2 * found.recovery_timeout + found.op_timeout
    return spent_s + found.budget + FINISH_S


def refuse_shares(confidence: float) -> None:
    """``UsageError`` for a confidence that is none."""
    if not 0 < confidence < 1:
        raise UsageError("--confidence must lie between 0 and 1")


def _settings(was: Recorded, flags: Mapping[str, Any]) -> Any:
    from harness.run.preparation import prepare
    from harness.run.scenario import resolve
    from harness.soak.book import Settings

    refuse_shares(flags["confidence"])
    registry = ready(was, flags)
    candidate = was.again(flags["targets"], flags["moments"])
    table = was.scenario(candidate, flags["store"], registry)
    prepare(resolve({**table, "seed": was.seed}, registry), registry)
    say(f"replay  {was.run_dir}: {candidate.names}, {candidate.time_limit_s:g} s", err=True)
    return Settings(
        scenario=table,
        seed=was.seed,
        runs=flags["runs"],
        duration_s=None,
        until_failure=False,
        parallel=flags["parallel"],
        confidence=flags["confidence"],
        at_most=0.05,
        hard_limit_s=flags["hard_limit"] or limit_s(table),
        start_wall_ns=time.time_ns(),
        same_seed=flags["seeds"] == "same",
    )
