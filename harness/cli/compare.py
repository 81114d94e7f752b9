"""``polygraph compare A B``: is the fix real? Runs of two builds in turn, and an exact test.

A and B are each a scenario's file, or ``KEY=VALUE,KEY=VALUE`` of what differs; every other flag is
for both. How many runs it takes follows from how often the old one fails
(:mod:`harness.soak.planning`) and is set before the first of them begins.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.flags import flag
from harness.cli.soak import FINISH_S, RESULTS_HELP, SCHEDULER_HELP, SHARED, at_once
from harness.cli.soak_report import carried_out, hand_down, new_book, resumed
from harness.cli.speech import say
from harness.cli.test import SystemVerb
from harness.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_VALID,
    UsageError,
)
from harness.option import Duration

if TYPE_CHECKING:
    from harness.cli.soak_matrix import Made
    from harness.soak.book import Book

COMPARING: Final = "The comparison"
RESULTS: Final = "Results"
OWN: Final = frozenset({
    "a", "b", "runs", "old_rate", "new_rate", "power", "parallel", "confidence", "hard_limit",
    "resume", "junit", "junit_unknown", "artifacts", "as_json", "scheduler", "results",
})  # fmt: skip
EXITS: Final = {
    "fixed": EXIT_VALID,
    "worse": EXIT_INVALID,
    "better": EXIT_UNKNOWN,
    "not shown": EXIT_UNKNOWN,
}


@click.command("compare", cls=SystemVerb)
@click.argument("a", required=False)
@click.argument("b", required=False)
@flag("runs", int, least=1, group=COMPARING, help="of either side, set beforehand")
@flag("old_rate", float, group=COMPARING, help="how often A fails: plans how many runs that takes")
@flag("new_rate", float, default=0.0, group=COMPARING, help="how often B may fail, to plan")
@flag("power", float, default=0.8, group=COMPARING, help="how surely a fix is to be shown")
@flag(
    "parallel",
    int,
    least=1,
    group=COMPARING,
    help="clusters side by side: 2, or what workers take",
)
@flag("confidence", float, default=0.95, group=COMPARING, help="of what is said")
@flag("hard_limit", Duration, above=0, group=COMPARING, help="when a run is killed")
@flag("resume", Path, group=COMPARING, help="go on with the comparison in this folder")
@flag("scheduler", group=COMPARING, metavar="ADDRESS", help=SCHEDULER_HELP)
@flag("results", group=COMPARING, metavar="URL", help=RESULTS_HELP)
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
    """Run A and B in turn, and say whether B fails less often: fixed, better, worse, not shown.

    Each is a scenario's FILE, or KEY=VALUE,... of what differs. Exits 0 if fixed, 1 if worse, 2 if
    neither is shown or B still fails, 3 if a side has no decided run; 130 if interrupted.
    """
    book, agreed = resumed(flags) if flags["resume"] else _begun(flags)
    if not book.settings.compares:
        book.close()
        raise UsageError(f"{flags['resume']} is no comparison", "polygraph soak --resume")
    summary = carried_out(book, flags, agreed)
    if summary["interrupted"]:
        return EXIT_INTERRUPTED
    found = summary["comparison"]
    if not found["a"]["runs"] or not found["b"]["runs"]:
        return EXIT_INFRASTRUCTURE
    return EXITS[found["word"]]


VERB.params[2:2] = SHARED


def _begun(flags: Mapping[str, Any]) -> tuple[Book, list[str]]:
    from harness.soak.book import Settings

    if flags["a"] is None or flags["b"] is None:
        raise UsageError("compare needs A and B", "polygraph compare old.toml new.toml --runs 60")
    made = _made(flags)
    runs = flags["runs"] or _planned(flags)
    hand_down(made.secrets)
    settings = Settings(
        scenario=made.cells[0].scenario,
        seed=made.seed,
        runs=runs,
        duration_s=None,
        until_failure=False,
        parallel=at_once(flags, 2),
        confidence=_share(flags, "confidence"),
        at_most=0.05,
        hard_limit_s=flags["hard_limit"] or made.longest_s + FINISH_S,
        start_wall_ns=time.time_ns(),
        cells=made.cells,
        compares=True,
    )
    return new_book(settings, flags)


def _made(flags: Mapping[str, Any]) -> Made:
    """The two scenarios; each is refused as a run's own would be."""
    from harness.cli.soak_matrix import Made, prepared

    of_runs = {name: value for name, value in flags.items() if name not in OWN}
    made: Made | None = None
    for letter in ("a", "b"):
        word = str(flags[letter])
        scenario = prepared({**of_runs, **_own(word)})
        made = made or Made(scenario.seed)
        made.add(f"{letter.upper()} {word}", scenario)
    assert made is not None
    return made


def _own(word: str) -> dict[str, Any]:
    """What a side says: its file, which the flags win over; or keys, which win over the flags."""
    from harness.soak.cells import axes_of

    if "=" not in word or Path(word).exists():
        return {"scenario": word}
    pairs = axes_of(word.split(","))
    return {key: values[0] for key, values in pairs.items()}


def _planned(flags: Mapping[str, Any]) -> int:
    """The number of runs that the old rate asks for."""
    from harness.soak.planning import runs_needed

    if flags["old_rate"] is None:
        way = "--runs 60, or --old-rate 0.1 to have their number planned"
        raise UsageError("a comparison needs its number of runs beforehand", way)
    confidence, power = _share(flags, "confidence"), _share(flags, "power")
    old, new = flags["old_rate"], flags["new_rate"]
    runs = runs_needed(old, new, confidence=confidence, power=power)
    say(
        f"planned: {runs} runs of either side, to tell a failure rate of {old:g} from {new:g}"
        f" with {confidence * 100:.4g} % confidence in {power * 100:.3g} % of such comparisons",
        err=True,
    )
    return runs


def _share(flags: Mapping[str, Any], name: str) -> float:
    if not 0 < flags[name] < 1:
        raise UsageError(f"--{name} must lie between 0 and 1")
    return float(flags[name])
