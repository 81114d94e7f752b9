"""Lines of text one by one, and what is said where the last of them has no end.

A file that was cut off (a killed writer, a full disk, half a download) looks like a shorter one. So
a last line without an end is never taken in silence: half a record is left out, a whole one is
kept, and both are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

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
