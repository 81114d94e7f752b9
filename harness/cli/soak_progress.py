"""What a soak under way looks like on a terminal: one block that is drawn again in place.

It shows the counts so far, what is under way and since when. Where standard error is no terminal
there is no block: the line for each ended run is progress enough. All of it goes to standard
error, and lines printed meanwhile scroll above the block. It is drawn when the loop ticks, not by
a thread, since the loop forks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from harness.cli.progress import colours

if TYPE_CHECKING:
    from harness.soak.book import Book, Entry, Outcome

STYLES: dict[Outcome, str] = {
    "passed": "green",
    "violation": "red",
    "unknown": "yellow",
    "infrastructure": "yellow",
}


@dataclass(frozen=True)
class Show:
    """``see`` each line of the book, and ``tick`` now and then."""

    see: Callable[[Entry], None]
    tick: Callable[[], None]


@dataclass
class Present:
    """The present of a soak: the book, and since when each run is under way (monotonic s)."""

    book: Book
    clock: Callable[[], float] = time.monotonic
    begun_s: float = 0.0
    under_way: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begun_s = self.clock()

    def see(self, entry: Entry) -> None:
        """Take in one line of the book."""
        if entry.event == "begun":
            self.under_way[entry.number] = self.clock()
        else:
            self.under_way.pop(entry.number, None)

    def counts(self) -> dict[Outcome, int]:
        """Ended runs by outcome."""
        outcomes = [entry.outcome for entry in self.book.ended()]
        return {outcome: outcomes.count(outcome) for outcome in STYLES}

    def headline(self) -> str:
        """How far it is."""
        settings, done = self.book.settings, len(self.book.ended())
        wanted = f"/{settings.runs}" if settings.runs is not None else ""
        until = " until the first violation" if settings.until_failure else ""
        if settings.until_known:
            until = f" until it is known whether at most {settings.at_most * 100:.3g} % fail"
        since_s = self.clock() - self.begun_s
        limit = f" of {_span(settings.duration_s)}" if settings.duration_s else ""
        return f"soak  {done}{wanted} runs{until}  {_span(since_s)}{limit}"

    def lines(self) -> list[str]:
        """What is under way, the longest first."""
        now_s = self.clock()
        running = sorted(self.under_way.items(), key=lambda item: item[1])
        return [f"run {number}  {_span(now_s - since_s)}" for number, since_s in running]


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextlib.contextmanager
def block(book: Book, stream: TextIO | None = None) -> Iterator[Show]:
    """Shows the soak on ``stream`` (standard error), if that is a terminal."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield Show(lambda entry: None, lambda: None)
        return
    from rich.console import Console
    from rich.live import Live

    present = Present(book)
    console = Console(file=stream, no_color=not colours(stream), highlight=False)
    with Live(
        console=console,
        auto_refresh=False,
        transient=True,
        get_renderable=lambda: drawn(present),
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=stream is sys.stderr,
    ) as live:
        yield Show(present.see, live.refresh)


def drawn(present: Present) -> Any:
    """The block as rich draws it."""
    from rich.text import Text

    text = Text(present.headline(), style="bold")
    text.append("\n ", style="not bold")
    for outcome, count in present.counts().items():
        style = STYLES[outcome] if count else "dim"
        text.append(f" {count} {outcome}", style=f"not bold {style}")
    for line in present.lines():
        text.append(f"\n  {line}", style="not bold")
    return text
