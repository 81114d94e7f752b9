"""Cases that no fault can have caused come first.

A case with a fault in force may be that fault's doing; one without is the system's own, easier to
believe, and easier to show to whoever wrote the system. So of each type of anomaly those cases
are told first during which no fault was in force, and it is said how many they are. A case lasts
from the first invocation to the last completion of its witness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.history.faults import RecordedFault, recorded_faults
from harness.judge.witnesses import Witness, span_of
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Verdict


@dataclass(frozen=True)
class FaultFree:
    """How many of the cases told had no fault in force, of how many that can be placed in time."""

    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.count} of {self.of} with no fault in force"


def fault_free_first(
    record: Record, verdicts: Mapping[str, Verdict], found: Mapping[int, Witness]
) -> tuple[dict[str, Verdict], dict[str, dict[str, FaultFree]]]:
    """The verdicts with their cases in that order, and by checker and type how many
    had no fault in force.

    Nothing is changed or said where no fault was injected. ``found`` are the witnesses.
    """
    faults = [fault for fault in recorded_faults(record.faults or ()) if fault.begun_ns is not None]
    if not faults:
        return dict(verdicts), {}
    ordered: dict[str, Verdict] = {}
    counts: dict[str, dict[str, FaultFree]] = {}
    for name, verdict in verdicts.items():
        sorted_ = {kind: _sorted(cases, faults, found) for kind, cases in verdict.anomalies.items()}
        cases = {kind: each for kind, (each, _) in sorted_.items()}
        ordered[name] = replace(verdict, anomalies=cases)
        fault_free = {kind: each for kind, (_, each) in sorted_.items() if each.of}
        if fault_free:
            counts[name] = fault_free
    return ordered, counts


def _sorted(
    cases: Sequence[Anomaly], faults: Sequence[RecordedFault], found: Mapping[int, Witness]
) -> tuple[list[Anomaly], FaultFree]:
    """The cases, those with no fault in force first, and else as they were."""
    disturbed = [_is_disturbed(case, faults, found) for case in cases]
    order = sorted(range(len(cases)), key=lambda place: disturbed[place] is not False)
    placed = [each for each in disturbed if each is not None]
    return [cases[place] for place in order], FaultFree(placed.count(False), len(placed))


def _is_disturbed(
    case: Anomaly, faults: Sequence[RecordedFault], found: Mapping[int, Witness]
) -> bool | None:
    """Whether a fault was in force; ``None`` where nobody knows when it was."""
    span = span_of(case.witness, found)
    return None if span is None else any(fault.may_be_in_force(*span) for fault in faults)
