"""A shot: an injection made ready, so that the moment it waits for finds nothing left to be done.

What strikes within milliseconds of a milestone cannot look up its processes then, pack rules, or
wait for one node after another. So a fault that can be quick (``Prepares``) hands over, when
it is armed, a shot that has all of that behind it: :meth:`Shot.fire` sends, and returns;
:meth:`Shot.settle`, called right after, by another thread perhaps, waits for what became of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Shot(Protocol):
    """An injection made ready; fired once, then settled once, or neither."""

    def fire(self) -> None:
        """Send what does it, and wait for nobody: whoever calls this waits for moments."""
        ...

    def settle(self) -> None:
        """Wait until it is done; raises where it was not, as ``Fault.inject`` would."""
        ...


def shoot(shot: Shot) -> None:
    """Fire and settle, where nothing waits."""
    shot.fire()
    shot.settle()


class Aside:
    """A shot of ``work`` that has to wait for answers: done in a thread beside."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="shot", daemon=True)

    def fire(self) -> None:
        """Begin."""
        self._thread.start()

    def settle(self) -> None:
        """Wait for its end; raises what it raised."""
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # whatever a plug-in raises
            self._trouble = error
