"""Reads a journal while it grows: whole lines as they reach the file, each of them once.

Any prefix of a journal is a sound history (:mod:`harness.history.journal`), and a line that is not
whole yet is kept until it is. A file that is not there yet is no error: it is looked for again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.history.formats.jsonl import header_and_start, read_part
from harness.history.operation import Header, Operation

MOST_BYTES: Final = 8 << 20
"""Read at one time."""


class Follower:
    """Follows the journal at ``path``. ``header`` is ``None`` until its first line was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None
        self._fd = -1
        self._rest = b""

    def read(self, most_bytes: int = MOST_BYTES) -> Sequence[Operation]:
        """What has come since the last time, up to so many bytes. No link is followed.

        Raises ``HistoryError`` for what is no record, and ``OSError`` if the file cannot be read.
        """
        if self._fd < 0:
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:  # not begun; or a link, which has no records for us
                return ()
        whole, end, self._rest = (self._rest + os.read(self._fd, most_bytes)).rpartition(b"\n")
        return self._records(whole + end) if end else ()

    def close(self) -> None:
        """Follow no more. Safe twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _records(self, lines: bytes) -> Sequence[Operation]:
        if self.header is None:
            self.header, start = header_and_start(lines, self.path.name)
            lines = lines[start:]
        return read_part(lines, self.path.name) if lines else ()
