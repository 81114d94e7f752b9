"""Cases of anomalies, by type: all are counted, the first few are kept with their proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from checkers.proof.words import counted
from harness.verdict.verdict import Anomaly

SHOWN_CASES: Final = 8
"""Cases of one anomaly type that are shown with a proof; all are counted."""


@dataclass
class Cases:
    """Anomalies found, by type."""

    counts: dict[str, int] = field(default_factory=dict)
    shown: dict[str, list[Anomaly]] = field(default_factory=dict)

    def wants(self, kind: str) -> bool:
        """Count one case of ``kind``; whether its proof should be given to :meth:`keep`."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind] <= SHOWN_CASES

    def keep(self, kind: str, case: Anomaly) -> None:
        """Keep the proof of a case that was wanted."""
        self.shown.setdefault(kind, []).append(case)

    def forget(self, kind: str) -> None:
        """Leave out all cases of ``kind``."""
        self.counts.pop(kind, None)
        self.shown.pop(kind, None)

    def __str__(self) -> str:
        """``2 G1a, 1 thin-air``."""
        return counted(self.counts)
