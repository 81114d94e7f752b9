"""Cobra's logs: a folder with a file for each session, of records of big-endian numbers.

========================  ======================================================================
``S`` TXN                 a transaction begins (9 bytes, or 17 with a time stamp)
``W`` ID KEY VALUE        it writes (25 bytes)
``R`` TXN ID KEY VALUE    it reads what the write ID of TXN wrote (33 bytes)
``C`` TXN                 it commits (9 bytes, or 17)
========================  ======================================================================

All numbers have 64 bits; KEY and VALUE are hashes. The id of a write stands for its value, as it
does for Cobra itself. A read of the write 0xbebeebee or 0xdeadbeef found the initial state. There
are no aborted transactions. Time stamps are of each client's own clock, so they are not used.

Sources: DBCobra/CobraVerifier, src/main/java/verifier/AbstractVerifier.java
(``ExtractClientLogFromStream``) and src/main/java/util/VeriConstants.java; amnore/PolySI,
src/main/java/history/loaders/CobraHistoryLoader.java; lassemoldrup/AWDIT, src/formats.rs.

Cost: a step of Python a record (0.1 us) and array passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from harness.errors import HistoryError
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import (
    Bools,
    Numbers,
    Transactions,
    history_of,
)
from harness.history.history import History

NAME: Final = "cobra"
INITIAL_IDS: Final = (0xBEBEEBEE, 0xDEADBEEF)
_GARBAGE_IDS: Final = (0x23332333, 0x66666666)
_DELETE: Final = 0xABCDEFAB
_MISSING: Final = 0xADEAFBEE
TARGET: Final = Target(
    name=NAME,
    initial=INITIAL_IDS[0],
    keeps_aborted=False,
    reserved=frozenset((*INITIAL_IDS, *_GARBAGE_IDS, _DELETE, _MISSING)),
)
_START, _COMMIT, _WRITE, _READ = b"SCWR"
_SHORT: Final = 9
_LONG: Final = 17
_SIZES: Final = {_WRITE: 25, _READ: 33}
_NUMBER: Final = np.arange(8)
_LETTERS: Final = b"SCWR\0"


@dataclass
class _Log:
    """Where the rows of one file stand, and how many each transaction has; ``step`` is of S, C."""

    data: bytes
    name: str
    step: int
    rows: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def looks_so(head: bytes) -> bool:
    """Whether a file begins as a log does: a transaction begins, and something of it follows."""
    return len(head) > _SHORT and head[0] == _START and head[_SHORT] in _LETTERS


def read(data: bytes, name: str) -> History:
    """The history of one file alone, which is one session."""
    return read_files({name: data}, name)


def read_files(files: Mapping[str, bytes], name: str) -> History:
    """The history of files that each are a session; ``HistoryError`` names file and byte."""
    logs = [_walked(data, each) for each, data in sorted(files.items(), key=_place_of)]
    parts = [_rows(log) for log in logs]
    sizes = [np.diff(np.array([0, *log.ends], dtype=np.int64)) for log in logs]
    sessions = [np.full(len(each), number) for number, each in enumerate(sizes)]
    count = sum(map(len, sizes))
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    writes, key, value, nil = joined
    found = Transactions(
        session=np.concatenate(sessions).astype(np.int64),
        happened=np.ones(count, dtype=np.bool_),
        first=np.concatenate(([0], np.cumsum(np.concatenate(sizes)))).astype(np.int64),
        writes=writes,
        key=key,
        value=value,
        nil=nil,
    )
    stamped = any(log.step == _LONG for log in logs)
    notices = (f"{name}: its time stamps, of each client's own clock, are not used",)
    return history_of(found, name, notices if stamped else ())


def _place_of(item: tuple[str, Any]) -> list[Any]:
    """Sorts ``T10.log`` after ``T9.log``."""
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.split(r"(\d{1,18})", item[0], flags=re.ASCII)
    ]


def _walked(data: bytes, name: str) -> _Log:
    """The records of one file, of which no number was read yet."""
    log = _Log(data, name, _LONG if data[_SHORT : _SHORT + 1] == b"\0" else _SHORT)
    at, size, start = 0, len(data), -1
    rows, ends, step = log.rows, log.ends, log.step
    while at < size:
        letter = data[at]
        if letter in _SIZES and start >= 0:
            rows.append(at)
            at += _SIZES[letter]
        elif letter == _START and start < 0:
            start = at
            at += step
        elif letter == _COMMIT and start >= 0 and data[at + 1 : at + 9] == data[start + 1 :][:8]:
            ends.append(len(rows))
            start = -1
            at += step
        else:
            raise _odd(log, at, is_open=start >= 0)
    if at > size or start >= 0:
        what = "a record" if at > size else "a transaction"
        raise HistoryError(f"{name}: byte {size}: the file ends within {what}: it was cut off")
    return log


def _odd(log: _Log, at: int, *, is_open: bool) -> HistoryError:
    """What is said of a record that cannot stand at ``at``."""
    letter = chr(log.data[at])
    expected = "W, R or the C of the transaction that is open" if is_open else "S (a transaction)"
    found = "an abort, which Cobra does not log" if letter == "A" else repr(letter)
    return HistoryError(f"{log.name}: byte {at}: expected {expected}, found {found}")


def _rows(log: _Log) -> tuple[Bools, Numbers, Numbers, Bools]:
    """Whether each row writes, its key, its value, and whether it found the initial state."""
    marks = np.frombuffer(log.data, dtype=np.uint8)
    at = np.array(log.rows, dtype=np.int64)
    writes = marks[at] == _WRITE
    first, identity = _numbers(marks, at + 1), _numbers(marks, at + np.where(writes, 1, 9))
    key = _numbers(marks, at + np.where(writes, 9, 17))
    is_initial = np.isin(identity, np.array(INITIAL_IDS, dtype=np.uint64))
    of_initial = ~writes & np.isin(first, np.array(INITIAL_IDS, dtype=np.uint64))
    is_garbage = np.isin(identity, np.array(_GARBAGE_IDS, dtype=np.uint64))
    for odd, why in (
        (writes & is_initial, "writes with the id of the initial state"),
        (writes & (identity == _DELETE), "deletes, so what reads nothing cannot be told from what"
         " reads the initial state"),
        (~writes & (identity == _MISSING), "reads a write that Cobra had already thrown away"),
        (of_initial & ~is_initial & ~is_garbage, "reads from the initial transaction a write that"
         " is not of it"),
    ):  # fmt: skip
        places = at[odd]
        if len(places):
            raise HistoryError(f"{log.name}: byte {int(places[0])}: the record {why}")
    return writes, key, identity, ~writes & (is_initial | of_initial)


def _numbers(marks: Any, at: Any) -> Numbers:
    """The big-endian numbers at some places, which lie within the file."""
    found: Numbers = marks[at[:, None] + _NUMBER].view(">u8").ravel().astype(np.uint64)
    return found


def write_files(history: History, losses: Losses) -> Sequence[tuple[str, bytes]]:
    """Files that say ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.transactions(history, TARGET)
    owner = {
        (key, value): number + 1
        for number, rows in enumerate(found.rows)
        for writes, key, value in rows
        if writes
    }
    files: list[tuple[str, bytes]] = []
    for numbers in found.by_session():
        data = bytearray()
        for number in numbers:
            identity = (number + 1).to_bytes(8, "big")
            data += b"S" + identity
            for writes, key, value in found.rows[number]:
                told = [value, key, value]
                if not writes:
                    told.insert(0, value if value in INITIAL_IDS else owner.get((key, value), 0))
                data += b"W" if writes else b"R"
                data += b"".join(each.to_bytes(8, "big") for each in told)
            data += b"C" + identity
        files.append((f"T{len(files)}.log", bytes(data)))
    return files
