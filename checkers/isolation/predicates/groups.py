"""The closed universes of :mod:`~.checker`: transactions, conditions, rows.

Micro-operations: ``["rp", condition, rows]``, ``["r", row, value]``, ``["insert" | "w", row,
value]``, ``["delete", row]``. Conditions: ``"true"``, ``["=", value]``, ``["mod", by, rest]``, in
EDN also with keywords for names.

What is not of this form is never passed over: an operation of other steps is *foreign*, and an
answer that is not of the steps that were asked, or no rows where rows were asked for, is *odd*.
Values are equal if they are the same JSON; rows go by their text, as the keys of JSON's maps do, a
keyword's without its colon (a group with rows ``:a`` and ``"a"`` is odd).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harness.history.calls import name, short
from harness.history.intakes import is_timed
from harness.history.operation import FAIL, INFO, INVOKE, OK, Operation
from harness.history.values import Tagged, key_text, keyword_name
from harness.verdict.record import Record
from harness.verdict.wording import shown

CHANGES: Final = ("insert", "w", "delete")
STEPS: Final = frozenset((*CHANGES, "rp", "r"))
ABSENT: Final = None
AT_FIRST: Final = -1
"""The writer of what was there at first."""
NEVER: Final = 1 << 62


def matches(condition: Any, value: Any) -> bool:
    """Whether a row with ``value`` (``None``: not there) fulfils ``condition``."""
    if not is_condition(condition):
        raise ValueError(f"there is no condition {shown(condition)}")
    return bool(fulfils(condition, name(value)))


def is_condition(condition: Any) -> bool:
    """Whether it is one of the conditions that there are."""
    if condition == "true":
        return True
    if not isinstance(condition, list | tuple) or not condition:
        return False
    if condition[0] == "=":
        return len(condition) == 2
    numbers = [part for part in condition[1:] if type(part) is int]
    return condition[0] == "mod" and len(condition) == 3 == len(numbers) + 1 and numbers[0] != 0


def fulfils(condition: Any, value: Any) -> bool | None:
    """Whether a row with ``value`` (by name) is found; ``None`` if undefined (a text, mod 2)."""
    if value is ABSENT:
        return False
    if condition == "true":
        return True
    if condition[0] == "=":
        return bool(value == name(condition[1]))
    return value % condition[1] == condition[2] if type(value) is int else None


@dataclass(frozen=True)
class Step:
    """One micro-operation: ``about`` is a row, or a condition; ``told`` the value or the rows."""

    f: str
    about: Any
    answer: Any = None

    @property
    def is_change(self) -> bool:
        """Whether it writes."""
        return self.f in CHANGES


@dataclass(eq=False)
class Txn:
    """One transaction: positions of its records, its process, outcome and steps.

    ``begun`` is -1 if its invocation is not recorded, ``answered`` is :data:`NEVER` without an
    answer that tells what happened, ``end`` the position of its last record.
    """

    begun: int
    end: int
    answered: int
    process: Any
    status: str
    steps: list[Step]

    def changes(self) -> dict[str, Any]:
        """What it leaves each row at."""
        return {step.about: step.answer for step in self.steps if step.is_change}

    def passing(self) -> set[tuple[str, Any]]:
        """(row, value) that it wrote and itself overwrote."""
        left = self.changes()
        return {
            (step.about, step.answer)
            for step in self.steps
            if step.is_change and left[step.about] != step.answer
        }


@dataclass
class Group:
    """One closed universe: its first state, if told, and its transactions."""

    initial: dict[str, Any] = field(default_factory=dict)
    is_known: bool = False
    known_at: int = AT_FIRST
    txns: list[Txn] = field(default_factory=list)
    odd: str = ""
    rows: dict[str, Any] = field(default_factory=dict)

    def versions(self) -> dict[str, list[tuple[Any, int]]]:
        """Each row's final values with who may have written them, what was there at first first."""
        found: dict[str, list[tuple[Any, int]]] = {
            row: [(value, AT_FIRST)] for row, value in self.initial.items()
        }
        for number, txn in enumerate(self.txns):
            if txn.status != FAIL:
                for row, value in txn.changes().items():
                    found.setdefault(row, [(ABSENT, AT_FIRST)]).append((value, number))
        return found

    def doubt(self) -> str:
        """What makes the group unfit for a verdict; empty if nothing does."""
        early = [txn for txn in self.txns if txn.begun < self.known_at]
        if not self.odd and early and self.known_at != AT_FIRST:
            return "a transaction began before what was there at first was in place"
        return self.odd


@dataclass
class Intake:
    """The groups by key, and foreign operations by name."""

    groups: dict[Any, Group] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)
    odd: str = ""


def taken_in(record: Record) -> Intake:
    """All groups of a history."""
    intake = Intake()
    history = record.history
    for position, operation in enumerate(history.operations):
        other = history.pairs[position]
        if not operation.is_client or (operation.type == INVOKE and other >= 0):
            continue
        asked = history.operations[other] if other >= 0 else operation
        key, first, last = _unkeyed(record, asked, operation)
        if operation.f == "init":
            _take_init(record, intake, (key, first, last), operation, position)
        elif _is_steps(first) or _is_steps(last):
            begun = position if operation.type == INVOKE else other
            ends = (begun, position)
            group = _group(record, intake, key)
            _take_txn(group, intake, operation, ends, (first, last))
            if group.txns and not is_timed(record.header):
                group.txns[-1].begun, group.txns[-1].answered = AT_FIRST, NEVER
        elif operation.type != FAIL:
            intake.foreign[operation.f] = intake.foreign.get(operation.f, 0) + 1
    return intake


