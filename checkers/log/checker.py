"""Puts the parts together: one verdict on all logs of a history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkers.log.contents import find_contents
from checkers.log.cycles import find_cycles
from checkers.log.evidence import Evidence, Unreadable
from checkers.log.order import find_order, worst_lag
from checkers.telling import Findings
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Budget, Verdict


class Log:
    """Judges append-only logs. The option ``ww_deps`` lets cycles run through the log's order."""

    name = "log"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all sends and polls of ``record``."""
        try:
            evidence = Evidence(record.history)
        except Unreadable as error:
            return Verdict(valid=UNKNOWN, why=str(error))
        findings = Findings(record)
        not_yet = find_contents(findings, evidence)
        budget.spend_check("the contents of the logs")
        skips = find_order(findings, evidence)
        write_cycles = find_cycles(findings, evidence, ww_deps=bool(self.options.get("ww_deps")))
        lag = worst_lag(evidence)
        shelves = evidence.shelves.values()
        sends = [send for shelf in shelves for found in shelf.sends.values() for send in found]
        polled = sum(len(found) for shelf in shelves for found in shelf.polls.values())
        stats = {
            "key-count": len(shelves),
            "send-count": len(sends),
            "acknowledged-count": sum(send.call.ok for send in sends),
            "polled-count": polled,
            "not-polled-yet-count": not_yet,
            "int-send-skip-count": skips,
            "G0-count": write_cycles,
            "error-counts": dict(sorted(findings.counts.items())),
            "worst-realtime-lag": lag.as_json() if lag is not None else None,
        }
        return findings.verdict(stats=stats, unknown=_doubt(polled, not_yet))


def _doubt(polled: int, not_yet: int) -> str:
    if not polled:
        return "nothing was ever polled"
    if not_yet:
        return f"{not_yet} acknowledged messages were never polled, and no poll went past them"
    return ""
