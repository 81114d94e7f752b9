"""Standard input, output and error as they may be given: closed, full, or of a lost terminal.

Where one is closed at the start (``>&-``), the next file or pipe that is opened gets its number,
and what children say would go into it: a history, a pipe of ours. So :func:`open_closed_ones`
comes before all else. What cannot be said to people costs nothing (:func:`spare_people`); an answer
that cannot be written is an error of its own, :class:`NotTold`, whoever meets it.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, Final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_MODES: Final = ("r", "w", "w")


class NotTold(OSError):
    """Standard output takes no more: its reader is gone, its disk full or its terminal lost."""


class _People(io.FileIO):
    """Standard error: what cannot be written is dropped."""

    def write(self, data: Any, /) -> int:
        """Write, or act as if."""
        whole = left = memoryview(data).cast("B")
        with contextlib.suppress(OSError):
            while left and (count := super().write(left)):
                left = left[count:]
        return len(whole)


class _Answer(io.FileIO):
    """Standard output: what cannot be written is :class:`NotTold`."""

    def write(self, data: Any, /) -> int:
        """Write, or raise."""
        try:
            return super().write(data) or 0
        except OSError as error:
            raise NotTold(error.errno, error.strerror) from error


def prepare() -> None:
    """For a command line: all three are open, and each fails as it should."""
    open_closed_ones()
    sys.stdout = _text(_Answer, sys.stdout)
    sys.stderr = _text(_People, sys.stderr)


def spare_people() -> None:
    """For a process whose answer goes elsewhere: neither output can fail."""
    open_closed_ones()
    sys.stdout = _text(_People, sys.stdout)
    sys.stderr = _text(_People, sys.stderr)


def open_closed_ones() -> None:
    """Put nothing (``/dev/null``) where a standard stream is closed; children inherit it."""
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            os.set_inheritable(number, True)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def silence_output() -> None:
    """Nothing more goes to standard output, what is still held back included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _text(kind: type[io.FileIO], like: TextIO) -> TextIO:
    """A text stream on ``like``'s descriptor that writes by ``kind``."""
    with contextlib.suppress(OSError, ValueError):
        like.flush()
    try:
        raw = kind(like.fileno(), "w", closefd=False)
    except (OSError, ValueError, AttributeError):  # somebody's stand-in, which has none
        return like
    # A handler of signals may write to people in the middle of what is being written to them,
    # which a buffer refuses.
    return io.TextIOWrapper(
        raw if kind is _People else io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=bool(getattr(like, "line_buffering", True)),
    )
