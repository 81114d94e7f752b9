"""Whether a system comes by the time as it declares: what a trace of its system calls says.

A trace can only show what the system did while it was looked at: what it does otherwise, and
reading the processor's tick counter, stay unseen. So a declaration can be refuted, never proved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.cluster.hands.syscalls import READS, SETS, WAITS
from harness.contract.system import BYPASSES, CLOCK_PATHS, FAITHFUL, WAITS_ON_TRUE_CLOCK

UNSEEN = (
    "not seen by a trace: the processor's tick counter, time-outs inside io_uring, and what the "
    "system does only at other times"
)


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was seen of a system. ``kinds`` is as :class:`SyscallWatch` tells it, summed up."""

    system: str
    declared: str | None
    seconds: float
    calls: int
    kinds: Mapping[str, Mapping[str, int]]

    @property
    def seen(self) -> str:
        """The clock path that what was seen amounts to."""
        if self.kinds.get(READS):
            return BYPASSES
        return WAITS_ON_TRUE_CLOCK if self.kinds.get(WAITS) else FAITHFUL

    @property
    def is_as_declared(self) -> bool:
        """Whether nothing was seen that the declaration does not allow."""
        if self.declared is None or self.kinds.get(SETS):
            return False
        return CLOCK_PATHS.index(self.seen) <= CLOCK_PATHS.index(self.declared)

    def lines(self) -> list[str]:
        """For people."""
        found = [
            f"{self.system} declares: {self.declared or 'nothing'}",
            f"seen in {self.seconds:.1f} s of starting and serving: {self.calls} system calls",
        ]
        for kind in (READS, WAITS, SETS):
            calls = self.kinds.get(kind, {})
            told = ", ".join(f"{name} {count} times" for name, count in sorted(calls.items()))
            found.append(f"  {kind}: {told or 'never'}")
        return [*found, f"  {UNSEEN}", self._conclusion()]

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "system": self.system,
            "declared": self.declared,
            "seen": self.seen,
            "is_as_declared": self.is_as_declared,
            "seconds": round(self.seconds, 3),
            "calls": self.calls,
            "kinds": {kind: dict(calls) for kind, calls in self.kinds.items()},
        }

    def _conclusion(self) -> str:
        if self.is_as_declared:
            return "nothing speaks against the declaration"
        if self.declared is None:
            return f"what was seen fits: {self.seen} (let clock_path() say so)"
        if self.kinds.get(SETS):
            return "a system that sets the machine's clock cannot be tested here"
        return f"refuted: what was seen is: {self.seen}"


def sum_up(states: list[Mapping[str, Any]]) -> tuple[int, dict[str, dict[str, int]]]:
    """Calls, and calls by kind and name, over all nodes."""
    kinds: dict[str, dict[str, int]] = {}
    for state in states:
        for kind, calls in state["kinds"].items():
            summed = kinds.setdefault(kind, {})
            for name, count in calls.items():
                summed[name] = summed.get(name, 0) + count
    return sum(state["calls"] for state in states), kinds
