"""When a line of a node's log was written, as far as the line itself says so.

Databases begin their lines with an ISO 8601 time, or put the seconds of the epoch into a field
``ts`` (etcd's JSON). Only the start of a line is searched, so that a time inside a message counts
for nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?"
)
_EPOCH: Final = re.compile(r"\"ts\":\s*(\d{9,11})(?:\.(\d{1,9}))?")
_SEARCHED: Final = 160
"""Characters at the start of a line in which its time is looked for."""


def run_time_ns(text: str, start_wall_ns: int | None) -> int | None:
    """Nanoseconds since the start of the run at which a line says it was written."""
    if start_wall_ns is None:
        return None
    start = text[:_SEARCHED]
    if match := _ISO.search(start):
        wall_ns = _iso_ns(match)
        return None if wall_ns is None else wall_ns - start_wall_ns
    if match := _EPOCH.search(start):
        return _ns(int(match[1]), match[2]) - start_wall_ns
    return None


def _iso_ns(match: re.Match[str]) -> int | None:
    """Wall nanoseconds of an ISO time (UTC where no zone is given); ``None`` if it is no time."""
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone or '+00:00'}").astimezone(UTC)
    except (ValueError, OverflowError):  # the first day of all, in a zone that was a day behind
        return None
    return _ns(int(moment.timestamp()), fraction)


def _ns(whole_s: int, fraction: str | None) -> int:
    """Nanoseconds from whole seconds and the digits of a fraction, without rounding."""
    return whole_s * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))
