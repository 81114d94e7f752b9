"""The fault ledger: what was meant, done, seen to bite and healed, on disk before it happens.

A run may die at any moment, and a fault that nobody remembers is never undone. So every step of a
fault is a line of ``faults.jsonl``, and the line is on the disk (one ``write``, then ``fsync``)
*before* the step is taken: ``intend`` before the injection, ``heal`` before the healing. What is
*armed*, to be injected within milliseconds of something that is waited for, has its ``intend`` on
the disk long before; then ``fire`` is written just before the injection, and is not waited for (it
outlives this process, and after a loss of power the intention tells enough), and ``disarmed`` where
that moment never came. Momentary actions end with ``done`` or ``refused``. Whoever finds the file
later can undo what it says (``polygraph heal``), and the judge can tell a fault that bit from one
that was merely asked for.

The writer is used from worker threads only; a line costs one ``fsync``, some milliseconds,
which is why it is never called on the loop that serves the clients. The first failed or short
write breaks the ledger for good: nothing is appended after a hole.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from harness.confidential import cleared
from harness.errors import HistoryError, PolygraphError, StoreError, cannot_write
from harness.history.bounds import USUAL, Bounds, beyond
from harness.store.untrusted import Folder, TooLarge
from harness.wording import shown

NAME: Final = "faults.jsonl"

INTEND: Final = "intend"
INJECTED: Final = "injected"
BIT: Final = "bit"
HEAL: Final = "heal"
HEALED: Final = "healed"
FAILED: Final = "failed"
FIRE: Final = "fire"
DISARMED: Final = "disarmed"
DONE: Final = "done"
REFUSED: Final = "refused"
ARMED: Final = "armed"
MOMENTARY: Final = "momentary"
"""Keys of the detail of ``intend``: it is not fired yet; it is no fault, and never healed."""
SHOT_NS: Final = "shot_ns"
"""Key of the detail of ``injected``: when all that injects it had been sent, where that is told."""
_CHUNK_BYTES: Final = 1 << 16
EVENTS: Final = (
    *(INTEND, INJECTED, BIT, HEAL, HEALED, FAILED),
    *(FIRE, DISARMED, DONE, REFUSED),
)


Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A whole number that 64 bits hold."""


class LedgerEntry(msgspec.Struct, frozen=True):
    """One line of ``faults.jsonl``: what was meant, done, seen to bite and healed, and when.

    ``event`` is one of ``intend injected bit heal healed failed``, for what was armed also ``fire``
    or ``disarmed``, for actions ``done`` or ``refused``; ``fault`` is the word given to
    ``--nemesis``; ``time`` is nanoseconds since the start of the run, on the history's clock;
    ``detail`` carries shape, resolved targets and the measured proof.
    """

    id: Whole
    fault: str
    targets: list[str]
    event: str
    time: Whole
    detail: dict[str, Any] = {}


