"""What SQLite's errors mean for a statement that commits, or commits itself.

An error after which the transaction is still open is told by the server, and is definite whatever
it is called (``SQLITE_BUSY`` of a ``COMMIT`` is one: readers are in the way). Of a statement that
commits itself the codes below are definite: SQLite gives them before anything is written
(https://www.sqlite.org/rescode.html). What a write to the disk was answered, a full disk, no memory
and all that is not here may have come in the middle of it, so nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from harness.contract.speaker import Misanswer

DEFINITE: Final = (
    "SQLITE_BUSY",  # another holds the lock, for longer than busy_timeout
    "SQLITE_LOCKED",  # the same within one process
    "SQLITE_CONSTRAINT",  # a key that is there already: the statement is undone
    "SQLITE_READONLY",  # the file or the folder cannot be written
    "SQLITE_ERROR",  # no such table, no such column: it was never begun
    "SQLITE_AUTH",
    "SQLITE_PERM",
)
"""Primary codes; the extended ones that begin so are meant too."""


def is_definite(name: str, text: str) -> bool:
    """Whether ``name`` says that a statement that commits itself changed nothing."""
    return any(name == code or name.startswith(f"{code}_") for code in DEFINITE)


def _error(name: str, text: str, *, undone: bool = False) -> bytes:
    return json.dumps({"error": name, "text": text, "undone": undone}).encode() + b"\n"


MISANSWERS: Final[Mapping[str, Misanswer]] = {
    "busy": Misanswer(answer=_error("SQLITE_BUSY", "database is locked"), definite=True),
    "a stale snapshot": Misanswer(
        answer=_error("SQLITE_BUSY_SNAPSHOT", "database is locked"), definite=True
    ),
    "locked": Misanswer(answer=_error("SQLITE_LOCKED", "database table is locked"), definite=True),
    "a failed disk, still open": Misanswer(
        answer=_error("SQLITE_IOERR_WRITE", "disk I/O error", undone=True), definite=True
    ),
    "a failed disk": Misanswer(answer=_error("SQLITE_IOERR_WRITE", "disk I/O error")),
    "a full disk": Misanswer(answer=_error("SQLITE_FULL", "database or disk is full")),
    "interrupted": Misanswer(answer=_error("SQLITE_INTERRUPT", "interrupted")),
    "a broken file": Misanswer(answer=_error("SQLITE_CORRUPT", "disk image is malformed")),
    "an unknown error": Misanswer(answer=_error("SQLITE_WHAT", "what is this")),
    "neither rows nor an error": Misanswer(answer=b"{}\n"),
    "something that is no JSON": Misanswer(answer=b"<html></html>\n"),
    "rows that are no rows": Misanswer(answer=b'{"rows": 7}\n'),
}
"""Answers that are no success, for the conformance kit."""
