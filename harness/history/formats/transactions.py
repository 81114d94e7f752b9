"""Transactions of reads and writes as flat arrays, and the history that they make.

What checkers of isolation write down has no times: who did what in which transaction, and which
transaction came after which in a session. A session becomes a process, a transaction an operation
``txn``. Such files know the order within a session and **no times at all**, yet a history is a
sequence of records. So the header says ``"order": "session"`` (in ``extra``): no checker may
conclude anything from the order of operations of two different sessions.

The columns are made at once, by array passes; operations are Python objects only where somebody
asks for them. Cost: about 0.1 us a read or write, 100 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from harness.errors import HistoryError
from harness.history.columns import NONE, TRANSACTION, Columns, Int64s, MicroColumns
from harness.history.history import History
from harness.history.intakes import ORDER, SESSION_ORDER
from harness.history.operation import FAIL, INVOKE, OK, TYPES, Header, Operation
from harness.history.rules import MOST_PROCESSES

MODEL: Final = "rw-register"
NO_TIMES: Final = "the file knows no times: only the order within each session means anything"
LARGEST: Final = (1 << 64) - 1
"""Keys and values are numbers from 0 that 64 bits hold."""
_SPARSE: Final = 4
_TOGETHER: Final = 4096

Bools = NDArray[np.bool_]
Numbers = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Transactions:
    """``session`` and ``happened`` of each transaction, in an order that keeps each session's.

    The rows of transaction ``n`` are ``first[n]`` to ``first[n + 1]`` of the other arrays; ``nil``
    are the reads that found nothing.
    """

    session: Int64s
    happened: Bools
    first: Int64s
    writes: Bools
    key: Numbers
    value: Numbers
    nil: Bools

    def __len__(self) -> int:
        return len(self.session)


def reading_nil_for(initial: int, found: Transactions) -> Transactions:
    """``found`` where whoever read ``initial``, which nobody wrote to that key, read nil."""
    reads = ~found.writes & (found.value == initial)
    if not reads.any():
        return found
    happened = np.repeat(found.happened, np.diff(found.first))
    written = np.unique(found.key[found.writes & happened & (found.value == initial)])
    nil = reads if not len(written) else reads & ~np.isin(found.key, written)
    return Transactions(
        session=found.session,
        happened=found.happened,
        first=found.first,
        writes=found.writes,
        key=found.key,
        value=found.value,
        nil=nil,
    )


def in_groups(
    session: Int64s, happened: Bools, owner: Int64s, writes: Bools, key: Numbers, value: Numbers
) -> Transactions:
    """Transactions of rows that each name their ``owner``, a position in ``session``."""
    if len(owner) and (np.diff(owner) < 0).any():
        order = np.argsort(owner, kind="stable")
        owner, writes, key, value = owner[order], writes[order], key[order], value[order]
    return Transactions(
        session=session,
        happened=happened,
        first=np.searchsorted(owner, np.arange(len(session) + 1)),
        writes=writes,
        key=key,
        value=value,
        nil=np.zeros(len(key), dtype=np.bool_),
    )


def history_of(
    found: Transactions, name: str, notices: Sequence[str] = (), header: Header | None = None
) -> History:
    """The history of ``found``, with its columns made. Transactions without rows are left out."""
    empty = np.diff(found.first) == 0
    if empty.any():
        found = _without(found, empty)
        notices = (*notices, f"{name}: {int(empty.sum())} transactions did nothing: left out")
    if len(found) and int(found.session.max()) > MOST_PROCESSES:
        raise HistoryError(
            f"{name}: expected a session up to {MOST_PROCESSES}, found {int(found.session.max())}"
        )
    header = header or Header(model=MODEL, extra={ORDER: SESSION_ORDER})
    return History(SessionOperations(found), header, (*notices, NO_TIMES), prepared=_columns(found))


def _without(found: Transactions, empty: Bools) -> Transactions:
    kept = ~empty
    return Transactions(
        session=found.session[kept],
        happened=found.happened[kept],
        first=np.append(found.first[:-1][kept], found.first[-1]),
        writes=found.writes,
        key=found.key,
        value=found.value,
        nil=found.nil,
    )


def _columns(found: Transactions) -> Columns:
    """Two records a transaction: what was asked for, and what came of it."""
    count = 2 * len(found)
    order = np.arange(count, dtype=np.int64)
    keys, key = numbered(found.key)
    values, value = numbered(found.value)
    ended = np.where(found.happened, TYPES.index(OK), TYPES.index(FAIL)).astype(np.int8)
    return Columns(
        index=order,
        time=order,
        type=np.stack((np.zeros(len(found), dtype=np.int8), ended), axis=1).ravel(),
        process=np.repeat(found.session.astype(np.int32), 2),
        f=np.zeros(count, dtype=np.int16),
        pair=(order ^ 1).astype(np.int32),
        key=np.broadcast_to(np.int32(NONE), count),
        value_kind=np.full(count, TRANSACTION, dtype=np.int8),
        value=np.broadcast_to(np.int64(0), count),
        f_names=("txn",),
        keys=(),
        values=values,
        micro=_micro(found, keys, key.astype(np.int32), value),
    )


def _micro(found: Transactions, keys: Any, key: Any, value: Int64s) -> MicroColumns:
    """The rows of each transaction twice: as asked, where reads are nil, and as answered."""
    rows = len(found.key)
    sizes = np.diff(found.first)
    asked = np.arange(rows) + np.repeat(found.first[:-1] - found.first[0], sizes)
    answered = asked + np.repeat(sizes, sizes)
    owner = np.repeat(np.arange(len(found), dtype=np.int32) * 2, sizes)

    def both(first: Any, second: Any, dtype: Any) -> Any:
        column = np.empty(2 * rows, dtype=dtype)
        column[asked], column[answered] = first, second
        return column

    f = found.writes.astype(np.int8)
    return MicroColumns(
        txn=both(owner, owner + 1, np.int32),
        f=both(f, f, np.int8),
        key=both(key, key, np.int32),
        value=both(np.where(found.writes, value, NONE), np.where(found.nil, NONE, value), np.int64),
        list_start=np.broadcast_to(np.int64(NONE), 2 * rows),
        list_end=np.broadcast_to(np.int64(NONE), 2 * rows),
        elements=np.empty(0, dtype=np.int32),
        f_names=("r", "w"),
        keys=keys,
    )


def numbered(column: Numbers) -> tuple[Any, Int64s]:
    """A table of numbers and the place of each in it: the numbers themselves if they are dense."""
    most = int(column.max()) + 1 if len(column) else 0
    if most <= _SPARSE * len(column) + 1024:
        return range(most), column.astype(np.int64)
    distinct, places = np.unique(column, return_inverse=True)
    return tuple(distinct.tolist()), places.astype(np.int64)


def numbers_at(data: bytes, places: Int64s, kind: str) -> Numbers:
    """The numbers of 64 bits (``<u8``, ``>u8``) at some places of ``data``, which lie within it.

    Read as eight arrays, one for each way to be aligned: to pick bytes one by one takes ten times
    as long.
    """
    found = np.empty(len(places), dtype=np.uint64)
    residue = places & 7
    for start in range(min(8, len(data))):
        some = np.flatnonzero(residue == start)
        count = (len(data) - start) // 8
        if len(some) and count:
            found[some] = np.frombuffer(data, kind, count, start)[places[some] >> 3]
    return found


class SessionOperations(Sequence[Operation]):
    """The operations of transactions, made where somebody asks for them."""

    def __init__(self, found: Transactions) -> None:
        self._found = found

    def __len__(self) -> int:
        return 2 * len(self._found)

    @overload
    def __getitem__(self, place: int) -> Operation: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Operation]: ...

    def __getitem__(self, place: int | slice) -> Operation | Sequence[Operation]:
        if isinstance(place, slice):
            span = range(len(self))[place]
            if span.step != 1 or not len(span):
                return [self[number] for number in span]
            low = span.start // 2
            both = self._made(low, (span.stop + 1) // 2)
            return both[span.start - 2 * low : span.stop - 2 * low]
        number = range(len(self))[place]
        return self._made(number // 2, number // 2 + 1)[number % 2]

    def __iter__(self) -> Iterator[Operation]:
        for low in range(0, len(self._found), _TOGETHER):
            yield from self._made(low, min(low + _TOGETHER, len(self._found)))

    def _made(self, low: int, high: int) -> list[Operation]:
        """Both records of some transactions."""
        found = self._found
        first = found.first[low : high + 1].tolist()
        rows = slice(first[0], first[-1])
        asked, answered = _parts(found, rows)
        made: list[Operation] = []
        for number in range(low, high):
            span = slice(first[number - low] - first[0], first[number - low + 1] - first[0])
            process, at = int(found.session[number]), 2 * number
            kind = OK if found.happened[number] else FAIL
            made.append(Operation(at, at, process, INVOKE, "txn", asked[span]))
            made.append(Operation(at + 1, at + 1, process, kind, "txn", answered[span]))
        return made


def _parts(found: Transactions, rows: slice) -> tuple[list[Any], list[Any]]:
    """Micro-operations as they were asked for and as they were answered."""
    asked: list[Any] = []
    answered: list[Any] = []
    for writes, key, value, nil in zip(
        found.writes[rows].tolist(),
        found.key[rows].tolist(),
        found.value[rows].tolist(),
        found.nil[rows].tolist(),
        strict=True,
    ):
        told = None if nil else value
        asked.append(["w", key, value] if writes else ["r", key, None])
        answered.append(["w" if writes else "r", key, told])
    return asked, answered
