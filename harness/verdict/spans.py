"""The spans that a run collected, as ``evidence/spans.jsonl`` holds them: read as data.

Spans are the system's own words, and their times are of its clocks, put on the history's by the
wall time of the run's start; ``error_ns`` says how far off that may be where it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from harness.store.untrusted import Folder

FILE: Final = "evidence/spans.jsonl"
MOST_BYTES: Final = 1 << 30
LONGEST_LINE: Final = 1 << 20


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened within a span."""

    time: int
    name: str
    attributes: dict[str, Any] = {}


class Span(msgspec.Struct, frozen=True):
    """One line of ``evidence/spans.jsonl``; times in nanoseconds on the history's clock.

    ``trace``, ``span`` and ``parent`` are hexadecimal (``parent`` is empty where there is none);
    ``node`` sent it, ``service`` is what it calls itself.
    """

    trace: str
    span: str
    parent: str
    name: str
    node: str
    service: str
    start: int
    end: int
    error_ns: int | None = None
    attributes: dict[str, Any] = {}
    events: list[SpanEvent] = []


def read_spans(inside: Folder) -> Iterator[Span]:
    """Every span that the run in this folder collected; none without such a file.

    Lines of another shape are passed over. Raises ``OSError``.
    """
    decoder = msgspec.json.Decoder(Span)
    try:
        file = inside.open(FILE)
    except FileNotFoundError:
        return
    with file:
        read = 0
        while read < MOST_BYTES and (line := file.readline(LONGEST_LINE)):
            read += len(line)
            try:
                yield decoder.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
