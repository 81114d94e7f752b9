"""What asks a command to stop: Ctrl-C, and what does so where nobody is there to press it.

SIGTERM comes of a job that is cancelled, ``timeout`` or ``docker stop``, SIGHUP of a terminal that
is lost. Who sends one may say so several times at once: ``timeout`` signals the command and then
its whole group, systemd sends SIGHUP after SIGTERM, a shell hands on what the kernel sent already.
What comes within :data:`ONE_S` of the first is therefore the same wish (:class:`Wishes`).
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a command to stop."""
ONE_S: Final = 0.5
AGAIN_S: Final = 0.05

Clock = Callable[[], float]


class Stopped(KeyboardInterrupt):
    """The command was asked to stop by the signal ``number``: Ctrl-C's exception for all three."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return how_stopped(self.number)


def how_stopped(number: int) -> str:
    """How it is said that a signal stopped a command: ``interrupted``, ``stopped by SIGTERM``."""
    return "interrupted" if number == signal.SIGINT else f"stopped by {name_of(number)}"


def name_of(number: int) -> str:
    """``SIGTERM``, or what else the signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Wishes:
    """Tells the first wish to stop, and a further one, from repetitions of the same."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.number: int | None = None
        """The signal of the first wish."""
        self._clock = clock
        self._last_s = 0.0

    def is_new(self, number: int) -> bool:
        """Take note of a signal; whether it says more than the one before it."""
        now_s, before_s = self._clock(), self._last_s
        if self.number is not None and now_s - before_s < ONE_S:
            return False
        self._last_s = now_s
        self.number = number if self.number is None else self.number
        return True

    def forget(self) -> None:
        """Nobody heard it: the next signal is the first."""
        self.number = None


def stop_by_exception() -> None:
    """Have all three do what SIGINT does in Python: raise, here :class:`Stopped`, once a wish.

    Where Python drops the exception (in a finalizer, or where imports let go of their locks) the
    signal comes again: who sent it does so once, and waits. What is ignored (``nohup``) stays
    ignored. Outside the main thread nothing is done.
    """
    wishes = Wishes()

    def stop(number: int, frame: Any) -> None:
        if wishes.is_new(number):
            raise Stopped(number)

    for number, handler in _to_be_handled(STOPPING):
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, stop)
    sys.unraisablehook = _send_again(wishes, sys.unraisablehook)


def _send_again(wishes: Wishes, otherwise: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What is done about an exception that was dropped: soon the same signal, if it was one."""
    main = threading.main_thread().ident

    def see(dropped: Any) -> None:
        if not isinstance(dropped.exc_value, Stopped) or main is None:
            otherwise(dropped)
            return
        wishes.forget()
        again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, dropped.exc_value.number))
        again.daemon = True
        again.start()

    return see


def _to_be_handled(numbers: Iterable[int]) -> list[tuple[int, Any]]:
    """The signals that this process may and should handle, with their present handlers."""
    if threading.current_thread() is not threading.main_thread():
        return []
    found = [(number, signal.getsignal(number)) for number in numbers]
    return [
        (number, handler)
        for number, handler in found
        if handler is not None and not (number == signal.SIGHUP and handler is signal.SIG_IGN)
    ]


@contextlib.contextmanager
def handled_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """``handler`` takes what asks this command to stop, meanwhile."""
    before = _to_be_handled(STOPPING)
    for number, _ in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before:
            signal.signal(number, old)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """What asks to stop waits, for this thread, until the end; what is started meanwhile inherits.

    A process that is begun so is not ended before it says itself what it does then: it holds the
    signals back until :func:`take_calmly`.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def take_calmly(note: Callable[[int], None]) -> None:
    """In the run process: no such signal ends it; its front hears of the wish and passes it on.

    ``note`` hears of each, but of SIGINT, which terminals send to all. What this process starts
    is not made deaf by that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: note(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


class Insistent:
    """What asks to stop raises :class:`Stopped`, and again where that was dropped.

    For loops: who waits in one asks :meth:`raise_if_dropped` now and then.
    """

    def __init__(self) -> None:
        self._wishes = Wishes()
        self._handling = contextlib.ExitStack()

    def begin(self) -> None:
        """Take note from now on; outside the main thread nothing can be, and is."""
        self._handling.enter_context(handled_by(self._take))

    def raise_if_dropped(self) -> None:
        """Raise :class:`Stopped` if it was raised before: whoever asks is still at work."""
        if self._wishes.number is not None:
            raise Stopped(self._wishes.number)

    def end(self) -> None:
        """Leave it to the handlers that were there. Safe twice."""
        self._handling.close()

    def _take(self, number: int, frame: Any) -> None:
        if self._wishes.is_new(number):
            raise Stopped(number)
