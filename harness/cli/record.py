"""``polygraph record``: the published findings again, each some times, each with its control.

A finding is a shipped scenario that says what is expected of it (:mod:`harness.record.finding`).
Its runs are a soak in a folder of its own under ``STORE/record/STATE/``, STATE being the state of
our code: so a record that was interrupted goes on where it was, and what other code showed is kept
apart.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.cli.flags import flag
from harness.cli.options import json_option, store_option
from harness.cli.soak import FINISH_S
from harness.cli.soak_report import in_short
from harness.cli.speech import say
from harness.cli.verbs import Verb
from harness.errors import EXIT_INTERRUPTED, UsageError
from harness.linux.surroundings import program

if TYPE_CHECKING:
    from harness.record.finding import Finding
    from harness.record.result import Result
    from harness.soak.book import Book, Entry, Settings

RUNS: Final = 10


@click.command("record", cls=Verb)
@click.argument("names", nargs=-1, metavar="[FINDING]...")
@flag("runs", int, least=1, default=RUNS, help="how many runs of each")
@flag("system", str, multiple=True, help="those on this system alone")
@flag("page", Path, help="write the results beside this page, and its table")
@flag("table_only", bool, help="run nothing: write the page's table from the results beside it")
@store_option
@json_option
def VERB(
    names: tuple[str, ...],
    runs: int,
    system: tuple[str, ...],
    page: Path | None,
    table_only: bool,
    store: Path,
    as_json: bool,
) -> int:
    """Reproduce published findings on the real software, and say how often they show.

    All, or those named, each with its control. What was interrupted goes on where it was, and
    results belong to the state of our code. Exits 0 if everything came as expected (findings seen,
    controls clean), 1 if not, 2 if something could not be decided; 130 if interrupted.
    """
    from harness.record.finding import chosen, findings
    from harness.record.page import keep, rewrite
    from harness.record.result import exit_code, is_as_expected

    known = findings()
    if page is not None:
        rewrite(page, known)  # what cannot be written is told before anything is run
    if table_only:
        if page is None:
            raise UsageError("--table-only writes no table without a page", "--page FILE")
        return 0
    results: list[tuple[Finding, Result]] = []
    recorder = _Recorder(store.resolve(), runs, quiet=as_json)
    for finding in chosen(known, names, system):
        result = recorder.result(finding)
        if result is None:
            return EXIT_INTERRUPTED
        results.append((finding, result))
        if page is not None:
            keep(page, result)
            rewrite(page, known)
    _tell(results, as_json=as_json)
    return exit_code([is_as_expected(finding, result) for finding, result in results])


class _Recorder:
    """Has each finding's runs done, and keeps them under the state of the code."""

    def __init__(self, store: Path, runs: int, *, quiet: bool) -> None:
        from harness.record.code import state_of

        self.store, self.runs, self.quiet = store, runs, quiet
        self.state = state_of()

    def result(self, finding: Finding) -> Result | None:
        """What its runs came to; ``None`` if they were interrupted."""
        from harness.record.result import result_of
        from harness.soak.here import Here
        from harness.soak.loop import Loop

        book = self._book(finding)
        self._say(f"{finding.name}: {finding.what}")
        here = Here(book, self.store, program("harness.cli.soak_run"))
        loop = Loop(book, here, self._heard)
        try:
            loop.run()
        finally:
            book.close()
        self._write_summary(book, interrupted=loop.is_stopped)
        if loop.is_stopped:
            self._say("interrupted; the same command goes on")
            return None
        day = date.today().isoformat()
        return result_of(finding, book.settings, book.ended(), self.state, day)

    def _book(self, finding: Finding) -> Book:
        """The book of its runs: a new one, or that of an earlier sitting."""
        from harness.soak.book import BOOK, Book

        folder = self.store / "record" / self.state / f"{finding.name}-{self.runs}"
        if (folder / BOOK).is_file():
            return Book.resume(folder, time.time_ns())
        return Book.create(folder, self._settings(finding))

    def _settings(self, finding: Finding) -> Settings:
        from harness.run.scenario import resolve
        from harness.soak.book import Settings
        from harness.store.scenario import registry_of

        scenario = resolve(finding.scenario, registry_of(finding.scenario))
        limit_s = scenario.time_limit + 2 * scenario.recovery_timeout + scenario.op_timeout
        table = scenario.flat()
        del table["seed"]
        return Settings(
            scenario=table,
            seed=int(finding.scenario.get("seed", secrets.randbelow(2**32))),
            runs=self.runs,
            duration_s=None,
            until_failure=False,
            parallel=1,
            confidence=0.95,
            at_most=0.05,
            hard_limit_s=limit_s + FINISH_S + scenario.budget,
            start_wall_ns=time.time_ns(),
        )

    def _write_summary(self, book: Book, *, interrupted: bool) -> None:
        from harness.soak.page import write_page
        from harness.soak.summary import summarize
        from harness.store.runs import write_json

        summary = summarize(book.settings, book.entries, interrupted=interrupted)
        write_json(book.path.parent / "summary.json", summary)
        write_page(book.path.parent, summary)

    def _heard(self, entry: Entry) -> None:
        if entry.event == "ended":
            said = ", ".join(entry.signatures) or in_short(entry.why)
            self._say(f"  run {entry.number}: {entry.outcome}  {said}")

    def _say(self, line: str) -> None:
        say(line, err=self.quiet)


def _tell(results: Sequence[tuple[Finding, Result]], *, as_json: bool) -> None:
    import msgspec

    if as_json:
        say(json.dumps([msgspec.to_builtins(result) for _, result in results], indent=1))
        return
    for finding, result in results:
        say(_line(finding, result))


def _line(finding: Finding, result: Result) -> str:
    """``etcd-stale  found in 10 of 10 runs, first seen after 0.4 s (0.2 - 1.1)``."""
    from harness.record.result import is_as_expected

    mark: Mapping[bool | None, str] = {True: "✓", False: "✗", None: "?"}
    said = "violations in" if finding.is_control else "found in"
    line = f"{mark[is_as_expected(finding, result)]} {finding.name}  {said} {result.found} of"
    line += f" {result.decided} runs ({100 * result.low:.3g} % to {100 * result.high:.3g} %)"
    if result.seen_s:
        line += f", first seen after {result.seen_s[0]:g} to {result.seen_s[-1]:g} s"
    if result.others:
        line += f"; not expected: {', '.join(result.others)}"
    if result.runs > result.decided:
        line += f"; {result.runs - result.decided} undecided: {in_short(result.why)}"
    return line
