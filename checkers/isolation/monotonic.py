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
  the read was invoked; a case of falling values that names the row. ``lost-value-process``: an
  add of the same process.

- ``long-fork``: of two reads each found more in one row than the other did in another.
- ``thin-air``: a row held a value that no add can have put there, once it is known what was there
  at first (declared: ``-i``, a number or one for each row; or some read found the row missing).
  ``G1c-realtime``: only adds that were sent after the read's answer can have.

``add`` has the value ``[partition, value]`` (the value in its completion), ``read`` a map from
partition to value, null for a row that is not there. Answers of another form, or of another row
than was asked, are named, and the answer is then unknown. Nothing precedes an operation whose
invocation is not recorded, but what its own process did before. Nothing is tested by one answer
alone.

Cost: O(n log n): a running maximum of what had completed at each invocation, of all and of each
process.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import EARLY_READ, THIN_AIR
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from checkers.proof.shapes import is_pair
from checkers.proof.words import shown
from harness.history.calls import short
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.history.values import key_text
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict

LOST_UPDATE: Final = "duplicate-value"
WRITE_SKEW: Final = "duplicate-value-skew"
FALLING: Final = "falling-value"
FALLING_SESSION: Final = "falling-value-process"
LOST: Final = "lost-value"
LOST_SESSION: Final = "lost-value-process"
FORK: Final = "long-fork"
MAIN: Final = (LOST_UPDATE, WRITE_SKEW, FALLING, FALLING_SESSION, LOST, LOST_SESSION, FORK)
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    LOST_UPDATE: Meaning(anomalies=("lost-update",)),
    WRITE_SKEW: Meaning(anomalies=("G2-item",)),
    FALLING: Meaning(anomalies=("G-single-item-realtime",)),
    FALLING_SESSION: Meaning(anomalies=("G-single-item-process",)),
    LOST: Meaning(anomalies=("G-single-item-realtime",)),
    LOST_SESSION: Meaning(anomalies=("G-single-item-process",)),
    FORK: Meaning(anomalies=("G-nonadjacent-item",), models=("prefix",)),
}


@dataclass
class Highest:
    """The greatest value told so far, by position of the answer, in order."""

    positions: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)

    def note(self, position: int, value: int) -> None:
        """An answer at ``position`` told ``value``."""
        if not self.values or value > self.values[-1]:
            self.positions.append(position)
            self.places.append(position)
            self.values.append(value)

    def before(self, position: int) -> tuple[int, int]:
        """The greatest value told before ``position`` and who told it; (0, -1) if nobody did."""
        at = bisect_left(self.positions, position)
        return (self.values[at - 1], self.places[at - 1]) if at else (0, -1)


@dataclass(frozen=True)
class Answer:
    """What one ok operation told: all rows (``read``) or the one it made (``add``).

    ``begun`` is the position of its invocation, -1 if that is not recorded.
    """

    position: int
    begun: int
    process: Any
    f: str
    rows: Mapping[str, int | None]

    @property
    def greatest(self) -> int:
        """The greatest value that it tells of."""
        return max((value for value in self.rows.values() if value is not None), default=0)


@dataclass
class _Intake:
    """The answers; where the first add to a row of a value (or of an unknown one, ``None``) began;
    what each row held at first.
    """

    answers: list[Answer] = field(default_factory=list)
    adds: dict[tuple[str, int | None], int] = field(default_factory=dict)
    start: dict[str, int | None] = field(default_factory=dict)
    odd: str = ""


