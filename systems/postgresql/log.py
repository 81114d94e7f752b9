"""What a server's log tells: what must not stand there, what is expected, and milestones."""

from __future__ import annotations

from typing import Final

from harness.history.effects import FAILS_DISK

LOG_PATTERNS: Final = {
    "assertion-failure": (r"\bTRAP: ",),
    "panic": (r"\] PANIC: ", r"was terminated by signal (4|6|7|8|11)\b"),
    "corruption": (
        r"\] [A-Z]+: +(invalid page|could not read block|unexpected zero page)",
        r"page verification failed",
    ),
}
"""What PostgreSQL prints when it dies by itself or finds its data broken, by kind."""

EXPECTED_LINES: Final = {
    # It ends itself rather than go on without what it could not write.
    FAILS_DISK: (
        r"No space left on device|Read-only file system|Input/output error",
        r"was terminated by signal 6\b",
    ),
}

MILESTONES: Final = {
    "promotion": (r"received promote request", r"selected new timeline ID: (?P<timeline>\d+)"),
    "ready": (r"database system is ready to accept (?P<kind>read-only )?connections",),
    "recovery": (r"database system was not properly shut down",),
    "streaming": (r"started streaming WAL from primary at (?P<place>\S+) on timeline",),
    "checkpoint": (r"checkpoint complete: wrote (?P<buffers>\d+) buffers",),
}
"""What a server logs of what it went through."""
