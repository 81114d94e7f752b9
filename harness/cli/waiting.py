"""Tells on standard error that something long is under way: a bar, or a line each ten seconds.

Nothing is shown in the first second, so that quick work leaves no trace. On a terminal one line
is drawn again in place and wiped in the end; elsewhere a line is written each ten seconds.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, TextIO

from harness.cli.speech import on_one_line

FIRST_S: Final = 1.0
AGAIN_S: Final = 0.25
LINE_S: Final = 10.0
_WIDTH: Final = 24


class Waiting:
    """Shows how many of ``total`` files are done, while used as a context manager."""

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._done, self._present = total, 0, ""
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._began_s = clock()
        self._shown_s = self._began_s
        self._drawn = False
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Waiting:
        """Begin to show."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wipe the bar."""
        self._ended.set()
        self._thread.join()
        self.wipe()

    def begin(self, name: str) -> None:
        """Say what is judged now."""
        self._present = name

    def advance(self) -> None:
        """One more is done; the bar makes room for what is printed next."""
        self._done += 1
        self.wipe()

    def wipe(self) -> None:
        """Take the bar away until it is drawn again."""
        with self._turn:
            if self._drawn:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._drawn = False

    def text(self) -> str:
        """The bar as it stands."""
        full = _WIDTH * self._done // max(1, self._total)
        bar = "#" * full + "." * (_WIDTH - full)
        passed_s = self._clock() - self._began_s
        present = on_one_line(self._present)
        return f"[{bar}] {self._done}/{self._total} judged  {passed_s:.0f} s  {present}"

    def show(self) -> None:
        """Draw the bar, or write a line if ten seconds have passed since the last one."""
        now_s = self._clock()
        if now_s - self._began_s < FIRST_S:
            return
        with self._turn:
            if self._live:
                width = shutil.get_terminal_size().columns - 1
                self._stream.write(f"\r\x1b[K{self.text()[:width]}")
                self._drawn = True
            elif now_s - self._shown_s >= LINE_S:
                self._shown_s = now_s
                self._stream.write(f"{self.text()}\n")
            self._stream.flush()

    def _watch(self) -> None:
        while not self._ended.wait(AGAIN_S):
            self.show()