class Ledger:
    """The one writer of a run's ``faults.jsonl``; safe from any thread.

    ``clock`` gives nanoseconds since the start of the run, on the history's clock.
    ``listener`` is called with every entry after it is on disk (live view); it must not raise.
    Opening an existing file goes on after its highest id.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], int],
        listener: Callable[[LedgerEntry], None] | None = None,
    ) -> None:
        self.path = path
        self._clock = clock
        self._listener = listener
        self._lock = threading.Lock()  # the file's order: never held while the disk is waited for
        self._sync_lock = threading.Lock()  # taken before _lock, never after it
        self._entries = read_ledger(path)
        self._first = {entry.id: entry for entry in reversed(self._entries)}
        self._broken: str | None = None
        self._file = _open(path)

    def now(self) -> int:
        """The time that an entry would have."""
        return self._clock()

    def intend(self, fault: str, targets: Sequence[str], detail: Mapping[str, Any]) -> int:
        """Write down that ``fault`` is about to be injected; gives the id of this injection.

        Raises ``StoreError`` if it is not on disk: then do not inject.
        """
        with self._lock:
            number = max(self._first, default=-1) + 1
            entry = self._append(number, fault, list(targets), INTEND, detail)
        self._sync()
        self._tell(entry)
        return entry.id

    def record(self, id: int, event: str, detail: Mapping[str, Any] | None = None) -> LedgerEntry:
        """Write down ``event`` of the injection ``id``; ``StoreError`` if it is not on disk."""
        entry = self._written(id, event, detail or {})
        self._sync()
        self._tell(entry)
        return entry

    def fire(self, id: int) -> Callable[[], None]:
        """Write ``fire`` of the injection ``id`` and wait for nothing; ``StoreError`` if it failed.

        What is returned tells the listener, to be called once what was fired is under way.
        """
        entry = self._written(id, FIRE, {})
        return lambda: self._tell(entry)

    def _written(self, id: int, event: str, detail: Mapping[str, Any]) -> LedgerEntry:
        if event not in EVENTS:
            raise ValueError(f"{shown(event)} is not an event of the ledger: {', '.join(EVENTS)}")
        with self._lock:
            first = self._first.get(id)
            if first is None:
                raise ValueError(f"the ledger {self.path} has no injection {id}")
            return self._append(id, first.fault, first.targets, event, detail)

    @property
    def entries(self) -> list[LedgerEntry]:
        """A copy of all entries so far, in order."""
        with self._lock:
            return list(self._entries)

    def close(self) -> None:
        """Close the file. Safe twice; later writes raise ``StoreError``."""
        with self._sync_lock, self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                self._broken = self._broken or "it is closed"

    def _append(
        self, id: int, fault: str, targets: list[str], event: str, detail: Mapping[str, Any]
    ) -> LedgerEntry:
        self._refuse_broken()
        entry = LedgerEntry(id, fault, targets, event, self._clock(), cleared(dict(detail)))
        line = msgspec.json.encode(entry) + b"\n"
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")
        except OSError as error:
            raise self._break(error) from error
        self._entries.append(entry)
        self._first.setdefault(id, entry)
        return entry

    def _sync(self) -> None:
        """Have the disk hold all that was written by now."""
        with self._sync_lock:
            self._refuse_broken()
            try:
                os.fsync(self._file)
            except OSError as error:
                raise self._break(error) from error

    def _refuse_broken(self) -> None:
        if self._broken is not None:
            raise StoreError(f"the fault ledger {self.path} cannot be written: {self._broken}")

    def _break(self, error: OSError) -> PolygraphError:
        self._broken = str(error)
        what = f"the fault ledger {self.path} cannot be written"
        return cannot_write(what, error, "faults in force are still healed")

    def _tell(self, entry: LedgerEntry) -> None:
        if self._listener is not None:
            self._listener(entry)


def _open(path: Path) -> int:
    """Open for appending; a torn last line of an earlier writer is cut off first.

    Only a plain file is written: what a link, a pipe or a device leads to is not ours.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        if os.path.lexists(path):
            Folder(path.parent).stat(path.name)  # before it is opened, which may already do harm
        # Whatever the umask, nobody else may write it: else ``heal`` would not obey it.
        file = os.open(path, flags, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "is no plain file")
            os.ftruncate(file, _whole_lines(file))
        except BaseException:
            os.close(file)
            raise
    except OSError as error:
        raise cannot_write(f"the fault ledger {path} cannot be opened", error) from error
    return file


def _whole_lines(file: int) -> int:
    """How many bytes of the file are whole lines."""
    end = os.fstat(file).st_size
    while end:
        start = max(0, end - _CHUNK_BYTES)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def read_ledger(path: Path, bounds: Bounds = USUAL) -> list[LedgerEntry]:
    """The entries of ``path`` in order; none where there is no file (nothing was ever meant).

    A last line without its newline is what a killed writer leaves: it is left out, for its
    step was not taken. Any other unreadable line raises ``HistoryError`` with its number, as do
    a ledger beyond ``bounds`` and what is no plain file.
    """
    try:
        data = Folder(path.parent).read(path.name, bounds.ledger)
    except FileNotFoundError:
        return []
    except TooLarge:
        raise beyond(f"the fault ledger {path}", "more", bounds.ledger) from None
    except OSError as error:
        why = error.strerror or error
        raise HistoryError(f"the fault ledger {path} cannot be read: {why}") from error
    try:
        return entries_of(data)
    except HistoryError as error:
        raise HistoryError(f"{path}, {error.message}") from error


def entries_of(data: bytes) -> list[LedgerEntry]:
    """The entries that the content of a ledger holds, as :func:`read_ledger` gives them."""
    lines = data[: data.rfind(b"\n") + 1].split(b"\n")
    return [_decode(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _decode(number: int, line: bytes) -> LedgerEntry:
    try:
        return msgspec.json.decode(line, type=LedgerEntry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryError(f"line {number}: not a ledger entry: {error}") from error
