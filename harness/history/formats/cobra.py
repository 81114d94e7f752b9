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
src/main/java/history/loaders/CobraHistoryLoader.java; lassemoldrup/AWDIT, src/formats.rs;
CzxingcHen/VeriStrong, veristrong/src/history/history.cpp.

Cost: a step of Python a transaction and array passes over reads and writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from harness.errors import HistoryError
from harness.history.columns import Int64s
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import (
    Bools,
    Numbers,
    Transactions,
    history_of,
    numbers_at,
)
from harness.history.history import History
from harness.wording import shown

NAME: Final = "cobra"
INITIAL_IDS: Final = (0xBEBEEBEE, 0xDEADBEEF)
_GARBAGE_IDS: Final = (0x23332333, 0x66666666)
_DELETE: Final = 0xABCDEFAB
_MISSING: Final = 0xADEAFBEE
_NOT_TOLD: Final = 0xABDDEFEE
"""Where VeriStrong's authors put this in the place of an id, the value itself counts."""
TARGET: Final = Target(
    name=NAME,
    initial=INITIAL_IDS[0],
    keeps_aborted=False,
    reserved=frozenset((*INITIAL_IDS, *_GARBAGE_IDS, _DELETE, _MISSING, _NOT_TOLD)),
)
_START, _COMMIT, _WRITE, _READ = b"SCWR"
_SHORT: Final = 9
_LONG: Final = 17
_SIZES: Final = (25, 33)
_ROWS: Final = rb"((?:W.{24}|R.{32})*+)"
_PLAIN: Final = re.compile(rb"S(.{8})" + _ROWS + rb"C\1", re.DOTALL)
_STAMPED: Final = re.compile(rb"S(.{8}).{8}" + _ROWS + rb"C\1.{8}", re.DOTALL)
_FEW: Final = 32


@dataclass(frozen=True)
class _Log:
    """Where the rows of one file stand, and how many each transaction has."""

    data: bytes
    name: str
    is_stamped: bool
    rows: Int64s
    sizes: Int64s


def looks_so(head: bytes) -> bool:
    """Whether a file begins as a log does: a transaction begins, with nothing else in it."""
    if len(head) <= _SHORT or head[0] != _START:
        return False
    at = _LONG if head[_SHORT] == 0 else _SHORT
    while at < len(head):
        if head[at] not in (_WRITE, _READ):
            told = head[at + 1 : at + 9]
            return head[at] == _COMMIT and told == head[1:9][: len(told)]
        at += _SIZES[head[at] == _READ]
    return True


def read(data: bytes, name: str) -> History:
    """The history of one file alone, which is one session."""
    return read_files({name: data}, name)


def read_files(files: Mapping[str, bytes], name: str) -> History:
    """The history of files that each are a session; ``HistoryError`` names file and byte."""
    logs = [_walked(data, each) for each, data in sorted(files.items(), key=_place_of)]
    parts = [_rows(log) for log in logs]
    sizes = [log.sizes for log in logs]
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
    stamped = any(log.is_stamped for log in logs)
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
    is_stamped = data[_SHORT : _SHORT + 1] == b"\0"
    form = _STAMPED if is_stamped else _PLAIN
    begins, ends, at = [], [], 0
    while at < len(data):
        found = form.match(data, at)
        if found is None:
            raise _odd(data, name, at, is_stamped=is_stamped)
        begins.append(found.start(2))
        ends.append(found.end(2))
        at = found.end()
    marks = np.frombuffer(data, dtype=np.uint8)
    return _Log(data, name, is_stamped, *_row_places(marks, _int64s(begins), _int64s(ends)))


def _row_places(marks: Any, at: Int64s, ends: Int64s) -> tuple[Int64s, Int64s]:
    """Where the rows of all transactions stand, and how many each has.

    A step is taken in all transactions at once, until only few of them go on.
    """
    sizes = np.zeros(len(at), dtype=np.int64)
    places, owners = [_int64s([])], [_int64s([])]
    owner = np.flatnonzero(at < ends)
    while len(owner) > _FEW:
        here = at[owner]
        places.append(here)
        owners.append(owner)
        sizes[owner] += 1
        at[owner] = here + np.where(marks[here] == _WRITE, *_SIZES)
        owner = owner[at[owner] < ends[owner]]
    for number in owner.tolist():
        rest = _rest(marks, int(at[number]), int(ends[number]))
        places.append(rest)
        owners.append(np.full(len(rest), number))
        sizes[number] += len(rest)
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(places)[order], sizes


def _rest(marks: Any, at: int, end: int) -> Int64s:
    letters = bytes(marks[at:end])
    places, here = [], 0
    while here < len(letters):
        places.append(at + here)
        here += _SIZES[letters[here] == _READ]
    return _int64s(places)


def _int64s(found: Sequence[int]) -> Int64s:
    return np.array(found, dtype=np.int64)


def _odd(data: bytes, name: str, at: int, *, is_stamped: bool) -> HistoryError:
    """What is wrong with the transaction that begins at ``at``: its first record that is."""
    step = _LONG if is_stamped else _SHORT
    start, expected = at, "S (a transaction)"
    while at < len(data):
        letter = data[at]
        is_open = at > start
        if letter in (_WRITE, _READ) and is_open:
            at += _SIZES[letter == _READ]
        elif letter == _START and not is_open:
            at += step
            expected = "W, R or the C of the transaction that is open"
        else:
            break
    left = len(data) - at
    if left <= 0 or (data[at] == _COMMIT and 0 < left < step and expected[0] == "W"):
        what = "a record" if left else "a transaction"
        where = f"{name}: byte {len(data)}"
        return HistoryError(f"{where}: the file ends within {what}: it was cut off")
    is_abort = data[at] == ord("A")
    told = "an abort, which Cobra does not log" if is_abort else shown(chr(data[at]))
    return HistoryError(f"{name}: byte {at}: expected {expected}, found {told}")


def _rows(log: _Log) -> tuple[Bools, Numbers, Numbers, Bools]:
    """Whether each row writes, its key, its value, and whether it found the initial state."""
    marks = np.frombuffer(log.data, dtype=np.uint8)
    at = log.rows
    writes = marks[at] == _WRITE
    data, kind, inner = log.data, ">u8", at + np.where(writes, 1, 9)
    first, identity = (numbers_at(data, places, kind) for places in (at + 1, inner))
    key, value = (numbers_at(data, inner + more, kind) for more in (8, 16))
    identity = np.where(identity == _NOT_TOLD, value, identity)
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


def write_files(history: History, losses: Losses) -> Sequence[tuple[str, bytes]]:
    """Files that say ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.transactions(history, TARGET)
    if not found.rows:
        raise HistoryError(f"{NAME} cannot say a history without transactions")
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
