"""From what a compiled scanner found to one history: columns of all parts, operations on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
from msgspec import structs

from harness.history.adopt import HEADER_F
from harness.history.columns import (
    NEMESIS_PROCESS,
    NONE,
    Columns,
    MicroColumns,
)
from harness.history.compiled.fast_scan import Dialect, Scanned, scanned
from harness.history.compiled.token_tables import merged
from harness.history.history import History
from harness.history.intakes import is_guessed
from harness.history.operation import TYPES, Header, Operation

DOUBTFUL: Final = 64
"""Added by a scanner to the kind of a record's value: somebody should look at it again."""
_SPARSE: Final = 4
_DOUBTS: Final = 1000
_DOUBTED: Final = 20


@dataclass(frozen=True, kw_only=True)
class Found:
    """The columns of a file, and where each of its records starts.

    ``doubtful`` are the places of records that the scanner did not wholly understand.
    ``numbered`` says whether indices and times are by the order of the file.
    """

    at: Any
    columns: Columns
    doubtful: Any
    numbered: tuple[bool, bool]


def read_scanned(
    path: Path, start: int, size: int, header: Header, dialect: Dialect
) -> History | None:
    """A history of the operations between two places of ``path``; ``None`` if it is unusual."""
    if header.independent:
        return None
    scan = scanned(path, start, size, dialect)
    found = None if scan is None else _joined(scan, dialect)
    if found is None:
        return None
    operations = LazyOperations(path, found, size, dialect.decode)
    if not all(_is_as_told(operations, found.columns, place) for place in found.doubtful):
        return None
    return History(
        operations, header, is_paired_by_guess=is_guessed(header), prepared=found.columns
    )


def _is_as_told(operations: LazyOperations, view: Columns, place: int) -> bool:
    """Whether the ordinary reader finds at ``place`` what the scanner did."""
    found = operations[place : place + 1]
    if len(found) != 1:
        return False
    operation = found[0]
    is_nemesis = view.process[place] == NEMESIS_PROCESS
    process = "nemesis" if is_nemesis else int(view.process[place])
    return (
        (operation.index, operation.time) == (view.index[place], view.time[place])
        and (operation.process, operation.type) == (process, TYPES[view.type[place]])
        and operation.f == view.f_names[view.f[place]]
        and (is_nemesis or operation.value == view.value_at(place))
    )


def _joined(found: Scanned, dialect: Dialect) -> Found | None:
    """The columns of what was scanned, with tokens numbered the same throughout."""
    at, index, time, kind, process, f, told = found.rows
    f_names, f_maps = _merged(found, 0, dialect)
    if _is_special(f_names) or not len(at):
        return None
    _renumber(f, [(each.records, each.worker) for each in found.stretches], f_maps)
    doubtful = np.flatnonzero(told & DOUBTFUL)
    told &= DOUBTFUL - 1
    is_numbered, is_timed = _numbered(index), _numbered(time)
    if is_numbered is None or is_timed is None or len(doubtful) > _DOUBTS + len(told) // _DOUBTED:
        return None
    if is_numbered and not is_timed and (np.diff(time) < 0).any():
        return None  # whether that matters is for the ordinary reader to say
    partner = _pairs(index, kind, process, f)
    if partner is None:
        return None
    values, micro = _micro(found, dialect)
    columns = Columns(
        index=index,
        time=time,
        type=kind,
        process=process,
        f=f,
        pair=partner,
        key=np.broadcast_to(np.int32(NONE), len(index)),
        value_kind=told,
        value=np.broadcast_to(np.int64(0), len(index)),
        f_names=tuple(f_names),
        keys=(),
        values=values,
        micro=micro,
    )
    return Found(at=at, columns=columns, doubtful=doubtful, numbered=(is_numbered, is_timed))


def _micro(found: Scanned, dialect: Dialect) -> tuple[Any, MicroColumns]:
    """The values of all records, and the columns of micro-operations."""
    from harness.history.compiled.byte_scanner import LARGEST_PLAIN, MICRO_NAMES, PLAIN

    txn, f, key, value, start, end = found.micro
    micros = [(each.micros, each.worker) for each in found.stretches]
    keys: Any
    if found.modes.key == PLAIN:
        keys, key = _without_gaps(key)
    else:
        keys, maps = _merged(found, 1, dialect)
        _renumber(key, micros, maps)
    values: Any = range(LARGEST_PLAIN + 1)
    if found.modes.value != PLAIN:
        values, maps = _merged(found, 2, dialect)
        _renumber(value, micros, maps)
        _renumber(found.elements, [(each.elements, each.worker) for each in found.stretches], maps)
    return values, MicroColumns(
        txn=txn,
        f=f,
        key=key,
        value=value,
        list_start=start,
        list_end=end,
        elements=found.elements,
        f_names=MICRO_NAMES,
        keys=keys,
    )


