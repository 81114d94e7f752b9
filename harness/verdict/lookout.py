"""What a checker can tell while the run still goes on, one record at a time.

Some promises are broken by a single answer beside what was acknowledged before it: a total that is
wrong, a value that was overwritten. A checker that can tell so has :meth:`KeepsLookout.lookout`;
who follows a run (never the loop that serves the clients) shows it each record as it comes.

**Nothing is told that the checker would not call an anomaly in the end**, for whatever comes after
it: any prefix of a history is a history, and a lookout says only what no further record can mend.
Most anomalies are no matter of a lookout, so that it saw nothing says nothing. Against which claim
a run is judged is not its business either: the verdict is given in the end, by the checker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from harness.history.operation import Header, Operation


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """An anomaly that a lookout saw: its type, the record that showed it, and what it was."""

    kind: str
    index: int
    time_ns: int
    message: str


class Lookout(Protocol):
    """Sees the records of one run in their order. Cheap: a few lookups each, bounded memory."""

    def see(self, operation: Operation) -> Sighting | None:
        """Take in the next record; what it shows, if that is an anomaly."""
        ...


@runtime_checkable
class KeepsLookout(Protocol):
    """A checker that can tell some of its anomalies at once."""

    def lookout(self, header: Header) -> Lookout | None:
        """One for the run with this header; ``None`` where nothing can be told before the end."""
        ...


def sighting(kind: str, operation: Operation, message: str) -> Sighting:
    """What ``operation`` showed."""
    return Sighting(kind=kind, index=operation.index, time_ns=operation.time, message=message)
