"""The checker ``no-recovery``: when every fault is gone, the cluster must serve again.

A run ends by healing all faults and waiting for the system to be ready. If each heal is proved
in the ledger and the system still is not ready in the time it was given, that is the system's
own failure: it lost its availability for good, which is no matter of the models it claims. If a
heal is not proved, or the machine killed a process for lack of memory, nobody knows whose failure
it is; if no fault was injected at all there was nothing to recover from, and a system that is slow
by itself breaks no promise. (What this machine's own trouble excuses is the judge's business.)
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness.history.faults import RecordedFault, recorded_faults
from harness.verdict.record import Record
from harness.verdict.steps import FREE_MEMORY, LOOK_AT_LEDGER, RUN_AGAIN
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

NO_RECOVERY: Final = "no-recovery"


class NoRecovery:
    """Reads the run's ``recovery`` fact and the ledger."""

    name = "no-recovery"
    reads = frozenset({"run"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Invalid if all was healed and the system did not come back."""
        run = record.run or {}
        recovery = run.get("recovery")
        if not isinstance(recovery, Mapping) or recovery.get("ready") is None:
            why = "the run ended before it had waited for recovery"
            return Verdict(valid=UNKNOWN, why=why, settle=RUN_AGAIN)
        stats = {"ready": bool(recovery["ready"]), "seconds": recovery.get("seconds")}
        if recovery["ready"]:
            return Verdict(valid=True, stats=stats)
        faults = [fault for fault in recorded_faults(record.faults or ()) if not fault.is_action]
        faults = [fault for fault in faults if fault.begun_ns is not None]
        if all(fault.injected_ns is None for fault in faults):
            return Verdict(
                valid=UNKNOWN,
                why=f"the system was not ready {_waited(recovery)}, and no fault was injected that"
                " it had to recover from",
                settle="a longer --recovery-timeout on a quieter machine; the nodes' logs say what"
                " it waited for",
                stats=stats,
            )
        left = [fault for fault in faults if fault.is_open]
        waited = _waited(recovery)
        if left:
            named = ", ".join(f"{fault.fault} (fault {fault.id})" for fault in left)
            why = f"the system was not ready {waited}, but these were not proved healed: {named}"
            return Verdict(valid=UNKNOWN, why=why, settle=LOOK_AT_LEDGER, stats=stats)
        if any(_killed_by_machine(end) for end in run.get("exits") or ()):
            why = f"the system was not ready {waited}, but the machine had killed a part of it"
            return Verdict(valid=UNKNOWN, why=why, settle=FREE_MEMORY, stats=stats)
        why = f"every fault was healed, and the system was still not ready {waited}"
        message = f"{_healed_sentence(faults)} {_reason(recovery, waited)}"
        return Verdict(
            valid=False,
            why=why,
            anomalies={NO_RECOVERY: [Anomaly(message=message, data=dict(recovery))]},
            stats=stats,
        )


def _killed_by_machine(end: Mapping[str, Any]) -> bool:
    """SIGKILL from nobody here: most likely for lack of memory."""
    return end.get("status") == -signal.SIGKILL and end.get("killed_by") is None


def _waited(recovery: Mapping[str, Any]) -> str:
    seconds = recovery.get("seconds")
    return "in the time given" if seconds is None else f"after {float(seconds):.1f} s"


def _healed_sentence(faults: Sequence[RecordedFault]) -> str:
    last = max(faults, key=lambda fault: fault.healed_ns or 0)
    return (
        f"All {len(faults)} faults were proved healed, the last ({last.fault}, fault {last.id}) at"
        f" {(last.healed_ns or 0) / 1e9:.1f} s."
    )


def _reason(recovery: Mapping[str, Any], waited: str) -> str:
    why = recovery.get("why")
    words = f": {why}" if why else ""
    return f"{waited[0].upper()}{waited[1:]} the system was still not ready{words}."


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    NoRecovery.name: NoRecovery
}
