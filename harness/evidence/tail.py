"""Follows the log files of nodes: every whole line, soon after it was written.

The kernel tells when one of them is written (inotify(7)), and files are looked at again and again
besides, each look one ``fstat``: a look at five files costs some microseconds, works on every file
system, and says until when there was nothing new, which no notification does. Logs of a run only
grow; one that became shorter is read from its start again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 1 << 22
"""Read of one file in one look, so that a log that floods keeps no other waiting."""
LONGEST_LINE: Final = 1 << 16
_IN_MODIFY: Final = 2
_EVENT: Final = struct.Struct("iIII")
SEARCH_NS: Final = 250_000_000
"""New files are searched for so often."""


@dataclass(frozen=True)
class Found:
    """A line of a node's log: written after ``since_ns``, and there at ``time_ns``."""

    node: str
    file: str
    text: str
    time_ns: int
    since_ns: int


@dataclass
class _File:
    node: str
    name: str
    fd: int
    read: int
    looked_ns: int
    torn: bytes = b""


@dataclass
class Tail:
    """The ``*.log`` files of ``folders`` (node to folder). ``now`` is the history's clock.

    What is in them at :meth:`open` was written before and is passed over.
    """

    folders: dict[str, Path]
    now: Callable[[], int]
    _files: dict[tuple[str, str], _File] = field(default_factory=dict)
    _searched_ns: int = 0
    _news: _News = field(default_factory=lambda: _News())
    _written: list[tuple[str, str]] = field(default_factory=list)

    def open(self) -> None:
        """Pass over what there is."""
        self._search(is_first=True)

    def wait(self, most_s: float) -> None:
        """Until one of the files is written, where the kernel can tell; else for that long."""
        self._written = self._news.wait(most_s)

    def close(self) -> None:
        """Safe twice."""
        for file in self._files.values():
            os.close(file.fd)
        self._files.clear()
        self._news.close()

    def look(self) -> Iterator[Found]:
        """Every line that came since the last look; first of those that were said to be written."""
        for key in self._written:
            yield from self._new_lines(self._files[key])
        self._written = []
        if self.now() - self._searched_ns > SEARCH_NS:
            self._search(is_first=False)
        for file in self._files.values():
            yield from self._new_lines(file)

    def _search(self, *, is_first: bool) -> None:
        before_ns, self._searched_ns = self._searched_ns, self.now()
        for node, folder in self.folders.items():
            for path in folder.glob("*.log"):
                if (node, path.name) in self._files:
                    continue
                try:
                    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
                except OSError:
                    continue
                read = os.fstat(fd).st_size if is_first else 0
                since_ns = self._searched_ns if is_first else before_ns
                self._news.watch(path, (node, path.name))
                self._files[node, path.name] = _File(node, path.name, fd, read, since_ns)

    def _new_lines(self, file: _File) -> Iterator[Found]:
        since_ns, file.looked_ns = file.looked_ns, self.now()
        try:
            size = os.fstat(file.fd).st_size
            if size < file.read:
                file.read, file.torn = 0, b""
            if size == file.read:
                return
            data = os.pread(file.fd, min(size - file.read, MOST_BYTES), file.read)
        except OSError:
            return
        file.read += len(data)
        *lines, torn = (file.torn + data).split(b"\n")
        file.torn = torn[-LONGEST_LINE:]
        time_ns = self.now()
        for line in lines:
            text = line[:LONGEST_LINE].decode("utf-8", "replace")
            yield Found(file.node, file.name, text, time_ns, since_ns)


class _News:
    """Wakes who waits when a watched file is written; where inotify is not to be had, in time."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._keys: dict[int, tuple[str, str]] = {}
        self._poll = select.poll()
        if self._fd >= 0:
            self._poll.register(self._fd, select.POLLIN)

    def watch(self, path: Path, key: tuple[str, str]) -> None:
        """Tell of it from now on, if that is possible."""
        if self._fd >= 0:
            number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_MODIFY)
            self._keys[number] = key

    def wait(self, most_s: float) -> list[tuple[str, str]]:
        """For that long at most, and only until one of them is written; which ones were."""
        if not self._poll.poll(most_s * 1000) or self._fd < 0:
            return []
        told = b""
        with contextlib.suppress(BlockingIOError):
            told = os.read(self._fd, 1 << 16)
        found = []
        while told:
            number, _, _, length = _EVENT.unpack_from(told)
            told = told[_EVENT.size + length :]
            if number in self._keys:
                found.append(self._keys[number])
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Safe twice."""
        if self._fd >= 0:
            self._poll.unregister(self._fd)
            os.close(self._fd)
            self._fd = -1
