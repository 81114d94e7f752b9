"""Plume's text, which PolySI, IsoVista and AWDIT read as well: an operation a line.

``r(KEY,VALUE,SESSION,TXN)`` or ``w(KEY,VALUE,SESSION,TXN)``, numbers from 0. The lines of one TXN
are one transaction, wherever they stand; a session's transactions are in the order of their first
lines. ``w(…,-1)`` is an aborted write, ``r(…,-1)`` says nothing. Every key holds 0 at first, so a
read of a 0 that nobody wrote found nothing.

Sources: amnore/PolySI, src/main/java/history/loaders/TextHistoryLoader.java; hengxin/IsoVista,
src/main/java/history/loader/TextHistoryLoader.java (the one with -1); lassemoldrup/AWDIT,
src/formats.rs (``parse_plume_history``, numbers of 64 bits without a sign).

Text that is formed as these tools write it is read by array passes, 0.7 us a line, or, where it is
large and numba is installed, by a compiled loop, 0.1 us; any other line by line, with blanks around
lines allowed, 2 us a line.
"""

from __future__ import annotations

import importlib.util
import io
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from harness.errors import HistoryError
from harness.history.columns import Int64s
from harness.history.compiling import load_numba
from harness.history.formats.lines import end_notices, matched_lines
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import (
    LARGEST,
    Bools,
    Numbers,
    Transactions,
    history_of,
    in_groups,
    reading_nil_for,
)
from harness.history.history import History
from harness.history.intakes import Place

NAME: Final = "plume"
INITIAL: Final = 0
FIRST: Final = re.compile(rb"\s*[rw]\(\d+,\d+,\d+,-?\d+\)\s*(?:\n|\Z)")
COMPILE_FROM: Final = 4 << 20
"""Bytes from which numba, which takes a third of a second to load, is worth it."""
TARGET: Final = Target(name=NAME, initial=INITIAL, keeps_aborted=True)
_EXPECTED: Final = "r(KEY,VALUE,SESSION,TXN) or w(…)"
_LINE: Final = re.compile(
    r"\s*(?P<kind>[rw])\((?P<key>\d{1,20}),(?P<value>\d{1,20}),(?P<session>\d{1,10}),"
    r"(?P<txn>-1|\d{1,20})\)\s*\Z",
    re.ASCII,
)
_SHAPE: Final = np.frombuffer(b"(,,,)\n", dtype=np.uint8)
_BUT_KINDS: Final = b"0123456789-(,)\n"
_BLOCK: Final = 1 << 23
_BLANKED: Final = bytes.maketrans(b"rw(,)\n", b"      ")
_ABORTED: Final = b",-1)"
_EMPTY: Final = (b"(,", b",,", b",)")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """The lines as columns; ``txn`` is ``LARGEST`` for what was aborted."""

    line: Int64s
    writes: Bools
    key: Numbers
    value: Numbers
    session: Int64s
    txn: Numbers

    def picked(self, kept: Bools) -> _Rows:
        """Some of the lines."""
        return _Rows(**{name: column[kept] for name, column in vars(self).items()})


def read(data: bytes, name: str) -> History:
    """The transactions of ``data``; ``HistoryError`` names the line."""
    rows = _compiled(data) or _quick(data) or _by_line(data, name)
    found = reading_nil_for(INITIAL, _grouped(rows, name))
    return history_of(found, name, end_notices(data, name))


def _compiled(data: bytes) -> _Rows | None:
    """The lines of large text where all are plain, by a compiled loop; else ``None``."""
    if len(data) < COMPILE_FROM or importlib.util.find_spec("numba") is None:
        return None
    load_numba()
    from harness.history.compiled.plume_kernel import take_apart

    count = data.count(b"\n")
    writes = np.empty(count, dtype=np.bool_)
    numbers = np.empty((4, count), dtype=np.uint64)
    if not count or take_apart(np.frombuffer(data, np.uint8), writes, numbers) != count:
        return None
    key, value, session, txn = numbers
    if session.max(initial=0) >= 10**10:
        return None
    line = np.arange(1, count + 1)
    return _Rows(
        line=line, writes=writes, key=key, value=value, session=session.astype(np.int64), txn=txn
    )


def _quick(data: bytes) -> _Rows | None:
    """The lines where all are plain, else ``None``; block by block, for copies take room."""
    blocks = []
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BLOCK) + 1
        block = _block(data[start : end or len(data)])
        if block is None:
            return None
        blocks.append(block)
        start = end or len(data)
    if not blocks:
        return None
    columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
    writes, key, value, session, txn = columns
    line = np.arange(1, len(key) + 1)
    return _Rows(line=line, writes=writes, key=key, value=value, session=session, txn=txn)


