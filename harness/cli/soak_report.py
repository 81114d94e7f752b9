"""Carries a soak out, and says what it comes to: each run as it ends, and all of them in the end.

Shared by the verbs whose runs are many (``soak``, ``compare``). The book makes them resumable;
summary, page and JUnit are written again after every run.
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

from harness.cli.speech import say
from harness.cli.test import told_or_kept
from harness.errors import StoreError, UsageError, cannot_write
from harness.linux.stopping import how_stopped
from harness.linux.surroundings import program
from harness.option import Option

if TYPE_CHECKING:
    from harness.soak.book import Book, Entry, Settings
    from harness.soak.places import Place

MOST_WHY = 160
"""Letters of a run's reason in its line; the page has it whole."""


def carried_out(book: Book, flags: Mapping[str, Any], agreed: Sequence[str]) -> dict[str, Any]:
    """Make the runs that the book still lacks; the summary, which was told.

    ``agreed`` is what each run is told of what the user has agreed to.
    """
    from harness.cli.soak_progress import block
    from harness.soak.loop import Loop

    report = Reporter(book, flags)
    try:
        place = _place(book, flags, agreed)
        with block(book) as show:

            def tell(entry: Entry) -> None:
                show.see(entry)
                report(entry)

            loop = Loop(book, place, tell, tick=show.tick)
            loop.run()
    finally:
        book.close()
    summary = report.write(interrupted=loop.is_stopped)
    with told_or_kept():
        report.end(summary)
    if loop.stopped_by is not None:
        say(f"polygraph: {how_stopped(loop.stopped_by)}", err=True)
    return summary


def _place(book: Book, flags: Mapping[str, Any], agreed: Sequence[str]) -> Place:
    """Where the runs happen: here, or on the workers of a scheduler."""
    command = [*program("harness.cli.soak_run"), *agreed]
    store = flags["store"].resolve()
    if not flags["scheduler"]:
        from harness.soak.here import Here

        if flags["results"]:
            raise UsageError("--results is for runs that workers make", "--scheduler ADDRESS")
        return Here(book, store, command)
    from harness.cli.worker import refuse_without_dask
    from harness.soak.scheduled import Scheduled

    refuse_without_dask()
    place = Scheduled(
        book,
        store,
        flags["scheduler"],
        command[1:],
        results=flags["results"] or "",
        say=lambda line: say(line, err=True),
    )
    say(f"the scheduler's page: {place.connect()}", err=True)
    return place


def new_book(settings: Settings, flags: Mapping[str, Any]) -> tuple[Book, list[str]]:
    """A book in a folder of its own in the store, once the user has agreed to what it will do."""
    from harness.cli.soak_agreement import words_of_agreement
    from harness.soak.book import Book

    agreed = words_of_agreement(settings, flags)
    name = f"{datetime.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    return Book.create(flags["store"].resolve() / "soaks" / name, settings), agreed


def resumed(flags: Mapping[str, Any]) -> tuple[Book, list[str]]:
    """The book to go on with, which may be another's: its plug-ins are loaded only if named.

    With it what its runs are told of what the user has agreed to.
    """
    from harness.cli.soak_agreement import words_of_agreement
    from harness.soak.book import Book, read
    from harness.store.scenario import refuse_unnamed

    folder = Path(flags["resume"])
    settings, _, _ = read(folder)
    for cell in settings.all_cells:
        refuse_unnamed(cell.scenario, map(Path, flags["plugin"]), f"the soak in {folder}")
    agreed = words_of_agreement(settings, flags)
    return Book.resume(folder, time.time_ns()), agreed


def hand_down(of_runs: Mapping[str, str]) -> None:
    """Let each run, a process of its own, inherit these secrets."""
    for name, value in of_runs.items():
        os.environ[Option(name=name).twin] = value


def in_short(why: str) -> str:
    """A run's reason as its line has room for it, cut between words."""
    return textwrap.shorten(why, MOST_WHY, placeholder=" …")


class Reporter:
    """Shows each run as it ends and keeps summary, page and JUnit true."""

    def __init__(self, book: Book, flags: Mapping[str, Any]) -> None:
        self.book = book
        self.flags = flags
        self.folder = book.path.parent
        self._say(f"soak: {self.folder}")

    def __call__(self, entry: Entry) -> None:
        if entry.event == "ended":
            counts = self._written()
            why = "" if entry.outcome == "passed" else "  " + in_short(entry.why)
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
        from harness.soak.summary import never_reached

        if self.flags["as_json"]:
            say(json.dumps(summary))
        else:
            say(headline(summary))
            say(summary["sentence"])
            for line in filter(None, [needed(summary), summary["worst_case"]]):
                say(line)
            for cell in summary["cells"]:
                say(f"  {cell['name']}: {cell['sentence']}")
        for line in never_reached(summary):
            self._say(line)
        for group in summary["groups"]:
            self._say(f"repeat  {group['reproduce']}")
        self._tell_github(summary)
        self._say(f"page    {self.folder / 'index.html'}")
        if summary["interrupted"]:
            verb = "compare" if self.book.settings.compares else "soak"
            self._say(f"go on   polygraph {verb} --resume {self.folder}")

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
