"""What became of the faults of a run, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from harness.history.ledger import LedgerEntry


def count_faults(
    entries: Sequence[LedgerEntry], requested: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Injections, bites and heals by fault; a fault that was asked for is always named.

    A heal counts where something was injected: what failed half-way is undone too.
    """
    counts = {fault: {"injected": 0, "bit": 0, "healed": 0} for fault in requested}
    seen: set[tuple[int, str]] = set()
    injected = {entry.id for entry in entries if entry.event == "injected"}
    for entry in entries:
        of_fault = counts.setdefault(entry.fault, {"injected": 0, "bit": 0, "healed": 0})
        is_new = entry.id in injected and (entry.id, entry.event) not in seen
        if entry.event in of_fault and is_new:
            seen.add((entry.id, entry.event))
            of_fault[entry.event] += 1
    return counts
