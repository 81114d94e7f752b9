"""Passes of a compiled scanner over a large file of operations, one a line, in two threads.

What the lines look like is a :class:`Dialect`'s business. Blocks of the file go through the
scanner one by one, so the file never is in memory as a whole; what comes out are arrays with room
for all that the bytes can hold, of which the pages that stay unused cost nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from harness.history.operation import Operation

BLOCK: Final = 16 << 20
LONGEST_LINE: Final = 8 << 20
THREADS: Final = 2
_PAD: Final = 64


@dataclass(frozen=True)
class Dialect:
    """How operations are written: the compiled scanner, its smallest record and micro-operation
    in bytes, how some whole records are decoded in the ordinary way (bytes, name of the file),
    and how a token becomes JSON.
    """

    scan: Callable[..., None]
    least_record: int
    least_micro: int
    decode: Callable[[bytes, str], Sequence[Operation]]
    as_json: Callable[[bytes], bytes]


def scanned(
    path: Path, start: int, size: int, dialect: Dialect
) -> tuple[list[Part], tuple[int, int]] | None:
    """The parts of ``path`` between two places, and how keys and values are numbered.

    ``None`` if something is unusual.
    """
    from harness.history import byte_scanner as codes

    modes = [codes.PLAIN, codes.PLAIN]
    while True:
        parts = _Scan(path, start, size, (modes[0], modes[1]), dialect).run()
        found = {part.code for part in parts}
        if found == {codes.DONE}:
            return parts, (modes[0], modes[1])
        if codes.KEY_TOKEN in found and modes[0] == codes.PLAIN:
            modes[0] = codes.NAMED
        elif codes.VALUE_TOKEN in found and modes[1] == codes.PLAIN:
            modes[1] = codes.NAMED
        else:
            return None


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

    def __init__(
        self, path: Path, start: int, size: int, modes: tuple[int, int], dialect: Dialect
    ) -> None:
        self.path = path
        self.modes = modes
        self.dialect = dialect
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

        part = _new_part(room, self.dialect)
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
            self.dialect.scan(
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


def _new_part(size: int, dialect: Dialect) -> Part:
    """Room for all that so many bytes can hold; pages that stay unused cost nothing."""
    records, micros = size // dialect.least_record + 2, size // dialect.least_micro + 2
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
