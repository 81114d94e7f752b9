"""Real runs as answers: each question of a shrink is a small soak, whose book makes it resumable.

A question's folder is named by its number. Asked again, its runs are those in its book, and only
what is missing is run: so a shrink that was killed is the same search once more, and comes to where
it was without a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.errors import SetupError, UsageError
from harness.explore.shrinking import Ask, Tally
from harness.explore.smaller import Candidate
from harness.soak.book import BOOK, Book, Entry, Settings, ended, read
from harness.soak.here import Here
from harness.soak.loop import Loop

TROUBLE: Final = 3
"""So many runs in a row without a verdict, and the search cannot go on."""


class Stopped(Exception):
    """Somebody asked to stop, by the signal ``number``; what was found so far is kept."""

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.number = number


@dataclass
class Trials:
    """Answers by runs that show one of ``signatures``; see :class:`harness.soak.loop.Loop`.

    ``table`` makes a candidate's scenario, ``hard_limit_s`` says when such a run is killed.
    ``begin`` is told of each question, ``tell`` of each run. A run counts once it has a verdict,
    and a verdict that is ``unknown`` shows nothing.
    """

    folder: Path
    store: Path
    command: Sequence[str]
    seed: int
    parallel: int
    signatures: frozenset[str]
    table: Callable[[Candidate], Mapping[str, Any]]
    hard_limit_s: Callable[[Candidate], float]
    begin: Callable[[Ask, Tally], None] = lambda ask, tally: None
    tell: Callable[[Entry], None] = lambda entry: None
    asked: int = 0
    made: int = 0
    folders: list[Path] = field(default_factory=list)

    def __call__(self, ask: Ask) -> Tally:
        """The runs of this question, all that it takes. ``Stopped``, ``SetupError``."""
        folder = self.folder / f"{self.asked:03d}"
        self.asked += 1
        self.folders.append(folder)
        book = self._book(folder, ask.candidate)
        before = len(book.ended())
        self.begin(ask, self.tally(book.ended()))
        loop = Loop(book, Here(book, self.store, self.command), self.tell)
        loop.wanted = lambda done, active: (
            active < ask.more(self.tally(done)) and not _hopeless(done)
        )
        try:
            loop.run()
        finally:
            book.close()
        found = book.ended()
        self.made += len(found) - before
        if loop.is_stopped:
            raise Stopped(loop.stopped_by)
        if _hopeless(found) and (ask.kind != "step" or not found[-1].is_refused):
            raise SetupError(f"{ask.what} cannot be run: {found[-1].why}", f"see {folder}")
        return self.tally(found)

    def tally(self, entries: Sequence[Entry]) -> Tally:
        """How many of them have a verdict, and show it."""
        judged = [entry for entry in entries if entry.outcome != "infrastructure"]
        return Tally(len(judged), sum(map(self.shows, judged)))

    def shows(self, entry: Entry) -> bool:
        """Whether a run failed in one of the ways that are looked for."""
        return entry.outcome == "violation" and bool(self.signatures & set(entry.signatures))

    def _book(self, folder: Path, candidate: Candidate) -> Book:
        scenario = dict(self.table(candidate))
        if (folder / BOOK).exists():
            settings, _, _ = read(folder)
            if settings.scenario != scenario:
                raise UsageError(
                    f"{folder} holds the runs of another question", "begin anew, without --resume"
                )
            return Book.resume(folder, time.time_ns())
        settings = Settings(
            scenario=scenario,
            seed=self.seed,
            runs=None,
            duration_s=None,
            until_failure=False,
            parallel=self.parallel,
            confidence=0.95,
            at_most=0.05,
            hard_limit_s=self.hard_limit_s(candidate),
            start_wall_ns=time.time_ns(),
            same_seed=True,
        )
        return Book.create(folder, settings)


def _hopeless(entries: Sequence[Entry]) -> bool:
    """Whether no further run will have a verdict: it is impossible, or all is trouble."""
    last = ended(entries)[-TROUBLE:]
    if any(entry.is_refused for entry in last):
        return True
    return len(last) == TROUBLE and all(entry.outcome == "infrastructure" for entry in last)