def _block(data: bytes) -> tuple[Bools, Numbers, Numbers, Int64s, Numbers] | None:
    """The columns of some whole lines, where all are plain."""
    if not _is_plain(data):
        return None
    aborted = data.count(_ABORTED)
    told = data.replace(_ABORTED, b",%d)" % LARGEST) if aborted else data
    numbers = np.fromstring(told.translate(_BLANKED), dtype=np.uint64, sep=" ").reshape(-1, 4)
    # What is too large for 64 bits reads as the largest number.
    if int((numbers == LARGEST).sum()) != aborted or numbers[:, 2].max() >= 10**10:
        return None
    kinds = np.frombuffer(data.translate(None, _BUT_KINDS), dtype=np.uint8)
    key, value, session, txn = (column.copy() for column in numbers.T)
    return kinds == ord("w"), key, value, session.astype(np.int64), txn


def _is_plain(data: bytes) -> bool:
    """Whether every line is formed as the tools write it, and the last one ended."""
    skeleton = np.frombuffer(data.translate(None, b"0123456789-"), dtype=np.uint8)
    count, rest = divmod(len(skeleton), len(_SHAPE) + 1)
    if rest or not count:
        return False
    lines = skeleton.reshape(count, -1)
    is_kind = (lines[:, 0] == ord("w")) | (lines[:, 0] == ord("r"))
    return bool(
        is_kind.all()
        and (lines[:, 1:] == _SHAPE).all()
        # Nor is a number missing, nor one where none belongs.
        and not any(empty in data for empty in _EMPTY)
        and data.count(b"-") == data.count(_ABORTED)
        and data.count(b"\nr(") + data.count(b"\nw(") == count - 1
        and data[1:2] == b"("
        and data.count(b")\n") == count
        and data.endswith(b"\n")
    )


def _by_line(data: bytes, name: str) -> _Rows:
    """The lines of any text; ``HistoryError`` where it is none."""
    kinds, table = [], []
    for place, match in matched_lines(data, name, _LINE, _EXPECTED):
        numbers = [int(match[part]) for part in ("key", "value", "session", "txn")]
        if max(numbers) >= LARGEST:
            raise HistoryError(
                f"{name}: {place}: expected numbers below {LARGEST}, found {max(numbers)}"
            )
        kinds.append(match["kind"] == "w")
        table.append((place.line, *numbers[:3], numbers[3] if numbers[3] >= 0 else LARGEST))
    columns = np.array(table, dtype=np.uint64).reshape(-1, 5)
    return _Rows(
        line=columns[:, 0].astype(np.int64),
        writes=np.array(kinds, dtype=np.bool_),
        key=columns[:, 1].copy(),
        value=columns[:, 2].copy(),
        session=columns[:, 3].astype(np.int64),
        txn=columns[:, 4].copy(),
    )


def _grouped(rows: _Rows, name: str) -> Transactions:
    """The transactions, each where its first line stands."""
    kept = rows.writes | (rows.txn != LARGEST)
    rows = rows if kept.all() else rows.picked(kept)
    owner, first = _owners(rows.txn)
    session = rows.session[first]
    strangers = np.flatnonzero(rows.session != session[owner])
    if len(strangers):
        row = int(strangers[0])
        raise HistoryError(
            f"{name}: {Place(int(rows.line[row]), 1)}: transaction {rows.txn[row]} is of session "
            f"{session[owner[row]]}, expected the same here, found session {rows.session[row]}",
            "number transactions through the whole file, not each session's from 0",
        )
    happened = rows.txn[first] != LARGEST
    return in_groups(session, happened, owner, rows.writes, rows.key, rows.value)


def _owners(txn: Numbers) -> tuple[Int64s, Int64s]:
    """Of each row its transaction in order of first rows, and these first rows."""
    begins = np.ones(len(txn), dtype=np.bool_)
    begins[1:] = (txn[1:] != txn[:-1]) | (txn[1:] == LARGEST)
    first, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    numbers = txn[first]
    _, earliest, same = np.unique(numbers, return_index=True, return_inverse=True)
    leader = np.where(numbers == LARGEST, np.arange(len(numbers)), earliest[same])
    leaders, owner = np.unique(leader, return_inverse=True)
    return owner[run], first[leaders]


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the transactions of ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.transactions(history, TARGET)
    text = io.StringIO()
    for number, rows in enumerate(found.rows):
        told = number if found.happened[number] else -1
        for writes, key, value in rows:
            kind = "w" if writes else "r"
            text.write(f"{kind}({key},{value},{found.session[number]},{told})\n")
    out.write(text.getvalue().encode())
