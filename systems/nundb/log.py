"""What the log of a node tells."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from harness.history.effects import ENDS

LOG_PATTERNS: Final = {
    "panic": (r"^thread '.*' (\(\d+\) )?panicked at",),
}
EXPECTED_LINES: Final = {ENDS: (r"TCP Bind error", r"Bind error")}
MILESTONES: Final = {
    "election-won": (r"Setting this server as a primary", r"election_win"),
    "two-primaries": (r"Got a set primary from (?P<other>\S+) but already is a primary",),
    "primary-set": (r"Setting (?P<primary>\S+) as primary",),
}
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
