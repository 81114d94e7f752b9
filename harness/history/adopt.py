"""Takes operations in from any format: maps with foreign habits become operations of ours.

Other tools leave things out. A missing ``index`` or ``time`` means file order; a missing ``f``
is ``txn`` where the value is a list of micro-operations (elle-cli's examples). What is done about
missing processes, invocations and the like: :mod:`harness.history.intakes`.
Keys that we do not know are kept in ``Operation.extra``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.errors import HistoryError
from harness.history.intakes import (
    COMPLETIONS,
    GUESSED,
    ORDER,
    PROCESSES,
    SESSION_ORDER,
    Intake,
    Place,
    are_completions_alone,
    assign_processes,
    completions_alone,
    keys_into_values,
    label,
    no_operation,
    number_threads,
    with_fact,
    without_colons,
)
from harness.history.operation import TYPES, Header, Operation, is_transaction
from harness.wording import shown

HEADER_MARKS: Final = ("polygraph", "schema")
HEADER_F: Final = "polygraph-header"
"""The f of the record that carries the header where a format has no place for one."""
_KNOWN: Final = frozenset(Operation.__struct_fields__[:-1])
_FACTS: Final[Mapping[str, tuple[type, ...]]] = {
    "polygraph": (int,),
    "run": (str,),
    "seed": (int,),
    "start_wall_ns": (int,),
    "system": (str,),
    "workload": (str,),
    "model": (str,),
    "initial": (object,),
    "claims": (list,),
    "independent": (bool,),
    "not_durable": (str,),
    "options": (dict,),
}


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What a format's reader found; ``torn`` says that the end was left out."""

    header: Header
    operations: Sequence[Operation]
    notices: tuple[str, ...] = ()
    torn: bool = False
    is_indexed: bool = True
    """Every record has an index; where some have none, all are numbered in file order."""
    is_timed: bool = True
    """Every record has a time."""


def header_from(found: Mapping[str, Any], name: str) -> Header:
    """A header out of a map: what we know by name, the rest (``total``, ``note``) in ``extra``.

    In a header of ours a fact of the wrong type is a ``HistoryError``: left out, it could turn a
    verdict round. In another tool's (``schema``) it may mean something else, and goes to ``extra``.
    """
    facts: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, item in found.items():
        fact = "initial" if key == "initial_state" and "initial" not in found else key
        if fact not in _FACTS:
            extra[key] = item
        elif isinstance(item, _FACTS[fact]):
            facts[fact] = item
        elif item is not None and "polygraph" in found:
            wanted = _FACTS[fact][0].__name__
            hint = 'a list of models, as "claims": ["serializable"]' if key == "claims" else None
            why = f"{name}: the header's {key}: expected {wanted}, found {shown(item)}"
            raise HistoryError(why, hint)
        elif item is not None:
            extra[key] = item
    return Header(**facts, extra=extra or None)


def adopt(
    maps: Iterable[tuple[Place, dict[str, Any]]], name: str, header: Header | None = None
) -> Adopted:
    """Operations out of maps with string keys, in file order. ``HistoryError`` names the place.

    ``header`` is the file's if its format has a place for one.
    """
    header = header or Header()
    intakes: list[Intake] = []
    for place, found in maps:
        if found.get("f") == HEADER_F and isinstance(found.get("value"), dict):
            header = header_from(found["value"], name)
            continue
        intakes.append(_intake(place, found, name))
    if not intakes:
        return Adopted(header=header, operations=[])
    is_indexed = all(intake.index is not None for intake in intakes)
    is_timed = all(intake.time is not None for intake in intakes)
    notices = _number(intakes)
    if number_threads(intakes):
        notices.append(f"{name}: clients have names instead of numbers; they were numbered")
    header = keys_into_values(intakes, header, name)
    if are_completions_alone(intakes):
        return Adopted(
            header=with_fact(header, ORDER, SESSION_ORDER),
            operations=completions_alone(intakes, name),
            notices=(*notices, COMPLETIONS),
            is_timed=False,
        )
    if all(intake.process is None for intake in intakes):
        assign_processes(intakes, name)
        notices.append(f"{name}: no operation names a process; completions were paired by f")
        header = with_fact(header, PROCESSES, GUESSED)
    return Adopted(
        header=header,
        operations=[_operation(intake, name) for intake in intakes],
        notices=tuple(notices),
        is_indexed=is_indexed,
        is_timed=is_timed,
    )


