"""What the logs of servers and Sentinels tell: what must not happen, and what they went through."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.history.effects import ENDS, FAILS_DISK

LOG_PATTERNS: Final = {
    "assertion-failure": (r"=== ASSERTION FAILED",),
    "panic": (
        r"=== (REDIS|VALKEY) BUG REPORT START",
        r"Guru Meditation",
        r"(Redis|Valkey) \S+ crashed by signal",
    ),
    "corruption": (
        r"Bad file format reading the append only file",
        r"Unrecoverable error reading the append only file",
        r"Fatal error loading the DB",
        r"Internal error in RDB reading",
        r"Wrong signature trying to load DB",
        r"Short read or OOM loading DB",
        r"Can't open the append-only file",
    ),
    "out-of-memory": (r"Out Of Memory allocating \d+ bytes",),
    "cannot-persist": (
        r"Can't recover from AOF write error",
        r"Error moving temp append only file",
    ),
}
"""What a server logs when it dies by itself, or finds its own files broken, by kind."""

EXPECTED_LINES: Final = {
    # A server that is started again while the kernel still holds the killed one's sockets.
    ENDS: (r"Could not create server TCP listening socket .*Address already in use",),
    FAILS_DISK: (
        r"Can't recover from AOF write error",
        r"Error moving temp append only file",
        r"No space left on device|Read-only file system|Input/output error",
    ),
}

MILESTONES: Final = {
    "promotion": (r"\* MASTER MODE enabled",),
    "demotion": (r"\* Before turning into a replica, using my own master parameters",),
    "failover": (
        r"\+switch-master \S+ (?P<old>\S+) (?P<old_port>\d+) (?P<new>\S+) (?P<new_port>\d+)",
    ),
    "failover-begins": (r"\+try-failover master (?P<name>\S+) (?P<primary>\S+)",),
    "subjectively-down": (r"\+sdown master (?P<name>\S+) (?P<primary>\S+)",),
    "objectively-down": (r"\+odown master (?P<name>\S+) (?P<primary>\S+)",),
    "tilt": (r"\+tilt ",),
    "loaded": (
        r"DB loaded from (?P<source>disk|append only file|base file|incr file)[^:]*:"
        r" (?P<seconds>[\d.]+) seconds",
    ),
    "full-resynchronization": (r"Full resync from (master|primary): (?P<offset>\S+)",),
    "partial-resynchronization": (r"Successful partial resynchronization with (master|primary)",),
    "snapshot": (r"Background saving terminated with success",),
    "append-only-file-rewritten": (r"Background AOF rewrite finished successfully",),
}
"""What is logged of failovers (by Sentinel), changes of roles, loading and replication."""

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
