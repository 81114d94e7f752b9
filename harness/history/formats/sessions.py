"""Transactions on registers in sessions, as the checkers of weak isolation write them.

========  ====================================================================================
plume     ``r(KEY,VALUE,SESSION,TXN)`` or ``w(…)`` a line (Plume, PolySI, IsoVista, AWDIT): the
          lines of one TXN are one transaction, wherever they stand; ``w(…,-1)`` is an aborted
          write, ``r(…,-1)`` says nothing; every key holds 0 at first, read as nil
awdit     ``r KEY VALUE`` or ``w KEY VALUE`` a line (AWDIT's test format): a run of ``-`` ends a
          transaction, a run of ``=`` a session; nothing is there at first
========  ====================================================================================

A session becomes a process, a transaction an operation ``txn``. Such files know the order within
a session and **no times at all**, yet a history is a sequence of records. So the header says
``"order": "session"`` (in ``extra``): no checker may conclude anything from the order of
operations of two different sessions. Cost: 2 us a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from harness.errors import HistoryError
from harness.history.adopt import Adopted
from harness.history.formats.lines import endless_notice, has_end, lines_of
from harness.history.intakes import ORDER, SESSION_ORDER, Place
from harness.history.operation import FAIL, INVOKE, OK, Header, Operation

MODEL: Final = "rw-register"
_PLUME_LINE: Final = re.compile(
    r"\s*(?P<kind>[rw])\((?P<key>\d{1,18}),(?P<value>\d{1,18}),(?P<session>\d{1,9}),"
    r"(?P<txn>-1|\d{1,18})\)\s*\Z",
    re.ASCII,
)
_AWDIT_LINE: Final = re.compile(
    r"\s*(?:(?P<kind>[rw])\s+(?P<key>\d{1,18})\s+(?P<value>\d{1,18})|(?P<end>-+|=+))\s*\Z",
    re.ASCII,
)
FIRST_PLUME: Final = re.compile(rb"\s*[rw]\(\d+,\d+,\d+,-?\d+\)\s*(?:\n|\Z)")
FIRST_AWDIT: Final = re.compile(rb"\s*(?:[rw][ \t]+\d+[ \t]+\d+|-+|=+)\s*(?:\n|\Z)")


@dataclass
class _Transaction:
    session: int
    happened: bool = True
    parts: list[list[Any]] = field(default_factory=list)


def read_plume(data: bytes, name: str) -> Adopted:
    """The transactions of a Plume or PolySI text; ``HistoryError`` names the line."""
    found: dict[int, _Transaction] = {}
    order: list[_Transaction] = []
    for place, match in _lines(data, name, _PLUME_LINE, "r(KEY,VALUE,SESSION,TXN) or w(…)"):
        number, session = int(match["txn"]), int(match["session"])
        part = [match["kind"], int(match["key"]), int(match["value"])]
        if number < 0:
            if match["kind"] == "w":
                order.append(_Transaction(session, happened=False, parts=[part]))
            continue
        if number not in found:
            found[number] = _Transaction(session)
            order.append(found[number])
        elif found[number].session != session:
            raise HistoryError(
                f"{name}: {place}: transaction {number} is of session {found[number].session}, "
                f"expected the same here, found session {session}"
            )
        found[number].parts.append(part)
    return _adopted(order, initial=0, notices=_end_notices(data, name))


def read_awdit(data: bytes, name: str) -> Adopted:
    """The transactions of AWDIT's test format; ``HistoryError`` names the line."""
    order: list[_Transaction] = []
    session, present, is_closed = 0, _Transaction(0), True
    for _, match in _lines(data, name, _AWDIT_LINE, "r KEY VALUE, w KEY VALUE, a run of - or of ="):
        is_closed = match["end"] is not None
        if match["end"] is None:
            if not present.parts:
                order.append(present)
            present.parts.append([match["kind"], int(match["key"]), int(match["value"])])
            continue
        session += match["end"][0] == "="
        present = _Transaction(session)
    notices = _end_notices(data, name)
    if notices and not is_closed:
        _refuse_a_cut_number(present.parts[-1], order, name)
    if not is_closed:
        open_one = (
            f"{name}: nothing closes the last transaction, so more of it may have been cut off"
        )
        notices = (*notices, open_one)
    return _adopted(order, initial=None, notices=notices)


def _refuse_a_cut_number(last: list[Any], order: list[_Transaction], name: str) -> None:
    """``HistoryError`` where the very last number may be the half of one: nobody wrote it.

    A 1 may have been a 12, and would accuse a store of having made up what it read.
    """
    kind, key, value = last
    wrote = ["w", key, value]
    if kind == "r" and not any(wrote in transaction.parts for transaction in order):
        raise HistoryError(
            f"{name}: the last line has no end, and nobody wrote the {value} to {key} that it read,"
            " so its last number may have been cut off",
            "end it with a line end if it is whole",
        )


def _end_notices(data: bytes, name: str) -> tuple[str, ...]:
    return () if has_end(data) else (endless_notice(name),)


def _lines(
    data: bytes, name: str, form: re.Pattern[str], expected: str
) -> Iterator[tuple[Place, re.Match[str]]]:
    """Each line that is not blank, taken apart."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        found = f"byte {data[error.start]:#04x}"
        raise HistoryError(
            f"{name}: {Place(line, column)}: expected {expected}, found {found}"
        ) from None
    for number, row, _ in lines_of(text):
        if not row.strip():
            continue
        match = form.match(row)
        if match is None:
            raise HistoryError(
                f"{name}: {Place(number, 1)}: expected {expected}, found {row[:40]!r}"
            )
        yield Place(number, 1), match


def _adopted(
    transactions: Iterable[_Transaction], *, initial: Any, notices: tuple[str, ...]
) -> Adopted:
    """Two records a transaction, in file order: sessions stay in order, nothing else is meant.

    A read of ``initial`` that nobody wrote found what was there at first: nil, as elsewhere.
    """
    transactions = list(transactions)
    if initial is not None:
        _read_nil_for(initial, transactions)
    operations: list[Operation] = []
    for transaction in transactions:
        at, process = len(operations), transaction.session
        asked = [
            [kind, key, value if kind == "w" else None] for kind, key, value in transaction.parts
        ]
        kind = OK if transaction.happened else FAIL
        operations.append(Operation(at, at, process, INVOKE, "txn", asked))
        operations.append(Operation(at + 1, at + 1, process, kind, "txn", transaction.parts))
    header = Header(model=MODEL, extra={ORDER: SESSION_ORDER})
    notice = "the file knows no times: only the order within each session means anything"
    return Adopted(header=header, operations=operations, notices=(*notices, notice))


def _read_nil_for(initial: Any, transactions: Iterable[_Transaction]) -> None:
    written = {
        key
        for transaction in transactions
        for kind, key, value in transaction.parts
        if kind == "w" and value == initial and transaction.happened
    }
    for transaction in transactions:
        for part in transaction.parts:
            if part[0] == "r" and part[2] == initial and part[1] not in written:
                part[2] = None
