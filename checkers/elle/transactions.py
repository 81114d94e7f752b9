"""Transactions as flat columns: one row a transaction, one row a micro-operation.

A transaction is a client's invocation with its completion. Its micro-operations are those of
the completion (an ``ok`` tells what was read), else of the invocation. Status: ``ok`` happened,
``fail`` certainly did not, and ``info`` (also an invocation that nothing completed) may have.
An ``ok`` answer that is not the one to what was asked leaves the history undecided
(:mod:`checkers.elle.completions`).

A completion whose invocation is missing may have begun at any time before it: nothing comes before
it by the clock, and of its own process only what was completed before.

Everything here is a numpy pass over :class:`harness.history.columns.Columns`; Python objects
are made only for the few transactions that a proof tells of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.completions import unlike, whole_values
from checkers.elle.kernels import gather, is_worth_compiling, kernel
from checkers.elle.slices import mapped, places, slices
from harness.history.columns import NIL, NONE, Columns
from harness.verdict.wording import shown

OK: Final = 1
FAIL: Final = 2
INFO: Final = 3
_INVOKE: Final = 0

READ: Final = 0
WRITE: Final = 1
"""Codes of micro-operations; ``WRITE`` is an append or a write, as the history has it."""

ANSWER_ALL: Final = (
    "complete each transaction with the micro-operations that it was invoked with, reads filled in"
)
"""What would settle a history in which an ``ok`` answer does not answer."""
READS: Final = frozenset(("r", "read"))

Int8s = NDArray[np.int8]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]
Numbers = NDArray[np.integer]
"""Of whatever type is wide enough."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Transactions:
    """Transactions in order of invocation; all arrays of one kind have one length.

    One row a transaction: ``invoke`` and ``complete`` are positions of records (``invoke`` is -1
    where none was recorded, ``complete`` is :attr:`never` where it never completed or its
    outcome is unknown), ``record`` the position of the record that holds its micro-operations,
    ``status`` one of ``OK FAIL INFO``, ``first[t]:first[t + 1]`` its micro-operations.

    One row a micro-operation: ``txn``, ``f`` (``READ`` or ``WRITE``), ``key``, ``value`` (a
    position in ``values``, -1 nil) and, for a list that was read,
    ``elements[list_start:list_start + length]`` (``list_start`` is -1 and ``length`` 0 without).
    """

    columns: Columns
    invoke: Numbers
    complete: Numbers
    record: Int32s
    status: Int8s
    process: Int32s
    first: Int32s
    txn: Int32s
    f: Int8s
    key: Int32s
    value: Int32s
    list_start: Numbers
    length: Int32s
    values: Sequence[Any] = ()
    """What ``value`` and ``elements`` are positions in."""
    are_timed: bool = True
    """Whether records of different processes tell by their order which came first."""
    unexpected: tuple[str, ...] = ()
    """What the history holds beside the micro-operations asked for, in words for people."""
    unanswered: str = ""
    """The first ``ok`` answer that is none to what was asked, in a sentence; empty if all are."""
    unread: str = ""
    """The first ``ok`` transaction that was asked something and answered nothing at all."""

    def __len__(self) -> int:
        return len(self.status)

    @property
    def never(self) -> int:
        """The position of a completion that does not come."""
        return len(self.columns) if self.are_timed else 2 * len(self)

    @property
    def elements(self) -> Int32s:
        """The elements of all lists, positions in :attr:`values`."""
        return self.columns.micro.elements

    @property
    def keys(self) -> Sequence[Any]:
        """What ``key`` is a position in."""
        return self.columns.micro.keys

    @property
    def have_invocations(self) -> bool:
        """Whether any invocation was recorded: completions alone tell of no real time."""
        return not len(self) or bool((self.invoke >= 0).any())

    def answered(self, some: Numbers) -> Bools:
        """Of which transactions the micro-operations are those of a completion."""
        return np.asarray(self.columns.type[self.record[some]] != _INVOKE)

    def index(self, transaction: int) -> int:
        """The index of its completion in the history, else of its invocation: its witness."""
        return int(self.columns.index[self._witness(transaction)])

    @property
    def lacks_begins(self) -> bool:
        """Whether some transaction has no invocation, so that nothing tells what came before it."""
        return bool((self.invoke < 0).any())

    def without_times(self) -> Transactions:
        """The same where only the order within processes is known: as if all had run at once."""
        turns = np.arange(len(self), dtype=np.int64)
        answered = self.complete < self.never
        complete = np.where(answered, len(self) + turns, 2 * len(self))
        return replace(self, invoke=turns, complete=complete, are_timed=False)

    def _witness(self, transaction: int) -> int:
        if not self.are_timed:
            return int(self.record[transaction])
        complete = int(self.complete[transaction])
        return complete if complete < self.never else int(self.record[transaction])

    def items(self, micro: int) -> list[Any] | None:
        """The list read by a micro-operation, as it was; ``None`` if it read nil."""
        start = int(self.list_start[micro])
        if start < 0:
            return None
        found = self.elements[start : start + int(self.length[micro])].tolist()
        return [self.values[element] for element in found]

    def micro_operation(self, micro: int) -> tuple[str, Any, Any]:
        """``("append", key, value)`` with everything as the history had it."""
        names = self.columns.micro.f_names
        value: Any = self.items(micro)
        if value is None and self.value[micro] != NONE:
            value = self.values[int(self.value[micro])]
        name = next((n for n in names if (n in READS) == (self.f[micro] == READ)), "r")
        return name, self.keys[int(self.key[micro])], value

    def micro_operations(self, transaction: int) -> list[tuple[str, Any, Any]]:
        """All micro-operations of a transaction, in order."""
        span = range(int(self.first[transaction]), int(self.first[transaction + 1]))
        return [self.micro_operation(micro) for micro in span]


