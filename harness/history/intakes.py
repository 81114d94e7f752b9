"""Operations on their way in, and what is done about what other tools leave out of them.

========================  =====================================================================
names for clients         who invokes is a client, and gets a number (:func:`number_threads`)
a ``key`` beside the      the value becomes ``[key, value]`` of independent keys
value                     (:func:`keys_into_values`); the model is ``kv`` where all is get, put
                          and append (Porcupine's histories)
no processes at all       each completion closes an invocation like it; that is a guess, and so
                          the header says (:func:`assign_processes`)
completions alone         transactions without times: each gets an invocation that asks for what
                          it did, and the header says that only sessions are in order
                          (:func:`completions_alone`)
========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from msgspec import structs

from harness.errors import HistoryError
from harness.history.operation import (
    INFO,
    INVOKE,
    NEMESIS,
    TYPES,
    Header,
    Operation,
    is_transaction,
)
from harness.wording import shown

KEYED: Final = frozenset(("get", "put", "append"))
ORDER: Final = "order"
SESSION_ORDER: Final = "session"
"""``"order": "session"`` in a header (in ``extra``): only the order within a process counts."""
PROCESSES: Final = "processes"
GUESSED: Final = "guessed"
"""``"processes": "guessed"`` in a header (in ``extra``): the file named none."""
COMPLETIONS: Final = (
    "the history has completions alone, so no times are known: only the order within each process"
    " that is named means anything"
)
_FOREIGN: Final = (
    ({"ClientId", "Input", "Output"}, "operations of Porcupine, such as etcd's robustness tests"),
    ({"events", "committed"}, "a transaction of dbcop"),
    ({"params", "data"}, "a history of dbcop"),
    ({"action", "proc"}, "a log of calls and returns"),
)
"""Fields by which records of other tools are known, and whose they are."""
_READS: Final = frozenset(("r", "read", "rp"))


class Place(NamedTuple):
    """Where in a file something starts, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass
class Intake:
    """One operation on its way in; ``None`` is what the file did not say."""

    place: Place
    index: int | None
    time: int | None
    process: int | str | None
    type: str
    f: str
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def is_of_a_client(self) -> bool:
        """Whether a client did this, as far as is known: not what bears another's name."""
        return not isinstance(self.process, str)


def label(found: Mapping[str, Any]) -> str:
    """A record in a few words, by what stands in it."""
    told = {key: found[key] for key in ("index", "process", "f") if key in found}
    return " ".join(f"{key} {shown(item)}" for key, item in told.items()) or "with no index"


def no_operation(found: Mapping[str, Any], where: str) -> HistoryError:
    """What is said of a record without a type that we know: what it is, if that can be told."""
    kind, expected = found.get("type"), f"expected one of {' '.join(TYPES)}"
    if "type" in found:
        return HistoryError(f"{where}: operation {label(found)} has type {shown(kind)}, {expected}")
    whose = next((whose for fields, whose in _FOREIGN if fields <= set(found)), "")
    fields = ", ".join(sorted(map(str, found))[:8]) or "none"
    return HistoryError(
        f"{where}: operation {label(found)} has no type, {expected}; its fields: {fields}"
        + (f" ({whose})" if whose else ""),
        'write two records an operation, e.g. {"process": 0, "type": "invoke", "f": "read",'
        ' "value": null} when it is called and the same with "type": "ok" and what it answered'
        " when it returns",
    )


def without_colons(found: dict[str, Any]) -> dict[str, Any]:
    """``found`` with names as text where another tool wrote EDN's ``:invoke`` into JSON."""
    kind = found.get("type")
    if type(kind) is not str or kind[1:] not in TYPES or kind[0] != ":":
        return found
    names = {field: found[field] for field in ("type", "f", "process") if field in found}
    return found | {
        field: item[1:] if type(item) is str and item[:1] == ":" else item
        for field, item in names.items()
    }


def with_fact(header: Header, fact: str, said: str) -> Header:
    """``header`` with one more fact among its extra ones."""
    return structs.replace(header, extra={**(header.extra or {}), fact: said})


def is_timed(header: Header) -> bool:
    """Whether records of different processes tell by their order which came first."""
    return (header.extra or {}).get(ORDER) != SESSION_ORDER


def is_guessed(header: Header) -> bool:
    """Whether the processes of the history are our guess."""
    return (header.extra or {}).get(PROCESSES) == GUESSED


