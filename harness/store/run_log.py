"""``run.log``: what the tool did in a run, when, on which node, and each error.

For people, a line each::

    UTC, nanoseconds on the history's clock (- before it began), who, node (- for none), what

Front and run process both append, every record with one write, so lines never mix. It tells of
the run and is no part of it: what cannot be written is left out, and at :data:`MOST_BYTES` it ends.
Foreign words (a node's, a database's) are made printable; further lines of a record are indented.

Whoever holds the log also holds a lock on it, which the kernel takes away however the holder ends:
so a run that died is told from one that lives (:func:`is_held`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from harness.confidential import without_secrets
from harness.store.untrusted import Folder

NAME: Final = "run.log"
MOST_BYTES: Final = 16 << 20
MOST_RECORD: Final = 64 << 10
_LAST: Final = b"the log ends here: it is large enough\n"
_HOW: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class RunLog:
    """The log of the run in ``run_dir``, as ``who`` (``front`` or ``run``) writes it. Any thread.

    ``clock`` gives the nanoseconds on the history's clock, once there is one.
    """

    def __init__(self, run_dir: Path, who: str) -> None:
        self.clock: Callable[[], int] | None = None
        self._who = who
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = os.open(run_dir / NAME, _HOW, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def write(self, words: object, *, node: str = "-", time_ns: int | None = None) -> None:
        """Append one record. Never raises."""
        if time_ns is None and self.clock is not None:
            time_ns = self.clock()
        now_ns = time.time_ns()
        utc = datetime.fromtimestamp(now_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        at = "-" if time_ns is None else time_ns
        said = without_secrets(str(words))
        text = "\n    ".join(_printable(line) for line in said.splitlines())
        begin = f"{utc}.{now_ns % 10**9 // 1000:06d}Z {at} {self._who} {_printable(node) or '-'} "
        self._append((begin + text).encode()[: MOST_RECORD - 1] + b"\n")

    def error(self, error: BaseException) -> None:
        """Append an exception with its traceback."""
        self.write("".join(traceback.format_exception(error)))

    def close(self) -> None:
        """Let go of it. Safe twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _append(self, record: bytes) -> None:
        with contextlib.suppress(OSError):
            size = os.fstat(self._fd).st_size
            if size + len(record) <= MOST_BYTES:
                os.write(self._fd, record)
            elif size <= MOST_BYTES:  # the last word takes it beyond, so it is said once
                os.write(self._fd, _LAST.rjust(MOST_BYTES + 1 - size))


def is_held(run_dir: Path) -> bool:
    """Whether somebody who writes the log of the run lives, on this machine."""
    try:
        with Folder(run_dir).open(NAME) as log:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _printable(text: str) -> str:
    return "".join(
        letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}"
        for letter in text
    )
