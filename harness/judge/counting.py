"""What became of the faults of a run, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from harness.history.faults import recorded_faults
from harness.history.ledger import LedgerEntry
from harness.verdict.verdict_file import FaultCounts


def count_faults(
    entries: Sequence[LedgerEntry], requested: Sequence[str]
) -> dict[str, FaultCounts]:
    """Injections, bites and heals by fault; a fault that was asked for is always named.

    A heal counts where something was injected: what failed half-way is undone too. Actions are done
    or refused, and have neither bite nor heal.
    """
    counts = {fault: FaultCounts(injected=0, bit=0, healed=0) for fault in requested}
    for fault in recorded_faults(entries):
        of_fault = counts.setdefault(fault.fault, FaultCounts(injected=0, bit=0, healed=0))
        if fault.is_action:
            of_fault["done"] = of_fault.get("done", 0) + (fault.done_ns is not None)
            of_fault["refused"] = of_fault.get("refused", 0) + (fault.refused_ns is not None)
        elif fault.injected_ns is not None:
            of_fault["injected"] += 1
            of_fault["bit"] += fault.bit_ns is not None
            of_fault["healed"] += fault.healed_ns is not None
    return counts
