"""What a run under way looks like: a live block on a terminal, a line each ten seconds elsewhere.

Both views show one :class:`Watch`, which is fed with the run's events (:mod:`harness.run.events`)
and keeps only the present. All of it goes to standard error, so that standard output holds the
answer alone. Text that comes from nodes and databases is made printable first: it must not be
able to drive the terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from harness.cli.speech import on_one_line, printable

Show = Callable[[Mapping[str, Any]], None]

LINE_INTERVAL_S = 10.0


def colours(stream: TextIO) -> bool:
    """Whether to use colours on ``stream``: a terminal, and no ``NO_COLOR``."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


@dataclass
class Watch:
    """The present of a run, as its events tell it. Times are seconds on the history's clock."""

    run_dir: str = ""
    phase: str = "begin"
    time_s: float = 0.0
    limit_s: float = 0.0
    operations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rate: float = 0.0
    faults: tuple[str, ...] = ()
    nodes: Mapping[str, str] = field(default_factory=dict)
    last_error: str = ""

    def see(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""
        if event["event"] == "phase":
            self.phase = str(event.get("name", ""))
            self.run_dir = str(event.get("run_dir", self.run_dir))
            self.limit_s, self.rate, self.faults = 0.0, 0.0, ()
        elif event["event"] == "progress":
            self._see_progress(event)

    def _see_progress(self, event: Mapping[str, Any]) -> None:
        before, since_s = self.completed, self.time_s
        self.time_s = float(event["time_ns"]) / 1e9
        self.limit_s = float(event.get("limit_s") or 0.0)
        self.operations = event.get("operations") or {}
        self.faults = tuple(map(str, event.get("faults") or ()))
        self.nodes = event.get("nodes") or {}
        self.last_error = str(event.get("last_error") or "")
        if self.time_s > since_s:
            self.rate = (self.completed - before) / (self.time_s - since_s)

    @property
    def completed(self) -> int:
        """Operations with a completion of any type."""
        return sum(
            counts.get(type_, 0)
            for counts in self.operations.values()
            for type_ in ("ok", "fail", "info")
        )

    def headline(self) -> str:
        """Phase, time and pace in one line."""
        clock = f"{self.time_s:.0f}/{self.limit_s:.0f} s" if self.limit_s else ""
        pace = f"{self.rate:.0f} ops/s" if self.rate else ""
        return "  ".join(part for part in (self.phase, clock, pace) if part)

    def tallies(self) -> list[str]:
        """``read 10 ok 2 fail 1 info`` for each f."""
        return [
            f + "".join(f" {counts.get(t, 0)} {t}" for t in ("ok", "fail", "info"))
            for f, counts in sorted(self.operations.items())
        ]

    def trouble(self) -> list[str]:
        """What is wrong now: active faults, nodes that do not run, the last error."""
        lines = [f"faults: {', '.join(self.faults)}"] if self.faults else []
        if self.nodes:
            lines.append("nodes: " + " ".join(f"{n}={s}" for n, s in self.nodes.items()))
        return lines + ([f"last error: {self.last_error}"] if self.last_error else [])


@contextlib.contextmanager
def progress(
    stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Show]:
    """A function to give each event to, showing the run on ``stream`` (standard error)."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield lines(stream, clock)
        return
    with live(stream) as show:
        yield show


def lines(stream: TextIO, clock: Callable[[], float]) -> Show:
    """Write a line each ten seconds, and every warning at once."""
    watch, shown_at = Watch(), clock()

    def tell(line: str) -> None:
        print(printable(line), file=stream, flush=True)

    def show(event: Mapping[str, Any]) -> None:
        nonlocal shown_at
        watch.see(event)
        if event["event"] == "warning":
            tell(f"warning: {event.get('message')}")
        if event["event"] == "phase" and event.get("run_dir"):
            tell(f"run: {event['run_dir']}")
        if event["event"] == "phase" and event.get("message"):
            tell(f"{event['name']}: {event['message']}")
        if clock() - shown_at >= LINE_INTERVAL_S:
            shown_at = clock()
            parts = [watch.headline(), *watch.tallies(), *watch.trouble()]
            tell("; ".join(parts))

    return show


@contextlib.contextmanager
def live(stream: TextIO) -> Iterator[Show]:
    """A block that is drawn again in place; warnings scroll above it."""
    from rich.console import Console
    from rich.live import Live

    watch = Watch()
    console = Console(file=stream, no_color=not colours(stream), highlight=False)

    def tell(line: str) -> None:
        console.print(printable(line), markup=False)

    with Live(console=console, refresh_per_second=4, transient=True) as block:

        def show(event: Mapping[str, Any]) -> None:
            watch.see(event)
            if event["event"] == "warning":
                tell(f"warning: {event.get('message')}")
            if event["event"] == "phase" and event.get("run_dir"):
                tell(f"run: {event['run_dir']}")
            if event["event"] == "phase" and event.get("message"):
                tell(f"{event['name']}: {event['message']}")
            block.update(_block(watch))

        yield show


def _block(watch: Watch) -> Any:
    """The block as rich draws it: plain text, faults and errors coloured."""
    from rich.text import Text

    text = Text(on_one_line(watch.headline()), style="bold")
    for line in watch.tallies():
        text.append(f"\n  {on_one_line(line)}", style="not bold")
    for line in watch.trouble():
        text.append(f"\n  {on_one_line(line)}", style="not bold red")
    return text
