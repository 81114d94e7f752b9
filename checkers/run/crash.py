"""The checker ``crash``: no process of the system ends of its own accord.

The run's facts list every daemon that ended, and which fault killed it; an end that no fault
caused is the system's own. A system may list lines of its logs that are *expected* after an effect:
an exit beside such a line is excused if a fault of that effect was in force shortly before. What
else the logs say is the business of :mod:`checkers.run.logs`; only where a process ended is its
node's log read here, for such lines and for a full disk.

What ended on a node that the machines lost (a reboot, an engine that died) ended by that.
SIGKILL from nobody here is most likely the machine's out-of-memory killer, and a process that dies
of a full disk dies of the machine: infrastructure, not a verdict, so ``unknown``.

Runs of version 2 of the contract name patterns without a kind (``crash_patterns``). They are judged
as they were: all logs are searched, and a line that matches is a ``crash``. A line that was cut off
proves nothing (:func:`checkers.run.logs.is_cut_off`).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.proof.faults_active import faults_active, while_it_ran
from checkers.run.expected import causes, may_have_ended
from checkers.run.logs import is_cut_off
from harness.history.faults import recorded_faults
from harness.verdict.record import LedgerEntry, LogFile, Record
from harness.verdict.steps import FREE_MEMORY, MAKE_ROOM, RUN_AGAIN, Settle
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

CRASH: Final = "crash"
SHOWN: Final = 20
"""Log lines told; all are counted."""
AFTERMATH_NS: Final = 10_000_000_000
"""An exit this long after a fault may still be that fault's doing, if the log says so."""
LONGEST_LINE: Final = 2000
_LINES_BETWEEN_LOOKS: Final = 50_000
_FULL_DISK: Final = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class PanicLine:
    """A log line that matches a crash pattern."""

    log: LogFile
    line: int
    text: str


class Crash:
    """Options: ``log_patterns`` and ``expected_lines``, as of :class:`checkers.run.logs.Logs`.

    Of older runs also ``crash_patterns`` and ``expected_exits``.
    """

    name = "crash"
    reads = frozenset({"logs", "run"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        kinds = options.get("log_patterns") or {}
        self.searches_all = "crash_patterns" in options
        self.tells_lines = self.searches_all and not kinds
        patterns = options.get("crash_patterns") or ()
        if not self.searches_all:
            patterns = [each for of_kind in kinds.values() for each in of_kind]
        self.pattern = _compiled(patterns) if patterns else None
        expected = options.get("expected_exits" if self.searches_all else "expected_lines") or {}
        self.expected = {cause: _compiled(lines) for cause, lines in expected.items() if lines}

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Invalid if a process crashed; ``unknown`` if it may have been killed by the machine."""
        run, ledger = record.run or {}, record.faults or ()
        excuses = self._excuses(ledger)
        ends = [end for end in run.get("exits") or () if end.get("killed_by") is None]
        lost = run.get("lost_nodes") or ()
        ends = [end for end in ends if end.get("node") not in lost]
        nodes = None if self.searches_all else {end.get("node") for end in ends}
        logs = [log for log in record.logs or () if nodes is None or log.node in nodes]
        panics = [
            panic for panic in self._panic_lines(logs, budget) if not _excused(panic, excuses)
        ]
        full = [panic for panic in panics if _FULL_DISK.search(panic.text)]
        panics = [
            panic for panic in panics if panic.log.node not in {each.log.node for each in full}
        ]
        ends = [end for end in ends if end.get("node") not in {each.log.node for each in full}]
        ends = [end for end in ends if not self._is_expected(end, record, budget)]
        killed = [end for end in ends if end.get("status") == -signal.SIGKILL]
        unclear = self._unclear(ends, ledger)
        crashed = [end for end in ends if end not in killed and end not in unclear]
        stats = {"exits": len(ends), "killed-by-nobody": len(killed)}
        if self.searches_all:
            stats["log-lines"] = len(panics)
        told = [_exit_told(end, record) for end in crashed]
        if self.tells_lines:
            told += [_panic_told(panic) for panic in panics[:SHOWN]]
        if told:
            return Verdict(
                valid=False, why=_first_line(told[0]), anomalies={CRASH: told}, stats=stats
            )
        why, settle = _undeclared(unclear) or self._doubt(run, killed, full)
        return Verdict(valid=UNKNOWN if why else True, why=why, settle=settle, stats=stats)

    def _doubt(
        self,
        run: Mapping[str, Any],
        killed: Sequence[Mapping[str, Any]],
        full: Sequence[PanicLine],
    ) -> tuple[str, Settle]:
        """Why nobody can say whose doing it was, and what would tell; nothing if one can."""
        if full:
            why = (
                f"the disk under {full[0].log.node} was full (line {full[0].line} of its"
                f" {full[0].log.path.name}): what happened there is this machine's doing"
            )
            return why, MAKE_ROOM
        if killed:
            end = killed[0]
            why = (
                f"{_who(end)} on {end.get('node')} was killed (signal 9) at"
                f" {_seconds(end)}, by no fault of this run: probably for lack of memory"
            )
            return why, FREE_MEMORY
        if run.get("lost_nodes"):
            why = f"{' '.join(run['lost_nodes'])} went with the machine under it, and all there"
            return why, "run it again on machines that stay up"
        if run.get("partial"):
            why = "the run was cut short, so nobody knows which processes had ended"
            return why, RUN_AGAIN
        return "", ""

    def _excuses(self, ledger: Sequence[LedgerEntry]) -> list[re.Pattern[str]]:
        """Lines expected under the faults that were injected at all (log lines carry no time)."""
        known = causes(recorded_faults(ledger))
        return [pattern for cause, pattern in self.expected.items() if cause in known]

    def _unclear(
        self, ends: Sequence[Mapping[str, Any]], ledger: Sequence[LedgerEntry]
    ) -> list[Mapping[str, Any]]:
        """The ends that a fault may have caused which does not say what it does."""
        return [
            end
            for end in ends
            for fault in faults_active(ledger, _time_ns(end) - AFTERMATH_NS, _time_ns(end))
            if may_have_ended(fault, str(end.get("node")))
        ]

    def _panic_lines(self, logs: Sequence[LogFile], budget: Budget) -> Iterator[PanicLine]:
        if self.pattern is None:
            return
        for log in logs:
            yield from _matching(log, self.pattern, budget)

    def _is_expected(self, end: Mapping[str, Any], record: Record, budget: Budget) -> bool:
        """Whether a fault in force shortly before excuses it by a line in the node's log."""
        time = int(end.get("time", 0))
        active = causes(faults_active(record.faults or (), time - AFTERMATH_NS, time))
        patterns = [pattern for cause, pattern in self.expected.items() if cause in active]
        logs = [log for log in record.logs or () if log.node == end.get("node")]
        return any(
            next(_matching(log, pattern, budget, lines_cut=True), None) is not None
            for pattern in patterns
            for log in logs
        )


def _undeclared(ends: Sequence[Mapping[str, Any]]) -> tuple[str, Settle] | None:
    if not ends:
        return None
    end = ends[0]
    who = f"{end.get('daemon')} on {end.get('node')}"
    why = (
        f"{who} ended at {_seconds(end)}, {_how(end.get('status'))}, while a fault aimed at it that"
        " does not declare its effects: nobody can tell whose doing that was"
    )
    return why, "have the fault declare the processes that it ends (its effects), and run it again"


def _time_ns(end: Mapping[str, Any]) -> int:
    return int(end.get("time", 0))


def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in patterns))