def _merged(found: Scanned, kind: int, dialect: Dialect) -> tuple[tuple[Any, ...], list[Any]]:
    """All tokens of a kind (0 ``f``, 1 keys, 2 values), and a map for each table of them."""
    known = [(each.worker, each.known[kind]) for each in found.stretches]
    tables = (found.f, found.keys, found.values)[kind]
    items, maps = merged(tables, known, dialect.as_value if kind else dialect.as_name)
    return tuple(items), maps


def _renumber(column: Any, stretches: Sequence[tuple[slice, int]], maps: Sequence[Any]) -> None:
    """Replace numbers by those that the maps give, each stretch by its own map."""
    if all(np.array_equal(each[:-1], np.arange(len(each) - 1)) for each in maps):
        return
    for place, number in stretches:
        column[place] = maps[number][column[place]]


def _is_special(f_names: Sequence[str]) -> bool:
    """Whether some f means something to the ordinary reader."""
    return not all(f_names) or HEADER_F in f_names


def _numbered(column: Any) -> bool | None:
    """Number the records if none says its number (-1); ``None`` if only some do."""
    silent = int(np.count_nonzero(column < 0))
    if silent == len(column):
        column[:] = np.arange(silent)
    return None if 0 < silent < len(column) else silent > 0


def _without_gaps(key: Any) -> tuple[Any, Any]:
    """Plain keys renumbered if they are far apart."""
    most = int(key.max()) + 1 if len(key) else 0
    if most <= _SPARSE * len(key) + 1024:
        return range(most), key
    distinct, renumbered = np.unique(key, return_inverse=True)
    return tuple(distinct.tolist()), renumbered.astype(np.int32)


def _pairs(index: Any, kind: Any, process: Any, f: Any) -> Any:
    """The partner of each record; ``None`` if a rule of histories is broken."""
    from harness.history.compiled.byte_scanner import pair

    numbers, width = process, int(process.max()) + 1 if len(process) else 0
    if width > _SPARSE * len(process) + 1024:
        distinct, numbers = np.unique(process, return_inverse=True)
        numbers = np.where(process < 0, -1, numbers).astype(np.int32)
        width = len(distinct)
    partner = np.empty(len(index), dtype=np.int32)
    if pair(index, kind, numbers, f, partner, width) >= 0:
        return None
    opened: dict[int, int] = {}
    for place in np.flatnonzero(process == NEMESIS_PROCESS).tolist():
        first = opened.pop(int(f[place]), None)
        if first is None:
            opened[int(f[place])] = place
        else:
            partner[first], partner[place] = place, first
    return partner


class LazyOperations(Sequence[Operation]):
    """The operations of a file, decoded by ``decode`` when somebody asks for them."""

    _TOGETHER: Final = 4096
    _BYTES: Final = 16 << 20
    """Of records that are decoded at once: some may be long."""

    def __init__(
        self, path: Path, found: Found, size: int, decode: Callable[..., Sequence[Operation]]
    ) -> None:
        self._path = path
        self._at = found.at
        self._size = size
        self._decode = decode
        self._numbered = found.numbered

    def __len__(self) -> int:
        return len(self._at)

    @overload
    def __getitem__(self, place: int) -> Operation: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Operation]: ...

    def __getitem__(self, place: int | slice) -> Operation | Sequence[Operation]:
        if isinstance(place, slice):
            span = range(len(self))[place]
            if span.step == 1 and len(span):
                return self._decoded(span.start, span.stop)
            return [self[number] for number in span]
        number = range(len(self))[place]
        return self._decoded(number, number + 1)[0]

    def __iter__(self) -> Iterator[Operation]:
        first = 0
        while first < len(self):
            far = np.searchsorted(self._at, int(self._at[first]) + self._BYTES)
            last = min(first + self._TOGETHER, max(int(far), first + 1), len(self))
            yield from self._decoded(first, last)
            first = last

    def pick(self, places: Sequence[int]) -> Iterator[Operation]:
        """The operations at ``places``, with one look at the file for each."""
        with self._path.open("rb") as file:
            for first in range(0, len(places), self._TOGETHER):
                some = places[first : first + self._TOGETHER]
                records = []
                for place in some:
                    start, end = self._span(place, place + 1)
                    file.seek(start)
                    records.append(file.read(end - start))
                found = self._decode(b"".join(records), str(self._path))
                yield from map(self._at_place, found, some)

    def _span(self, first: int, last: int) -> tuple[int, int]:
        end = int(self._at[last]) if last < len(self) else self._size
        return int(self._at[first]), end

    def _decoded(self, first: int, last: int) -> Sequence[Operation]:
        start, end = self._span(first, last)
        with self._path.open("rb") as file:
            file.seek(start)
            found = self._decode(file.read(end - start), str(self._path))
        if not any(self._numbered):
            return found
        return [self._at_place(operation, first + n) for n, operation in enumerate(found)]

    def _at_place(self, operation: Operation, place: int) -> Operation:
        is_numbered, is_timed = self._numbered
        if not (is_numbered or is_timed):
            return operation
        index = place if is_numbered else operation.index
        time = place if is_timed else operation.time
        return structs.replace(operation, index=index, time=time)
