"""The book of a soak: ``soak.jsonl``, one line for each run that began or ended.

It is all that a soak knows: the summary, the statistics and ``--resume`` are derived from it, so
that a soak killed at any moment goes on where it was. A line is on disk before it is acted on; a
torn last line is what a ``kill -9`` leaves and is cut off by the next writer. A run that began
and never ended is *half-done*: it is marked, never counted, and made again with its own seed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from harness.errors import (
    EXIT_INVALID,
    EXIT_UNKNOWN,
    EXIT_USAGE,
    EXIT_VALID,
    StoreError,
    UsageError,
    cannot_write,
)
from harness.soak.cells import Cell
from harness.store.untrusted import Folder
from harness.wording import reason

BOOK = "soak.jsonl"
MOST_BYTES: Final = 256 << 20
"""Of a book: several hundred thousand runs."""
Outcome = Literal["passed", "violation", "unknown", "infrastructure"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "violation", "unknown", "infrastructure")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a soak was asked to do; the first line of its book.

    ``scenario`` is the flat table of every run without its seed; ``runs`` of ``None`` is no
    limit; times are seconds; ``at_most`` is the failure rate that one wants to rule out, and
    ``until_known`` stops as soon as it is known whether it is so. With ``cells`` each of them has
    ``runs`` runs, or with ``adaptive`` those of all together go where failures are. If it
    ``compares``, its two cells are A and B. With ``same_seed`` every run has the seed itself.
    """

    soak: int = 1
    scenario: dict[str, Any]
    seed: int
    runs: int | None
    duration_s: float | None
    until_failure: bool
    parallel: int
    confidence: float
    at_most: float
    hard_limit_s: float
    start_wall_ns: int
    until_known: bool = False
    cells: list[Cell] = msgspec.field(default_factory=list)
    adaptive: bool = False
    compares: bool = False
    same_seed: bool = False

    @property
    def all_cells(self) -> list[Cell]:
        """The cells of its matrix; a soak without one has a single cell, without a name."""
        return self.cells or [Cell("", self.scenario)]

    @property
    def is_adaptive(self) -> bool:
        """Whether what was found decides which cell is next."""
        return self.adaptive and len(self.cells) > 1


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: run ``number`` (from 1) has ``begun``, has ``ended``, or was ``half-done``.

    ``worker`` is where a scheduler had it made. ``floors`` is what each gauge came down to after
    the load, on the node where that was most.
    """

    number: int
    event: Literal["begun", "ended", "half-done"]
    seed: int
    wall_ns: int
    exit: int | None = None
    run_dir: str | None = None
    seconds: float = 0.0
    why: str = ""
    settle: list[str] = msgspec.field(default_factory=list)
    reproduce: str = ""
    signatures: list[str] = msgspec.field(default_factory=list)
    faults: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    operations: int = 0
    milestones: dict[str, int] = msgspec.field(default_factory=dict)
    cell: str = ""
    worker: str = ""
    floors: dict[str, float] = msgspec.field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        """Whether it was no run at all, and no other seed would make it one."""
        return self.exit == EXIT_USAGE

    @property
    def outcome(self) -> Outcome:
        """What the exit code of an ended run means for the count."""
        known: dict[int | None, Outcome] = {
            EXIT_VALID: "passed",
            EXIT_INVALID: "violation",
            EXIT_UNKNOWN: "unknown",
        }
        return known.get(self.exit, "infrastructure")


@dataclass
class Book:
    """The book at ``path``, held open by the one process that writes it."""

    path: Path
    settings: Settings
    entries: list[Entry] = field(default_factory=list)
    _fd: int = -1

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> Book:
        """A new book in ``folder`` (made here). ``StoreError`` if that cannot be."""
        book = cls(folder / BOOK, settings)
        try:
            folder.mkdir(parents=True)
            book._fd = os.open(book.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise cannot_write(f"cannot make the soak folder {folder}", error) from error
        book._write(msgspec.json.encode(settings))
        return book

    @classmethod
    def resume(cls, folder: Path, wall_ns: int) -> Book:
        """The book in ``folder``, to go on with; runs that were under way become half-done."""
        settings, entries, length = read(folder)
        book = cls(folder / BOOK, settings, list(entries))
        try:
            book._fd = os.open(book.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
            os.ftruncate(book._fd, length)
        except OSError as error:
            raise cannot_write(f"cannot go on with {book.path}", error) from error
        for begun in book.open_runs():
            half = msgspec.structs.replace(begun, event="half-done", wall_ns=wall_ns)
            book.add(half)
        return book

    def add(self, entry: Entry) -> None:
        """Write ``entry`` to the disk, then take it in."""
        self._write(msgspec.json.encode(entry))
        self.entries.append(entry)

    def ended(self) -> list[Entry]:
        """The ended runs, each once, by number."""
        return ended(self.entries)

    def open_runs(self) -> list[Entry]:
        """The latest beginning of each run that is under way."""
        state = {entry.number: entry for entry in self.entries}
        return [entry for entry in state.values() if entry.event == "begun"]

    def close(self) -> None:
        """Let go of the file. Safe twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, line: bytes) -> None:
        data = line + b"\n"
        try:
            if os.write(self._fd, data) != len(data):
                raise StoreError(f"{self.path}: the disk is full", "make room, then --resume")
            os.fsync(self._fd)
        except OSError as error:
            raise cannot_write(f"cannot write {self.path}", error) from error


def ended(entries: Sequence[Entry]) -> list[Entry]:
    """The ended runs, each once, by number."""
    last = {entry.number: entry for entry in entries if entry.event == "ended"}
    return [last[number] for number in sorted(last)]


def by_cell(settings: Settings, entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """What concerns each cell."""
    found: dict[str, list[Entry]] = {cell.name: [] for cell in settings.all_cells}
    for entry in entries:
        found.setdefault(entry.cell, []).append(entry)
    return found


def seed_of(soak_seed: int, number: int) -> int:
    """The seed of run ``number``: fixed by the soak's seed, unlike any other's."""
    digest = hashlib.sha256(f"polygraph soak {soak_seed} {number}".encode()).digest()
    return int.from_bytes(digest[:4])


def read(folder: Path) -> tuple[Settings, list[Entry], int]:
    """Settings, entries, and how many bytes of the book are whole lines. ``UsageError`` if none."""
    path = folder / BOOK
    try:
        data = Folder(folder).read(BOOK, MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{folder} is not the folder of a soak: {reason(error)}") from error
    whole = data[: data.rfind(b"\n") + 1]
    first, *rest = whole.splitlines() or [b""]
    try:
        settings = msgspec.json.decode(first, type=Settings)
        return settings, list(_entries(rest)), len(whole)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is not the book of a soak: {error}") from error


def _entries(lines: Sequence[bytes]) -> Iterator[Entry]:
    decoder = msgspec.json.Decoder(Entry)
    return (decoder.decode(line) for line in lines)
