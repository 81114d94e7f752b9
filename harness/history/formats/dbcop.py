"""dbcop's binary histories of 2019 (bincode), which PolySI, VeriStrong and AWDIT read as well.

Little-endian: five numbers of 64 bits (id, sessions, keys, transactions, events), three texts (a
length of 64 bits and bytes: a name, start, end), then the sessions: their number, for each that of
its transactions, for each that of its events, for each event whether it writes, key, value and
whether it succeeded (18 bytes), and after the events whether the transaction did.

Every key holds 0 at first. A transaction that did not succeed is taken as aborted, as dbcop does
(its drivers note a commit that ended in an error so, whatever became of it). An event that did not
succeed is not of its transaction: a write of this kind is an aborted one of its own, a read says
nothing.

Sources: CzxingcHen/VeriStrong, tools/dbcop-verifier/src/db/history.rs and
src/verifier/mod.rs (the tool itself); amnore/PolySI,
src/main/java/history/loaders/DBCopHistoryLoader.java; lassemoldrup/AWDIT, src/formats.rs.

Cost: a step of Python a transaction and array passes over events.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np

from harness.errors import HistoryError
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import (
    Transactions,
    history_of,
    in_groups,
    numbers_at,
    reading_nil_for,
)
from harness.history.history import History

NAME: Final = "dbcop"
INITIAL: Final = 0
TARGET: Final = Target(name=NAME, initial=INITIAL, keeps_aborted=True)
_HEAD: Final = 40
_NO_TIME: Final = b"1970-01-01T00:00:00+00:00"
_LONGEST_TEXT: Final = 4096
_LARGEST_COUNT: Final = 1 << 40
_EVENT: Final = 18
_COUNT: Final = struct.Struct("<Q")


@dataclass
class _Walked:
    """Of each transaction: session, where its events begin, how many, and whether it succeeded."""

    session: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    happened: list[bool] = field(default_factory=list)


def looks_so(head: bytes) -> bool:
    """Whether ``head`` begins as such a file does: five counts, and texts that are text."""
    if len(head) < _HEAD + 8 or b"\0" not in head[:_HEAD]:
        return False
    counts = struct.unpack_from("<5Q", head)
    length = _COUNT.unpack_from(head, _HEAD)[0]
    if max(counts[1:]) >= _LARGEST_COUNT or length > _LONGEST_TEXT:
        return False
    text = head[_HEAD + 8 : _HEAD + 8 + length]
    return not any(byte < 9 or 13 < byte < 32 for byte in text)


def read(data: bytes, name: str) -> History:
    """The transactions of ``data``; ``HistoryError`` names the byte."""
    at = _HEAD
    for _ in range(3):
        length, at = _count(data, at, name)
        if length > min(_LONGEST_TEXT, len(data) - at):
            raise _short(name, at, f"a text of {length} bytes", len(data) - at)
        at += length
    walked = _walked(data, at, name)
    found = reading_nil_for(INITIAL, _transactions(data, walked, name))
    return history_of(found, name)


def _count(data: bytes, at: int, name: str) -> tuple[int, int]:
    if at + 8 > len(data):
        raise _short(name, at, "a number of 8 bytes", len(data) - at)
    return _COUNT.unpack_from(data, at)[0], at + 8


def _short(name: str, at: int, expected: str, found: int) -> HistoryError:
    return HistoryError(
        f"{name}: byte {at}: expected {expected}, found {max(found, 0)} bytes: it was cut off, or"
        " is none of dbcop's"
    )


def _walked(data: bytes, at: int, name: str) -> _Walked:
    """Where the transactions stand."""
    found = _Walked()
    size, width, count_at = len(data), _EVENT, _COUNT.unpack_from
    sessions, at = _count(data, at, name)
    for session in range(sessions):
        transactions, at = _count(data, at, name)
        for _ in range(transactions):
            if at + 8 > size:
                raise _short(name, at, "a number of 8 bytes", size - at)
            events = count_at(data, at)[0]
            at += 8
            end = at + width * events
            if end >= size:
                raise _short(name, at, f"{events} events", size - at)
            if data[end] > 1:
                raise _no_truth(name, end, data[end])
            found.session.append(session)
            found.at.append(at)
            found.size.append(events)
            found.happened.append(data[end] == 1)
            at = end + 1
    if at < size:
        raise HistoryError(f"{name}: byte {at}: expected the end, found {size - at} more bytes")
    return found


def _no_truth(name: str, at: int, found: int) -> HistoryError:
    return HistoryError(f"{name}: byte {at}: expected a truth value (0 or 1), found {found}")


def _transactions(data: bytes, walked: _Walked, name: str) -> Transactions:
    """The events as columns; failed ones become transactions of their own or go."""
    size = np.array(walked.size, dtype=np.int64)
    start = np.array(walked.at, dtype=np.int64)
    before = np.cumsum(size) - size
    within = np.arange(int(size.sum())) - np.repeat(before, size)
    at = np.repeat(start, size) + within * _EVENT
    marks = np.frombuffer(data, dtype=np.uint8)
    truths = [(place, marks[at + place]) for place in (0, _EVENT - 1)]
    for place, found in truths:
        odd = np.flatnonzero(found > 1)
        if len(odd):
            raise _no_truth(name, int(at[odd[0]]) + place, int(found[odd[0]]))
    owner = np.repeat(np.arange(len(size)), size)
    session = np.array(walked.session, dtype=np.int64)
    happened = np.array(walked.happened, dtype=np.bool_)
    writes, succeeded = (found == 1 for _, found in truths)
    lost = np.flatnonzero(writes & ~succeeded)
    kept = np.concatenate((np.flatnonzero(succeeded), lost))
    return in_groups(
        np.concatenate((session, session[owner[lost]])),
        np.concatenate((happened, np.zeros(len(lost), dtype=np.bool_))),
        np.concatenate((owner[succeeded], len(size) + np.arange(len(lost)))),
        writes[kept],
        numbers_at(data, at[kept] + 1, "<u8"),
        numbers_at(data, at[kept] + 9, "<u8"),
    )


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the transactions of ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.transactions(history, TARGET)
    sessions = found.by_session()
    keys = len({key for rows in found.rows for _, key, _ in rows})
    longest = max((len(each) for each in sessions), default=0)
    events = max(map(len, found.rows), default=0)
    out.write(struct.pack("<5Q", 0, len(sessions), keys, longest, events))
    for text in (b"polygraph", _NO_TIME, _NO_TIME):
        out.write(_COUNT.pack(len(text)) + text)
    out.write(_COUNT.pack(len(sessions)))
    for numbers in sessions:
        out.write(_COUNT.pack(len(numbers)))
        for number in numbers:
            rows = found.rows[number]
            out.write(_COUNT.pack(len(rows)))
            for writes, key, value in rows:
                out.write(struct.pack("<BQQB", writes, key, value, 1))
            out.write(struct.pack("<B", found.happened[number]))
