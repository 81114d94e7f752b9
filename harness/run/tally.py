"""Running counts of client operations, for progress and for the end of a run."""

from __future__ import annotations

from harness.history.operation import FAIL, INFO, INVOKE, OK, Operation
from harness.run.completions import shown


class Tally:
    """``counts`` maps f to how many were ``invoke``, ``ok``, ``fail`` and ``info``.

    ``last_error`` is the latest error, with its f.
    """

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.last_error: str | None = None

    def add(self, recorded: Operation) -> None:
        """Count one record."""
        counts = self.counts.get(recorded.f)
        if counts is None:
            counts = self.counts[recorded.f] = {INVOKE: 0, OK: 0, FAIL: 0, INFO: 0}
        counts[recorded.type] += 1
        if recorded.error is not None:
            self.last_error = f"{recorded.f}: {shown(recorded.error, str)}"
