"""Ctrl-C in the front of a run: the first asks the run process to stop, the second ends at once.

So do SIGTERM and SIGHUP, which end a command where nobody is there to press Ctrl-C.

A handler that only takes note, not an exception: Ctrl-C may come anywhere, also while an event is
shown, while the run process is being started (which would then go on without its front), or where
Python drops an exception, as in the callbacks by which imports let go of their locks. What comes
before there is a run process to ask is passed on to it as soon as there is one. Where the exception
is what is wanted, as in a loop that waits for others,
:class:`harness.linux.stopping.Insistent` raises one that was dropped again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from harness.linux.stopping import Clock, Stopped, Wishes, handled_by, how_stopped, name_of

STOP: Final = "stop"
"""What the run process reads from its standard input as a request to stop; the signal follows."""


class Interrupts:
    """Takes note of the first wish to stop, and raises :class:`Stopped` at any further one.

    ``on_event`` is told once that the run is being stopped.
    """

    def __init__(
        self, on_event: Callable[[Mapping[str, Any]], None], clock: Clock = time.monotonic
    ) -> None:
        self._on_event = on_event
        self._wishes = Wishes(clock)
        self._stdin_fd: int | None = None
        self._is_passed_on = False
        self._is_over = False

    @property
    def number(self) -> int | None:
        """The signal that asked first, if any did."""
        return self._wishes.number

    def take(self, number: int, frame: Any) -> None:
        """The handler of the signals."""
        is_first = self.number is None
        if not self._wishes.is_new(number):
            return
        if not is_first or self._is_over:
            raise Stopped(number)
        self._pass_on()

    def pass_on_to(self, stdin_fd: int | None) -> None:
        """From now on there is a run process, which reads from the other end of ``stdin_fd``."""
        self._stdin_fd = stdin_fd
        if self.number is not None:
            self._pass_on()

    def say(self, line: str) -> None:
        """Tell the run process, if there is one, by a line (short, so that lines never mix)."""
        if self._stdin_fd is not None:
            with contextlib.suppress(OSError):  # it has ended, which is told otherwise
                os.write(self._stdin_fd, f"{line}\n".encode())

    def end(self) -> None:
        """There is nothing left to ask: its descriptor may soon be that of another file."""
        self._stdin_fd, self._is_over = None, True

    def _pass_on(self) -> None:
        if self._stdin_fd is None or self._is_passed_on or self.number is None:
            return
        self._is_passed_on = True
        self.say(f"{STOP} {name_of(self.number)}")
        told = "stopping" if self.number == signal.SIGINT else how_stopped(self.number)
        message = f"{told}: healing faults, keeping history"
        self._on_event({"event": "warning", "message": message})


@contextlib.contextmanager
def stop_on_interrupt(on_event: Callable[[Mapping[str, Any]], None]) -> Iterator[Interrupts]:
    """Wishes to stop are taken note of meanwhile.

    Outside the main thread no handler can be set, and whoever runs us there stops the run
    otherwise.
    """
    interrupts = Interrupts(on_event)
    with handled_by(interrupts.take):
        yield interrupts
