"""Takes operations in from any format: maps with foreign habits become operations of ours.

Other tools leave things out. A missing ``index`` or ``time`` means file order; a missing ``f``
is ``txn`` where the value is a list of micro-operations (elle-cli's examples); where no
operation names a process, each completion closes the oldest open invocation of the same f, and
of the same value where that decides it (a write's). Where all processes have names, those who
invoke are clients and get numbers.
Where every operation is a get, put or append with a ``key`` (Porcupine's key-value histories),
values become ``[key, value]`` of independent keys of the model ``kv``.
Keys that we do not know are kept in ``Operation.extra``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from msgspec import structs

from harness.errors import HistoryError
from harness.history.operation import INFO, INVOKE, TYPES, Header, Operation, is_transaction

HEADER_MARKS: Final = ("polygraph", "schema")
HEADER_F: Final = "polygraph-header"
"""The f of the record that carries the header where a format has no place for one."""
KEYED: Final = frozenset(("get", "put", "append"))
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


class Place(NamedTuple):
    """Where in a file something starts, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """What a format's reader found; ``torn`` says that the end was left out."""

    header: Header
    operations: Sequence[Operation]
    notices: tuple[str, ...] = ()
    torn: bool = False
    is_paired_by_guess: bool = False
    """No record names a process."""


@dataclass
class _Intake:
    """One operation on its way in; ``None`` is what the file did not say."""

    place: Place
    index: int | None
    time: int | None
    process: int | str | None
    type: str
    f: str
    raw: Mapping[str, Any] = field(repr=False)


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
            raise HistoryError(f"{name}: the header's {key}: expected {wanted}, found {item!r}")
        elif item is not None:
            extra[key] = item
    return Header(**facts, extra=extra or None)


def adopt(maps: Iterable[tuple[Place, dict[str, Any]]], name: str) -> Adopted:
    """Operations out of maps with string keys, in file order. ``HistoryError`` names the place."""
    header = Header()
    intakes: list[_Intake] = []
    for place, found in maps:
        if found.get("f") == HEADER_F and isinstance(found.get("value"), dict):
            header = header_from(found["value"], name)
            continue
        intakes.append(_intake(place, found, name))
    notices = _number(intakes)
    if _number_threads(intakes):
        notices.append(f"{name}: clients have names instead of numbers; they were numbered")
    is_guess = bool(intakes) and all(intake.process is None for intake in intakes)
    if is_guess:
        _assign_processes(intakes, name)
        notices.append(f"{name}: no operation names a process; completions were paired by f")
    if intakes and all(intake.f in KEYED and "key" in intake.raw for intake in intakes):
        header = structs.replace(header, model=header.model or "kv", independent=True)
        for intake in intakes:
            intake.raw = _keyed(intake.raw)
    return Adopted(
        header=header,
        operations=[_operation(intake, name) for intake in intakes],
        notices=tuple(notices),
        is_paired_by_guess=is_guess,
    )


def _intake(place: Place, found: dict[str, Any], name: str) -> _Intake:
    kind = found.get("type")
    if kind not in TYPES:
        raise HistoryError(
            f"{name}: {place}: operation {_label(found)} has type {kind!r}, expected one of "
            f"{' '.join(TYPES)}"
        )
    return _Intake(
        place=place,
        index=_integer(found, "index", place, name),
        time=_integer(found, "time", place, name),
        process=_process(found, place, name),
        type=str(kind),
        f=_f(found, place, name),
        raw=found,
    )


def _keyed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` with its key in its value."""
    found = {key: item for key, item in raw.items() if key != "key"}
    return {**found, "value": [raw["key"], raw.get("value")]}


def _label(found: Mapping[str, Any]) -> str:
    told = {key: found[key] for key in ("index", "process", "f") if key in found}
    return " ".join(f"{key} {item!r}" for key, item in told.items()) or "with no index"


def _integer(found: Mapping[str, Any], key: str, place: Place, name: str) -> int | None:
    item = found.get(key)
    if isinstance(item, float) and (item.is_integer() or key == "time"):
        item = math.floor(item)
    if item is None or (isinstance(item, int) and not isinstance(item, bool)):
        return item
    raise HistoryError(
        f"{name}: {place}: operation {_label(found)}: expected an integer {key}, found {item!r}"
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
        f"{name}: {place}: operation {_label(found)}: expected f to be a name, found {f!r}"
    )


def _number(intakes: list[_Intake]) -> list[str]:
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


def _number_threads(intakes: Sequence[_Intake]) -> bool:
    """Number the clients of a file where no process is a number; whether that was so.

    A client is who invokes: what a nemesis does is ``info`` at both ends.
    """
    if any(isinstance(intake.process, int) for intake in intakes):
        return False
    clients = {intake.process for intake in intakes if intake.type == INVOKE} - {None, "nemesis"}
    numbers: dict[int | str | None, int] = {}
    for intake in intakes:
        if intake.process in clients:
            intake.process = numbers.setdefault(intake.process, len(numbers))
    return bool(clients)


def _assign_processes(intakes: list[_Intake], name: str) -> None:
    """Give each invocation a free process; a completion closes the oldest open one like it.

    Like it is one of the same f and value; if there is none, one of the same f that asked for
    nothing (a read); if there is none either, any of the same f.
    """
    waiting: dict[str, list[_Intake]] = {}
    free: list[int] = []
    used = 0
    for intake in intakes:
        queue = waiting.setdefault(intake.f, [])
        if intake.type == INVOKE:
            if not free:
                free.append(used)
                used += 1
            intake.process = free.pop()
            queue.append(intake)
            continue
        if not queue:
            raise HistoryError(
                f"{name}: {intake.place}: {intake.type} {intake.f} (index {intake.index}) "
                f"completes nothing: no {intake.f} is open"
            )
        intake.process = queue.pop(_like(intake, queue)).process
        if intake.type != INFO:
            assert isinstance(intake.process, int)
            free.append(intake.process)


def _like(completion: _Intake, waiting: Sequence[_Intake]) -> int:
    """The position in ``waiting`` of what ``completion`` closes."""
    value = completion.raw.get("value")
    for wanted in (value, None):
        for position, invocation in enumerate(waiting):
            if invocation.raw.get("value") == wanted:
                return position
    return 0


def _operation(intake: _Intake, name: str) -> Operation:
    if intake.process is None:
        raise HistoryError(
            f"{name}: {intake.place}: operation {_label(intake.raw)}: expected a process, as the "
            f"other operations have"
        )
    raw = intake.raw
    node, trace, wall = raw.get("node"), raw.get("trace"), raw.get("wall_time_ns")
    node = node if isinstance(node, str) else None
    trace = trace if isinstance(trace, str) else None
    wall = wall if isinstance(wall, int) else None
    kept = {"node": node, "trace": trace, "wall_time_ns": wall}
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
        extra or None,
    )
