"""The columnar view: a history as flat arrays, for checkers that go over millions of records.

One row a record (``time type process f pair key value``), and one row a micro-operation of
every transaction. What is not a number is interned: the array holds a position in a table of
names, keys or values. Two values are the same entry if and only if they are the same value (so
``1``, ``true``, ``"1"`` and EDN's ``:1`` are four entries; readers make ``1.0`` the integer).

    value_kind  NIL      nil
                INTEGER  ``value`` is the integer itself
                INTERNED ``value`` is a position in ``values`` (strings, lists, maps, big numbers)
                TRANSACTION ``value`` means nothing: the micro-operations' rows tell it

Where the header says ``independent``, a client's ``[key, value]`` is split into the two columns.

Columns straight from a large file (:mod:`harness.history.compiled.fast_columns`) have narrower
types than those named below where all that stands in them fits.

Cost: about 2 us a record to build, O(records + list elements) of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import HistoryError
from harness.history.operation import FAIL, INFO, OK, TYPES, Header, Operation, is_transaction
from harness.history.values import RICH, exact

NIL: Final = 0
INTEGER: Final = 1
INTERNED: Final = 2
TRANSACTION: Final = 3
NEMESIS_PROCESS: Final = -1
NONE: Final = -1
_TYPE_CODE: Final = {name: code for code, name in enumerate(TYPES)}
_INTEGER_LIMIT: Final = 1 << 63
_SIMPLE: Final = frozenset((int, str))
_TOGETHER: Final = 1 << 17
"""Records that are counted at once."""

Int8s = NDArray[np.int8]
Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class MicroColumns:
    """One row a micro-operation, in order of history and transaction.

    ``txn`` is the position of the record; ``f`` a position in ``f_names``, ``key`` in ``keys``,
    ``value`` in ``Columns.values`` (-1 nil, and -1 where the value is a list). A list (a read of
    a list) is ``elements[list_start:list_end]``, positions in ``Columns.values``, so an element
    equals what was appended if the two numbers are equal; ``list_start`` is -1 without a list.
    """

    txn: Int32s
    f: Int8s
    key: Int32s
    value: Int64s
    list_start: Int64s
    list_end: Int64s
    elements: Int32s
    f_names: tuple[str, ...]
    keys: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """One row a record, in record order. All arrays have one length.

    ``index`` is the record's own (a witness), ``time`` nanoseconds; ``type`` 0 invoke 1 ok 2 fail
    3 info; ``process`` -1 for the nemesis; ``f`` a position in ``f_names``; ``pair`` the position
    of the other half or -1; ``key`` a position in ``keys`` or -1; ``value_kind`` and ``value`` as
    in the module's text.
    """

    index: Int64s
    time: Int64s
    type: Int8s
    process: Int32s
    f: Int16s
    pair: Int32s
    key: Int32s
    value_kind: Int8s
    value: Int64s
    f_names: tuple[str, ...]
    keys: tuple[Any, ...]
    values: tuple[Any, ...]
    micro: MicroColumns

    def __len__(self) -> int:
        return len(self.index)

    def value_at(self, position: int) -> Any:
        """The value of one record as it was, without its independent key."""
        kind, value = self.value_kind[position], int(self.value[position])
        if kind == NIL:
            return None
        if kind == TRANSACTION:
            return self._transaction_at(position)
        return value if kind == INTEGER else self.values[value]

    def _transaction_at(self, position: int) -> list[Any]:
        micro = self.micro
        low, high = np.searchsorted(micro.txn, (position, position + 1)).tolist()
        return [self._micro_operation(row) for row in range(low, high)]

    def _micro_operation(self, row: int) -> list[Any]:
        micro, value = self.micro, None
        if micro.list_start[row] >= 0:
            items = micro.elements[micro.list_start[row] : micro.list_end[row]].tolist()
            value = [self.values[item] for item in items]
        elif micro.value[row] != NONE:
            value = self.values[int(micro.value[row])]
        return [micro.f_names[micro.f[row]], micro.keys[int(micro.key[row])], value]


@dataclass
class _Table:
    """Interns JSON values: equal JSON, equal position."""

    items: list[Any] = field(default_factory=list)
    _positions: dict[Any, int] = field(default_factory=dict)

    def position(self, item: Any) -> int:
        kind = type(item)
        if kind is int or kind is str:
            key: Any = item  # these two never equal each other
        elif (kind is list or kind is tuple) and _SIMPLE.issuperset(map(type, item)):
            key = (list, tuple(item))
        elif kind is list or kind is dict or kind is tuple or kind in RICH:
            key = (list, exact(item))
        else:
            key = (kind, item)
        found = self._positions.get(key)
        if found is None:
            found = self._positions[key] = len(self.items)
            self.items.append(item)
        return found

    def all_positions(self, items: Sequence[Any]) -> list[int]:
        """The position of each of many items, of which most are known already."""
        if not set(map(type, items)) <= {int, str}:
            return [self.position(item) for item in items]
        known = self._positions
        for item in dict.fromkeys(items):
            if item not in known:
                self.position(item)
        return [known[item] for item in items]


class Listed(Protocol):
    """What is turned into columns: a history (:class:`harness.history.history.History`)."""

    @property
    def operations(self) -> Sequence[Operation]:
        """All records, in their order."""
        ...

    @property
    def header(self) -> Header:
        """What was said of them beforehand."""
        ...

    @property
    def pairs(self) -> list[int]:
        """For each position, that of its other half, or -1."""
        ...

    @property
    def prepared(self) -> Columns | None:
        """The view where somebody made it already."""
        ...


def columns(history: Listed) -> Columns:
    """The columnar view of ``history``; ``HistoryError`` if a number in it is out of range."""
    if history.prepared is not None and not history.header.independent:
        return history.prepared
    operations = history.operations
    keys, values = _split_keys(operations, history.header)
    names = _Table()
    table = _Table()
    try:
        micro = _micro_columns(operations, values, table)
        kind, value = _value_columns(values, table, micro)
        return Columns(
            index=_array(np.int64, [operation.index for operation in operations]),
            time=_array(np.int64, [operation.time for operation in operations]),
            type=_array(np.int8, [_TYPE_CODE[operation.type] for operation in operations]),
            process=_array(np.int32, [_process(operation) for operation in operations]),
            f=_array(np.int16, [names.position(operation.f) for operation in operations]),
            pair=_array(np.int32, history.pairs),
            key=keys[0],
            value_kind=kind,
            value=value,
            f_names=tuple(names.items),
            keys=keys[1],
            micro=micro,
            values=tuple(table.items),
        )
    except OverflowError as error:
        raise HistoryError(f"the history cannot be held in columns: {error}") from None


def outcomes(view: Columns) -> dict[str, dict[str, int]]:
    """Client operations by f: how many ended ``ok``, ``fail`` and ``info``.

    An invocation that nothing completed counts as info.
    """
    counts = np.zeros((len(view.f_names), len(TYPES)), dtype=np.int64)
    for low in range(0, len(view), _TOGETHER):
        some = slice(low, low + _TOGETHER)
        client = view.process[some] >= 0
        lost = (view.type[some] == 0) & (view.pair[some] < 0)
        kind = np.where(lost, _TYPE_CODE[INFO], view.type[some])[client]
        code = view.f[some][client].astype(np.int64) * len(TYPES) + kind
        counts += np.bincount(code, minlength=counts.size).reshape(counts.shape)
    return {
        name: {kind: int(row[_TYPE_CODE[kind]]) for kind in (OK, FAIL, INFO)}
        for name, row in zip(view.f_names, counts, strict=True)
        if row[_TYPE_CODE[OK] :].any()
    }


def _array(kind: Any, items: Sequence[int]) -> Any:
    return np.array(items, dtype=kind)


def _process(operation: Operation) -> int:
    process = operation.process
    return process if isinstance(process, int) and process >= 0 else NEMESIS_PROCESS


def _split_keys(
    operations: Sequence[Operation], header: Header
) -> tuple[tuple[Int32s, tuple[Any, ...]], list[Any]]:
    """The key column with its table, and the values without their keys."""
    values = [operation.value for operation in operations]
    if not header.independent:
        return (np.full(len(values), NONE, dtype=np.int32), ()), values
    table = _Table()
    keys = [NONE] * len(values)
    for position, operation in enumerate(operations):
        value = operation.value
        if isinstance(value, list | tuple) and len(value) == 2 and operation.is_client:
            keys[position] = table.position(value[0])
            values[position] = value[1]
    return (_array(np.int32, keys), tuple(table.items)), values


def _value_columns(
    values: Sequence[Any], table: _Table, micro: MicroColumns
) -> tuple[Int8s, Int64s]:
    kinds = [NIL] * len(values)
    numbers = [0] * len(values)
    told = frozenset(micro.txn.tolist())
    for position, value in enumerate(values):
        if value is None:
            continue
        if position in told and all(len(part) == 3 for part in value):
            kinds[position] = TRANSACTION
        elif type(value) is int and -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            kinds[position], numbers[position] = INTEGER, value
        else:
            kinds[position], numbers[position] = INTERNED, table.position(value)
    return _array(np.int8, kinds), _array(np.int64, numbers)


def _micro_columns(
    operations: Sequence[Operation], values: Sequence[Any], table: _Table
) -> MicroColumns:
    names, keys = _Table(), _Table()
    rows: list[tuple[int, int, int, int, int, int]] = []
    flat: list[Any] = []
    for position, value in enumerate(values):
        if not is_transaction(value) or not operations[position].is_client:
            continue
        for micro in value:
            item = micro[2] if len(micro) > 2 else None
            number = start = end = NONE
            if isinstance(item, list | tuple):
                start = len(flat)
                flat.extend(item)
                end = len(flat)
            elif item is not None:
                number = table.position(item)
            key = keys.position(micro[1]) if len(micro) > 1 else NONE
            rows.append((position, names.position(micro[0]), key, number, start, end))
    columned = np.array(list(chain.from_iterable(rows)), dtype=np.int64).reshape(-1, 6)
    return MicroColumns(
        txn=columned[:, 0].astype(np.int32),
        f=columned[:, 1].astype(np.int8),
        key=columned[:, 2].astype(np.int32),
        value=columned[:, 3].copy(),
        list_start=columned[:, 4].copy(),
        list_end=columned[:, 5].copy(),
        elements=_array(np.int32, table.all_positions(flat)),
        f_names=tuple(names.items),
        keys=tuple(keys.items),
    )
