"""dbcop's histories in JSON: sessions of transactions of events, maybe with facts around them.

``{"params": …, "info": …, "start": …, "end": …, "data": [SESSION, …]}`` or the list of sessions
alone. A session is a list of ``{"events": [EVENT, …], "committed": true}``, an event
``{"Write": {"variable": 1, "version": 2}}`` or ``{"Read": …}``, or short ``["w", 1, 2]``. A read
whose version is null, or a 0 that nobody wrote, found the initial state.

Sources: rnbguy/dbcop, crates/core/src/history/raw/types.rs (events and transactions),
crates/testgen/src/generator.rs (what is around them), crates/core/tests/version_zero.rs.

Cost: 1 us an event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np

from harness.errors import HistoryError
from harness.history.formats.losses import Losses, Target
from harness.history.formats.transactions import (
    LARGEST,
    Transactions,
    history_of,
    reading_nil_for,
)
from harness.history.history import History

NAME: Final = "dbcop-json"
INITIAL: Final = 0
TARGET: Final = Target(name=NAME, initial=INITIAL, keeps_aborted=True, keeps_nil=True)
FIRST: Final = re.compile(
    rb'\s*(?:\{\s*"(?:params"\s*:\s*\{|data"\s*:\s*\[\s*[\[\]])'
    rb'|\[\s*(?:\[\s*)+\{\s*"(?:events|committed)"\s*:)'
)
_EXPECTED: Final = "expected a history of dbcop"


class _Version(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    variable: int
    version: int | None


class _Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    write: _Version | None = msgspec.field(default=None, name="Write")
    read: _Version | None = msgspec.field(default=None, name="Read")


class _Transaction(msgspec.Struct):
    events: list[_Event | tuple[str, int, int | None]]
    committed: bool


class _Document(msgspec.Struct):
    data: list[list[_Transaction]]


_WHOLE: Final = msgspec.json.Decoder(_Document)
_BARE: Final = msgspec.json.Decoder(list[list[_Transaction]])


def read(data: bytes, name: str) -> History:
    """The transactions of ``data``; ``HistoryError`` names the place."""
    try:
        is_bare = data.lstrip()[:1] == b"["
        sessions = _BARE.decode(data) if is_bare else _WHOLE.decode(data).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryError(f"{name}: {_EXPECTED}: {error}") from None
    return history_of(reading_nil_for(INITIAL, _transactions(sessions, name)), name)


def _transactions(sessions: list[list[_Transaction]], name: str) -> Transactions:
    session, happened, first = [], [], [0]
    rows: list[tuple[bool, int, int, bool]] = []
    for number, transactions in enumerate(sessions):
        for at, transaction in enumerate(transactions):
            for place, event in enumerate(transaction.events):
                row = _row(event)
                if row is None or not (0 <= row[1] < LARGEST and 0 <= row[2] < LARGEST):
                    where = f"$[{number}][{at}].events[{place}]"
                    raise HistoryError(
                        f"{name}: {_EXPECTED}: {where} is no read or write of numbers from 0 that"
                        " 64 bits hold"
                    )
                rows.append(row)
            session.append(number)
            happened.append(transaction.committed)
            first.append(len(rows))
    return Transactions(
        session=np.array(session, dtype=np.int64),
        happened=np.array(happened, dtype=np.bool_),
        first=np.array(first, dtype=np.int64),
        writes=np.array([row[0] for row in rows], dtype=np.bool_),
        key=np.array([row[1] for row in rows], dtype=np.uint64),
        value=np.array([row[2] for row in rows], dtype=np.uint64),
        nil=np.array([row[3] for row in rows], dtype=np.bool_),
    )


def _row(event: Any) -> tuple[bool, int, int, bool] | None:
    """Whether it writes, key, value, and whether it found nothing; ``None`` if it says neither."""
    if type(event) is tuple:
        kind, key, value = event
        if kind not in ("r", "w"):
            return None
        writes = kind == "w"
    else:
        if (event.write is None) == (event.read is None):
            return None
        writes = event.write is not None
        version = event.write if writes else event.read
        key, value = version.variable, version.version
    if value is None:
        return None if writes else (False, key, 0, True)
    return writes, key, value, False


def write(history: History, out: BinaryIO, losses: Losses) -> None:
    """Write the transactions of ``history``; what ``losses`` may not drop is refused by name."""
    found = losses.transactions(history, TARGET)
    sessions = found.by_session()
    params = {
        "id": 0,
        "n_node": len(sessions),
        "n_variable": len({key for rows in found.rows for _, key, _ in rows}),
        "n_transaction": max(map(len, sessions), default=0),
        "n_event": max(map(len, found.rows), default=0),
    }
    time = "1970-01-01T00:00:00Z"
    data = [
        [
            {"events": list(map(_event, found.rows[number])), "committed": found.happened[number]}
            for number in numbers
        ]
        for numbers in sessions
    ]
    document = {"params": params, "info": "polygraph", "start": time, "end": time, "data": data}
    out.writelines(_pieces(document))


def _event(row: tuple[bool, int, int | None]) -> Any:
    writes, key, value = row
    return {"Write" if writes else "Read": {"variable": key, "version": value}}


def _pieces(document: Any) -> Iterable[bytes]:
    yield json.dumps(document, separators=(",", ":")).encode() + b"\n"
