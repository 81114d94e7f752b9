"""Which faults were in force during a stretch of time, by the ledger.

A fault counts from its intention (which is on disk before it is injected, so that one whose
injection never returned counts too) until it was healed. One that is not known to be healed
lasts to the end. The times are the ledger's, nanoseconds since the start of the run.

Proofs and excuses want this widest span: between intention and injection, and after a failed
injection, some of the fault may be in force. Whether a run was a test of its faults
(:mod:`harness.judge.health`) counts the narrower span from the proved injection, because there an
operation that only *may* have met the fault must not pass for one that did.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.history.faults import RecordedFault, recorded_faults
from harness.history.ledger import LedgerEntry


def faults_active(ledger: Sequence[LedgerEntry], start_ns: int, end_ns: int) -> list[RecordedFault]:
    """The faults in force at any time in ``[start_ns, end_ns]``, by their start."""
    faults = [each for each in recorded_faults(ledger) if each.may_be_in_force(start_ns, end_ns)]
    return sorted(faults, key=lambda fault: fault.begun_ns or 0)