def adopt_part(maps: Iterable[tuple[Place, dict[str, Any]]], name: str) -> list[Operation]:
    """Some records of a file of which it is known that it leaves nothing out."""
    intakes = [_intake(place, found, name) for place, found in maps]
    _number(intakes)
    return [_operation(intake, name) for intake in intakes]


def _intake(place: Place, found: dict[str, Any], name: str) -> Intake:
    found = without_colons(found)
    kind = found.get("type")
    if kind not in TYPES:
        raise no_operation(found, f"{name}: {place}")
    return Intake(
        place=place,
        index=_integer(found, "index", place, name),
        time=_integer(found, "time", place, name),
        process=_process(found, place, name),
        type=str(kind),
        f=_f(found, place, name),
        raw=found,
    )


def _integer(found: Mapping[str, Any], key: str, place: Place, name: str) -> int | None:
    item = found.get(key)
    if isinstance(item, float) and (item.is_integer() or key == "time"):
        item = math.floor(item)
    if item is None or (isinstance(item, int) and not isinstance(item, bool)):
        return item
    raise HistoryError(
        f"{name}: {place}: operation {label(found)}: expected an integer {key}, found {shown(item)}"
    )


def _process(found: Mapping[str, Any], place: Place, name: str) -> int | str | None:
    item = found.get("process")
    if isinstance(item, str):
        return item
    return _integer(found, "process", place, name)


def _f(found: Mapping[str, Any], place: Place, name: str) -> str:
    f = found.get("f")
    if isinstance(f, str):
        return f
    if isinstance(f, list) and f and all(isinstance(part, str) for part in f):
        return " ".join(f)
    if f is None and "value" in found and is_transaction(found["value"]):
        return "txn"
    raise HistoryError(
        f"{name}: {place}: operation {label(found)}: expected f to be a name, found {shown(f)}"
    )


def _number(intakes: list[Intake]) -> list[str]:
    """Fill in missing indices and times by file order."""
    notices = []
    without_index = sum(intake.index is None for intake in intakes)
    if without_index:
        if without_index < len(intakes):
            notices.append("some operations have no index; all were numbered in file order")
        for position, intake in enumerate(intakes):
            intake.index = position
    latest = -1
    for position, intake in enumerate(intakes):
        if intake.time is None:
            intake.time = max(latest, position)
        latest = max(latest, intake.time)
    return notices


def _operation(intake: Intake, name: str) -> Operation:
    if intake.process is None:
        raise HistoryError(
            f"{name}: {intake.place}: operation {label(intake.raw)}: expected a process, as the "
            f"other operations have"
        )
    raw = intake.raw
    node, trace, wall = raw.get("node"), raw.get("trace"), raw.get("wall_time_ns")
    node = node if isinstance(node, str) else None
    trace = trace if isinstance(trace, str) else None
    wall = wall if isinstance(wall, int) else None
    served, timestamps = raw.get("served"), _timestamps(raw.get("timestamps"))
    served = served if isinstance(served, str) else None
    kept = {
        "node": node,
        "trace": trace,
        "wall_time_ns": wall,
        "served": served,
        "timestamps": timestamps,
    }
    extra = {
        key: item
        for key, item in raw.items()
        if key not in _KNOWN or (key in kept and item is not None and kept[key] is None)
    }
    assert intake.index is not None
    assert intake.time is not None
    return Operation(
        intake.index,
        intake.time,
        intake.process,
        intake.type,
        intake.f,
        raw.get("value"),
        raw.get("error"),
        node,
        trace,
        wall,
        served,
        timestamps,
        extra or None,
    )


def _timestamps(told: Any) -> dict[str, int | str] | None:
    """The system's own times, if that is what ``told`` is."""
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told):
        return None
    are_times = all(isinstance(at, int | str) and at.__class__ is not bool for at in told.values())
    return told if told and are_times else None
