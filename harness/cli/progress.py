"""What a run under way looks like: a live block on a terminal, a line each ten seconds elsewhere.

Both views show one :class:`harness.cli.watch.Watch`, which is fed with the run's events
(:mod:`harness.run.events`) and keeps only the present. All of it goes to standard error, so that
standard output holds the answer alone. Text that comes from nodes and databases is made printable
first: it must not be able to drive the terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from harness.cli.speech import printable
from harness.cli.watch import Watch

Show = Callable[[Mapping[str, Any]], None]

LINE_INTERVAL_S = 10.0


def colours(stream: TextIO) -> bool:
    """Whether to use colours on ``stream``: a terminal, and no ``NO_COLOR``."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


@contextlib.contextmanager
def progress(
    stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Show]:
    """A function to give each event to, showing the run on ``stream`` (standard error)."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield lines(stream, clock)
        return
    from harness.cli.live_block import live

    with live(stream, colours(stream)) as show:
        yield show


def lines(stream: TextIO, clock: Callable[[], float]) -> Show:
    """Write a line each ten seconds, and every warning at once."""
    watch, shown_at = Watch(), clock()

    def tell(line: str) -> None:
        print(printable(line), file=stream, flush=True)

    def show(event: Mapping[str, Any]) -> None:
        nonlocal shown_at
        for line in watch.see(event):
            tell(line)
        if clock() - shown_at >= LINE_INTERVAL_S:
            shown_at = clock()
            parts = [watch.headline(), watch.latencies(), *watch.tallies(), *watch.trouble()]
            tell("; ".join(filter(None, parts)))

    return show
