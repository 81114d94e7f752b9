"""The journal: what writes a history to disk while the run goes on.

Checkers trust the order of records, so there is one writer with one ordered buffer: a record
gets its index and its time and is encoded under one lock, and the file is only ever appended to
from that buffer. Any prefix of the file is therefore a sound history: no completion without its
invocation, nothing out of order.

A background thread flushes at least every 20 ms, also while the event loop stalls, so that
``kill -9`` loses at most the last 20 ms, where the machine gives the thread its time
(``scripts/kill_runs.py`` measures it). It swaps the buffer out under the lock and writes
outside it: a slow disk does not stop the clients until the buffer is full. Where the thread gets
no time from the interpreter, or starves for a lock (a thread that appends without a pause takes
the locks of the interpreter and of the buffer again before a waiting one is awake), the next
append stands back for a millisecond, and writes if the file is free. In sync mode every record
is one ``write(2)`` of its own before ``append`` returns.

After a failed or short write (disk full) the file ends where it ended: nothing is ever appended
again, and every later ``append`` and ``flush`` raises ``StoreError``. So at most the last line
of a file is torn.

Cost: about 0.8 us an append (benchmarks/journal.py); 150 bytes a record until the next flush.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from harness.errors import StoreError, advice_for, cannot_write
from harness.history.formats.jsonl import PLAIN, append_operation, encode_header, is_finite
from harness.history.operation import Header, Operation

FLUSH_PERIOD_S: Final = 0.020
"""No record waits longer than this for its way to the file (while the disk keeps up)."""
_PAUSE_S: Final = FLUSH_PERIOD_S / 4  # the rest is for the interpreter lock and the write
_LATE_NS: Final = int(FLUSH_PERIOD_S * 0.75e9)
_STAND_BACK_S: Final = 0.001  # long enough for a starving writer to wake, short if a disk is slow
_BUFFER_LIMIT: Final = 64 << 20


class Journal:
    """Appends records to a new file. Safe to call from any thread.

    ``start_ns`` is the monotonic clock when the journal was made; all times count from it.
    Raises ``StoreError`` if the file cannot be made (it must not exist).
    """

    def __init__(self, path: Path, header: Header, *, sync: bool = False) -> None:
        self.path = path
        self.sync = sync
        self.start_ns = time.monotonic_ns()
        self._count = 0
        self._late_ns = 0  # if the buffer was not taken by then, the next append sees to it
        self._refusal: StoreError | None = None
        self._is_broken = False
        self._is_reported = False
        self._lock = threading.Lock()  # the buffer, the count, the clock
        self._write_lock = threading.Lock()  # the file: taken before _lock, never after it
        self._closing = threading.Event()
        self._file = _create(path)
        self._buffer = bytearray(encode_header(header))
        try:
            self.flush()
        except StoreError:
            os.close(self._file)
            raise
        self._flusher = threading.Thread(target=self._flush_often, name="journal", daemon=True)
        if not sync:
            self._flusher.start()

    def append(self, operation: Operation) -> Operation:
        """Record ``operation`` next, and return it with the index and time that it was given.

        Raises ``StoreError`` if the file can take no more, and what the encoder raises if the
        operation is not JSON (``TypeError``, ``RecursionError`` for deep nesting, ``ValueError``
        for a number that is not finite); then nothing was recorded.
        """
        if self.sync:
            return self._append_and_write(operation)
        with self._lock:
            recorded = self._record(operation)
            is_late = recorded.time > self._late_ns
            is_full = len(self._buffer) > _BUFFER_LIMIT
        if is_full:
            self.flush()
        elif is_late:
            self._flush_late()
        return recorded

    def now(self) -> int:
        """Nanoseconds since the start, on the clock of the records."""
        return time.monotonic_ns() - self.start_ns

    @property
    def count(self) -> int:
        """How many records were appended."""
        return self._count

    @property
    def failure(self) -> StoreError | None:
        """Why nothing can be appended any more, or ``None``."""
        return self._refusal if self._is_broken else None

    def flush(self) -> None:
        """Hand everything appended before this call to the operating system, or ``StoreError``."""
        with self._write_lock:
            self._write_out()
            if self._refusal is not None:
                raise self._refuse()

    def close(self) -> None:
        """Flush, make it durable and close the file. Safe twice.

        Raises ``StoreError`` if records were lost and no earlier call has said so.
        """
        self._closing.set()
        if self._flusher.is_alive() and self._flusher is not threading.current_thread():
            self._flusher.join()
        with self._write_lock:
            if self._file < 0:
                return
            self._write_out(is_last=True)
            self._sync_and_close()
            if self._is_broken and not self._is_reported:
                raise self._refuse()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _record(self, operation: Operation) -> Operation:
        """Give index and time and encode; the caller holds the lock."""
        if self._refusal is not None:
            raise self._refuse()
        index = self._count
        recorded = Operation(
            index,
            time.monotonic_ns() - self.start_ns,
            operation.process,
            operation.type,
            operation.f,
            operation.value,
            operation.error,
            operation.node,
            operation.trace,
            operation.wall_time_ns,
            operation.served,
            operation.timestamps,
            operation.extra,
        )
        buffer = self._buffer
        length = len(buffer)
        self._count = index + 1
        try:
            append_operation(recorded, buffer)
            # NaN became null, and a checker would judge nil. Without a null there was no NaN.
            if _may_hold_float(operation) and buffer.find(b"null", length) >= 0:
                _refuse_what_is_not_finite(operation)
        except BaseException:
            del buffer[length:]
            self._count = index
            raise
        return recorded

    def _append_and_write(self, operation: Operation) -> Operation:
        with self._write_lock:
            with self._lock:
                recorded = self._record(operation)
            self._write_out()
            if self._refusal is not None:
                raise self._refuse()
        return recorded

    def _refuse(self) -> StoreError:
        self._is_reported = True
        assert self._refusal is not None
        return StoreError(self._refusal.message, self._refusal.hint)

    def _flush_often(self) -> None:
        while not self._closing.wait(_PAUSE_S):
            with self._write_lock:
                self._write_out()
                if self._refusal is not None:
                    return

    def _flush_late(self) -> None:
        """Write in the background thread's stead, or give it the time that it needs.

        It may hold the file and yet starve: for the buffer's lock, or after a write for the
        interpreter's (CPython asks the running thread for it only after five milliseconds
        without any release, and each system call is one). Only a pause of this thread ends that;
        where the disk is what is slow, the pause is all that this thread loses.
        """
        if self._write_lock.acquire(timeout=_STAND_BACK_S):
            try:
                self._write_out()
            finally:
                self._write_lock.release()
        else:
            with self._lock:
                self._late_ns = self.now() + _LATE_NS

    def _write_out(self, *, is_last: bool = False) -> None:
        """Write the buffer; the caller holds the write lock. Notes a failure, raises nothing.

        Behind the last time nothing is taken any more, or it would be lost without a word.
        """
        with self._lock:
            self._late_ns = self.now() + _LATE_NS
            if self._refusal is not None:
                return
            taken, self._buffer = self._buffer, bytearray()
            if is_last:
                self._refusal = StoreError(f"{self.path}: the journal is closed")
        if not taken:
            return
        try:
            written = os.write(self._file, taken)
        except OSError as error:
            self._note_failure(error)
            return
        if written < len(taken):
            self._note_failure(OSError(f"only {written} of {len(taken)} bytes could be written"))

    def _note_failure(self, error: OSError) -> None:
        advice = advice_for(error) or "make room on the disk under the store"
        with self._lock:
            self._buffer.clear()
            self._is_broken = True
            self._refusal = StoreError(
                f"{self.path}: the history cannot be written any more: {error.strerror or error}",
                f"{advice}; what was recorded before can be judged",
            )

    def _sync_and_close(self) -> None:
        try:
            os.fsync(self._file)
        except OSError as error:
            if not self._is_broken:
                self._note_failure(error)
        finally:
            os.close(self._file)
            self._file = -1


def _may_hold_float(operation: Operation) -> bool:
    """Whether something in it may be or hold a float: no, if all is plain or a list of plain."""
    value = operation.value
    if value.__class__ is list:
        for part in value:
            if part.__class__ not in PLAIN:
                return True
    elif value.__class__ not in PLAIN:
        return True
    return operation.error.__class__ not in PLAIN or operation.extra is not None


def _refuse_what_is_not_finite(operation: Operation) -> None:
    if not all(map(is_finite, (operation.value, operation.error, operation.extra))):
        raise ValueError("it holds a number that is not finite (NaN or infinity)")


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except OSError as error:
        raise cannot_write(f"{path}: the history cannot be created", error) from error
