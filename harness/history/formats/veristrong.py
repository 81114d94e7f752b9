"""VeriStrong's list text (``--history-type elle-list-append``): appends and reads of lists.

The first line says how many follow. Each is ``SESSION TXN A KEY VALUE`` (an append) or
``SESSION TXN R KEY COUNT VALUE …`` (a read of a list); the lines of one TXN are one transaction,
in a session's order by their first lines. There are neither aborted transactions nor times.

Source: CzxingcHen/VeriStrong, veristrong/src/history/history.cpp
(``parse_elle_list_append_history``). Cost: 3 us a line.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO, Final

from harness.errors import HistoryError
from harness.history.formats.lines import has_end, matched_lines
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import NO_TIMES
from harness.history.history import History
from harness.history.intakes import ORDER, SESSION_ORDER, Place
from harness.history.operation import INVOKE, OK, Header, Operation
from harness.history.rules import MOST_PROCESSES
from harness.wording import shown

NAME: Final = "veristrong"
MODEL: Final = "list-append"
TARGET: Final = Target(name=NAME, initial=None, keeps_aborted=False)
FIRST: Final = re.compile(
    rb"\s*\d+[ \t]*\r?\n\s*\d+[ \t]+-?\d+[ \t]+[AR][ \t]+-?\d+[ \t]+-?\d+[ \t\r\n]"
)
_EXPECTED: Final = "SESSION TXN A KEY VALUE or SESSION TXN R KEY COUNT VALUE …"
_LINE: Final = re.compile(
    r"\s*(?:(?P<count>\d{1,18})|(?P<session>\d{1,10})\s+(?P<txn>-?\d{1,18})\s+(?P<kind>[AR])"
    r"\s+(?P<key>-?\d{1,18})\s+(?P<rest>-?\d{1,18}(?:\s+-?\d{1,18})*))\s*\Z",
    re.ASCII,
)


def read(data: bytes, name: str) -> History:
    """The transactions of ``data``; ``HistoryError`` names the line."""
    lines = matched_lines(data, name, _LINE, _EXPECTED)
    place, head = next(lines, (Place(1, 1), None))
    if head is None or head["count"] is None:
        raise HistoryError(f"{name}: {place}: expected the number of lines")
    owners: dict[int, tuple[int, list[Any]]] = {}
    told = 0
    for place, match in lines:
        told += 1
        if match["count"] is not None:
            raise HistoryError(
                f"{name}: {place}: expected {_EXPECTED}, found {shown(match['count'])}"
            )
        _take(match, owners, place, name)
    if told != int(head["count"]):
        raise HistoryError(
            f"{name}: {place}: expected {head['count']} lines, as the first one says, found {told}"
        )
    if not has_end(data):
        raise HistoryError(
            f"{name}: the last line has no end, so its last number may have been cut off",
            "end it with a line end if it is whole",
        )
    header = Header(model=MODEL, extra={ORDER: SESSION_ORDER})
    return History(_operations(owners), header, (NO_TIMES,))


def _take(
    match: re.Match[str], owners: dict[int, tuple[int, list[Any]]], place: Place, name: str
) -> None:
    """Put a line into its transaction."""
    session, txn, key = int(match["session"]), int(match["txn"]), int(match["key"])
    numbers = [int(number) for number in match["rest"].split()]
    is_whole = len(numbers) == (1 if match["kind"] == "A" else numbers[0] + 1)
    if not is_whole or session > MOST_PROCESSES:
        raise HistoryError(f"{name}: {place}: expected {_EXPECTED}, found {shown(match[0][:40])}")
    part = ["append", key, numbers[0]] if match["kind"] == "A" else ["r", key, numbers[1:]]
    owner, parts = owners.setdefault(txn, (session, []))
    if owner != session:
        raise HistoryError(
            f"{name}: {place}: transaction {txn} is of session {owner}, expected the same here, "
            f"found session {session}"
        )
    parts.append(part)


def _operations(owners: dict[int, tuple[int, list[Any]]]) -> list[Operation]:
    operations: list[Operation] = []
    for session, parts in owners.values():
        at = len(operations)
        asked = [part if part[0] == "append" else [*part[:2], None] for part in parts]
        operations.append(Operation(at, at, session, INVOKE, "txn", asked))
        operations.append(Operation(at + 1, at + 1, session, OK, "txn", parts))
    return operations


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the transactions of ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.lists(history, TARGET)
    lines = []
    for number, rows in enumerate(found.rows):
        where = f"{found.session[number]} {number + 1}"
        for appends, key, value in rows:
            if appends:
                lines.append(f"{where} A {key} {value}\n")
            else:
                lines.append(f"{where} R {key} {' '.join(map(str, [len(value), *value]))}\n")
    out.write(f"{len(lines)}\n".encode())
    out.write("".join(lines).encode())
