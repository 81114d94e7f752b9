"""From what a compiled scanner found to one history: columns of all parts, operations on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
from msgspec import structs

from harness.history.adopt import HEADER_F, KEYED
from harness.history.columns import (
    NEMESIS_PROCESS,
    NONE,
    Columns,
    MicroColumns,
)
from harness.history.fast_scan import Dialect, Part, Tokens, scanned
from harness.history.history import History
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
    parts = scanned(path, start, size, dialect)
    found = None if parts is None else _joined(*parts, dialect)
    if found is None:
        return None
    operations = LazyOperations(path, found, size, dialect.decode)
    if not all(_is_as_told(operations, found.columns, place) for place in found.doubtful):
        return None
    return History(operations, header, prepared=found.columns)


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


def _joined(parts: Sequence[Part], modes: tuple[int, int], dialect: Dialect) -> Found | None:
    """The columns of all parts, one array after another so that little is held twice."""
    from harness.history.byte_scanner import MICRO_NAMES, PLAIN

    f_names, f_maps = _merged([part.f for part in parts], dialect)
    if _is_special(f_names) or sum(part.records for part in parts) == 0:
        return None
    rows = [_stacked(parts, "rows", n, [part.records for part in parts]) for n in range(4)]
    at, index, time, kind = rows
    process = _stacked(parts, "rows", 4, [part.records for part in parts])
    f = _stacked(parts, "rows", 5, [part.records for part in parts], maps=f_maps)
    told = _stacked(parts, "rows", 6, [part.records for part in parts])
    doubtful = np.flatnonzero(told & DOUBTFUL)
    told &= DOUBTFUL - 1
    is_numbered, is_timed = _numbered(index), _numbered(time)
    if is_numbered is None or is_timed is None or len(doubtful) > _DOUBTS + len(told) // _DOUBTED:
        return None
    partner = _pairs(index, kind, process, f)
    if partner is None:
        return None
    keys, key_maps = _table(parts, "keys", modes[0], dialect)
    values, value_maps = _table(parts, "values", modes[1], dialect)
    counts = [part.micros for part in parts]
    records = _offsets([part.records for part in parts])
    lists = _offsets([part.elements for part in parts])
    key = _stacked(parts, "micro", 2, counts, maps=key_maps)
    if modes[0] == PLAIN:
        keys, key = _without_gaps(key)
    micro = MicroColumns(
        txn=_stacked(parts, "micro", 0, counts, offsets=records),
        f=_stacked(parts, "micro", 1, counts),
        key=key,
        value=_stacked(parts, "micro", 3, counts, maps=value_maps),
        list_start=_stacked(parts, "micro", 4, counts, offsets=lists),
        list_end=_stacked(parts, "micro", 5, counts, offsets=lists),
        elements=_flat(parts, value_maps),
        f_names=MICRO_NAMES,
        keys=keys,
    )
    nothing = np.broadcast_to(np.int64(0), len(index))
    columns = Columns(
        index=index,
        time=time,
        type=kind,
        process=process,
        f=f,
        pair=partner,
        key=np.broadcast_to(np.int32(NONE), len(index)),
        value_kind=told,
        value=nothing,
        f_names=tuple(f_names),
        keys=(),
        values=values,
        micro=micro,
    )
    return Found(at=at, columns=columns, doubtful=doubtful, numbered=(is_numbered, is_timed))


def _is_special(f_names: Sequence[str]) -> bool:
    """Whether some f, or all of them together, mean something to the ordinary reader."""
    return not all(f_names) or HEADER_F in f_names or KEYED.issuperset(f_names)


def _numbered(column: Any) -> bool | None:
    """Number the records if none says its number (-1); ``None`` if only some do."""
    silent = int(np.count_nonzero(column < 0))
    if silent == len(column):
        column[:] = np.arange(silent)
    return None if 0 < silent < len(column) else silent > 0


def _offsets(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()][:-1]


def _stacked(
    parts: Sequence[Part],
    group: str,
    number: int,
    counts: Sequence[int],
    *,
    maps: Sequence[Any] | None = None,
    offsets: Sequence[int] | None = None,
) -> Any:
    """One column of all parts; what the parts held of it is let go.

    ``maps`` renumber, ``offsets`` are added; -1 stays -1.
    """
    pieces = []
    for place, (part, count) in enumerate(zip(parts, counts, strict=True)):
        arrays = list(getattr(part, group))
        piece = arrays[number]
        arrays[number] = None
        setattr(part, group, tuple(arrays))
        if place or maps is not None:
            piece = piece[:count]
        if maps is not None:
            piece = maps[place][piece]
        if offsets is not None and offsets[place]:
            np.add(piece, offsets[place], out=piece, where=piece >= 0)
        pieces.append(piece)
    return np.concatenate(pieces) if maps is not None else _moved(pieces, counts)


def _moved(pieces: Sequence[Any], counts: Sequence[int]) -> Any:
    """All pieces in the room of the first, so that no more memory is touched than need be."""
    whole = pieces[0][: sum(counts)]
    at = counts[0]
    for piece, count in zip(pieces[1:], counts[1:], strict=True):
        whole[at : at + count] = piece[:count]
        at += count
    return whole


def _flat(parts: Sequence[Part], maps: Sequence[Any] | None) -> Any:
    pieces = []
    for place, part in enumerate(parts):
        pieces.append(part.flat if maps is None else maps[place][part.flat[: part.elements]])
        part.flat = None
    if maps is not None:
        return np.concatenate(pieces)
    return _moved(pieces, [part.elements for part in parts])


def _merged(tables: Sequence[Tokens], dialect: Dialect) -> tuple[list[Any], list[Any]]:
    """The tokens of all parts as JSON values, and for each part a map from old numbers to new.

    The last entry of a map is -1, so that -1 stays -1.
    """
    numbers: dict[bytes, int] = {}
    maps = []
    for table in tables:
        tokens = map(dialect.as_json, table.items())
        new = [numbers.setdefault(token, len(numbers)) for token in tokens]
        maps.append(np.array([*new, -1], dtype=np.int32))
    return [json.loads(token) for token in numbers], maps


def _table(
    parts: Sequence[Part], name: str, mode: int, dialect: Dialect
) -> tuple[Any, Sequence[Any] | None]:
    from harness.history.byte_scanner import LARGEST_PLAIN, PLAIN

    if mode == PLAIN:
        return range(LARGEST_PLAIN + 1), None
    items, maps = _merged([getattr(part, name) for part in parts], dialect)
    return tuple(items), maps


def _without_gaps(key: Any) -> tuple[Any, Any]:
    """Plain keys renumbered if they are far apart."""
    most = int(key.max()) + 1 if len(key) else 0
    if most <= _SPARSE * len(key) + 1024:
        return range(most), key
    distinct, renumbered = np.unique(key, return_inverse=True)
    return tuple(distinct.tolist()), renumbered.astype(np.int32)


def _pairs(index: Any, kind: Any, process: Any, f: Any) -> Any:
    """The partner of each record; ``None`` if a rule of histories is broken."""
    from harness.history.byte_scanner import pair

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
        for first in range(0, len(self), self._TOGETHER):
            yield from self._decoded(first, min(first + self._TOGETHER, len(self)))

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
