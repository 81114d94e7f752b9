"""Calls: each operation from invoke to completion as one interval, in columns.

A history is a list of records; a reader of the report thinks in intervals: who asked what, when,
and what came of it. One pass over the records pairs them (an operation that never completed stays
open to the end of the history). Columns are numpy arrays so that 100,000 calls are drawn, counted
and thinned without a Python loop each. O(records).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.history.calls import is_measured
from harness.history.history import History
from harness.history.operation import TYPES, Operation

OPEN_TYPE: Final = 3
"""The code of ``info`` (position in ``TYPES``), which a call without completion has too."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Client calls in order of their first record; all columns have the same length.

    ``invoke`` and ``complete`` are positions in the history or -1; ``start`` and ``end`` are
    nanoseconds since the start of the run (``end`` of an open call is the end of the history);
    ``type`` is 1 ok, 2 fail, 3 info; ``f`` and ``process`` are codes into the name tuples.
    Where no record has a time (``is_timed``), its position in the history stands for it.
    """

    history: History
    invoke: Ints
    complete: Ints
    start: Ints
    end: Ints
    type: Ints
    f: Ints
    process: Ints
    f_names: tuple[str, ...]
    is_timed: bool

    def __len__(self) -> int:
        return len(self.start)

    @cached_property
    def by_index(self) -> dict[int, int]:
        """From the index of a record (invoke or completion) to the call it belongs to."""
        found: dict[int, int] = {}
        operations = self.history.operations
        for column in (self.complete, self.invoke):
            for call, position in enumerate(column.tolist()):
                if position >= 0:
                    found[operations[position].index] = call
        return found

    @cached_property
    def latency(self) -> Ints:
        """Nanoseconds from invoke to completion (of open calls: to the end of the history)."""
        return self.end - self.start

    @property
    def keyed(self) -> bool:
        """Whether values travel as ``[key, value]``."""
        return self.history.header.independent

    def time_of(self, position: int) -> int:
        """Time of the record there, or what stands for it."""
        return self.history.operations[position].time if self.is_timed else position

    def records(self, call: int) -> tuple[Operation | None, Operation | None]:
        """The invoke and the completion of a call; one of them may be missing."""
        first, second = int(self.invoke[call]), int(self.complete[call])
        operations = self.history.operations
        return (
            operations[first] if first >= 0 else None,
            operations[second] if second >= 0 else None,
        )

    def span(self, call: int) -> tuple[int, int]:
        """Positions of the first and last record; an open call ends past the last record."""
        first, last = int(self.invoke[call]), int(self.complete[call])
        return (first if first >= 0 else last), (last if last >= 0 else len(self.history))


def split_key(value: Any, keyed: bool) -> tuple[Any, Any]:
    """``(key, value)`` of an operation's value; the key is ``None`` where there is none."""
    if keyed and isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    return None, value


def pair_calls(history: History) -> Calls:
    """Every client operation of ``history`` as a call."""
    rows: list[tuple[int, int, int]] = []  # invoke, complete, code of the final type
    open_at: dict[Any, int] = {}
    codes = {name: code for code, name in enumerate(TYPES)}
    for position, operation in enumerate(history.operations):
        if not operation.is_client:
            continue
        code = codes[operation.type]
        if code == 0:
            open_at[operation.process] = len(rows)
            rows.append((position, -1, OPEN_TYPE))
            continue
        row = open_at.pop(operation.process, None)
        if row is None:
            rows.append((-1, position, code))
        else:
            rows[row] = (rows[row][0], position, code)
    return _columns(history, rows)


def _columns(history: History, rows: Sequence[tuple[int, int, int]]) -> Calls:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    operations = history.operations
    times = np.array([operation.time for operation in operations], dtype=np.int64)
    is_timed = any(is_measured(operation.time, operation.index) for operation in operations)
    times = times if is_timed or not operations else np.arange(len(operations), dtype=np.int64)
    invoke, complete, kinds = table[:, 0], table[:, 1], table[:, 2]
    first = np.where(invoke >= 0, invoke, complete)
    last_time = int(times.max()) if len(times) else 0
    start = times[first] if len(first) else first
    end = np.where(complete >= 0, times[complete], last_time) if len(first) else first
    names: dict[str, int] = {}
    f = [names.setdefault(operations[position].f, len(names)) for position in first.tolist()]
    process = [int(operations[position].process) for position in first.tolist()]
    return Calls(
        history=history,
        invoke=invoke,
        complete=complete,
        start=start,
        end=np.maximum(end, start),
        type=kinds,
        f=np.array(f, dtype=np.int64),
        process=np.array(process, dtype=np.int64),
        f_names=tuple(names),
        is_timed=is_timed or not operations,
    )
