"""The checker ``sequential``: does a process ever see a counter fall?

Every key is a counter that only grows: ``inc`` adds one in a transaction and tells the new value,
``read`` tells the value. Where each process goes on from what it has seen (a session), the values
that one process is told of a key never fall, and those of its own ``inc`` rise. After the
Dgraph test's "sequential" workload.

Values are ``[key, value]``; a counter that is not there is null and counts as 0, and an ``inc``
always tells a value. An ``inc`` told a value that another ``inc`` was told, too, is
``duplicate-value``: both counted on from the same value (a lost update).

Where the key's start is known (declared: ``-i``, a number or one for each key; or somebody found
it missing), no value can be below it or above what the increments sent by then add up to:
``thin-air``. Answers that are no number, or of another key than was asked, are named, and the
answer is then unknown. Nothing is tested unless a process was told two values of a key, or two
increments of one key were answered, or the start of a key is known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import THIN_AIR
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from harness.history.calls import name, short
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict

FALLING: Final = "falling-value"
DUPLICATE: Final = "duplicate-value"
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    FALLING: Meaning(anomalies=("G-single-item-process",), models=("monotonic-reads",)),
    DUPLICATE: Meaning(anomalies=("lost-update",)),
}


@dataclass(frozen=True)
class Answer:
    """What one answer told: ``key`` by name, the value, and where it stands."""

    position: int
    process: Any
    f: str
    key: Any
    value: int


@dataclass
class _Intake:
    """The answers of a history, the positions of the increments of each key, its known start."""

    answers: list[Answer] = field(default_factory=list)
    sent: dict[Any, list[int]] = field(default_factory=dict)
    start: dict[Any, int] = field(default_factory=dict)
    odd: str = ""


class Sequential:
    """Judges counters that only grow."""

    name = "sequential"
    reads = frozenset({"history"})
    operations = frozenset({"inc", "read"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok operations of ``record``."""
        cases = Cases()
        intake = _taken_in(record)
        latest: dict[tuple[Any, Any], Answer] = {}
        made: dict[tuple[Any, int], Answer] = {}
        tested: set[str] = set()
        for answer in intake.answers:
            before = latest.get((answer.process, answer.key))
            if before is not None or answer.key in intake.start:
                tested.add(FALLING)
            if before is not None:
                _look_for_fall(record, cases, before, answer)
            latest[answer.process, answer.key] = answer
            _look_for_thin_air(record, cases, intake, answer)
            if answer.f == "inc":
                other = made.setdefault((answer.key, answer.value), answer)
                if other is not answer and cases.wants(DUPLICATE):
                    cases.keep(DUPLICATE, _duplicate(record, other, answer))
        if len(made) > len({key for key, _ in made}):
            tested.add(DUPLICATE)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={
                "operation-count": len(intake.answers),
                "error-count": cases.counts.get(FALLING, 0),
            },
            unknown=intake.odd,
            tested=sorted(tested),
            untested="no process was told two values of a key, and no two increments of a key"
            " were answered",
        )


def _taken_in(record: Record) -> _Intake:
    intake = _Intake()
    history = record.history
    for position, operation in enumerate(history.operations):
        other = history.pairs[position]
        if not operation.is_client or operation.f not in Sequential.operations:
            continue
        if operation.type == INVOKE and other >= 0:
            continue
        asked = history.operations[other] if other >= 0 else operation
        if operation.f == "inc" and operation.type != FAIL:
            key = _pair(asked)[0] if _pair(asked) is not None else None
            begun = position if operation.type == INVOKE else other
            intake.sent.setdefault(name(key), []).append(begun)
        if operation.type == OK:
            _take_answer(intake, position, operation, asked)
    for of_key in intake.sent.values():
        of_key.sort()
    initial = record.header.initial
    for answer in intake.answers:
        declared = initial
        if isinstance(initial, Mapping):
            declared = initial.get(answer.key if isinstance(answer.key, str) else short(answer.key))
        if _is_number(declared):
            intake.start[answer.key] = declared
        elif declared is not None:
            intake.odd = f"the initial state is no number: {short(declared)}"
    return intake


def _take_answer(intake: _Intake, position: int, operation: Operation, asked: Operation) -> None:
    pair, wanted = _pair(operation), _pair(asked)
    if pair is None:
        intake.odd = f"operation {operation.index} is no [key, value]: {short(operation.value)}"
        return
    key, value = pair
    if wanted is not None and name(wanted[0]) != name(key):
        intake.odd = f"operation {operation.index} answers key {short(key)}, which was not asked"
    elif value is None and operation.f == "read":
        intake.start.setdefault(name(key), 0)
        intake.answers.append(Answer(position, operation.process, "read", name(key), 0))
    elif _is_number(value):
        intake.answers.append(Answer(position, operation.process, operation.f, name(key), value))
    else:
        intake.odd = f"operation {operation.index} tells no number: {short(operation.value)}"


def _pair(operation: Operation) -> Any:
    value = operation.value
    return value if isinstance(value, list | tuple) and len(value) == 2 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _look_for_thin_air(record: Record, cases: Cases, intake: _Intake, answer: Answer) -> None:
    start = intake.start.get(answer.key)
    if start is None:
        return
    sent = bisect_left(intake.sent.get(answer.key, []), answer.position)
    least = start + (answer.f == "inc")
    if least <= answer.value <= start + sent or not cases.wants(THIN_AIR):
        return
    key = record.history.operations[answer.position].value[0]
    step = (
        f"T1 told that key {short(key)} was {answer.value}, and it began at {start} and {sent}"
        " increments that may have been done had been sent by then"
    )
    cases.keep(THIN_AIR, proof(record, {"T1": answer.position}, [step], key=key))


def _look_for_fall(record: Record, cases: Cases, before: Answer, answer: Answer) -> None:
    """The two are successive answers of one process on one key."""
    first, second = before.value, answer.value
    rises = answer.f == "inc"
    if (second > first if rises else second >= first) or not cases.wants(FALLING):
        return
    key = record.history.operations[answer.position].value[0]
    verb = "made" if rises else "found"
    steps = [
        f"T1 < T2, because the same process did T1 before T2, and T1 told it that key"
        f" {short(key)} was {first}",
        f"T2 {verb} it {second}, and the key only ever grows, so T2 did not see what T1 saw",
    ]
    named = {"T1": before.position, "T2": answer.position}
    cases.keep(FALLING, proof(record, named, steps, key=key, before=first, after=second))


def _duplicate(record: Record, first: Answer, second: Answer) -> Anomaly:
    key = record.history.operations[first.position].value[0]
    value = first.value
    steps = [
        f"T1 found key {short(key)} at {value - 1} and made it {value}",
        f"T2 found it at {value - 1} after T1, or T1 found it so after T2, and the key only grows",
    ]
    return proof(record, {"T1": first.position, "T2": second.position}, steps, key=key)


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    Sequential.name: Sequential
}
