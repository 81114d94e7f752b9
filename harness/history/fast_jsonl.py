"""Large histories of transactions, from JSON lines straight into columns.

A million transactions are 300 MB of JSON. As Python objects they take ten times that and half a
minute; as columns a second and as much memory as the file. Two threads run the compiled scanner
(:mod:`harness.history.byte_scanner`) over blocks of the file, which never is in memory as a
whole. The operations themselves are decoded one by one where somebody asks for them.

``None`` means that the ordinary reader must be asked: numba is not there, the file is small, or
something in it is unusual, if only by being wrong.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, overload

import numpy as np

from harness.errors import HistoryError
from harness.history.columns import (
    NEMESIS_PROCESS,
    NONE,
    Columns,
    MicroColumns,
)
from harness.history.compiling import load_numba
from harness.history.formats import jsonl
from harness.history.history import History
from harness.history.operation import Header, Operation

SMALLEST: Final = 8 << 20
"""Bytes from which the scanner is worth loading."""
BLOCK: Final = 16 << 20
LONGEST_LINE: Final = 8 << 20
THREADS: Final = 2
_PAD: Final = 64
_HEAD: Final = 1 << 16
_LEAST_RECORD: Final = 56
_LEAST_MICRO: Final = 9
_SPARSE: Final = 4


def read_fast(path: Path, *, smallest: int = SMALLEST) -> History | None:
    """The history in ``path`` with its columns prepared, or ``None`` for the ordinary reader."""
    try:
        size = path.stat().st_size
        if size < smallest or importlib.util.find_spec("numba") is None:
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(max(0, size - 1))
            if file.read(1) != b"\n" or not _looks_right(head):
                return None
        header, start = jsonl._header(head, str(path))
        return _scanned(path, header, start, size)
    except (OSError, UnicodeDecodeError, HistoryError):
        return None


def _looks_right(head: bytes) -> bool:
    return b'"value":[["' in head.replace(b" ", b"")


def _scanned(path: Path, header: Header, start: int, size: int) -> History | None:
    load_numba()
    from harness.history import byte_scanner as scanner

    modes = [scanner.PLAIN, scanner.PLAIN]
    if header.independent:
        return None
    while True:
        parts = _Scan(path, start, size, (modes[0], modes[1])).run()
        codes = {part.code for part in parts}
        if codes == {scanner.DONE}:
            break
        if scanner.KEY_TOKEN in codes and modes[0] == scanner.PLAIN:
            modes[0] = scanner.NAMED
        elif scanner.VALUE_TOKEN in codes and modes[1] == scanner.PLAIN:
            modes[1] = scanner.NAMED
        else:
            return None
    found = _joined(parts, (modes[0], modes[1]))
    if found is None:
        return None
    at, columns = found
    return History(LazyOperations(path, at, size), header, prepared=columns)


class Tokens:
    """Distinct tokens of one kind in one thread: a hash table over their bytes."""

    def __init__(self, room: int) -> None:
        self.slots = np.full(room, -1, dtype=np.int32)
        self.starts = np.zeros(room // 2 + 2, dtype=np.int64)
        self.pool = np.empty(16 * room, dtype=np.uint8)
        self.used = np.zeros(1, dtype=np.int64)

    def arrays(self) -> tuple[Any, Any, Any, Any]:
        """As the scanner takes it."""
        return self.slots, self.starts, self.pool, self.used

    def items(self) -> list[bytes]:
        """The tokens in order of their numbers."""
        count, text = int(self.used[0]), self.pool.tobytes()
        ends = self.starts[: count + 1].tolist()
        return [text[ends[i] : ends[i + 1]] for i in range(count)]

    def grown(self) -> Tokens:
        """The same tokens with four times the room."""
        from harness.history.byte_tokens import named

        more = Tokens(4 * len(self.slots))
        tokens = np.concatenate((self.pool[: self.starts[self.used[0]]], np.zeros(1, np.uint8)))
        for number in range(int(self.used[0])):
            named(tokens, self.starts[number], self.starts[number + 1], *more.arrays())
        return more


@dataclass
class Part:
    """What one thread scanned."""

    records: int
    micros: int
    elements: int
    code: int
    rows: tuple[Any, ...]
    micro: tuple[Any, ...]
    flat: Any
    f: Tokens = field(repr=False)
    keys: Tokens = field(repr=False)
    values: Tokens = field(repr=False)


class _Scan:
    """One pass over the file, in as many stretches as threads."""

    def __init__(self, path: Path, start: int, size: int, modes: tuple[int, int]) -> None:
        self.path = path
        self.modes = modes
        self.cuts = _cuts(path, start, size)
        self.stop = False

    def run(self) -> list[Part]:
        """The parts in order of the file; what went wrong in a thread is raised."""
        parts: list[Part | None] = [None] * (len(self.cuts) - 1)
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                low, high = self.cuts[number], self.cuts[number + 1]
                # the first part has room for the others: they are moved there in the end
                room = self.cuts[-1] - low if number == 0 else high - low
                parts[number] = self._part(low, high, room)
            except BaseException as error:
                self.stop = True
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(len(parts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return [part for part in parts if part is not None]

    def _part(self, low: int, high: int, room: int) -> Part:
        from harness.history import byte_scanner as scanner

        part = _new_part(room)
        progress = np.zeros(5, dtype=np.int64)
        with self.path.open("rb", buffering=0) as file:
            for block, end, base in _blocks(file.fileno(), low, high):
                progress[scanner.POSITION] = 0
                self._block(part, progress, block, end, base)
                if progress[scanner.CODE] or self.stop:
                    self.stop = True
                    break
        part.records, part.micros, part.elements, part.code = (int(x) for x in progress[1:])
        return part

    def _block(self, part: Part, progress: Any, block: Any, end: int, base: int) -> None:
        from harness.history import byte_scanner as scanner

        while True:
            scanner.scan(
                block,
                end,
                base,
                progress,
                part.rows,
                part.micro,
                part.flat,
                self.modes,
                part.f.arrays(),
                part.keys.arrays(),
                part.values.arrays(),
            )
            if progress[scanner.CODE] != scanner.FULL:
                return
            part.keys, part.values = part.keys.grown(), part.values.grown()


def _new_part(size: int) -> Part:
    """Room for all that so many bytes can hold; pages that stay unused cost nothing."""
    records, micros = size // _LEAST_RECORD + 2, size // _LEAST_MICRO + 2
    kinds = (np.int64, np.int64, np.int64, np.int8, np.int32, np.int16, np.int8)
    return Part(
        records=0,
        micros=0,
        elements=0,
        code=0,
        rows=tuple(np.empty(records, dtype=kind) for kind in kinds),
        micro=tuple(
            np.empty(micros, dtype=kind)
            for kind in (np.int32, np.int8, np.int32, np.int32, np.int64, np.int64)
        ),
        flat=np.empty(size // 2 + 2, dtype=np.int32),
        f=Tokens(64),
        keys=Tokens(1 << 10),
        values=Tokens(1 << 10),
    )


def _cuts(path: Path, start: int, size: int) -> list[int]:
    """Starts of lines that cut the file into equal stretches, with both ends."""
    cuts = [start]
    with path.open("rb") as file:
        for number in range(1, THREADS):
            file.seek(max(start, start + (size - start) * number // THREADS))
            file.readline()
            cuts.append(min(max(file.tell(), cuts[-1]), size))
    return [*cuts, size]


def _blocks(file: int, low: int, high: int) -> Iterator[tuple[Any, int, int]]:
    """Blocks of whole lines as ``(bytes, end, place in the file)``; zeros follow the end."""
    room: Any = np.zeros(BLOCK + LONGEST_LINE + _PAD, dtype=np.uint8)
    kept = 0
    at = low
    while at < high:
        want = min(BLOCK, high - at)
        got = os.preadv(file, [memoryview(room)[kept : kept + want]], at)
        if got <= 0:
            raise OSError(0, "the file became shorter")
        at += got
        filled = kept + got
        room[filled : filled + _PAD] = 0
        lines = bytes(room[kept:filled][-LONGEST_LINE:]).rfind(b"\n")
        end = filled if at >= high else filled - min(got, LONGEST_LINE) + lines + 1
        if lines < 0 and at < high:
            raise OSError(0, "a line is too long")
        yield room, end, at - filled
        kept = filled - end
        room[:kept] = room[end:filled].copy()


def _joined(parts: Sequence[Part], modes: tuple[int, int]) -> tuple[Any, Columns] | None:
    """The columns of all parts, one array after another so that little is held twice."""
    from harness.history.byte_scanner import MICRO_NAMES, PLAIN

    f_names, f_maps = _merged([part.f for part in parts])
    if not all(f_names) or sum(part.records for part in parts) == 0:
        return None
    rows = [_stacked(parts, "rows", n, [part.records for part in parts]) for n in range(4)]
    at, index, time, kind = rows
    process = _stacked(parts, "rows", 4, [part.records for part in parts])
    f = _stacked(parts, "rows", 5, [part.records for part in parts], maps=f_maps)
    told = _stacked(parts, "rows", 6, [part.records for part in parts])
    partner = _pairs(index, kind, process, f)
    if partner is None:
        return None
    keys, key_maps = _table(parts, "keys", modes[0])
    values, value_maps = _table(parts, "values", modes[1])
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
    return at, columns


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


def _merged(tables: Sequence[Tokens]) -> tuple[list[Any], list[Any]]:
    """The tokens of all parts as JSON values, and for each part a map from old numbers to new.

    The last entry of a map is -1, so that -1 stays -1.
    """
    numbers: dict[bytes, int] = {}
    maps = []
    for table in tables:
        new = [numbers.setdefault(token, len(numbers)) for token in table.items()]
        maps.append(np.array([*new, -1], dtype=np.int32))
    return [json.loads(token) for token in numbers], maps


def _table(parts: Sequence[Part], name: str, mode: int) -> tuple[Any, Sequence[Any] | None]:
    from harness.history.byte_scanner import LARGEST_PLAIN, PLAIN

    if mode == PLAIN:
        return range(LARGEST_PLAIN + 1), None
    items, maps = _merged([getattr(part, name) for part in parts])
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
    """The operations of a file whose lines start at ``at``, decoded when asked for."""

    _TOGETHER: Final = 4096

    def __init__(self, path: Path, at: Any, size: int) -> None:
        self._path = path
        self._at = at
        self._size = size

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
                lines = []
                for place in places[first : first + self._TOGETHER]:
                    file.seek(int(self._at[place]))
                    lines.append(file.readline())
                yield from jsonl.read(b"".join(lines), str(self._path)).operations

    def _decoded(self, first: int, last: int) -> Sequence[Operation]:
        start = int(self._at[first])
        end = int(self._at[last]) if last < len(self) else self._size
        with self._path.open("rb") as file:
            file.seek(start)
            return jsonl.read(file.read(end - start), str(self._path)).operations
