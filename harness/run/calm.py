"""Cases that no fault can have caused come first.

A case with a fault in force may be that fault's doing; one without is the system's own, easier to
believe, and easier to show to whoever wrote the system. So of each type of anomaly those cases
are told first during which no fault was in force, and it is said how many they are. A case lasts
from the first invocation to the last completion of its witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.history.faults_in_force import faults_active
from harness.history.history import History
from harness.history.record import LedgerEntry, Record
from harness.history.verdict import Anomaly, Verdict


@dataclass(frozen=True)
class Calm:
    """How many of the cases told had no fault in force, of how many that can be placed in time."""

    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.count} of {self.of} with no fault in force"


def calm_first(
    record: Record, verdicts: Mapping[str, Verdict]
) -> tuple[dict[str, Verdict], dict[str, dict[str, Calm]]]:
    """The verdicts with their cases in that order, and by checker and type how many are calm.

    Nothing is changed or said where no fault was injected.
    """
    faults = record.faults or ()
    told = [verdict for verdict in verdicts.values() if verdict.anomalies]
    if not told or not any(entry.event in ("intend", "injected") for entry in faults):
        return dict(verdicts), {}
    witnesses = (
        case.witness for each in told for cases in each.anomalies.values() for case in cases
    )
    spans = _spans(record.history, witnesses)
    ordered: dict[str, Verdict] = {}
    counts: dict[str, dict[str, Calm]] = {}
    for name, verdict in verdicts.items():
        found = {kind: _sorted(cases, faults, spans) for kind, cases in verdict.anomalies.items()}
        cases = {kind: each for kind, (each, _) in found.items()}
        ordered[name] = replace(verdict, anomalies=cases)
        calm = {kind: each for kind, (_, each) in found.items() if each.of}
        if calm:
            counts[name] = calm
    return ordered, counts


def _sorted(
    cases: Sequence[Anomaly], faults: Sequence[LedgerEntry], spans: Mapping[int, tuple[int, int]]
) -> tuple[list[Anomaly], Calm]:
    """The cases, calm ones first and else as they were."""
    disturbed = [_is_disturbed(case, faults, spans) for case in cases]
    order = sorted(range(len(cases)), key=lambda place: disturbed[place] is not False)
    placed = [each for each in disturbed if each is not None]
    return [cases[place] for place in order], Calm(placed.count(False), len(placed))


def _is_disturbed(
    case: Anomaly, faults: Sequence[LedgerEntry], spans: Mapping[int, tuple[int, int]]
) -> bool | None:
    """Whether a fault was in force; ``None`` where nobody knows when it was."""
    known = [spans[index] for index in case.witness if index in spans]
    if not known:
        return None
    start, end = min(first for first, _ in known), max(last for _, last in known)
    return bool(faults_active(faults, start, end))


def _spans(history: History, witnesses: Iterable[Sequence[int]]) -> dict[int, tuple[int, int]]:
    """By index, the times of invocation and completion of each operation in ``witnesses``."""
    wanted = {index for witness in witnesses for index in witness}
    if history.prepared is not None:
        return _spans_in_columns(history, sorted(wanted))
    spans = {}
    for place, operation in enumerate(history.operations):
        if operation.index in wanted:
            pair = history.pairs[place]
            other = history.operations[pair].time if pair >= 0 else operation.time
            spans[operation.index] = _span(operation.time, other)
    return spans


def _spans_in_columns(history: History, wanted: Sequence[int]) -> dict[int, tuple[int, int]]:
    import numpy as np

    view = history.prepared
    assert view is not None
    places = np.searchsorted(view.index, np.array(wanted, dtype=np.int64))
    spans = {}
    for index, place in zip(wanted, places.tolist(), strict=True):
        if place < len(view) and int(view.index[place]) == index:
            pair, time = int(view.pair[place]), int(view.time[place])
            spans[index] = _span(time, int(view.time[pair]) if pair >= 0 else time)
    return spans


def _span(time: int, other: int) -> tuple[int, int]:
    return min(time, other), max(time, other)