def _unkeyed(record: Record, asked: Operation, answer: Operation) -> tuple[Any, Any, Any]:
    """The group's key, what was asked and what was answered."""
    first, last = asked.value, answer.value
    if not record.header.independent:
        return None, first, last
    pairs = [value for value in (first, last) if isinstance(value, list | tuple)]
    pairs = [value for value in pairs if len(value) == 2 and not _is_steps(value)]
    key = name(pairs[0][0]) if pairs else None
    bare = [value[1] if any(value is pair for pair in pairs) else value for value in (first, last)]
    return key, bare[0], bare[1]


def _is_steps(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(step, list | tuple) and bool(step) and isinstance(step[0], str) for step in value
    )


def _group(record: Record, intake: Intake, key: Any) -> Group:
    if key not in intake.groups:
        group = intake.groups[key] = Group()
        declared = record.header.initial
        if record.header.independent and isinstance(declared, Mapping):
            declared = declared.get(_text(key))
        if isinstance(declared, Mapping):
            group.initial = _rows(declared)
            group.is_known = bool(declared) or not record.header.independent
        elif declared is not None:
            intake.odd = f"the initial state is no map of rows: {short(declared)}"
    return intake.groups[key]


def _take_init(
    record: Record,
    intake: Intake,
    value: tuple[Any, Any, Any],
    operation: Operation,
    position: int,
) -> None:
    key, first, last = value
    group = _group(record, intake, key)
    rows = first if isinstance(first, Mapping) else last
    if operation.type == FAIL:
        return
    if operation.type != OK or not isinstance(rows, Mapping):
        group.odd = f"operation {operation.index} (init) does not say what there was at first"
    elif group.is_known and group.initial != _rows(rows):
        group.odd = f"operation {operation.index} (init) tells of another first state"
    else:
        group.initial, group.is_known, group.known_at = _rows(rows), True, position


def _rows(found: Mapping[Any, Any]) -> dict[str, Any]:
    return {_text(row): name(value) for row, value in found.items()}


def _text(row: Any) -> str:
    if isinstance(row, tuple):
        return str(row[1])
    return key_text(row)


def _take_txn(
    group: Group,
    intake: Intake,
    operation: Operation,
    ends: tuple[int, int],
    values: tuple[Any, Any],
) -> None:
    """``ends`` are the positions of both records, ``values`` what was asked and answered."""
    first, last = map(_plain, values)
    steps = last if operation.type == OK or not _is_steps(first) else first
    strange = _strange_step(operation, steps) or _two_rows(group, operation, steps)
    unknown = [step[0] for each in (first, last) if _is_steps(each) for step in each]
    unknown = [f for f in unknown if f not in STEPS]
    if unknown and operation.type != FAIL:
        intake.foreign[unknown[0]] = intake.foreign.get(unknown[0], 0) + 1
    elif not (strange or operation.type != OK or not _is_steps(first) or _answers(first, last)):
        strange = f"the answer at index {operation.index} is not of what was asked"
    if unknown or strange:
        group.odd = group.odd or strange
        return
    if not steps:
        return
    status = INFO if operation.type == INVOKE else operation.type
    answered = ends[1] if status in (OK, FAIL) else NEVER
    made = [_step(step, status == OK) for step in steps]
    group.txns.append(Txn(ends[0], ends[1], answered, operation.process, status, made))


def _plain(steps: Any) -> Any:
    """The steps with the names of conditions as text; anything else as it is."""
    if not _is_steps(steps):
        return steps
    return [
        [step[0], _condition(step[1]), *step[2:]] if step[0] == "rp" and len(step) > 1 else step
        for step in steps
    ]


def _condition(answer: Any) -> Any:
    if isinstance(answer, Tagged):
        return keyword_name(answer) or answer.removeprefix(":")
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], Tagged):
        return [_condition(answer[0]), *answer[1:]]
    return answer


def _two_rows(group: Group, operation: Operation, steps: Sequence[Any]) -> str:
    """Whether two rows have one text, which no map of rows could tell apart; empty if none."""
    for step in steps:
        if step[0] != "rp" and len(step) > 1:
            known = group.rows.setdefault(_text(step[1]), step[1])
            if type(known) is not type(step[1]) and Tagged in (type(known), type(step[1])):
                return f"operation {operation.index} has a row like another one: {short(step[1])}"
    return ""


def _strange_step(operation: Operation, steps: Any) -> str:
    """What of the steps is not of a form that can be read; empty if all can."""
    if not _is_steps(steps):
        return f"operation {operation.index} is ok and does not say what it did"
    for step in steps:
        f, is_ok = step[0], operation.type == OK
        fits = len(step) == 3 or (len(step) == 2 and (f == "delete" or not is_ok))
        if f == "rp" and fits:
            fits = is_condition(step[1]) and (not is_ok or isinstance(step[2], Mapping))
        if not fits:
            return f"operation {operation.index} has a step that cannot be read: {short(step)}"
    return ""


def _answers(first: Sequence[Any], last: Sequence[Any]) -> bool:
    """Whether the steps answered are those asked, with the same rows and writes."""
    return [_bones(step) for step in first] == [_bones(step) for step in last]


def _bones(step: Sequence[Any]) -> Any:
    keep = 3 if step[0] in ("insert", "w") else 2
    return name(list(step[:keep]))


def _step(step: Sequence[Any], is_answered: bool) -> Step:
    f, about = step[0], step[1]
    if f == "rp":
        return Step(f, about, _rows(step[2]) if is_answered else {})
    if f == "delete":
        return Step(f, _text(about), ABSENT)
    return Step(f, _text(about), name(step[2]) if len(step) == 3 else None)
