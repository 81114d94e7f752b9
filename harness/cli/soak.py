"""``polygraph soak SYSTEM``: the same test again and again, and what that shows.

All flags of ``test``, each run with a seed of its own that follows from the soak's seed. The
book of the soak makes it resumable; summary, page and JUnit are written again after every run.
"""

from __future__ import annotations

import json
import os
import secrets
import textwrap
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.flags import flag
from harness.cli.speech import say
from harness.cli.test import VERB as TEST
from harness.cli.test import SystemVerb, told_or_kept
from harness.errors import EXIT_INTERRUPTED, StoreError, UsageError, cannot_write
from harness.linux.stopping import how_stopped
from harness.linux.surroundings import program
from harness.option import Duration, Option

if TYPE_CHECKING:
    from harness.cli.soak_matrix import Made
    from harness.soak.book import Book, Entry, Settings

FINISH_S = 120.0
"""What a run may take beyond its time limit, recovery and judging: set-up, its report."""

MOST_WHY = 160
"""Letters of a run's reason in its line; the page has it whole."""
SOAK = "The soak"
RESULTS = "Results"
OUTPUTS = ("junit", "junit_unknown", "artifacts")
"""Flags that say what else to write, not what to run."""
OWN = {
    "runs", "duration", "until_failure", "until_known", "parallel", "confidence", "at_most",
    "hard_limit", "matrix", "select", "adaptive", "resume", "as_json", *OUTPUTS,
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
@flag("parallel", int, least=1, default=1, group=SOAK, help="clusters side by side")
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
    from harness.cli.soak_progress import block
    from harness.soak.loop import Loop

    book, agreed = _resumed(flags) if flags["resume"] else _begun(flags)
    report = _Reporter(book, flags)
    command = [*program("harness.cli.soak_run"), *agreed]
    try:
        with block(book) as show:

            def tell(entry: Entry) -> None:
                show.see(entry)
                report(entry)

            loop = Loop(book, flags["store"].resolve(), command, tell, tick=show.tick)
            loop.run()
    finally:
        book.close()
    summary = report.write(interrupted=loop.is_stopped)
    with told_or_kept():
        report.end(summary)
    if loop.stopped_by is not None:
        say(f"polygraph: {how_stopped(loop.stopped_by)}", err=True)
    return EXIT_INTERRUPTED if loop.is_stopped else int(summary["exit"])


VERB.params[0:0] = SHARED


def _resumed(flags: Mapping[str, Any]) -> tuple[Book, list[str]]:
    """The book to go on with, which may be another's: its plug-ins are loaded only if named.

    With it what its runs are told of what the user has agreed to.
    """
    from harness.cli.soak_agreement import words_of_agreement
    from harness.soak.book import Book, read
    from harness.store.scenario import refuse_unnamed

    folder = Path(flags["resume"])
    settings, _, _ = read(folder)
    refuse_unnamed(settings.scenario, map(Path, flags["plugin"]), f"the soak in {folder}")
    agreed = words_of_agreement(settings, flags)
    return Book.resume(folder, time.time_ns()), agreed


def _begun(flags: Mapping[str, Any]) -> tuple[Book, list[str]]:
    from harness.cli.soak_agreement import words_of_agreement
    from harness.cli.soak_matrix import cells_of
    from harness.soak.book import Book

    made = cells_of(flags, {name: value for name, value in flags.items() if name not in OWN})
    for name, value in made.secrets.items():  # each run is a process that inherits them
        os.environ[Option(name=name).twin] = value
    for reason in made.left_out:
        say(f"left out: {reason}", err=True)
    settings = _settings(made, flags)
    agreed = words_of_agreement(settings, flags)
    now = datetime.now()
    name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    return Book.create(flags["store"].resolve() / "soaks" / name, settings), agreed


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
        parallel=flags["parallel"],
        confidence=flags["confidence"],
        at_most=flags["at_most"],
        hard_limit_s=flags["hard_limit"] or made.longest_s + FINISH_S,
        start_wall_ns=time.time_ns(),
        cells=made.cells if made.cells[0].name else [],
        adaptive=flags["adaptive"],
    )


