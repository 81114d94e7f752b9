"""What a member's log tells of its end: the line with which it died, or its last few lines.

etcd logs a JSON object a line; a panic of Go is plain text after the last of them. So a member
that died by itself said why in the last JSON line or after it, while the very last lines are
mostly a stack that tells a user nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from harness.history.effects import ENDS, FAILS_DISK

LOG_PATTERNS: Final = {
    "assertion-failure": (r"^panic: assertion failed", r'"msg":"[^"]*assertion failed'),
    "data-race": (r"^WARNING: DATA RACE",),
    "panic": (r"^panic: ", r"^\[signal SIG", r'"level":"d?panic"'),
    "fatal-error": (r"^fatal error: ", r'"level":"fatal"'),
}
"""What Go and etcd's logger print when the process dies by itself or finds a race, by kind, the
most telling first: bbolt's assertions end in a panic."""

EXPECTED_LINES: Final = {
    # A member that is started again while the kernel still holds the killed one's sockets.
    ENDS: (r"address already in use",),
    # It ends itself rather than go on without what it could not write.
    FAILS_DISK: (r"no space left on device|read-only file system|input/output error",),
}

MILESTONES: Final = {
    "leader-change": (r'"msg":"(?P<member>[0-9a-f]+) became leader at term (?P<term>\d+)"',),
    "leader-lost": (
        r'"msg":"raft\.node: (?P<member>[0-9a-f]+) lost leader (?P<leader>[0-9a-f]+)'
        r' at term (?P<term>\d+)"',
    ),
    "snapshot-installed": (r'"msg":"applied snapshot","current-snapshot-index":(?P<index>\d+)',),
    "compaction": (r'"msg":"finished scheduled compaction","compact-revision":(?P<revision>\d+)',),
    "defragmentation": (r'"msg":"finished defragmenting directory"',),
}
"""What a member logs of what it went through; the member that became leader alone says that."""

_CRASH: Final = re.compile("|".join(each for kind in LOG_PATTERNS.values() for each in kind))
_TAIL_LINES: Final = 5
_END_BYTES: Final = 1 << 16
_LONGEST: Final = 300


class _Line(msgspec.Struct):
    msg: str = ""
    error: str = ""


def last_words(log: Path) -> str:
    """Why the member that wrote ``log`` died, in one line; empty if its log ends without that."""
    lines = _last_lines(log)
    starts = [number for number, line in enumerate(lines) if line.startswith("{")]
    for line in lines[starts[-1] if starts else 0 :]:
        if _CRASH.search(line):
            return _told(line)
    return ""


def tail(log: Path) -> list[str]:
    """The last few lines of ``log``; none if there is no such file."""
    return _last_lines(log)[-_TAIL_LINES:]


def _told(line: str) -> str:
    """Message and error of a line of etcd's logger; another line as it is."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except msgspec.MsgspecError:
        return line[:_LONGEST]
    return ": ".join(part for part in (found.msg, found.error) if part)[:_LONGEST]


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