def transactions(
    columns: Columns, writes: frozenset[str], *, of_lists: bool = True
) -> Transactions:
    """The client transactions of ``columns``; ``writes`` are the names of what is not a read.

    ``of_lists``: a read shows a list of what was written, so a list that was written is a value.
    Micro-operations under other names are left out and named in ``unexpected``.
    """
    has_micro = _has_micro(columns)
    starts = _starts(columns, has_micro)
    invoke, complete, record, status, process = _outcomes(columns, starts, has_micro)
    table = _codes(columns.micro.f_names, writes)
    odd = unlike(columns, invoke, record, table)
    record[odd] = np.where(status[odd] == OK, record[odd], invoke[odd])
    first, *rows = _gathered(columns, record, table)
    txn, f, key, value, list_start, length = rows
    values = _with_whole_values(columns, rows) if of_lists else columns.values
    return Transactions(
        columns=columns,
        invoke=invoke,
        complete=complete,
        record=record,
        status=status,
        process=process,
        first=first,
        txn=txn,
        f=f,
        key=key,
        value=value,
        list_start=list_start,
        length=length,
        values=values,
        unexpected=_unexpected(columns, table, has_micro),
        unanswered=_unanswered(columns, invoke, record, odd & (status == OK)),
        unread=_unread_answers(columns, invoke, status),
    )


def _with_whole_values(columns: Columns, rows: Sequence[Any]) -> Sequence[Any]:
    """All values, after lists and nils that were appended became values themselves."""
    _, f, _, value, start, length = rows

    def are_odd(some: slice) -> Bools:
        holds = (start[some] >= 0) | (value[some] == NONE)
        return np.asarray((f[some] == WRITE) & holds)

    return whole_values(columns, places(len(f), are_odd), start, length, value)


def _unanswered(columns: Columns, invoke: Numbers, record: Int32s, odd: Bools) -> str:
    """Which answer is none to what was asked, in a sentence; empty if there is no such."""
    if not odd.any():
        return ""
    first = int(np.flatnonzero(odd)[0])
    asked, told = int(invoke[first]), int(record[first])
    count = int(np.count_nonzero(odd))
    others = f" ({count} operations are answered so)" if count > 1 else ""
    return (
        f"the answer is none to what was asked: operation {columns.index[asked]} asked for "
        f"{shown(columns.value_at(asked))}, and operation {columns.index[told]} answered "
        f"{shown(columns.value_at(told))}{others}"
    )


def _unread_answers(columns: Columns, invoke: Numbers, status: Int8s) -> str:
    """Which ``ok`` answered nothing to micro-operations, in a sentence."""
    unsure = np.flatnonzero((status == INFO) & (invoke >= 0))
    end = columns.pair[invoke[unsure]]
    mute = unsure[(end >= 0) & (columns.type[np.maximum(end, 0)] == OK)]
    if not len(mute):
        return ""
    asked = int(invoke[mute[0]])
    return (
        f"operation {columns.index[columns.pair[asked]]} is ok and does not say what it read or "
        f"did of {shown(columns.value_at(asked))}"
    )


def _starts(columns: Columns, has_micro: Bools) -> Int32s:
    """The first record of each transaction, in order."""

    def opens(some: slice) -> Bools:
        other = columns.pair[some]
        holds = has_micro[some] | (has_micro[np.maximum(other, 0)] & (other >= 0))
        first = (columns.type[some] == _INVOKE) | (other == NONE)
        return np.asarray(holds & first & (columns.process[some] >= 0))

    return places(len(columns), opens)


def _outcomes(columns: Columns, starts: Int32s, has_micro: Bools) -> tuple[Any, ...]:
    """``invoke``, ``complete``, ``record``, ``status`` and ``process`` of each transaction."""
    found = tuple(
        np.empty(len(starts), dtype=kind) for kind in (np.int32, np.int32, np.int32, np.int8)
    )
    for some in slices(len(starts)):
        for column, values in zip(found, _outcome(columns, starts[some], has_micro), strict=True):
            column[some] = values
    record = found[2]
    return *found, mapped(len(record), np.int32, lambda some: columns.process[record[some]])


