"""Which faults were in force during a stretch of time, in a sentence for every proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.history.operation import Operation
from harness.verdict.faults_in_force import faults_active
from harness.verdict.record import LedgerEntry

__all__ = ["faults_active", "was_disturbed", "while_it_ran", "while_they_ran"]


def while_it_ran(ledger: Sequence[LedgerEntry] | None, start_ns: int, end_ns: int) -> str:
    """A sentence with the faults then active; empty if there is no ledger."""
    if ledger is None:
        return ""
    active = faults_active(ledger, start_ns, end_ns)
    if not active:
        return "While it ran no fault was active."
    return f"While it ran: {'; '.join(map(str, active))}."


def while_they_ran(ledger: Sequence[LedgerEntry] | None, records: Iterable[Operation]) -> str:
    """As :func:`while_it_ran`, from the first of ``records`` to the last; empty without times."""
    times = [record.time for record in records if record.time >= 0]
    return while_it_ran(ledger, min(times), max(times)) if times else ""


def was_disturbed(ledger: Sequence[LedgerEntry] | None, start_ns: int, end_ns: int) -> bool:
    """Whether any fault was then active."""
    return bool(ledger and faults_active(ledger, start_ns, end_ns))
