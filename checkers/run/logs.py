"""The checker ``logs``: what the nodes' own logs say must not happen, found and told.

A system names patterns by kind (etcd: ``panic``, ``fatal-error``, ``data-race``,
``assertion-failure``), and for each fault the lines that this fault explains. Every other match is
an anomaly of its kind, told with node, file, line number, time and the lines after it (a stack, a
report of the race detector). A line is excused if a fault that explains it was in force when it
was written, or had been healed no more than ten seconds before; where the line and those before it
carry no time, or a fault moved the clocks, if the fault was injected at all.

Ends of processes are the business of :mod:`checkers.run.crash`. A line that blames a full disk
blames this machine: that node's lines are left aside, and the answer is unknown. A line that was
cut off (the last one without its end, a JSON object that stops in the middle) proves nothing: what
it went on to say is not known, so where nothing else was found the answer is unknown.

Cost: one pass over each file, in bounded memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.proof.faults_active import faults_active, while_it_ran
from checkers.run.expected import causes, may_shift_clocks
from harness.history.faults import recorded_faults
from harness.verdict.log_times import run_time_ns
from harness.verdict.record import LogFile, Record
from harness.verdict.steps import MAKE_ROOM
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

SHOWN: Final = 20
"""Findings of one kind that are told; all are counted."""
EXCERPT_LINES: Final = 12
LONGEST_LINE: Final = 2000
AFTERMATH_NS: Final = 10_000_000_000
FULL_DISK: Final = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_LINES_BETWEEN_LOOKS: Final = 50_000


@dataclass
class Line:
    """A line that matches a pattern of ``kind``; ``time_ns`` is its own or the last one before."""

    log: LogFile
    number: int
    kind: str
    text: str
    time_ns: int | None
    is_cut: bool = False
    excerpt: list[str] = field(default_factory=list)


class Logs:
    """Options: ``log_patterns`` (kind to regular expressions, the first kind that matches wins)
    and ``expected_lines`` (effect, or fault, to the expressions of lines that it explains)."""

    name = "logs"
    reads = frozenset({"logs"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.patterns = _compiled(options.get("log_patterns") or {})
        self.expected = _compiled(options.get("expected_lines") or {})

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Invalid if a line matches that no fault explains."""
        start_ns = record.header.start_wall_ns or (record.run or {}).get("start_wall_ns")
        found = [
            line
            for log in record.logs or ()
            for line in self._lines(log, start_ns, budget)
            if not self._is_expected(line, record)
        ]
        full = {line.log.node for line in found if FULL_DISK.search(line.text)}
        cut = [line for line in found if line.is_cut and line.log.node not in full]
        told: dict[str, list[Anomaly]] = {}
        counts: dict[str, int] = {}
        for line in found:
            if line.log.node not in full and not line.is_cut:
                counts[line.kind] = counts.get(line.kind, 0) + 1
                if counts[line.kind] <= SHOWN:
                    told.setdefault(line.kind, []).append(_anomaly(line, record))
        stats = {"files": len(record.logs or ()), "lines": counts}
        if told:
            first = next(iter(told.values()))[0].message.splitlines()[0]
            return Verdict(valid=False, why=first[:300], anomalies=told, stats=stats)
        if full:
            why = f"the disk under {', '.join(sorted(full))} was full: what its log says then is"
            why = f"{why} this machine's doing"
            return Verdict(valid=UNKNOWN, why=why, settle=MAKE_ROOM, stats=stats)
        if cut:
            return _doubtful(cut[0], stats)
        return Verdict(valid=True, stats=stats)

    def _lines(self, log: LogFile, start_ns: int | None, budget: Budget) -> Iterator[Line]:
        """The matching lines of one file. Raises ``BudgetExceeded``."""
        if not self.patterns:
            return
        time_ns: int | None = None
        open_line: Line | None = None
        for number, line in enumerate(log.lines(), 1):
            if number % _LINES_BETWEEN_LOOKS == 0:
                budget.spend_check(f"reading {log.path.name} of {log.node}")
            text = line.rstrip("\n")[:LONGEST_LINE]
            own_ns = run_time_ns(text, start_ns)
            time_ns = time_ns if own_ns is None else own_ns
            kind = self._kind(text)
            if open_line is not None and (kind or not _goes_on(open_line, text, own_ns)):
                yield open_line
                open_line = None
            if open_line is not None:
                open_line.excerpt.append(text)
            elif kind:
                open_line = Line(log, number, kind, text, time_ns, is_cut_off(line))
        if open_line is not None:
            yield open_line

    def _kind(self, text: str) -> str:
        return next((kind for kind, each in self.patterns.items() if each.search(text)), "")

    def _is_expected(self, line: Line, record: Record) -> bool:
        """Whether a fault explains it that was in force then, or shortly before."""
        if line.time_ns is None or _clocks_were_wrong(record):
            faults = recorded_faults(record.faults or ())
            active = [fault for fault in faults if fault.injected_ns is not None]
        else:
            since = line.time_ns - AFTERMATH_NS
            active = list(faults_active(record.faults or (), since, line.time_ns))
        known = causes(active)
        return any(
            pattern.search(line.text) for cause, pattern in self.expected.items() if cause in known
        )


def is_cut_off(line: str) -> bool:
    """Whether a line of a log (with its end) stops before what it had to say was said."""
    if not line.endswith("\n"):
        return True
    if not line.startswith('{"'):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _doubtful(line: Line, stats: Mapping[str, Any]) -> Verdict:
    return Verdict(
        valid=UNKNOWN,
        why=f"line {line.number} of {line.log.path.name} of {line.log.node} is cut off, and what is"
        f" left of it reads like {line.kind}: that proves nothing",
        settle=f"read {line.log.path.name} of {line.log.node} around that line, and run it again",
        stats=dict(stats),
    )


def _clocks_were_wrong(record: Record) -> bool:
    """Whether a fault moved what the nodes read of the clock, their logs' times included."""
    return any(may_shift_clocks(fault) for fault in recorded_faults(record.faults or ()))


def _compiled(table: Mapping[str, Sequence[str]]) -> dict[str, re.Pattern[str]]:
    return {
        name: re.compile("|".join(f"(?:{each})" for each in patterns))
        for name, patterns in table.items()
        if patterns
    }


def _goes_on(line: Line, text: str, own_ns: int | None) -> bool:
    """Whether ``text`` belongs to what ``line`` began: a stack has no times of its own."""
    return own_ns is None and len(line.excerpt) < EXCERPT_LINES and not text.startswith("{")


def _anomaly(line: Line, record: Record) -> Anomaly:
    log, at = line.log, ""
    if line.time_ns is not None:
        at = f" at {line.time_ns / 1e9:.1f} s"
    message = f"The log {log.path.name} of {log.node} says in line {line.number}{at}: {line.text}"
    message += "".join(f"\n    {text}" for text in line.excerpt if text.strip())
    if line.time_ns is not None:
        faults = while_it_ran(record.faults, line.time_ns - AFTERMATH_NS, line.time_ns)
        if faults:
            message += f"\nIn the {AFTERMATH_NS / 1e9:.0f} s before: {faults}"
    data = {"node": log.node, "file": log.path.name, "line": line.number}
    return Anomaly(message=message, data={**data, "time_ns": line.time_ns})


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Logs.name: Logs}