def number_threads(intakes: Sequence[Intake]) -> bool:
    """Number the clients of a file where no process is a number; whether that was so.

    A client is who invokes: what a nemesis does is ``info`` at both ends. Where nobody invokes,
    it is who completes anything.
    """
    if any(isinstance(intake.process, int) for intake in intakes):
        return False
    begins = any(intake.type == INVOKE for intake in intakes)
    clients = {
        intake.process
        for intake in intakes
        if (intake.type == INVOKE if begins else intake.type != INFO)
    } - {None, NEMESIS}
    numbers: dict[int | str | None, int] = {}
    for intake in intakes:
        if intake.process in clients:
            intake.process = numbers.setdefault(intake.process, len(numbers))
    return bool(clients)


def keys_into_values(intakes: Sequence[Intake], header: Header, name: str) -> Header:
    """Bring a ``key`` that stands beside the value into it; the header that says so.

    Transactions name their keys themselves, so beside these it is something else.
    """
    clients = [intake for intake in intakes if intake.is_of_a_client]
    keyed = [intake for intake in clients if "key" in intake.raw]
    if not keyed or header.independent or any(_is_transaction(intake) for intake in clients):
        return header
    if len(keyed) < len(clients):
        bare = next(intake for intake in clients if "key" not in intake.raw)
        raise HistoryError(
            f"{name}: {bare.place}: operation {label(bare.raw)} has no field key, others have:"
            " of which key it is cannot be told",
            "give every operation its key, or write values as [key, value] (--independent)",
        )
    for intake in keyed:
        found = {key: item for key, item in intake.raw.items() if key != "key"}
        intake.raw = {**found, "value": [intake.raw["key"], intake.raw.get("value")]}
    model = "kv" if all(intake.f in KEYED for intake in clients) else None
    return structs.replace(header, model=header.model or model, independent=True)


def _is_transaction(intake: Intake) -> bool:
    return intake.f == "txn" or is_transaction(intake.raw.get("value"))


def are_completions_alone(intakes: Sequence[Intake]) -> bool:
    """Whether clients completed something and nobody invoked anything."""
    return not any(intake.type == INVOKE for intake in intakes) and any(
        intake.is_of_a_client and intake.type != INFO for intake in intakes
    )


def completions_alone(intakes: Sequence[Intake], name: str) -> list[Operation]:
    """Two records a transaction, in file order: sessions stay in order, nothing else is meant.

    Who names no process is a session of its own. ``HistoryError`` for what is no transaction:
    of other objects nothing can be said without knowing what precedes what.
    """
    numbers = [intake.process for intake in intakes if isinstance(intake.process, int)]
    unused = max(numbers, default=-1) + 1
    operations: list[Operation] = []
    for intake in intakes:
        if not intake.is_of_a_client:
            continue
        value = intake.raw.get("value")
        if not _is_transaction(intake):
            raise HistoryError(
                f"{name}: {intake.place}: {intake.type} {intake.f} completes nothing, and no"
                " operation of this history is ever invoked; only transactions can be judged so",
                "record the invocations as well",
            )
        process = intake.process if isinstance(intake.process, int) else unused
        unused += process == unused
        at, asked = len(operations), _asked(value)
        error = intake.raw.get("error")
        operations.append(Operation(at, at, process, INVOKE, intake.f, asked))
        operations.append(Operation(at + 1, at + 1, process, intake.type, intake.f, value, error))
    return operations


def _asked(value: Any) -> Any:
    """What a transaction asked for that answered ``value``."""
    if not is_transaction(value):
        return value
    return [
        [*part[:2], None] if part[0] in _READS and len(part) > 2 else list(part) for part in value
    ]


def assign_processes(intakes: Sequence[Intake], name: str) -> None:
    """Give each invocation a free process; a completion closes the oldest open one like it.

    Like it is one of the same f and value; if there is none, one of the same f that asked for
    nothing (a read); if there is none either, any of the same f.
    """
    waiting: dict[str, list[Intake]] = {}
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


def _like(completion: Intake, waiting: Sequence[Intake]) -> int:
    """The position in ``waiting`` of what ``completion`` closes."""
    value = completion.raw.get("value")
    for wanted in (value, None):
        for position, invocation in enumerate(waiting):
            if invocation.raw.get("value") == wanted:
                return position
    return 0
