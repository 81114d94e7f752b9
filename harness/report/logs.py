"""Node logs: whole up to a limit, with the lines that matter found in all of it.

A node's log may be gigabytes. Of each file the page holds the beginning and the end within a
budget; besides, every line that looks like a crash and the lines written around each anomaly are
kept wherever they stand, as far as the line's own timestamp can be read (etcd's JSON ``ts``, or
any ISO 8601 time near the start of the line). One pass over the file, in bounded memory.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from harness.history.log_times import run_time_ns
from harness.report.display import visible

TOTAL_BYTES = 3_000_000
"""Log text on the page, over all files."""
MOST_FILE_BYTES = 400_000
LINE_LIMIT = 1_000
MOST_NOTABLE = 200
"""Crash lines, and as many lines around anomalies, kept for one file."""
AROUND_NS = 500_000_000
"""Lines this near to an anomaly belong to it."""

CRASH = re.compile(
    r"^panic:|\bpanic(?:ked)?\b.*:|\"level\":\"(?:fatal|panic|dpanic)\"|\bFATAL\b|\bPANIC\b"
    r"|\bfatal error\b|DATA RACE|\bSIG(?:SEGV|ABRT|BUS|ILL)\b|segmentation fault|core dumped"
    r"|\bout of memory\b|Assertion .*failed|^goroutine \d+ \[running\]",
)


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
    folder: Path, start_wall_ns: int | None, windows: Sequence[tuple[int, int]]
) -> list[NodeLog]:
    """Every log below ``nodes/<name>/``; ``windows`` are the anomalies, in ns of the run."""
    paths = sorted(_logs_below(folder / "nodes"))
    if not paths:
        return []
    budget = min(MOST_FILE_BYTES, TOTAL_BYTES // len(paths))
    logs: list[NodeLog] = []
    for path in paths:
        node, *rest = path.relative_to(folder / "nodes").parts
        log = NodeLog(visible(node, 60), visible("/".join(rest), 120))
        try:
            with path.open("rb") as file:
                _read(log, _lines(file), budget, start_wall_ns, windows)
        except OSError as error:
            log.lines.append(Line(1, None, visible(f"could not be read: {error}"), is_crash=True))
        logs.append(log)
    return logs


def _logs_below(nodes: Path) -> Iterator[Path]:
    """Every ``<name>/**/*.log``. The database may still run, and its folders come and go."""
    for parent, _, names in os.walk(nodes):
        if Path(parent) != nodes:
            found = (Path(parent) / name for name in names if name.endswith(".log"))
            yield from (path for path in found if path.is_file())


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines of a file, each read up to a bound so that one endless line costs no memory."""
    while chunk := file.readline(LINE_LIMIT * 8):
        rest = chunk
        while len(rest) == LINE_LIMIT * 8 and not rest.endswith(b"\n"):
            rest = file.readline(LINE_LIMIT * 8)
        yield chunk.decode("utf-8", "replace").rstrip("\r\n")


def _read(
    log: NodeLog,
    lines: Iterator[str],
    budget: int,
    start_wall_ns: int | None,
    windows: Sequence[tuple[int, int]],
) -> None:
    """Fill ``log``: a third of the budget for the head, the rest for the tail."""
    head: list[Line] = []
    tail: deque[Line] = deque()
    head_room, tail_room = budget // 3, budget - budget // 3
    for text in lines:
        log.total += 1
        time_ns = run_time_ns(text, start_wall_ns)
        near = time_ns is not None and any(
            start - AROUND_NS <= time_ns <= end + AROUND_NS for start, end in windows
        )
        crash = CRASH.search(text) is not None
        line = Line(log.total, time_ns, visible(text, LINE_LIMIT), crash, near)
        _note(log, line)
        if not tail and head_room >= len(line.text):
            head.append(line)
            head_room -= len(line.text)
            continue
        tail.append(line)
        tail_room -= len(line.text)
        while tail_room < 0 and len(tail) > 1:
            tail_room += len(tail.popleft().text)
            log.left_out += 1
    log.lines = [*head, *tail]


def _note(log: NodeLog, line: Line) -> None:
    """Keep a crash line always among the first, a line near an anomaly while there is room."""
    if not (line.is_crash or line.is_near):
        return
    same_kind = sum(1 for other in log.notable if other.is_crash == line.is_crash)
    if same_kind < MOST_NOTABLE:
        log.notable.append(line)
    else:
        log.notable_left_out += 1
