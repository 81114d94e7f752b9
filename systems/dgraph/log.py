"""What the logs of Zeros and Alphas tell: how they died, and what they went through.

glog, a line each: a letter (I, W, E, F), month and day, the time, a thread, file and line, the
text. The files hold NUL and other bytes that are no text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.history.effects import ENDS

LOG_PATTERNS: Final = {
    "data-race": (r"^WARNING: DATA RACE",),
    "panic": (r"^panic: ", r"^\[signal SIG"),
    "fatal-error": (r"^fatal error: ", r"^F\d{4} \d\d:\d\d:\d\d", r"\[FATAL\]"),
}
"""A line of glog's that begins with F is the last one before it dumps every thread and ends."""

EXPECTED_LINES: Final = {
    # One that is started again while the kernel still holds the killed one's sockets.
    ENDS: (r"address already in use",),
}

MILESTONES: Final = {
    "leader-change": (
        r"raft\.node: (?P<member>\S+) (?:elected leader \S+|changed leader from \S+ to \S+)"
        r" at term (?P<term>\d+)",
    ),
    "became-leader": (r"(?P<member>[0-9a-f]+) became leader at term (?P<term>\d+)",),
    "snapshot": (r"(?:Creating|Taking|Saving) snapshot at [Ii]ndex:? ?(?P<index>\d+)",),
    "tablet-moved": (
        r"Move of predicate.* done|Predicate move done for: \[?(?P<predicate>[\w-]+)\]?",
    ),
    "lease": (r"Updated Lease id: (?P<uid>\d+)\. Txn Ts: (?P<timestamp>\d+)",),
}
"""Changes of leaders (of Zeros and of groups), moves of tablets, leases of timestamps."""

_TAIL_LINES: Final = 5
_END_BYTES: Final = 1 << 14


def tail(log: Path) -> list[str]:
    """The last few lines of ``log``; none if there is no such file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
