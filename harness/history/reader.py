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
import sys
import zlib
from dataclasses import replace
from pathlib import Path

from harness.errors import HistoryError
from harness.history import formats
from harness.history.history import History
from harness.history.rules import check_rules
from harness.history.seal import find_history, is_unsealed

STANDARD_INPUT = "-"


def read_history(path: Path, format: str | None = None) -> History:
    """The history in ``path``; ``format`` (``jsonl``, ``json``, ``edn``) overrides detection.

    Raises ``HistoryError`` if it is not there, not readable or breaks the rules of a history.
    """
    name = "standard input" if str(path) == STANDARD_INPUT else str(path)
    if path.is_dir():
        path = find_history(path)
        name = str(path)
    fast = _fast(path, format)
    if fast is not None:
        return fast
    history = parse_history(_decompressed(_content(path, name), name), name, format)
    if not is_unsealed(path):
        return history
    notice = f"{name}: the run did not come to seal its history, so this is a part of it"
    return replace(history, partial=True, notices=(*history.notices, notice))


def _fast(path: Path, format: str | None) -> History | None:
    """A large file of transactions, with its columns; ``None`` for all others."""
    if format not in (None, "jsonl") or not path.is_file() or is_unsealed(path):
        return None
    from harness.history.fast_jsonl import SMALLEST, read_fast

    return read_fast(path) if path.stat().st_size >= SMALLEST else None


def parse_history(data: bytes, name: str, format: str | None = None) -> History:
    """The history in ``data`` (not compressed), which errors call ``name``."""
    data = data.removeprefix(codecs.BOM_UTF8)
    adopted = formats.reader(format or formats.detect(data, name))(data, name)
    check_rules(adopted.operations, name)
    return History(adopted.operations, adopted.header, adopted.notices, partial=adopted.torn)


def _content(path: Path, name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise HistoryError(f"{name}: cannot be read: {error.strerror}") from error


def _decompressed(data: bytes, name: str) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            return _unzstd(data, name)
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
