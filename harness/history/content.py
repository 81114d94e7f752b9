"""The plain bytes of a history, wherever they come from: in a file that is open, and bounded.

A plain file stays where it is. What is compressed, and what comes through a pipe or from a device,
goes piece by piece into a file without a name that ends with its last reader: in the kernel's
memory while it is small, else in the system's folder for temporary files. So it has a size before
anybody makes objects of it, and the compiled scanners can read it in blocks, and again where an
operation is asked for.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from harness.errors import HistoryError, StoreError
from harness.history.bounds import Bounds, beyond
from harness.history.unpacking import unpacked

STANDARD_INPUT: Final = "-"
HEAD: Final = 1 << 16
_PIECE: Final = 1 << 20
_ROOM: Final = 256 << 20
"""Bytes that are kept in the kernel's memory."""

Look = Callable[[bytes], object]
"""Is shown the first bytes before the rest is taken; raises what it has against them."""


class Content:
    """Bytes that somebody has opened. :meth:`path` is by which others may open them again."""

    def __init__(
        self, file: BinaryIO, name: str, path: Path | None, packed: int | None = None
    ) -> None:
        self._file = file
        self.name = name
        self.packed = packed
        """Bytes that all of it was unpacked from; ``None`` if it was not."""
        self.size = os.fstat(file.fileno()).st_size
        self._path = path

    @property
    def path(self) -> Path | None:
        """A path of these very bytes, good while this is open; ``None`` if there is none."""
        itself = Path(f"/proc/self/fd/{self._file.fileno()}")
        return itself if sys.platform == "linux" and itself.exists() else self._path

    def head(self) -> bytes:
        """The first bytes."""
        return self._at(0, min(HEAD, self.size))

    def read(self) -> bytes:
        """All of it."""
        return self._at(0, self.size)

    def longest_line(self) -> int:
        """Bytes of the longest line, without holding it."""
        longest = running = 0
        for start in range(0, self.size, _PIECE):
            piece = self._at(start, min(_PIECE, self.size - start))
            first, last = piece.find(b"\n"), piece.rfind(b"\n")
            if first < 0:
                running += len(piece)
                longest = max(longest, running)
            else:
                longest = max(longest, running + first, last - first)
                running = len(piece) - last - 1
        return max(longest, running)

    def close(self) -> None:
        """Let go of it. Safe twice."""
        self._file.close()

    def _at(self, start: int, size: int) -> bytes:
        try:
            self._file.seek(start)
            return self._file.read(size)
        except OSError as error:
            raise _unreadable(self.name, error) from error


def content_of(file: BinaryIO, name: str, path: Path | None, bounds: Bounds, look: Look) -> Content:
    """What stands in an opened file, unpacked. ``file`` is closed if that comes to nothing.

    ``HistoryError`` beyond ``bounds`` or where the data is damaged; ``StoreError`` where there is
    no room to unpack it.
    """
    source = _Source(file, name)
    with contextlib.ExitStack() as undo:
        if file is not _standard_input():
            undo.callback(file.close)
        pieces, is_packed = unpacked(source.pieces(), name)
        if not is_packed and _is_regular(file):
            content = Content(file, name, path)
            bounds.refuse_total(content.size, name)
            undo.pop_all()
            return content
        packed = (lambda: source.taken) if is_packed else None
        spooled = _spooled(_looked_at(pieces, look), name, bounds, packed)
        return Content(spooled, name, None, source.taken if is_packed else None)


def opened(path: Path, name: str) -> BinaryIO:
    """A file that the user named, or standard input."""
    try:
        if str(path) != STANDARD_INPUT:
            return path.open("rb")
    except OSError as error:
        raise _unreadable(name, error) from error
    file = _standard_input()
    if file is None:
        raise HistoryError("standard input is closed", "give a file, or pipe one in")
    return file


class _Source:
    """An opened file in pieces; ``taken`` counts the bytes."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self.taken = 0

    def pieces(self) -> Iterator[bytes]:
        """The pieces as they come: of a pipe, also less than could be taken at once."""
        take = getattr(self._file, "read1", self._file.read)
        while True:
            try:
                piece = take(_PIECE)
            except OSError as error:
                raise _unreadable(self._name, error) from error
            if not piece:
                return
            self.taken += len(piece)
            yield piece


def _standard_input() -> BinaryIO | None:
    return None if sys.stdin is None else sys.stdin.buffer


def _is_regular(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file is not _standard_input()
    except OSError:  # standard input that somebody has replaced
        return False


def _looked_at(pieces: Iterator[bytes], look: Look) -> Iterator[bytes]:
    """``pieces``, of which the first bytes are shown to ``look`` before more are taken."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= HEAD:
            look(head[:HEAD])
            yield head
            break
    else:
        yield head
    yield from pieces


def _spooled(
    pieces: Iterator[bytes], name: str, bounds: Bounds, packed: Callable[[], int] | None
) -> BinaryIO:
    """A file without a name that holds ``pieces``, which are bounded."""
    size = running = 0
    with contextlib.ExitStack() as undo:
        file, is_in_memory = undo.enter_context(_in_memory()), True
        for piece in pieces:
            size += len(piece)
            last = piece.rfind(b"\n")
            running = len(piece) - last - 1 if last >= 0 else running + len(piece)
            bounds.refuse_total(size, name, packed=packed() if packed is not None else None)
            if running > bounds.held(is_whole=True):
                raise beyond(name, "a line of more", bounds.held(is_whole=True))
            try:
                if is_in_memory and size > _ROOM:
                    file, is_in_memory = undo.enter_context(_on_disk(file)), False
                _write(file, piece)
            except OSError as error:
                raise StoreError(
                    f"{name}: there is no room for it in {tempfile.gettempdir()} when it is"
                    f" unpacked: {error.strerror}",
                    "TMPDIR=DIR for a folder with more room, or give a plain file",
                ) from error
        undo.pop_all()
    return file


def _write(file: BinaryIO, piece: bytes) -> None:
    """Past the buffer, which would fail again when it is closed on a full disk."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(file.fileno(), rest) :]


def _in_memory() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.fdopen(os.memfd_create("history"), "w+b")
    return tempfile.TemporaryFile()


def _on_disk(file: BinaryIO) -> BinaryIO:
    """What stands in ``file`` so far, in a file of the system's folder for temporary ones."""
    with contextlib.ExitStack() as undo:
        moved = undo.enter_context(tempfile.TemporaryFile())
        file.seek(0)
        while piece := file.read(_PIECE):
            _write(moved, piece)
        file.close()
        undo.pop_all()
    return moved


def _unreadable(name: str, error: OSError) -> HistoryError:
    return HistoryError(f"{name}: cannot be read: {error.strerror}")
