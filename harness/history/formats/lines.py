"""Lines of text one by one, and what is said where the last of them has no end.

A file that was cut off (a killed writer, a full disk, half a download) looks like a shorter one. So
a last line without an end is never taken in silence: half a record is left out, a whole one is
kept, and both are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from harness.errors import HistoryError
from harness.history.intakes import Place
from harness.wording import shown

_LINE: Final = re.compile(r"[^\n]+")
_BLANKS: Final = 64
_LINE_OF_BYTES: Final = re.compile(rb"[^\n]+")


def lines_of_bytes(data: bytes | memoryview, first: int = 1) -> Iterator[tuple[int, bytes]]:
    """Every line that is not empty with its number, the first line's being ``first``."""
    last = 0
    for found in _LINE_OF_BYTES.finditer(data):
        first += found.start() - last
        last = found.end()
        yield first, found.group()


def lines_of(text: str) -> Iterator[tuple[int, str, bool]]:
    """Every line that is not empty with its number, and whether it has an end."""
    number, last = 1, 0
    for found in _LINE.finditer(text):
        number += found.start() - last  # between two lines there are only line ends
        last = found.end()
        yield number, found.group(), last < len(text)


def has_end(data: bytes) -> bool:
    """Whether the last line of ``data`` has an end, or there is none."""
    return not data or data[-_BLANKS:].rstrip(b" \t")[-1:] == b"\n"


def torn_notice(name: str) -> str:
    """The sentence that says that the end of ``name`` was left out."""
    return f"{name}: the last line is torn and was left out"


def endless_notice(name: str) -> str:
    """The sentence that says that ``name`` stops right after a record."""
    return f"{name}: the last line has no end, so more may have followed that was cut off"


def end_notices(data: bytes, name: str) -> tuple[str, ...]:
    """What is to be said of a last line without an end: nothing, where there is none."""
    return () if has_end(data) else (endless_notice(name),)


def matched_lines(
    data: bytes, name: str, form: re.Pattern[str], expected: str
) -> Iterator[tuple[Place, re.Match[str]]]:
    """Each line of ASCII that is not blank, taken apart; ``HistoryError`` where one is not so."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        found = f"byte {data[error.start]:#04x}"
        raise HistoryError(
            f"{name}: {Place(line, column)}: expected {expected}, found {found}"
        ) from None
    for number, row, _ in lines_of(text):
        if not row.strip():
            continue
        match = form.match(row)
        if match is None:
            raise HistoryError(
                f"{name}: {Place(number, 1)}: expected {expected}, found {shown(row[:40])}"
            )
        yield Place(number, 1), match
