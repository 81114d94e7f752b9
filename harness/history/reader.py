"""Reads a history from a file, whatever tool wrote it.

The format is told by content, not only by name: gzip and zstd by their magic bytes, JSON and
EDN by the first characters that are not blank. ``-`` is standard input; a folder is a run, whose
history is found by :func:`harness.history.seal.find_history`. A torn last line (a run that was
killed) is left out with a notice; everything else that cannot be read is an error that names
line, column and what was expected.

Cost: the whole file in memory; JSON lines of ours take about 1 us a record.
"""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final, overload

from harness.errors import HistoryError
from harness.history import formats
from harness.history.history import History
from harness.history.intakes import is_guessed, is_timed
from harness.history.operation import Operation
from harness.history.ordering import by_index, by_time, check_times
from harness.history.rules import check_rules
from harness.history.seal import COLUMNS, SEALED, find_history, is_unsealed
from harness.history.spooled import read_spooled

STANDARD_INPUT = "-"
_WRAPPINGS: Final = 3
"""How often a file may be compressed over."""
SMALLEST_SEALED: Final = 1 << 20
"""Bytes from which a sealed history is taken from its columnar copy."""
SMALLEST_SCANNED: Final = 8 << 20
"""Bytes from which the compiled scanners are worth loading."""


def read_history(
    path: Path, format: str | None = None, *, sort_by_time: int | None = None
) -> History:
    """The history in ``path``; ``format`` (``jsonl``, ``json``, ``edn``) overrides detection.

    ``sort_by_time`` says that its records are to be put in order of time, and how many nanoseconds
    each clock may be off (:func:`harness.history.ordering.by_time`).
    Raises ``HistoryError`` if it is not there, not readable or breaks the rules of a history.
    """
    if not path.is_dir():
        return _read(path, format, sort_by_time)
    found = find_history(path)
    try:
        return _read(found, format, sort_by_time)
    except HistoryError:
        if found.exists():
            raise
        # a run under way has sealed it meanwhile
        return _read(find_history(path), format, sort_by_time)


def _read(path: Path, format: str | None, sort_by_time: int | None) -> History:
    """The history in a file, or on standard input."""
    name = "standard input" if str(path) == STANDARD_INPUT else str(path)
    fast = _fast(path, format) if sort_by_time is None else None
    if fast is not None:
        return fast
    content = _content(path, name)
    data = _decompressed(content, name)
    if (data is not content or name != str(path)) and sort_by_time is None:
        fast = _from_memory(data, format)
        if fast is not None:
            return fast
    history = parse_history(data, name, format, sort_by_time=sort_by_time)
    if not is_unsealed(path):
        return history
    notice = f"{name}: the run did not come to seal its history, so this is a part of it"
    return replace(history, partial=True, notices=(*history.notices, notice))


def _fast(path: Path, format: str | None) -> History | None:
    """A large file with its columns, sealed or of transactions; ``None`` for all others."""
    if format not in (None, "jsonl", "edn") or not path.is_file() or is_unsealed(path):
        return None
    size = path.stat().st_size
    if path.name in SEALED:
        return _sealed(path, size) if size >= SMALLEST_SEALED else None
    return None if size < SMALLEST_SCANNED else _scanned(path, format)


def _scanned(path: Path, format: str | None) -> History | None:
    """A large file of transactions by the compiled scanners; ``None`` for all others."""
    from harness.history import fast_edn, fast_jsonl

    history = None if format == "edn" else fast_jsonl.read_fast(path)
    if history is None and format != "jsonl":
        history = fast_edn.read_fast(path)
    return history


def _from_memory(data: bytes, format: str | None) -> History | None:
    """As :func:`_fast`, for what was compressed or came by standard input."""
    if format not in (None, "jsonl", "edn") or len(data) < SMALLEST_SCANNED:
        return None
    return read_spooled(data, lambda path: _scanned(path, format))


