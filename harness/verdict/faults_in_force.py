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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.ledger import LedgerEntry


@dataclass(frozen=True)
class ActiveFault:
    """One injection. ``end_ns`` is ``None`` if no heal is known."""

    id: int
    fault: str
    targets: tuple[str, ...]
    detail: Mapping[str, Any]
    start_ns: int
    end_ns: int | None

    def __str__(self) -> str:
        """``partition of n1 | n2 n3 (fault 3, from 6.0 s to 7.5 s)``."""
        end = "never healed" if self.end_ns is None else f"to {self.end_ns / 1e9:.1f} s"
        when = f"fault {self.id}, from {self.start_ns / 1e9:.1f} s {end}"
        return f"{self.fault}{self._targets()} ({when})"

    def _targets(self) -> str:
        what = self.detail.get("what")
        text = what if isinstance(what, str) and what else " ".join(self.targets)
        return f" of {text}" if text else ""


def faults_active(ledger: Sequence[LedgerEntry], start_ns: int, end_ns: int) -> list[ActiveFault]:
    """The faults in force at any time in ``[start_ns, end_ns]``, by their start."""
    injections: dict[int, list[LedgerEntry]] = {}
    for entry in ledger:
        injections.setdefault(entry.id, []).append(entry)
    faults = [_fault(entries) for entries in injections.values()]
    active = [
        fault
        for fault in faults
        if fault is not None
        and fault.start_ns <= end_ns
        and (fault.end_ns is None or fault.end_ns >= start_ns)
    ]
    return sorted(active, key=lambda fault: fault.start_ns)


def _fault(entries: Sequence[LedgerEntry]) -> ActiveFault | None:
    """The injection that ``entries`` of one id tell of; ``None`` if it never began."""
    begun = [entry for entry in entries if entry.event in ("intend", "injected")]
    if not begun:
        return None
    healed = [entry.time for entry in entries if entry.event == "healed"]
    detail: dict[str, Any] = {}
    for entry in reversed(begun):
        detail.update(entry.detail)
    return ActiveFault(
        id=begun[0].id,
        fault=begun[0].fault,
        targets=tuple(begun[-1].targets),
        detail=detail,
        start_ns=min(entry.time for entry in begun),
        end_ns=max(healed) if healed else None,
    )
