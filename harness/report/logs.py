"""Node logs: whole up to a limit, with the lines that matter found in all of it.

A node's log may be gigabytes. Of each file the page holds the beginning and the end within a
budget; besides, every line that looks like a crash and the lines written around each anomaly are
kept wherever they stand, as far as the line's own timestamp can be read (etcd's JSON ``ts``, or
any ISO 8601 time near the start of the line). One pass over the file, in bounded memory.

The folder may be a stranger's: plain files inside it alone are opened, and of what is larger than
a minute's reading the middle is passed over, which the page says.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from harness.report.display import visible
from harness.store.untrusted import Folder
from harness.verdict.log_times import run_time_ns

TOTAL_BYTES = 3_000_000
"""Log text on the page, over all files."""
MOST_FILE_BYTES = 400_000
LINE_LIMIT = 1_000
MOST_NOTABLE = 200
"""Crash lines, and as many lines around anomalies, kept for one file."""
AROUND_NS = 500_000_000
"""Lines this near to an anomaly belong to it."""
SCANNED_BYTES = 256 << 20
"""Looked through, over all files; of a larger one its beginning and its end."""
MOST_LOGS = 300
"""Files that the page shows."""

_CRASH = re.compile(
    r"^panic:|\"level\":\"(?:fatal|panic|dpanic)\"|\bFATAL\b|\bPANIC\b"
    r"|\bfatal error\b|DATA RACE|\bSIG(?:SEGV|ABRT|BUS|ILL)\b|segmentation fault|core dumped"
    r"|\bout of memory\b|^goroutine \d+ \[running\]",
)
_CRASH_BEGINS = ((re.compile(r"\bpanic(?:ked)?\b"), ":"), (re.compile("Assertion "), "failed"))
"""What makes a crash if the other follows: as one expression it would take the square of a line."""


@dataclass(frozen=True)
class Line:
    """One line: its number from 1, its time since the start of the run (or ``None``), its text."""

    number: int
    time_ns: int | None
    text: str
    is_crash: bool = False
    is_near: bool = False


@dataclass
class NodeLog:
    """One log file as the page shows it; ``lines`` has a gap where ``left_out`` is not 0."""

    node: str
    name: str
    lines: list[Line] = field(default_factory=list)
    notable: list[Line] = field(default_factory=list)
    total: int = 0
    left_out: int = 0
    notable_left_out: int = 0


def read_logs(
    folder: Path | Folder, start_wall_ns: int | None, windows: Sequence[tuple[int, int]]
) -> list[NodeLog]:
    """Every log below ``nodes/<name>/``; ``windows`` are the anomalies, in ns of the run."""
    inside = folder if isinstance(folder, Folder) else Folder(folder)
    names = sorted(_logs_below(inside), key=lambda name: PurePosixPath(name).parts)
    shown = names[:MOST_LOGS]
    reading = _Reading(
        budget=min(MOST_FILE_BYTES, TOTAL_BYTES // max(len(shown), 1)),
        scanned=SCANNED_BYTES // max(len(shown), 1),
        start_wall_ns=start_wall_ns,
        around=_Around(windows),
    )
    logs = [reading.log(inside, name) for name in shown]
    if len(names) > len(shown):
        said = f"{len(names) - len(shown)} further log files are in the folder and not shown"
        logs.append(NodeLog("…", "further files", [Line(1, None, said)], total=1))
    return logs


def is_crash(text: str) -> bool:
    """Whether a line looks like the end of a process. Linear in the line."""
    if _CRASH.search(text):
        return True
    begins = ((pattern.search(text), then) for pattern, then in _CRASH_BEGINS)
    return any(found is not None and then in text[found.end() :] for found, then in begins)


def _logs_below(inside: Folder) -> Iterator[str]:
    """Every ``<name>/**/*.log``. The database may still run, and its folders come and go."""
    for name in inside.files("nodes"):
        if name.endswith(".log") and name.count("/") > 1:
            yield name


class _Around:
    """The moments near to an anomaly, so that a line asks for them in a few steps."""

    def __init__(self, windows: Sequence[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted((s - AROUND_NS, e + AROUND_NS) for s, e in windows):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            elif start <= end:
                self._starts.append(start)
                self._ends.append(end)

    def has(self, time_ns: int) -> bool:
        """Whether ``time_ns`` lies in one of them."""
        at = bisect_left(self._ends, time_ns)
        return at < len(self._ends) and self._starts[at] <= time_ns


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What holds for every file: ``budget`` characters are kept, ``scanned`` bytes looked at."""

    budget: int
    scanned: int
    start_wall_ns: int | None
    around: _Around

    def log(self, inside: Folder, name: str) -> NodeLog:
        """One file, or why it cannot be read."""
        _, node, rest = name.split("/", 2)
        log = NodeLog(visible(node, 60), visible(rest, 120))
        try:
            with inside.open(name) as file:
                self._read(log, file)
        except OSError as error:
            said = f"could not be read: {error.strerror or error}"
            log.lines.append(Line(1, None, visible(said), is_crash=True))
        return log

    def _read(self, log: NodeLog, file: BinaryIO) -> None:
        """Fill ``log``: a third of each budget for the head, the rest for the tail."""
        size = os.fstat(file.fileno()).st_size
        if size <= self.scanned:
            head = self._lines(log, _lines(file, size), self.budget // 3, self.budget * 2 // 3)
            log.lines = head
            return
        first = self.scanned // 3
        head = self._lines(log, _lines(file, first), self.budget // 3, 0)
        skipped = size - self.scanned
        said = (
            f"… the {skipped:,} bytes in the middle of this file's {size:,} were not looked"
            " through; the numbers of the lines below do not count them …"
        )
        log.total += 1
        gap = Line(log.total, None, said, is_near=True)
        _note(log, gap, Counter())
        file.seek(skipped, os.SEEK_CUR)
        tail = self._lines(log, _lines(file, self.scanned - first), 0, self.budget * 2 // 3)
        log.lines = [*head, gap, *tail]

    def _lines(
        self, log: NodeLog, lines: Iterator[str], head_room: int, tail_room: int
    ) -> list[Line]:
        """The first lines that have room and the last; what matters is noted in ``log``."""
        head: list[Line] = []
        tail: deque[Line] = deque()
        noted = Counter(line.is_crash for line in log.notable)
        for text in lines:
            log.total += 1
            time_ns = run_time_ns(text, self.start_wall_ns)
            near = time_ns is not None and self.around.has(time_ns)
            line = Line(log.total, time_ns, visible(text, LINE_LIMIT), is_crash(text), near)
            _note(log, line, noted)
            if not tail and head_room >= len(line.text):
                head.append(line)
                head_room -= len(line.text)
                continue
            tail.append(line)
            tail_room -= len(line.text)
            while tail_room < 0 and len(tail) > 1:
                tail_room += len(tail.popleft().text)
                log.left_out += 1
        return [*head, *tail]


def _lines(file: BinaryIO, most_bytes: int) -> Iterator[str]:
    """Lines of a file, each read up to a bound so that one endless line costs no memory."""
    left = most_bytes
    while left > 0 and (chunk := file.readline(min(LINE_LIMIT * 8, left))):
        left -= len(chunk)
        rest = chunk
        while left > 0 and rest and not rest.endswith(b"\n"):
            rest = file.readline(min(LINE_LIMIT * 8, left))
            left -= len(rest)
        yield chunk.decode("utf-8", "replace").rstrip("\r\n")


def _note(log: NodeLog, line: Line, noted: Counter[bool]) -> None:
    """Keep a crash line always among the first, a line near an anomaly while there is room."""
    if not (line.is_crash or line.is_near):
        return
    if noted[line.is_crash] < MOST_NOTABLE:
        noted[line.is_crash] += 1
        log.notable.append(line)
    else:
        log.notable_left_out += 1
