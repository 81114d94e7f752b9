"""The operations that the witnesses of anomalies name, found in a history of any size.

A verdict names operations by their index. Here they are looked up once for all anomalies of a
verdict: on columns by searching, and decoding no more than those; else in one pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.verdict import Verdict


@dataclass(frozen=True)
class Witness:
    """One operation by a record of it, and its other half where it has one."""

    record: Operation
    other: Operation | None

    @property
    def span_ns(self) -> tuple[int, int]:
        """When it began and ended."""
        times = (self.record.time, self.record.time if self.other is None else self.other.time)
        return min(times), max(times)


def witnesses(history: History, verdicts: Iterable[Verdict]) -> dict[int, Witness]:
    """By index, every operation of ``history`` that a case of ``verdicts`` names."""
    wanted = {
        index
        for verdict in verdicts
        for cases in verdict.anomalies.values()
        for case in cases
        for index in case.witness
    }
    if not wanted:
        return {}
    if history.prepared is not None:
        return _in_columns(history, sorted(wanted))
    operations, pairs = history.operations, history.pairs
    return {
        operation.index: Witness(
            operation, operations[pair] if (pair := pairs[place]) >= 0 else None
        )
        for place, operation in enumerate(operations)
        if operation.index in wanted
    }


def _in_columns(history: History, wanted: Sequence[int]) -> dict[int, Witness]:
    import numpy as np

    view = history.prepared
    assert view is not None
    asked = np.array(wanted, dtype=np.int64)
    places = np.searchsorted(view.index, asked)
    places = places[places < len(view)]
    places = places[np.isin(view.index[places], asked)]
    pairs = view.pair[places].tolist()
    found = dict(
        _picked(history, sorted({*places.tolist(), *(each for each in pairs if each >= 0)}))
    )
    return {
        found[place].index: Witness(found[place], found.get(pair))
        for place, pair in zip(places.tolist(), pairs, strict=True)
    }


def _picked(history: History, places: Sequence[int]) -> Iterator[tuple[int, Operation]]:
    """The operations at ``places`` with their places, few of many."""
    pick = getattr(history.operations, "pick", None)
    if pick is not None:
        return zip(places, pick(places), strict=True)
    return ((place, history.operations[place]) for place in places)


def span_of(witness: Sequence[int], found: Mapping[int, Witness]) -> tuple[int, int] | None:
    """From the first beginning to the last end of ``witness``; ``None`` if none was found."""
    spans = [found[index].span_ns for index in witness if index in found]
    if not spans:
        return None
    return min(start for start, _ in spans), max(end for _, end in spans)
