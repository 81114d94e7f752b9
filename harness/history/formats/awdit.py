"""AWDIT's test format: ``r KEY VALUE`` or ``w KEY VALUE`` a line, numbers from 0.

A run of ``-`` ends a transaction, a run of ``=`` a session. Nothing is there at first, and there is
no word for having read nothing: whoever wants an initial state writes it out as a transaction.
There are no aborted transactions.

Source: lassemoldrup/AWDIT, src/formats.rs (``parse_test_history``).

Text that is formed as AWDIT writes it is read by array passes, any other line by line.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO, Final

import numpy as np

from harness.errors import HistoryError
from harness.history.formats.lines import end_notices, matched_lines
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import LARGEST, Transactions, history_of, in_groups
from harness.history.history import History

NAME: Final = "awdit"
FIRST: Final = re.compile(rb"\s*(?:[rw][ \t]+\d+[ \t]+\d+|-+|=+)\s*(?:\n|\Z)")
TARGET: Final = Target(name=NAME, initial=None, keeps_aborted=False)
_EXPECTED: Final = "r KEY VALUE, w KEY VALUE, a run of - or of ="
_LINE: Final = re.compile(
    r"\s*(?:(?P<kind>[rw])\s+(?P<key>\d{1,20})\s+(?P<value>\d{1,20})|(?P<end>-+|=+))\s*\Z",
    re.ASCII,
)
_SKELETON: Final = re.compile(rb"(?:[rw]  \n|-+\n|=+\n)+")
_ODD: Final = re.compile(rb"[-=rw]\d|\d[-=rw]|\n\d|  | \n")
_BLANKED: Final = bytes.maketrans(b"rw-=\n", b"     ")


def read(data: bytes, name: str) -> History:
    """The transactions of ``data``; ``HistoryError`` names the line."""
    found = _quick(data)
    if found is not None and data[-2:-1] in (b"-", b"="):
        return history_of(found, name)
    return _by_line(data, name)


def _quick(data: bytes) -> Transactions | None:
    """The transactions where all lines are plain."""
    skeleton = data.translate(None, b"0123456789")
    if len(skeleton) == len(data) or _SKELETON.fullmatch(skeleton) is None:
        return None  # without any number, or odd
    if data[:1].isdigit() or _ODD.search(data):
        return None
    numbers = np.fromstring(data.translate(_BLANKED), dtype=np.uint64, sep=" ").reshape(-1, 2)
    if not len(numbers) or int(numbers.max()) == LARGEST:
        return None
    marks = np.frombuffer(data, dtype=np.uint8)
    starts = np.append(0, np.flatnonzero(marks[:-1] == ord("\n")) + 1)
    kind = marks[starts]
    is_row = (kind == ord("r")) | (kind == ord("w"))
    transaction = np.cumsum(~is_row)[is_row]
    session = np.cumsum(kind == ord("="))[is_row]
    begins = np.append(True, transaction[1:] != transaction[:-1])
    return in_groups(
        session[begins],
        np.ones(int(begins.sum()), dtype=np.bool_),
        np.cumsum(begins) - 1,
        kind[is_row] == ord("w"),
        numbers[:, 0].copy(),
        numbers[:, 1].copy(),
    )


def _by_line(data: bytes, name: str) -> History:
    """The history of any text; ``HistoryError`` where it is none."""
    sessions: list[int] = []
    rows: list[tuple[int, bool, int, int]] = []
    session, is_closed, begins = 0, True, True
    for place, match in matched_lines(data, name, _LINE, _EXPECTED):
        is_closed = match["end"] is not None
        if is_closed:
            session += match["end"][0] == "="
            begins = True
            continue
        if begins:
            sessions.append(session)
            begins = False
        row = (len(sessions) - 1, match["kind"] == "w", int(match["key"]), int(match["value"]))
        if max(row[2:]) >= LARGEST:
            raise HistoryError(
                f"{name}: {place}: expected numbers below {LARGEST}, found {max(row[2:])}"
            )
        rows.append(row)
    notices = end_notices(data, name)
    if notices and not is_closed:
        _refuse_a_cut_number(rows, name)
    if not is_closed:
        open_one = (
            f"{name}: nothing closes the last transaction, so more of it may have been cut off"
        )
        notices = (*notices, open_one)
    return history_of(_of_rows(sessions, rows), name, notices)


def _of_rows(sessions: list[int], rows: list[tuple[int, bool, int, int]]) -> Transactions:
    return in_groups(
        np.array(sessions, dtype=np.int64),
        np.ones(len(sessions), dtype=np.bool_),
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.bool_),
        np.array([row[2] for row in rows], dtype=np.uint64),
        np.array([row[3] for row in rows], dtype=np.uint64),
    )


def _refuse_a_cut_number(rows: list[tuple[int, bool, int, int]], name: str) -> None:
    """``HistoryError`` where the very last number may be the half of one: nobody wrote it.

    A 1 may have been a 12, and would accuse a store of having made up what it read.
    """
    _, writes, key, value = rows[-1]
    if not writes and not any(row[1:] == (True, key, value) for row in rows):
        raise HistoryError(
            f"{name}: the last line has no end, and nobody wrote the {value} to {key} that it read,"
            " so its last number may have been cut off",
            "end it with a line end if it is whole",
        )


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the transactions of ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.transactions(history, TARGET)
    text = io.StringIO()
    for position, numbers in enumerate(found.by_session()):
        text.write("=====\n" if position else "")
        for number in numbers:
            for writes, key, value in found.rows[number]:
                text.write(f"{'w' if writes else 'r'} {key} {value}\n")
            text.write("-----\n")
    out.write(text.getvalue().encode())