def in_short(why: str) -> str:
    """A run's reason as its line has room for it, cut between words."""
    return textwrap.shorten(why, MOST_WHY, placeholder=" …")


class _Reporter:
    """Shows each run as it ends and keeps summary, page and JUnit true."""

    def __init__(self, book: Book, flags: Mapping[str, Any]) -> None:
        self.book = book
        self.flags = flags
        self.folder = book.path.parent
        self._say(f"soak: {self.folder}")

    def __call__(self, entry: Entry) -> None:
        if entry.event == "ended":
            counts = self._written()
            why = (
                ""
                if entry.outcome == "passed"
                else "  " + textwrap.shorten(entry.why, MOST_WHY, placeholder=" …")
            )
            settle = f"\n  to settle it: {entry.settle[0]}" if entry.settle else ""
            cell = f" {entry.cell}" if entry.cell else ""
            head = f"run {entry.number}{cell} seed {entry.seed}"
            self._say(f"{head}: {entry.outcome}{why}  [{counts}]{settle}")

    def _written(self) -> str:
        """The counts, and all written; what cannot be written now costs no run under way."""
        try:
            counts = self.write(interrupted=False, under_way=True)["counts"]
        except (StoreError, OSError) as error:
            self._say(f"warning: {error}")
            return "the summary is not written"
        return " ".join(f"{count} {name}" for name, count in counts.items())

    def write(self, *, interrupted: bool, under_way: bool = False) -> dict[str, Any]:
        """Summary, page and JUnit as the book has it now."""
        from harness.soak.page import write_page
        from harness.soak.summary import summarize
        from harness.store.runs import write_json

        settings = self.book.settings
        summary = summarize(
            settings, self.book.entries, interrupted=interrupted, under_way=under_way
        )
        write_json(self.folder / "summary.json", summary)
        write_page(self.folder, summary)
        if self.flags["junit"]:
            self._write_junit(summary)
        if self.flags["artifacts"]:
            from harness.soak.ci import keep_artifacts

            store = self.flags["store"]
            keep_artifacts(summary, self.folder, Path(self.flags["artifacts"]), store)
        return summary

    def _write_junit(self, summary: Mapping[str, Any]) -> None:
        from harness.soak.junit import junit

        scenario = self.book.settings.scenario
        name = f"{scenario.get('system')}.{scenario.get('workload')}"
        unknown, start_ns = self.flags["junit_unknown"], self.book.settings.start_wall_ns
        path = Path(self.flags["junit"])
        try:
            path.write_bytes(junit(summary, name, start_ns, unknown=unknown))
        except OSError as error:
            raise cannot_write(f"cannot write {path}", error) from error

    def end(self, summary: Mapping[str, Any]) -> None:
        """The last words."""
        from harness.soak.page import headline, needed

        if self.flags["as_json"]:
            say(json.dumps(summary))
        else:
            say(headline(summary))
            say(summary["sentence"])
            for line in filter(None, [needed(summary), summary["worst_case"]]):
                say(line)
            for cell in summary["cells"]:
                say(f"  {cell['name']}: {cell['sentence']}")
        for group in summary["groups"]:
            self._say(f"repeat  {group['reproduce']}")
        self._tell_github(summary)
        self._say(f"page    {self.folder / 'index.html'}")
        if summary["interrupted"]:
            self._say(f"go on   polygraph soak --resume {self.folder}")

    def _tell_github(self, summary: Mapping[str, Any]) -> None:
        """Annotations and step summary, where GitHub's runner is there to take them."""
        from harness.soak.ci import github_annotations, step_summary
        from harness.soak.page import headline, needed

        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in github_annotations(summary):
                say(line)
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(path).open("a", encoding="utf-8") as page:
                page.write(step_summary(summary, headline(summary), needed(summary)))

    def _say(self, line: str) -> None:
        with told_or_kept():  # the soak goes on
            say(line, err=self.flags["as_json"])
