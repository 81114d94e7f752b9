"""Ctrl-C in the front of a run: the first asks the run process to stop, the second ends at once.

A handler that only takes note, not an exception: Ctrl-C may come anywhere, also while an event is
shown, while the run process is being started (which would then go on without its front), or where
Python drops an exception, as in the callbacks by which imports let go of their locks. What comes
before there is a run process to ask is passed on to it as soon as there is one. Where the exception
is what is wanted, as in a loop that waits for others, :class:`Insistent` raises one that was
dropped again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

STOP = b"stop\n"
"""What the run process reads from its standard input as a request to stop."""


class Interrupts:
    """Takes note of the first interrupt, and raises ``KeyboardInterrupt`` at any further one.

    ``on_event`` is told once that the run is being stopped.
    """

    def __init__(self, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_event = on_event
        self._stdin_fd: int | None = None
        self._is_asked = False
        self._is_passed_on = False
        self._is_over = False

    def take(self, number: int, frame: Any) -> None:
        """The handler of the signal."""
        if self._is_asked or self._is_over:
            raise KeyboardInterrupt
        self._is_asked = True
        self._pass_on()

    def pass_on_to(self, stdin_fd: int | None) -> None:
        """From now on there is a run process, which reads from the other end of ``stdin_fd``."""
        self._stdin_fd = stdin_fd
        if self._is_asked:
            self._pass_on()

    def end(self) -> None:
        """There is nothing left to ask: its descriptor may soon be that of another file."""
        self._stdin_fd, self._is_over = None, True

    def _pass_on(self) -> None:
        if self._stdin_fd is None or self._is_passed_on:
            return
        self._is_passed_on = True
        with contextlib.suppress(OSError):
            os.write(self._stdin_fd, STOP)
        message = "stopping: healing faults, keeping history"
        self._on_event({"event": "warning", "message": message})


class Insistent:
    """Ctrl-C raises ``KeyboardInterrupt`` as ever, and again where that was dropped.

    For loops: who waits in one asks :meth:`raise_if_dropped` now and then.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: Any = None

    def begin(self) -> None:
        """Take note from now on; outside the main thread nothing can be, and is."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._take)

    def raise_if_dropped(self) -> None:
        """Raise ``KeyboardInterrupt`` if it was raised before: whoever asks is still at work."""
        if self._came:
            raise KeyboardInterrupt

    def end(self) -> None:
        """Leave it to the handler that was there. Safe twice."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _take(self, number: int, frame: Any) -> None:
        self._came = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def stop_on_interrupt(on_event: Callable[[Mapping[str, Any]], None]) -> Iterator[Interrupts]:
    """Interrupts are taken note of meanwhile.

    Outside the main thread no handler can be set, and whoever runs us there stops the run
    otherwise.
    """
    interrupts = Interrupts(on_event)
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts.take)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