def _outcome(columns: Columns, starts: Int32s, has_micro: Bools) -> tuple[Any, ...]:
    """Invocation, completion, record with the micro-operations and status of transactions."""
    invoked = columns.type[starts] == _INVOKE
    partner = np.where(invoked, columns.pair[starts], starts)
    completed = partner >= 0
    end = np.where(completed, partner, starts)
    status = np.where(completed, columns.type[end], INFO).astype(np.int8)
    told = has_micro[end]
    status[(status == OK) & ~told] = INFO  # it says ok and not what it read
    complete = np.where((status == OK) | (status == FAIL), end, len(columns))
    return np.where(invoked, starts, NONE), complete, np.where(told, end, starts), status


def _has_micro(columns: Columns) -> Bools:
    """Which records have micro-operations."""
    found = np.zeros(len(columns), dtype=bool)
    txn = columns.micro.txn
    for some in slices(len(txn)):
        found[txn[some]] = True
    return found


def _codes(names: tuple[str, ...], writes: frozenset[str]) -> Int8s:
    """For each name ``READ``, ``WRITE`` or -1."""
    codes = [READ if name in READS else WRITE if name in writes else NONE for name in names]
    return np.array([*codes, NONE], dtype=np.int8)


def _gathered(columns: Columns, record: Int32s, table: Int8s) -> tuple[Any, ...]:
    """``first``, and the columns of all wanted micro-operations of each ``record``."""
    micro = columns.micro
    of_record = np.full(len(columns), NONE, dtype=np.int32)
    for some in slices(len(record)):
        of_record[record[some]] = np.arange(some.start, some.stop, dtype=np.int32)
    first = np.zeros(len(record) + 1, dtype=np.int32)
    kinds = (np.int32, np.int8, np.int32, np.int32, micro.list_start.dtype, np.int32)
    if is_worth_compiling(len(micro.txn)):
        room = len(micro.txn)
        rows = tuple(np.empty(room, dtype=kind) for kind in kinds)
        source = (micro.txn, micro.f, micro.key, micro.value, micro.list_start, micro.list_end)
        count = kernel(gather, room)(of_record, table, *source, first, *rows)
        return first, *(column[:count] for column in rows)
    txn = of_record[micro.txn]
    at = np.flatnonzero((txn >= 0) & (table[micro.f] >= 0))
    at = at[np.argsort(txn[at], kind="stable")]
    txn = txn[at]
    np.cumsum(np.bincount(txn, minlength=len(record)), out=first[1:])
    start = micro.list_start[at]
    length = np.where(start >= 0, micro.list_end[at] - start, 0).astype(np.int32)
    value = micro.value[at].astype(np.int32)
    return first, txn, table[micro.f[at]], micro.key[at], value, start, length


def _unexpected(columns: Columns, table: Int8s, has_micro: Bools) -> tuple[str, ...]:
    """Names of other micro-operations, and values of clients that are no transaction at all."""
    used = np.zeros(len(table), dtype=bool)
    for some in slices(len(columns.micro.f)):
        used |= np.bincount(columns.micro.f[some], minlength=len(table)) > 0
    names = [name for n, name in enumerate(columns.micro.f_names) if used[n] and table[n] < 0]
    found = [f"micro-operation {shown(name)}" for name in names]
    for position in np.flatnonzero(_are_foreign(columns, has_micro)):
        value = columns.value_at(int(position))
        if value != []:
            named = columns.f_names[columns.f[position]]
            told = f"operation {columns.index[position]} ({named}) with value {shown(value)}"
            found.append(told[:100])
            break
    return tuple(found)


def _are_foreign(columns: Columns, has_micro: Bools) -> Bools:
    """Records of clients' operations that are no transactions and may have happened.

    One half with micro-operations is enough to be one. Without any value it may be one that was
    never filled in, if others of its name are.
    """

    def are(some: slice) -> Bools:
        pair = columns.pair[some]
        other = np.maximum(pair, 0)
        held = has_micro[some] | (has_micro[other] & (pair >= 0))
        failed = columns.type[some] == FAIL
        failed |= (columns.type[other] == FAIL) & (pair >= 0)
        return np.asarray((columns.process[some] >= 0) & ~held & ~failed)

    found = mapped(len(columns), np.bool_, are)
    rows = np.flatnonzero(found)
    if len(rows):
        names = np.zeros(len(columns.f_names), dtype=bool)
        names[columns.f[has_micro]] = True
        unheard = ~names[columns.f[rows]] if names.any() else False
        found[rows] = (columns.value_kind[rows] != NIL) | unheard
    return found
