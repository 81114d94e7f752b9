"""Which faults were in force during a stretch of time, told in a sentence for every proof."""

from __future__ import annotations

from collections.abc import Sequence

from harness.verdict.faults_in_force import faults_active
from harness.verdict.record import LedgerEntry

__all__ = ["faults_active", "while_it_ran"]


def while_it_ran(ledger: Sequence[LedgerEntry] | None, start_ns: int, end_ns: int) -> str:
    """A sentence with the faults then active; empty if there is no ledger."""
    if ledger is None:
        return ""
    active = faults_active(ledger, start_ns, end_ns)
    if not active:
        return "While it ran no fault was active."
    return f"While it ran: {'; '.join(map(str, active))}."