def _excused(panic: PanicLine, excuses: Sequence[re.Pattern[str]]) -> bool:
    return any(excuse.search(panic.text) for excuse in excuses)


def _matching(
    log: LogFile, pattern: re.Pattern[str], budget: Budget, *, lines_cut: bool = False
) -> Iterator[PanicLine]:
    """The lines of ``log`` that match, with ``lines_cut`` also what is left of cut-off ones.

    Raises ``BudgetExceeded``.
    """
    for number, line in enumerate(log.lines(), 1):
        if number % _LINES_BETWEEN_LOOKS == 0:
            budget.spend_check(f"reading {log.path.name} of {log.node}")
        text = line.rstrip("\n")[:LONGEST_LINE]
        if pattern.search(text) and (lines_cut or not is_cut_off(line)):
            yield PanicLine(log, number, text)


def _exit_told(end: Mapping[str, Any], record: Record) -> Anomaly:
    status = end.get("status")
    how = _how(status)
    message = (
        f"{_who(end)} on {end.get('node')} ended by itself at {_seconds(end)}, {how}; no"
        " fault of this run killed it."
    )
    time = int(end.get("time", 0))
    faults = while_it_ran(record.faults, time - AFTERMATH_NS, time)
    if faults:
        message += f" In the {AFTERMATH_NS / 1e9:.0f} s before: {faults}"
    return Anomaly(message=message, data=dict(end))


def _who(end: Mapping[str, Any]) -> str:
    """The daemon, with its role where it is not called so itself."""
    daemon, role = end.get("daemon"), end.get("role")
    return f"{daemon} ({role})" if role not in (None, daemon) else f"{daemon}"


def _how(status: Any) -> str:
    if isinstance(status, int) and status < 0:
        try:
            return f"by {signal.Signals(-status).name}"
        except ValueError:
            return f"by signal {-status}"
    return f"with exit status {status}"


def _seconds(end: Mapping[str, Any]) -> str:
    return f"{int(end.get('time', 0)) / 1e9:.1f} s"


def _panic_told(panic: PanicLine) -> Anomaly:
    log = panic.log
    return Anomaly(
        message=f"The log {log.path.name} of {log.node} says in line {panic.line}: {panic.text}",
        data={"node": log.node, "file": log.path.name, "line": panic.line},
    )


def _first_line(anomaly: Anomaly) -> str:
    return anomaly.message.splitlines()[0][:300]


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Crash.name: Crash}
