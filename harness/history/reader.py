"""Reads a history from a file, whatever tool wrote it.

The format is told by content, not only by name: gzip and zstd by their magic bytes, JSON and
EDN by the first characters that are not blank. ``-`` is standard input; a folder is a run, whose
history is found by :func:`harness.history.seal.history_in`. A torn last line (a run that was
killed) is left out with a notice; everything else that cannot be read is an error that names
line, column and what was expected. How much is read at all: :mod:`harness.history.bounds`.

Cost: the whole file in memory; JSON lines of ours take about 1 us a record. Large histories of
transactions go straight into columns, block by block
(:mod:`harness.history.compiled.fast_columns`).
"""

from __future__ import annotations

import codecs
import contextlib
import gc
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from harness.errors import HistoryError
from harness.history.bounds import USUAL, Bounds, beyond, beyond_memory
from harness.history.content import STANDARD_INPUT, Content, content_of, opened
from harness.history.formats import folders
from harness.history.formats import known as formats
from harness.history.history import History
from harness.history.intakes import is_guessed, is_timed
from harness.history.memory import TooMuch, at_most
from harness.history.operation import Operation
from harness.history.ordering import by_index, by_time, check_times
from harness.history.rules import check_rules
from harness.history.seal import history_in, is_unsealed
from harness.history.unpacking import unpacked
from harness.store.untrusted import Folder

SMALLEST_SCANNED: Final = 8 << 20
"""Bytes from which the compiled scanners are worth loading."""


def read_history(
    path: Path,
    format: str | None = None,
    *,
    sort_by_time: int | None = None,
    bounds: Bounds = USUAL,
) -> History:
    """The history in ``path``; ``format`` (``jsonl``, ``plume``, …) overrides detection.

    A file may be a link or a pipe, for the user named it; what is in a folder must be plain.
    ``sort_by_time`` says that its records are to be put in order of time, and how many nanoseconds
    each clock may be off (:func:`harness.history.ordering.by_time`).
    Raises ``HistoryError`` if it is not there, not readable, beyond ``bounds`` or breaks the rules
    of a history.
    """
    if not path.is_dir():
        name = "standard input" if str(path) == STANDARD_INPUT else str(path)
        return _read(opened(path, name), name, path, format, sort_by_time, bounds)
    foreign = _foreign_in(path, format)
    if foreign is not None:
        if sort_by_time is not None:
            raise HistoryError(f"{path}: is in order already, or has no times to sort by")
        return folders.read_foreign(path, foreign, bounds)
    found, file = _opened_in(path)
    return _read(file, str(found), found, format, sort_by_time, bounds)


def _foreign_in(folder: Path, format: str | None) -> folders.Foreign | None:
    """What another tool's folder is, where it has no history of a run."""
    try:
        history_in(folder)
    except HistoryError:
        return folders.foreign(folder, format)
    return None


def _opened_in(folder: Path) -> tuple[Path, BinaryIO]:
    """The history of a folder, opened, and its path."""
    for is_last in (False, True):
        name = history_in(folder)
        try:
            return folder / name, Folder(folder).open(name)
        except FileNotFoundError:  # a run under way has sealed it meanwhile
            if is_last:
                raise HistoryError(f"{folder / name}: went away while it was read") from None
        except OSError as error:
            raise HistoryError(f"{folder / name}: {error.strerror}") from error
    raise AssertionError


def _read(
    file: BinaryIO,
    name: str,
    path: Path,
    format: str | None,
    sort_by_time: int | None,
    bounds: Bounds,
) -> History:
    """The history in an opened file."""

    def look(head: bytes) -> None:
        _format_of(head, name, format)

    content = content_of(file, name, path, bounds, look)
    try:
        history = _scanned(content, format) if sort_by_time is None else None
        if history is None:
            history = _by_objects(content, format, sort_by_time, bounds)
    except BaseException:
        content.close()
        raise
    if history.prepared is None:
        content.close()
    else:
        weakref.finalize(history.operations, content.close)
    if not is_unsealed(path):
        return history
    notice = f"{name}: the run did not come to seal its history, so this is a part of it"
    return replace(history, partial=True, notices=(*history.notices, notice))


def _scanned(content: Content, format: str | None) -> History | None:
    """A large history of transactions by the compiled scanners; ``None`` for all others."""
    path = content.path
    if format not in (None, "jsonl", "edn") or content.size < SMALLEST_SCANNED or path is None:
        return None
    from harness.history.compiled import fast_edn, fast_jsonl

    history = None if format == "edn" else fast_jsonl.read_fast(path, content.name)
    if history is None and format != "jsonl":
        history = fast_edn.read_fast(path, content.name)
    return history


def _by_objects(
    content: Content, format: str | None, sort_by_time: int | None, bounds: Bounds
) -> History:
    """The history by the ordinary reader, which makes Python objects of all of it."""
    kind, is_whole = _format_of(content.head(), content.name, format)
    most = bounds.held(is_whole=is_whole)
    if content.size > most:
        raise beyond(
            content.name,
            f"a history that is no list of transactions ({kind}) of more"
            if not is_whole
            else f"one piece of {kind} of more",
            most,
        )
    bounds.refuse_objects(content.size, content.name, packed=content.packed)
    if not is_whole and content.size > bounds.line and content.longest_line() > bounds.line:
        raise beyond(content.name, "a line of more", bounds.line)
    memory = bounds.memory(content.size, content.packed or content.size)
    try:
        with at_most(memory):
            return parse_history(content.read(), content.name, format, sort_by_time=sort_by_time)
    except TooMuch:
        raise beyond_memory(content.name, content.size, memory or 0) from None


def _format_of(head: bytes, name: str, format: str | None) -> tuple[str, bool]:
    """The format by the first bytes, and whether something stands around all records."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return format or "UTF-16", True
    head = head.removeprefix(codecs.BOM_UTF8)
    kind = format or formats.detect(head, name)
    return kind, kind in formats.WHOLE or (kind == "edn" and formats.opens_with(head, b"[("))


def parse_history(
    data: bytes, name: str, format: str | None = None, *, sort_by_time: int | None = None
) -> History:
    """The history in ``data`` (not compressed), which errors call ``name``."""
    data = _in_utf8(data, name)
    with _collecting_later():
        adopted = formats.reader(format, data, name)(data, name)
    if isinstance(adopted, History):
        if sort_by_time is None:
            return adopted
        if (format or formats.detect(data, name)) not in formats.TIMED:
            raise HistoryError(f"{name}: has no times that it could be sorted by")
        return by_time(adopted, sort_by_time, name)
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


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    """Has nobody look for rubbish while millions of objects are made that all stay.

    It takes three quarters of the time, and there is none.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


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


def read_bytes(data: bytes, name: str, format: str | None = None) -> History:
    """The history in ``data``, compressed or not, which errors call ``name``."""
    pieces, size = [], 0
    for piece in unpacked((data,), name)[0]:
        size += len(piece)
        USUAL.refuse_total(size, name)
        pieces.append(piece)
    return parse_history(b"".join(pieces), name, format)
