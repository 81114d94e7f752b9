"""Puts the parts together: one verdict on all logs of a history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.log.contents import find_contents
from checkers.log.cycles import find_cycles
from checkers.log.evidence import ASSIGNS, OTHERS, WORKS, Evidence, Unreadable
from checkers.log.order import find_order, worst_lag
from checkers.proof.findings import Findings
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, of_more
from harness.verdict.verdict import UNKNOWN, Budget, Verdict, untested
from harness.verdict.wording import shown

POLL_ALL: Final = "poll every log to its end after the last send"


class Log:
    """Judges append-only logs. The option ``ww_deps`` lets cycles run through the log's order.

    ``isolation_level`` (``read_uncommitted``) and ``transactional`` (false), by option or by the
    header's options, say that a poll may show what is never committed, or that the sends of one
    operation are no transaction: then from one message shown nothing follows for the others.
    Logs begin empty: where the header declares something else, nothing is said. Valid is only what
    a poll that showed something could have told.
    """

    name = "log"
    reads = frozenset({"history"})
    operations = frozenset((*WORKS, *ASSIGNS, *OTHERS))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all sends and polls of ``record``."""
        if record.header.initial:
            why = f"the declared initial state {shown(record.header.initial)}: logs begin empty"
            return Verdict(valid=UNKNOWN, why=why, settle="a history of logs from their beginning")
        said = {**record.header.options, **self.options}
        level = str(said.get("isolation_level") or "").replace("-", "_")
        is_safe = level != "read_uncommitted" and said.get("transactional") is not False
        try:
            evidence = Evidence(record.history, is_safe=is_safe)
        except Unreadable as error:
            return Verdict(valid=UNKNOWN, why=str(error), settle=MEND_ANSWERS)
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
        if not polled and not findings.counts:
            return untested("nothing was ever polled", settle=POLL_ALL, stats=stats)
        doubt = f"{not_yet} committed messages were never polled, and no poll went past them"
        return findings.verdict(
            stats=stats, unknown=doubt if not_yet else "", mend=of_more(POLL_ALL)
        )
