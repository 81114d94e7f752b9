"""Which record comes first: by index, by the order of the file, or by time if the user says so.

- Records that all have an ``index`` are in that order, wherever their lines stand.
- Without indices the order of the file counts, and times may not contradict it: a file in which
  a completion stands before an invocation that has the earlier time (or the other way round) is
  logs of several clients joined, each with a clock of its own. It is refused, for by either order
  a verdict could be wrong. (Times that run backwards without changing what precedes what are taken:
  old Jepsen noted the time before it noted the record.)
- :func:`by_time` sorts by time and widens each operation by the error of the clocks on both sides.
  What then comes before something else, did so on every clock. Where operations of one process
  would overlap, their order, which is certain, cannot be kept beside that: the history gives it up
  (each such operation is a process of its own), and ``History.stricter`` keeps it and too much
  besides. What is false in the first is false; what is true in the other is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from harness.errors import HistoryError
from harness.history.history import History
from harness.history.operation import INVOKE, Operation
from harness.history.rules import check_rules, describe

ADVICE: Final = (
    "if these are logs of several clients joined, --sort-by-time ERROR sorts them (ERROR: how far"
    " a clock may be off, e.g. 5ms); if the lines do stand in the order in which things happened,"
    " give each an index"
)


def by_index(operations: Sequence[Operation]) -> Sequence[Operation]:
    """``operations`` in the order of their indices; as they are if that is so, or if one is twice
    there (which :func:`harness.history.rules.check_rules` refuses).
    """
    indices = [operation.index for operation in operations]
    ordered = sorted(indices)
    if ordered == indices or len(set(indices)) < len(indices):
        return operations
    return sorted(operations, key=lambda operation: operation.index)


def check_times(operations: Sequence[Operation], name: str) -> None:
    """Raise ``HistoryError`` if times order some operations otherwise than the file does."""
    latest: Operation | None = None
    for operation in operations:
        if not operation.is_client:
            continue
        if operation.type != INVOKE:
            latest = operation if latest is None or operation.time > latest.time else latest
        elif latest is not None and operation.time < latest.time:
            _refuse(name, latest, operation)
    earliest: Operation | None = None
    for operation in reversed(operations):
        if not operation.is_client:
            continue
        if operation.type != INVOKE:
            is_earlier = earliest is None or operation.time < earliest.time
            earliest = operation if is_earlier else earliest
        elif earliest is not None and operation.time > earliest.time:
            _refuse(name, operation, earliest)


def _refuse(name: str, first: Operation, then: Operation) -> None:
    raise HistoryError(
        f"{name}: times run backwards and no operation has an index: {describe(first)} has time"
        f" {first.time}, and {describe(then)}, further down, time {then.time}",
        ADVICE,
    )


@dataclass
class _Call:
    """One operation of a client while it is sorted; ``begin`` and ``end`` are widened times."""

    process: int
    invoke: Operation
    begin: int
    completion: Operation | None = None
    end: int = 0


def by_time(history: History, error_ns: int, name: str) -> History:
    """``history`` in order of time, where each clock may be ``error_ns`` off.

    ``HistoryError`` where a process does more than one thing at a time by its own clock.
    """
    calls, others = _calls(history.operations, name)
    for call in calls:
        call.begin, call.end = call.begin - error_ns, call.end + error_ns
    processes, is_split = _lanes(calls)
    notice = f"{name}: sorted by time; each clock is taken to be at most {error_ns} ns off"
    weak = replace(
        history,
        operations=_merged(calls, others, processes),
        notices=(*history.notices, notice),
        prepared=None,
    )
    if not is_split:
        return weak
    _narrow(calls)
    kept = [call.process for call in calls]
    return replace(weak, stricter=replace(weak, operations=_merged(calls, others, kept)))


def _calls(operations: Iterable[Operation], name: str) -> tuple[list[_Call], list[Operation]]:
    """The clients' operations by process and time, and the records of all others."""
    ordered = sorted(operations, key=lambda operation: operation.time)
    check_rules([structs.replace(each, index=at) for at, each in enumerate(ordered)], name)
    open_calls: dict[int, _Call] = {}
    calls: list[_Call] = []
    others = []
    for operation in ordered:
        process = operation.process
        if not isinstance(process, int) or process < 0:
            others.append(operation)
        elif operation.type == INVOKE:
            open_calls[process] = _Call(process, operation, operation.time)
            calls.append(open_calls[process])
        else:
            call = open_calls[process]
            call.completion, call.end = operation, operation.time
    return calls, others


def _lanes(calls: Sequence[_Call]) -> tuple[list[int], bool]:
    """A process for each call such that none has two open; whether some process was split."""
    lanes: dict[int, list[tuple[int, int | None]]] = {}
    unused = max((call.process for call in calls), default=-1) + 1
    processes = []
    is_split = False
    for call in calls:
        mine = lanes.setdefault(call.process, [])
        end = call.end if call.completion is not None else None
        free = (
            at for at, (_, until) in enumerate(mine) if until is not None and until < call.begin
        )
        place = next(free, None)
        if place is not None:
            number = mine.pop(place)[0]
        else:
            number = unused if mine else call.process
            unused += bool(mine)
        mine.append((number, end))
        is_split = is_split or len(mine) > 1
        processes.append(number)
    return processes, is_split


def _narrow(calls: Sequence[_Call]) -> None:
    """Cut operations back so far that none overlaps the next one of its process."""
    last: dict[int, _Call] = {}
    for call in calls:
        before = last.get(call.process)
        if before is not None and before.completion is not None:
            middle = (before.completion.time + call.invoke.time) // 2
            before.end, call.begin = min(before.end, middle), max(call.begin, middle)
        last[call.process] = call


def _merged(
    calls: Sequence[_Call], others: Sequence[Operation], processes: Sequence[int]
) -> list[Operation]:
    """All records by time; of those at one time invocations first, as far as a process allows."""
    least = min((call.begin for call in calls), default=0)
    shift = -min(0, least, *(other.time for other in others))
    rows: list[tuple[int, int, int, Operation]] = [(other.time, 0, 0, other) for other in others]
    waves: dict[tuple[int, int], int] = {}
    for call, process in zip(calls, processes, strict=True):
        for time, kind, record in _halves(call):
            wave = waves.setdefault((process, time), 0)
            waves[process, time] += kind
            rows.append((time, wave, kind, structs.replace(record, process=process)))
    rows.sort(key=lambda row: row[:3])
    return [
        structs.replace(record, index=index, time=time + shift)
        for index, (time, _, _, record) in enumerate(rows)
    ]


def _halves(call: _Call) -> Iterator[tuple[int, int, Operation]]:
    """Time, 0 or 1 for invocation or completion, and record."""
    yield call.begin, 0, call.invoke
    if call.completion is not None:
        yield call.end, 1, call.completion