def _sealed(path: Path, size: int) -> History | None:
    """A sealed history from its columnar copy; the file itself is read if somebody asks for
    operations. ``None`` without a copy.
    """
    from harness.history.columns import load_columns
    from harness.history.formats import jsonl

    copy = load_columns(path.parent / COLUMNS, of_bytes=size)
    if copy is None:
        return None
    header = jsonl.first_line_header(_first_line(path), str(path))
    return History(SealedOperations(path, len(copy)), header, prepared=copy)


def _first_line(path: Path) -> bytes:
    """The first line of a compressed file, without reading the rest."""
    if path.suffix == ".gz":
        with gzip.open(path) as lines:
            return lines.readline()
    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        return io.BufferedReader(stream).readline()


class SealedOperations(Sequence[Operation]):
    """The operations of a sealed file, read when the first of them is asked for."""

    def __init__(self, path: Path, length: int) -> None:
        self._path = path
        self._length = length

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _all(self) -> Sequence[Operation]:
        name = str(self._path)
        return parse_history(_decompressed(_content(self._path, name), name), name).operations

    @overload
    def __getitem__(self, place: int) -> Operation: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Operation]: ...

    def __getitem__(self, place: int | slice) -> Operation | Sequence[Operation]:
        return self._all[place]

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._all)


def parse_history(
    data: bytes, name: str, format: str | None = None, *, sort_by_time: int | None = None
) -> History:
    """The history in ``data`` (not compressed), which errors call ``name``."""
    data = _in_utf8(data, name)
    adopted = formats.reader(format or formats.detect(data, name))(data, name)
    history = History(
        adopted.operations,
        adopted.header,
        adopted.notices,
        partial=adopted.torn,
        is_paired_by_guess=is_guessed(adopted.header),
    )
    if sort_by_time is not None:
        if not adopted.is_timed or not is_timed(adopted.header):
            raise HistoryError(f"{name}: has no times that it could be sorted by")
        return by_time(history, sort_by_time, name)
    operations = _in_order(adopted.operations, name)
    if not adopted.is_indexed:
        check_times(operations, name)
    if operations is adopted.operations:
        return history
    notice = f"{name}: the lines are not in the order of the indices, which counts"
    return replace(history, operations=operations, notices=(*history.notices, notice))


def _in_order(operations: Sequence[Operation], name: str) -> Sequence[Operation]:
    """``operations`` as they are, or by index where that makes a history of them."""
    try:
        check_rules(operations, name)
    except HistoryError:
        ordered = by_index(operations)
        if ordered is operations:
            raise
        check_rules(ordered, name)
        return ordered
    return operations


def _in_utf8(data: bytes, name: str) -> bytes:
    """``data`` without the mark of its encoding, which may be UTF-16 where one says so."""
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-16").encode()
    except UnicodeError as error:
        raise HistoryError(f"{name}: begins as UTF-16 and is none: {error}") from None


def _content(path: Path, name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{name}: cannot be read: {error.strerror}") from error


def _decompressed(data: bytes, name: str) -> bytes:
    try:
        for _ in range(_WRAPPINGS):
            if data[:2] == b"\x1f\x8b":
                data = gzip.decompress(data)
            elif data[:4] == b"\x28\xb5\x2f\xfd":
                data = _unzstd(data, name)
            else:
                break
    except (OSError, EOFError, zlib.error) as error:
        raise HistoryError(f"{name}: the compressed data is damaged: {error}") from error
    return data


def _unzstd(data: bytes, name: str) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise HistoryError(
            f"{name}: is compressed by zstd, and the package zstandard is not installed",
            "pip install 'polygraph-db[zstd]', or unzstd the file first",
        ) from None
    parts = []
    try:
        while data:
            frame = zstandard.ZstdDecompressor().decompressobj()
            parts.append(frame.decompress(data))
            if not frame.eof:
                raise EOFError("it ends early")
            data = frame.unused_data
    except zstandard.ZstdError as error:
        raise HistoryError(f"{name}: the compressed data is damaged: {error}") from error
    return b"".join(parts)


def read_bytes(data: bytes, name: str, format: str | None = None) -> History:
    """The history in ``data``, compressed or not, which errors call ``name``."""
    return parse_history(_decompressed(data, name), name, format)