class Monotonic:
    """Judges adds of one more than the greatest, and reads of all rows."""

    name = "monotonic"
    reads = frozenset({"history"})
    operations = frozenset({"add", "read"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok operations of ``record``."""
        cases = Cases()
        intake = _taken_in(record)
        overall, processes = Highest(), dict[Any, Highest]()
        rows: dict[str, Highest] = {}
        own_rows: dict[Any, dict[str, Highest]] = {}
        made: dict[int, Answer] = {}
        for answer in intake.answers:
            own = processes.setdefault(answer.process, Highest())
            _look_for_fall(record, cases, answer, own, overall)
            _look_for_thin_air(record, cases, intake, answer)
            if answer.f == "add":
                _look_for_duplicate(record, cases, made, answer)
                for row, value in answer.rows.items():
                    for table in (rows, own_rows.setdefault(answer.process, {})):
                        table.setdefault(row, Highest()).note(answer.position, value or 0)
            else:
                own_row = own_rows.get(answer.process, {})
                _look_for_loss(record, cases, own_row, rows, answer)
            own.note(answer.position, answer.greatest)
            overall.note(answer.position, answer.greatest)
        _look_for_forks(record, cases, intake.answers)
        adds = sum(answer.f == "add" for answer in intake.answers)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={
                "add-count": adds,
                "read-count": len(intake.answers) - adds,
                "greatest": overall.values[-1] if overall.values else None,
            },
            unknown=intake.odd,
            tested=MAIN if adds and len(intake.answers) > 1 else (),
            untested="no two operations were ok, an add among them",
        )


def _taken_in(record: Record) -> _Intake:
    intake = _Intake()
    initial = record.header.initial
    if isinstance(initial, Mapping) and all(map(_is_number, initial.values())):
        intake.start = {str(row): value for row, value in initial.items()}
    elif initial is not None and not _is_number(initial):
        intake.odd = f"the initial state is no number for each row: {short(initial)}"
    history = record.history
    for position, operation in enumerate(history.operations):
        other = history.pairs[position]
        if not operation.is_client or operation.f not in Monotonic.operations:
            continue
        if operation.type == FAIL or (operation.type == INVOKE and other >= 0):
            continue
        asked = history.operations[other] if other >= 0 else operation
        begun = position if operation.type == INVOKE else other
        rows = _rows(operation, asked)
        if operation.type == OK and isinstance(rows, str):
            intake.odd = intake.odd or rows
        elif operation.type == OK and not isinstance(rows, str):
            intake.answers.append(Answer(position, begun, operation.process, operation.f, rows))
        if operation.f == "add":
            row = _row(asked if isinstance(rows, str) or operation.type != OK else operation)
            value = rows.get(row) if operation.type == OK and not isinstance(rows, str) else None
            key = (row, value)
            intake.adds[key] = min(begun, intake.adds.get(key, begun))
    for answer in intake.answers:
        for row, value in answer.rows.items():
            if _is_number(initial):
                intake.start[row] = initial
            elif value is None:
                intake.start.setdefault(row, None)
    return intake


def _rows(operation: Operation, asked: Operation) -> Mapping[str, int | None] | str:
    """What an answer tells of the rows, or why it tells nothing."""
    value = operation.value
    odd = f"operation {operation.index} ({operation.f}) tells no values: {short(value)}"
    if operation.f == "read":
        if not isinstance(value, Mapping):
            return odd
        if not all(found is None or _is_number(found) for found in value.values()):
            return odd
        return {_text(row): found for row, found in value.items()}
    if not isinstance(value, list | tuple) or len(value) != 2 or not _is_number(value[1]):
        return odd
    if _row(asked) not in ("", _text(value[0])):
        return f"operation {operation.index} answers for another row than was asked: {short(value)}"
    return {_text(value[0]): value[1]}


def _row(operation: Operation) -> str:
    value = operation.value
    return _text(value[0]) if is_pair(value) else ""


def _text(row: Any) -> str:
    return key_text(row)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _look_for_fall(
    record: Record, cases: Cases, answer: Answer, own: Highest, overall: Highest
) -> None:
    """Against what its own process had been told, else against all that had completed."""
    found, rises = answer.greatest, answer.f == "add"
    operations = record.history.operations
    for kind, (value, place) in (
        (FALLING_SESSION, own.before(answer.position)),
        (FALLING, overall.before(answer.begun)),
    ):
        if place < 0 or (found > value if rises else found >= value):
            continue
        if not cases.wants(kind):
            return
        because = (
            "the same process did T1 before T2"
            if kind == FALLING_SESSION
            else f"T1 had completed at index {operations[place].index} before T2 was invoked at"
            f" index {operations[answer.begun].index}"
        )
        verb = "made the greatest value" if rises else "found the greatest value to be"
        steps = [
            f"T1 < T2, because {because}",
            f"T2 {verb} {found}, and T1 had told of {value} already, so T2 < T1 or T2 missed it",
        ]
        cases.keep(kind, proof(record, {"T1": place, "T2": answer.position}, steps))
        return


def _look_for_thin_air(record: Record, cases: Cases, intake: _Intake, answer: Answer) -> None:
    """Rows whose start is known and whose value no add can have put there, or only later ones."""
    for row, value in answer.rows.items():
        if row not in intake.start or answer.f == "add" or value == intake.start[row]:
            continue
        able = [intake.adds[key] for key in ((row, value), (row, None)) if key in intake.adds]
        named = {"T1": answer.position}
        if value is None or not able:
            if cases.wants(THIN_AIR):
                began = short(intake.start[row])
                step = f"T1 found {short(value)} in row {row}, which began at {began} and where no"
                step += " add put that"
                cases.keep(THIN_AIR, proof(record, named, [step], key=row))
        elif min(able) > answer.position and cases.wants(EARLY_READ):
            index = record.history.operations[answer.position].index
            step = (
                f"T1 found {value} in row {row}, so an add of it came before T1; but all adds that"
                f" can have put it there were sent after T1 had been answered at index {index}"
            )
            cases.keep(EARLY_READ, proof(record, named, [step], key=row))


def _look_for_duplicate(
    record: Record, cases: Cases, made: dict[int, Answer], answer: Answer
) -> None:
    other = made.setdefault(answer.greatest, answer)
    if other is answer:
        return
    (first_row,), (row,) = other.rows, answer.rows
    kind = LOST_UPDATE if first_row == row else WRITE_SKEW
    if cases.wants(kind):
        value = answer.greatest
        steps = [
            f"T1 < T2, because T1 did not see the {value} that T2 put into row {row}",
            f"T2 < T1, because T2 did not see the {value} that T1 put into row {first_row}",
        ]
        named = {"T1": other.position, "T2": answer.position}
        cases.keep(kind, proof(record, named, steps, value=value))


def _look_for_loss(
    record: Record,
    cases: Cases,
    own: Mapping[str, Highest],
    rows: Mapping[str, Highest],
    answer: Answer,
) -> None:
    for row, highest in rows.items():
        found = answer.rows.get(row) or 0
        if found >= highest.values[-1]:
            continue
        mine = own[row].before(answer.position) if row in own else (0, -1)
        for kind, (value, place) in ((LOST_SESSION, mine), (LOST, highest.before(answer.begun))):
            if place >= 0 and found < value:
                if cases.wants(kind):
                    cases.keep(kind, _loss(record, answer, row, value, place))
                break


def _loss(record: Record, answer: Answer, row: str, value: int, place: int) -> Anomaly:
    operations = record.history.operations
    done = operations[place].index
    steps = [
        f"T1 < T2, because T1 had completed at index {done} before T2"
        + (
            f" was invoked at index {operations[answer.begun].index}"
            if answer.begun >= 0
            else " of the same process"
        ),
        f"T2 found {shown(answer.rows.get(row))} in row {row}, where T1 had put {value}, and"
        " what is put there only grows",
    ]
    return proof(record, {"T1": place, "T2": answer.position}, steps, key=row)


def _look_for_forks(record: Record, cases: Cases, answers: Sequence[Answer]) -> None:
    """Rows only grow, so of two reads of the same rows one is the later one in every row."""
    groups: dict[frozenset[str], list[Answer]] = {}
    for answer in answers:
        if answer.f == "read":
            groups.setdefault(frozenset(answer.rows), []).append(answer)
    for reads in groups.values():
        reads.sort(key=lambda read: sum(value or 0 for value in read.rows.values()))
        for one, other in pairwise(reads):
            more = [row for row in one.rows if (one.rows[row] or 0) > (other.rows[row] or 0)]
            less = [row for row in one.rows if (one.rows[row] or 0) < (other.rows[row] or 0)]
            if more and less and cases.wants(FORK):
                cases.keep(FORK, _fork(record, one, other, more[0], less[0]))


def _fork(record: Record, one: Answer, other: Answer, more: str, less: str) -> Anomaly:
    steps = [
        f"T2 < T1, because T1 found {short(one.rows[more])} in row {more}, and T2 only"
        f" {short(other.rows[more])}, and what is put there only grows",
        f"T1 < T2, because T2 found {short(other.rows[less])} in row {less}, and T1 only"
        f" {short(one.rows[less])}",
    ]
    return proof(record, {"T1": one.position, "T2": other.position}, steps, key=[more, less])


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Monotonic.name: Monotonic}
