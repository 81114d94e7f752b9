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
from pathlib import Path

from harness.errors import HistoryError
from harness.history import formats
from harness.history.history import History
from harness.history.rules import check_rules

STANDARD_INPUT = "-"


def read_history(path: Path, format: str | None = None) -> History:
    """The history in ``path``; ``format`` (``jsonl``, ``json``, ``edn``) overrides detection.

    Raises ``HistoryError`` if it is not there, not readable or breaks the rules of a history.
    """
    name = "standard input" if str(path) == STANDARD_INPUT else str(path)
    data = _decompressed(_content(path, name), name)
    return parse_history(data, name, format)


def parse_history(data: bytes, name: str, format: str | None = None) -> History:
    """The history in ``data``, which errors call ``name``."""
    data = data.removeprefix(codecs.BOM_UTF8)
    adopted = formats.reader(format or formats.detect(data, name))(data, name)
    check_rules(adopted.operations, name)
    return History(adopted.operations, adopted.header, adopted.notices, partial=adopted.torn)


def _content(path: Path, name: str) -> bytes:
    try:
        if str(path) == STANDARD_INPUT:
            return sys.stdin.buffer.read()
        return path.read_bytes()
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
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            return bytes(stream.read())
    except zstandard.ZstdError as error:
        raise HistoryError(f"{name}: the compressed data is damaged: {error}") from error
