"""Passes of a compiled scanner over a large file of operations, one a line, in two threads.

What the lines look like is a :class:`Dialect`'s business. The file is cut into blocks of some
megabytes, and each thread takes one after another. It scans a block into arrays of its own, the
same ones for every block, and then moves what it found to where that goes in the arrays of the
whole file. So of memory nothing is touched but those arrays, once, and as much as is used of them;
memory that a process touches for the first time is what loading a large file waits for.

Columns are as narrow as may be: places in the file take four bytes if the file is below 4 GB,
values two bytes where all are small. A value too large for that begins the pass anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from harness.history.compiled.token_tables import Tokens
from harness.history.operation import Operation

BLOCK: Final = 2 << 20
LONGEST_LINE: Final = 8 << 20
THREADS: Final = 2
_PAD: Final = 64
_WIDE: Final = 100
"""Beside the scanner's codes: a value is too large for the columns' type."""

_Kinds = tuple[tuple[Any, ...], tuple[Any, ...], Any]
"""Types of the columns of records, of micro-operations, and of elements."""
_SCANNED: Final[_Kinds] = (
    (np.int64, np.int64, np.int64, np.int8, np.int32, np.int16, np.int8),
    (np.int32, np.int8, np.int32, np.int32, np.int64, np.int64),
    np.int32,
)
"""Those that the compiled scanner takes."""


@dataclass(frozen=True)
class Dialect:
    """How operations are written: the compiled scanner, its smallest record and micro-operation
    in bytes, how some whole records are decoded in the ordinary way (bytes, name of the file),
    and what a token means as an ``f``, and as a key or value.
    """

    scan: Callable[..., None]
    least_record: int
    least_micro: int
    decode: Callable[[bytes, str], Sequence[Operation]]
    as_name: Callable[[bytes], Any]
    as_value: Callable[[bytes], Any]


@dataclass(frozen=True)
class Modes:
    """How keys and values are numbered (the scanner's ``PLAIN`` or ``NAMED``), and whether
    values are expected to fit two bytes.
    """

    key: int
    value: int
    narrow: bool

    @property
    def value_kind(self) -> Any:
        """The type of values in columns; -1 is none."""
        return np.int16 if self.narrow and not self.value else np.int32


@dataclass(frozen=True)
class Stretch:
    """Where in the columns a block's finds are, and who found them.

    Tokens are numbered by each worker for itself; ``known`` are how many it knew after this
    block of ``f``, keys and values.
    """

    worker: int
    records: slice
    micros: slice
    elements: slice
    known: tuple[int, int, int]


_NOWHERE: Final = Stretch(0, slice(0, 0), slice(0, 0), slice(0, 0), (0, 0, 0))


@dataclass(frozen=True)
class Scanned:
    """The columns of a file, block by block, and the tables of tokens of each worker.

    ``rows`` are place in the file, index, time, type, process, f and kind of value; ``micro`` are
    record, f, key, value, start and end of a list.
    """

    rows: tuple[Any, ...]
    micro: tuple[Any, ...]
    elements: Any
    stretches: Sequence[Stretch]
    f: Sequence[Tokens] = field(repr=False)
    keys: Sequence[Tokens] = field(repr=False)
    values: Sequence[Tokens] = field(repr=False)
    modes: Modes


def scanned(path: Path, start: int, size: int, dialect: Dialect) -> Scanned | None:
    """What stands in ``path`` between two places; ``None`` if something is unusual."""
    from harness.history.compiled import byte_scanner as codes

    modes = Modes(codes.PLAIN, codes.PLAIN, narrow=True)
    while True:
        scan = _Scan(path, start, size, modes, dialect)
        found = scan.run()
        if not found:
            return scan.scanned()
        if codes.KEY_TOKEN in found and modes.key == codes.PLAIN:
            modes = Modes(codes.NAMED, modes.value, modes.narrow)
        elif codes.VALUE_TOKEN in found and modes.value == codes.PLAIN:
            modes = Modes(modes.key, codes.NAMED, modes.narrow)
        elif _WIDE in found:
            modes = Modes(modes.key, modes.value, narrow=False)
        else:
            return None


class _Worker:
    """One thread's tables, and the memory that block after block goes through."""

    def __init__(self, number: int, longest: int, dialect: Dialect, modes: Modes) -> None:
        self.number = number
        self.dialect = dialect
        self.modes = modes
        self.room: Any = np.empty(longest + _PAD, dtype=np.uint8)
        self.progress = np.zeros(5, dtype=np.int64)
        self.rows, self.micro, self.elements = _arrays(longest, dialect, _SCANNED)
        self.f, self.keys, self.values = Tokens(64), Tokens(1 << 10), Tokens(1 << 10)

    def scan(self, file: int, low: int, high: int) -> int:
        """Scan the bytes between two places of the file; why it stopped."""
        from harness.history.compiled import byte_scanner as scanner

        self._read(file, low, high)
        self.progress[:] = 0
        while True:
            self.dialect.scan(
                self.room,
                high - low,
                low,
                self.progress,
                self.rows,
                self.micro,
                self.elements,
                (self.modes.key, self.modes.value),
                self.f.arrays(),
                self.keys.arrays(),
                self.values.arrays(),
            )
            code = int(self.progress[scanner.CODE])
            if code != scanner.FULL:
                return code or self._too_wide()
            self.keys, self.values = self.keys.grown(), self.values.grown()

    def _read(self, file: int, low: int, high: int) -> None:
        """Bytes of the file into the room; what is no JSON follows them."""
        at = low
        while at < high:
            got = os.preadv(file, [memoryview(self.room)[at - low : high - low]], at)
            if got <= 0:
                raise OSError(0, "the file became shorter")
            at += got
        self.room[high - low : high - low + _PAD] = 0

    def _too_wide(self) -> int:
        _, micros, elements = self.counts()
        most = np.iinfo(self.modes.value_kind).max - 1  # one more is a number too
        found = (self.micro[3][:micros], self.elements[:elements])
        return _WIDE if any(len(part) and part.max() > most for part in found) else 0

    def counts(self) -> tuple[int, int, int]:
        """How many records, micro-operations and elements stand in the block."""
        _, records, micros, elements, _ = self.progress.tolist()
        return records, micros, elements

    def after(self, before: Stretch) -> Stretch:
        """The stretch of what was found in the block, behind another one."""
        records, micros, elements = (
            slice(place.stop, place.stop + count)
            for place, count in zip(
                (before.records, before.micros, before.elements), self.counts(), strict=True
            )
        )
        f, keys, values = (int(table.used[0]) for table in (self.f, self.keys, self.values))
        return Stretch(self.number, records, micros, elements, (f, keys, values))

    def move(self, to: Stretch, rows: Sequence[Any], micro: Sequence[Any], elements: Any) -> None:
        """Bring what was found in the block to where it goes, numbered as there."""
        records, micros, count = self.counts()
        self.micro[0][:micros] += to.records.start
        for bound in self.micro[4:]:
            some = bound[:micros]
            np.add(some, to.elements.start, out=some, where=some >= 0)
        for column, mine in zip(rows, self.rows, strict=True):
            column[to.records] = mine[:records]
        for column, mine in zip(micro, self.micro, strict=True):
            column[to.micros] = mine[:micros]
        elements[to.elements] = self.elements[:count]


class _Scan:
    """One pass over the file: blocks are taken in turn, and their finds placed in that order."""

    def __init__(self, path: Path, start: int, size: int, modes: Modes, dialect: Dialect) -> None:
        self.path = path
        self.modes = modes
        self.cuts = _cuts(path, start, size)
        longest = max(high - low for low, high in pairwise(self.cuts))
        self.workers = [_Worker(number, longest, dialect, modes) for number in range(THREADS)]
        self.rows, self.micro, self.elements = _arrays(
            size - start, dialect, _kept(size, modes.value_kind)
        )
        self.turn = threading.Condition()
        self.taken = 0
        self.stretches: list[Stretch] = []
        self.codes: set[int] = set()
        self.errors: list[BaseException] = []

    def run(self) -> set[int]:
        """Why it stopped before the end, empty if it did not; what went wrong is raised."""
        threads = [threading.Thread(target=self._work, args=(worker,)) for worker in self.workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        return self.codes

    def _work(self, worker: _Worker) -> None:
        try:
            with self.path.open("rb", buffering=0) as file:
                while (number := self._take()) is not None:
                    code = worker.scan(file.fileno(), *self.cuts[number : number + 2])
                    stretch = self._place(number, worker, code)
                    if stretch is not None:
                        worker.move(stretch, self.rows, self.micro, self.elements)
        except BaseException as error:
            with self.turn:
                self.errors.append(error)
                self.turn.notify_all()

    @property
    def _is_over(self) -> bool:
        return bool(self.codes or self.errors)

    def _take(self) -> int | None:
        """The next block that nobody has taken."""
        with self.turn:
            number = self.taken
            self.taken += 1
            return None if self._is_over or number >= len(self.cuts) - 1 else number

    def _place(self, number: int, worker: _Worker, code: int) -> Stretch | None:
        """Where the finds of a block go: behind those of the one before, once that is known."""
        with self.turn:
            if code:
                self.codes.add(code)
            self.turn.notify_all()
            self.turn.wait_for(lambda: self._is_over or len(self.stretches) == number)
            if self._is_over:
                return None
            before = self.stretches[-1] if self.stretches else _NOWHERE
            self.stretches.append(worker.after(before))
            self.turn.notify_all()
            return self.stretches[-1]

    def scanned(self) -> Scanned:
        """All that was found."""
        last = self.stretches[-1]
        return Scanned(
            rows=tuple(column[: last.records.stop] for column in self.rows),
            micro=tuple(column[: last.micros.stop] for column in self.micro),
            elements=self.elements[: last.elements.stop],
            stretches=self.stretches,
            f=[worker.f for worker in self.workers],
            keys=[worker.keys for worker in self.workers],
            values=[worker.values for worker in self.workers],
            modes=self.modes,
        )


def _arrays(size: int, dialect: Dialect, kinds: _Kinds) -> tuple[Any, Any, Any]:
    """Room for all that so many bytes can hold; pages that stay unused cost nothing."""
    records, micros = size // dialect.least_record + 2, size // dialect.least_micro + 2
    rows, micro, elements = kinds
    return (
        tuple(np.empty(records, dtype=kind) for kind in rows),
        tuple(np.empty(micros, dtype=kind) for kind in micro),
        np.empty(size // 2 + 2, dtype=elements),
    )


def _kept(size: int, value: Any) -> _Kinds:
    """The types of columns of a file of ``size`` bytes, with values of a type."""
    place, bound = (np.uint32 if size < 1 << 32 else np.int64), _bound(size)
    rows = (place, np.int64, np.int64, np.int8, np.int32, np.int16, np.int8)
    return rows, (np.int32, np.int8, np.int32, value, bound, bound), value


def _bound(size: int) -> Any:
    """The type of places in all elements of a file of ``size`` bytes; -1 is none."""
    return np.int32 if size // 2 + 2 < 1 << 31 else np.int64


def _cuts(path: Path, start: int, size: int) -> list[int]:
    """Starts of lines that cut the file into blocks of about one size, with both ends."""
    cuts = [start]
    with path.open("rb") as file:
        for place in range(start + BLOCK, size, BLOCK):
            if place <= cuts[-1]:
                continue
            file.seek(place)
            if len(file.readline(LONGEST_LINE)) == LONGEST_LINE:
                raise OSError(0, "a line is too long")
            if file.tell() < size:
                cuts.append(file.tell())
    return [*cuts, size]
