"""``polygraph soak SYSTEM``: the same test again and again, and what that shows.

All flags of ``test``, each run with a seed of its own that follows from the soak's seed. The
book of the soak makes it resumable; summary, page and JUnit are written again after every run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.flags import flag
from harness.cli.soak_report import carried_out, hand_down, new_book, resumed
from harness.cli.speech import say
from harness.cli.test import VERB as TEST
from harness.cli.test import SystemVerb
from harness.errors import EXIT_INTERRUPTED, UsageError
from harness.option import Duration

if TYPE_CHECKING:
    from harness.cli.soak_matrix import Made
    from harness.soak.book import Book, Settings

FINISH_S = 120.0
"""What a run may take beyond its time limit, recovery and judging: set-up, its report."""
MOST_AT_ONCE = 10_000
SOAK = "The soak"
RESULTS = "Results"
SCHEDULER_HELP = "runs on the workers of this dask scheduler, tcp://host:8786"
RESULTS_HELP = "a store that workers and this machine reach, for runs to come back by"
OUTPUTS = ("junit", "junit_unknown", "artifacts")
"""Flags that say what else to write, not what to run."""
OWN = {
    "runs", "duration", "until_failure", "until_known", "parallel", "confidence", "at_most",
    "hard_limit", "matrix", "select", "adaptive", "resume", "as_json", "scheduler", "results",
    *OUTPUTS,
}  # fmt: skip
"""Flags that are none of a run."""

SHARED = [param for param in TEST.params if param.name not in ("as_json", "print_config")]


class SoakVerb(SystemVerb):
    """``soak``: further words behind ``--matrix`` are keys of the matrix, too."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """As of every verb, with each key behind a ``--matrix`` of its own."""
        return super().make_context(info_name, spread(args), parent, **extra)


def spread(args: Sequence[str]) -> list[str]:
    """``--matrix a=1,2 b=3`` as ``--matrix a=1,2 --matrix b=3``."""
    found: list[str] = []
    is_matrix = False
    for word in args:
        is_key = "=" in word and not word.startswith("-")
        if is_matrix and is_key and found[-1] != "--matrix":
            found.append("--matrix")
        is_matrix = word == "--matrix" or (is_matrix and is_key)
        found.append(word)
    return found


@click.command("soak", cls=SoakVerb)
@flag("runs", int, least=1, group=SOAK, help="how many runs, set beforehand")
@flag("duration", Duration, above=0, group=SOAK, help="begin no further run after this time")
@flag("until_failure", bool, short="-x", group=SOAK, help="stop at the first violation")
@flag(
    "until_known", bool, group=SOAK, help="stop once it is shown that the rate is at most, or above"
)
@flag("parallel", int, least=1, group=SOAK, help="clusters side by side: 1, or what workers take")
@flag("confidence", float, default=0.95, group=SOAK, help="of the interval")
@flag("at_most", float, default=0.05, group=SOAK, help="the failure rate to rule out")
@flag("hard_limit", Duration, above=0, group=SOAK, help="when a run is killed")
@flag(
    "matrix",
    multiple=True,
    group=SOAK,
    metavar="KEY=A,B …",
    help="a cell for each choice; + for a comma in a value",
)
@flag("select", short="-k", group=SOAK, metavar="EXPR", help="the cells so named, as pytest's -k")
@flag("adaptive", bool, group=SOAK, help="more runs for the cells in which runs fail")
@flag("resume", Path, group=SOAK, help="go on with the soak in this folder")
@flag("scheduler", group=SOAK, metavar="ADDRESS", help=SCHEDULER_HELP)
@flag("results", group=SOAK, metavar="URL", help=RESULTS_HELP)
@flag("junit", Path, group=RESULTS, help="write JUnit XML here after every run")
@flag(
    "junit_unknown",
    choices=("error", "skipped"),
    default="error",
    group=RESULTS,
    help="what a run without a verdict is in JUnit's words",
)
@flag("artifacts", Path, group=RESULTS, help="keep failing runs here whole, others small")
@flag("json", bool, dest="as_json", group=RESULTS, help="print the summary as JSON at the end")
@click.pass_context
def VERB(context: click.Context, /, **flags: Any) -> int:
    """Run a test many times, and say how often it fails and how sure that is.

    Exits with the worst of all runs, in the order 1, 4, 3, 2, 0; 130 if interrupted.
    """
    book, agreed = resumed(flags) if flags["resume"] else _begun(flags)
    summary = carried_out(book, flags, agreed)
    return EXIT_INTERRUPTED if summary["interrupted"] else int(summary["exit"])


VERB.params[0:0] = SHARED


def _begun(flags: Mapping[str, Any]) -> tuple[Book, list[str]]:
    from harness.cli.soak_matrix import cells_of

    made = cells_of(flags, {name: value for name, value in flags.items() if name not in OWN})
    hand_down(made.secrets)
    for reason in made.left_out:
        say(f"left out: {reason}", err=True)
    return new_book(_settings(made, flags), flags)


def at_once(flags: Mapping[str, Any], here: int) -> int:
    """How many runs side by side: as asked, else ``here``, or as many as workers take."""
    return int(flags["parallel"] or (MOST_AT_ONCE if flags["scheduler"] else here))


def _settings(made: Made, flags: Mapping[str, Any]) -> Settings:
    from harness.soak.book import Settings

    duration_s = flags["duration"]
    ends = (flags["runs"], duration_s, flags["until_failure"], flags["until_known"])
    if not any(ends):
        ways = "--runs 20, --duration 8h, --until-failure or --until-known --at-most 0.01"
        raise UsageError("a soak needs an end", ways)
    if flags["until_failure"] and flags["until_known"]:
        why = "the first failure does not show a rate: name one of them"
        raise UsageError(f"--until-failure and --until-known: {why}")
    for name in ("confidence", "at_most"):
        if not 0 < flags[name] < 1:
            raise UsageError(f"--{name.replace('_', '-')} must lie between 0 and 1")
    return Settings(
        scenario=made.cells[0].scenario,
        seed=made.seed,
        runs=flags["runs"],
        duration_s=duration_s,
        until_failure=flags["until_failure"],
        until_known=flags["until_known"],
        parallel=at_once(flags, 1),
        confidence=flags["confidence"],
        at_most=flags["at_most"],
        hard_limit_s=flags["hard_limit"] or made.longest_s + FINISH_S,
        start_wall_ns=time.time_ns(),
        cells=made.cells if made.cells[0].name else [],
        adaptive=flags["adaptive"],
    )
