"""The checker ``monotonic``: do values that count up, count up in the order of time?

The rows of a table are spread over partitions. ``add`` finds the greatest value of all rows in one
transaction and puts one more into the row of its partition; ``read`` finds all rows. Every serial
order of the adds gives each its own value, one more than the last (after CockroachDB's monotonic
test, without its clock). Looked for:

- ``duplicate-value``: two adds were told the same value, so neither saw the other. In one row
  that is a lost update, in two rows write skew.
- ``falling-value``: an add or read was told less than one that had completed before it was
  invoked (no more, for an add). Of one process it breaks sessions, else only real time.
- ``lost-value``: a read by a transaction found less in a row than an add had put there before
  the read was invoked; a case of falling values that names the row.

``add`` has the value ``[partition, value]`` (the value in its completion), ``read`` a map from
partition to value.

Cost: O(n log n): a running maximum of what had completed at each invocation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged
from checkers.proof import proof, shown
from harness.history.operation import OK, Operation
from harness.history.record import Record
from harness.history.verdict import Budget, Checker, Verdict

LOST_UPDATE: Final = "duplicate-value"
WRITE_SKEW: Final = "duplicate-value-skew"
FALLING: Final = "falling-value"
FALLING_SESSION: Final = "falling-value-process"
LOST: Final = "lost-value"
MEANINGS: Final = {
    LOST_UPDATE: Meaning(anomalies=("lost-update",)),
    WRITE_SKEW: Meaning(anomalies=("G2-item",)),
    FALLING: Meaning(anomalies=("G-single-item-realtime",)),
    FALLING_SESSION: Meaning(anomalies=("G-single-item-process",)),
    LOST: Meaning(anomalies=("G-single-item-realtime",)),
}


@dataclass
class Highest:
    """The greatest value told so far, by position of the answer, in order."""

    positions: list[int] = field(default_factory=list)
    tellers: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def tell(self, position: int, value: int) -> None:
        """An answer at ``position`` told ``value``."""
        if not self.values or value > self.values[-1]:
            self.positions.append(position)
            self.tellers.append(position)
            self.values.append(value)

    def before(self, position: int) -> tuple[int, int]:
        """The greatest value told before ``position`` and who told it; (0, -1) if nobody did."""
        at = bisect_left(self.positions, position)
        return (self.values[at - 1], self.tellers[at - 1]) if at else (0, -1)


class Monotonic:
    """Judges adds of one more than the greatest, and reads of all rows."""

    name = "monotonic"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok operations of ``record``."""
        cases = Cases()
        overall, rows = Highest(), dict[str, Highest]()
        made: dict[int, int] = {}
        counts = {"add-count": 0, "read-count": 0}
        for position, operation in enumerate(record.history.operations):
            if not operation.is_client or operation.type != OK:
                continue
            if operation.f not in ("add", "read"):
                continue
            counts[f"{operation.f}-count"] += 1
            begun = record.history.pairs[position]
            told = _told(operation)
            least = overall.before(begun if begun >= 0 else position)
            _look_for_fall(record, cases, position, told, least)
            if operation.f == "add":
                row, value = operation.value
                _look_for_duplicate(record, cases, made, position)
                rows.setdefault(str(row), Highest()).tell(position, value)
            else:
                _look_for_loss(record, cases, rows, position, begun)
            overall.tell(position, told)
        some = counts["add-count"] and counts["read-count"] + counts["add-count"] > 1
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={**counts, "greatest": overall.values[-1] if overall.values else None},
            unknown="" if some else "no two operations were ok, so nothing is known",
        )


def _told(operation: Operation) -> int:
    """The greatest value that an operation tells of."""
    if operation.f == "add":
        return int(operation.value[1])
    return max((value for value in operation.value.values() if value is not None), default=0)


def _look_for_fall(
    record: Record, cases: Cases, position: int, told: int, least: tuple[int, int]
) -> None:
    value, teller = least
    operations = record.history.operations
    operation = operations[position]
    falls = told <= value if operation.f == "add" else told < value
    if teller < 0 or not falls:
        return
    same = operations[teller].process == operation.process
    kind = FALLING_SESSION if same else FALLING
    if not cases.wants(kind):
        return
    begun = operations[max(record.history.pairs[position], 0)].index
    because = (
        "the same process did T1 before T2"
        if same
        else f"T1 had completed at index {operations[teller].index} before T2 was invoked at"
        f" index {begun}"
    )
    verb = "made the greatest value" if operation.f == "add" else "found the greatest value to be"
    steps = [
        f"T1 < T2, because {because}",
        f"T2 {verb} {told}, and T1 had told of {value} already, so T2 < T1 or T2 missed it",
    ]
    cases.keep(kind, proof(record, {"T1": teller, "T2": position}, steps))


def _look_for_duplicate(record: Record, cases: Cases, made: dict[int, int], position: int) -> None:
    row, value = record.history.operations[position].value
    other = made.setdefault(value, position)
    if other == position:
        return
    first_row = record.history.operations[other].value[0]
    kind = LOST_UPDATE if first_row == row else WRITE_SKEW
    if cases.wants(kind):
        steps = [
            f"T1 < T2, because T1 did not see the {value} that T2 put into row {shown(row)}",
            f"T2 < T1, because T2 did not see the {value} that T1 put into row {shown(first_row)}",
        ]
        cases.keep(kind, proof(record, {"T1": other, "T2": position}, steps, value=value))


def _look_for_loss(
    record: Record, cases: Cases, rows: Mapping[str, Highest], position: int, begun: int
) -> None:
    found = record.history.operations[position].value
    for row, highest in rows.items():
        value, teller = highest.before(begun)
        if teller >= 0 and (found.get(row) or 0) < value and cases.wants(LOST):
            operations = record.history.operations
            steps = [
                f"T1 < T2, because T1 had completed at index {operations[teller].index} before T2"
                f" was invoked at index {operations[begun].index}",
                f"T2 found {shown(found.get(row))} in row {row}, where T1 had put {value}, and"
                " what is put there only grows",
            ]
            cases.keep(LOST, proof(record, {"T1": teller, "T2": position}, steps, key=row))


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Monotonic.name: Monotonic}
