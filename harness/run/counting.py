"""What happened in a run or a history, in numbers: operations by kind, faults by what became."""

from __future__ import annotations

from collections.abc import Sequence

from harness.history.history import History
from harness.history.operation import FAIL, INFO, INVOKE, OK
from harness.history.record import LedgerEntry


def count_operations(history: History) -> dict[str, dict[str, int]]:
    """Client operations by f: ok, fail, info; an invoke without completion counts as info."""
    if history.prepared is not None:
        from harness.history.columns import outcomes

        return outcomes(history.prepared)
    counts: dict[str, dict[str, int]] = {}
    for operation in history:
        if operation.is_client:
            of_f = counts.setdefault(operation.f, {OK: 0, FAIL: 0, INFO: 0})
            if operation.type == INVOKE:
                of_f[INFO] += 1
            else:
                of_f[INFO] -= 1
                of_f[operation.type] += 1
    return counts


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
