"""What a plug-in's author should know though nothing is wrong: said once for a whole command.

A plug-in is loaded in each process that needs it, and judging forks many. So whoever speaks to
people says so here before any of them is made, and what one of them has told the others do not
tell again. Where nobody asked to hear (a run's own process, a judging one), nothing is said.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

DIGEST: Final = 16
"""Bytes by which a notice is known."""


class Listener:
    """``say`` gets each notice once, from this process or whichever of its forks is first."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._told = os.memfd_create("notices")

    def hear(self, notice: str) -> None:
        """Pass ``notice`` on if nobody has yet."""
        digest = hashlib.sha256(notice.encode("utf-8", "surrogateescape")).digest()[:DIGEST]
        with self._alone():
            told = os.pread(self._told, os.fstat(self._told).st_size, 0)
            if digest in (told[at : at + DIGEST] for at in range(0, len(told), DIGEST)):
                return
            os.pwrite(self._told, digest, len(told))
        self._say(notice)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._told, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._told, fcntl.LOCK_UN)


_listeners: list[Listener] = []


def listen(say: Callable[[str], object]) -> None:
    """From now on ``say`` gets the notices of this process and of its forks, in place of others."""
    _listeners[:] = [Listener(say)]


def notify(notice: str) -> None:
    """Tell whoever listens."""
    for listener in _listeners:
        listener.hear(notice)
