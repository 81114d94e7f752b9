"""PostgreSQL's protocol as its clients hear it: an honest server, and answers that are no success.

For the conformance kit (``polygraph conform``). A request is a whole round: a simple query, or an
extended one from its Parse to its Sync. Logging in, saying goodbye and ROLLBACK belong to no
operation.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.speaker import Conversation, Kind, Misanswer
from systems.drivers.sql.requests import REQUESTS

_TEXT: Final = 25
_STARTUP: Final = b"\0"
_ENDS: Final = (b"Q", b"S", b"X")
"""A simple query, the Sync of an extended one, and Terminate: where a round of requests ends."""


def message(kind: bytes, body: bytes = b"") -> bytes:
    """One message of the protocol."""
    return kind + struct.pack("!i", len(body) + 4) + body


READY: Final = message(b"Z", b"I")


def error(state: str, words: str, severity: str = "ERROR") -> bytes:
    """An error, and that the server is ready for the next request."""
    fields = b"".join(
        letter + text.encode() + b"\0"
        for letter, text in (
            (b"S", severity),
            (b"V", severity),
            (b"C", state),
            (b"M", words),
        )
    )
    return message(b"E", fields + b"\0") + READY


def done(tag: str) -> bytes:
    """That a statement was done."""
    return message(b"C", tag.encode() + b"\0") + READY


class PgSpeaker:
    """An honest server in which every key holds one value."""

    greeting = b""
    requests: ClassVar[Mapping[str, int | Sequence[str]]] = REQUESTS
    misanswers: ClassVar[Mapping[str, Misanswer]] = {
        "serialization failure": Misanswer(
            answer=error("40001", "could not serialize access"), definite=True
        ),
        "deadlock": Misanswer(answer=error("40P01", "deadlock detected"), definite=True),
        "read only": Misanswer(
            answer=error("25006", "cannot execute in a read-only transaction"), definite=True
        ),
        "lock not available": Misanswer(answer=error("55P03", "lock timeout"), definite=True),
        "commit was rollback": Misanswer(answer=done("ROLLBACK"), definite=True, to=("commit",)),
        "completion unknown": Misanswer(answer=error("40003", "statement completion unknown")),
        "connection failure": Misanswer(answer=error("08006", "connection failure")),
        "query cancelled": Misanswer(answer=error("57014", "canceling statement")),
        "admin shutdown": Misanswer(answer=error("57P01", "terminating connection", "FATAL")),
        "internal": Misanswer(answer=error("XX000", "what is this")),
        "disk full": Misanswer(answer=error("53100", "no space left")),
        "an odd word": Misanswer(answer=done("VACUUM")),
        "no word": Misanswer(answer=done("")),
        "nothing but ready": Misanswer(answer=READY),
    }

    def connection(self) -> Conversation:
        """A new connection, outside of a transaction."""
        return PgConversation()


class PgConversation:
    """One connection."""

    def __init__(self) -> None:
        self._is_inside = self._only_reads = False

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """The login, or everything up to the end of a round."""
        if received[:1] == _STARTUP:
            size = struct.unpack("!i", received[:4])[0] if len(received) >= 4 else 1 << 30
            return (received[:size], received[size:]) if len(received) >= size else None
        at = 0
        while len(received) >= at + 5:
            size = struct.unpack("!i", received[at + 1 : at + 5])[0] + 1
            if len(received) < at + size:
                return None
            kind, at = received[at : at + 1], at + size
            if kind in _ENDS:
                return received[:at], received[at:]
        return None

    def kind(self, request: bytes) -> Kind:
        """Effective is a COMMIT, and what changes something outside of a transaction.

        Where nothing can have changed, in a transaction that only reads, COMMIT is harmless.
        """
        word = _word(request)
        if word == "BEGIN":
            self._only_reads = _statement(request).endswith("READ ONLY")
        was_inside = self._is_inside
        self._is_inside = word == "BEGIN" or (was_inside and word not in ("COMMIT", "ROLLBACK"))
        if word in ("", "ROLLBACK"):
            return Kind.HANDSHAKE
        if word == "COMMIT":
            return Kind.HARMLESS if self._only_reads else Kind.EFFECTIVE
        return Kind.HARMLESS if was_inside or word in ("BEGIN", "SELECT") else Kind.EFFECTIVE

    def answer(self, request: bytes, value: Any) -> bytes:
        """What an honest server says."""
        if request[:1] == _STARTUP:
            return _WELCOME
        sql = _statement(request)
        if not sql:
            return b""
        rows, word = _rows(sql, value), _word(request)
        tag = {"INSERT": "INSERT 0 1", "UPDATE": "UPDATE 1", "DELETE": "DELETE 1"}.get(word, word)
        if word == "SELECT":
            tag = f"SELECT {len(rows)}"
        is_extended = request[:1] == b"P"
        told = message(b"1") + message(b"2") if is_extended else b""
        if rows:
            told += _table(rows)
        elif is_extended:
            told += message(b"n")
        return told + done(tag)


_WELCOME: Final = (
    message(b"R", struct.pack("!i", 0))
    + message(b"S", b"client_encoding\0UTF8\0")
    + message(b"S", b"server_version\x0015.1\0")
    + message(b"S", b"standard_conforming_strings\0on\0")
    + message(b"K", struct.pack("!ii", 1, 1))
    + READY
)


def _statement(request: bytes) -> str:
    """The SQL of a round; empty of a login or a goodbye."""
    if request[:1] == b"Q":
        return request[5:-1].decode()
    return request[5:].split(b"\0")[1].decode() if request[:1] == b"P" else ""


def _word(request: bytes) -> str:
    return _statement(request).partition(" ")[0]


def _rows(sql: str, value: Any) -> list[list[Any]]:
    """What a statement of the family reads: each row is of one key, which holds ``value``."""
    held = json.dumps(value)
    if sql.startswith("SELECT k, v"):
        is_range = "k >= " in sql
        return [['"k"', held]] if is_range else [['"k"', held], ['"l"', held]]
    if sql.startswith(("SELECT id, v", "SELECT place, v")):
        return [[1, held]]
    return [[held]] if sql.startswith("SELECT ") or " RETURNING " in sql else []


def _table(rows: Sequence[Sequence[Any]]) -> bytes:
    columns = b"".join(
        f"c{n}".encode() + b"\0" + struct.pack("!ihihih", 0, 0, _TEXT, -1, -1, 0)
        for n in range(len(rows[0]))
    )
    told = message(b"T", struct.pack("!h", len(rows[0])) + columns)
    for row in rows:
        values = [str(each).encode() for each in row]
        data = b"".join(struct.pack("!i", len(each)) + each for each in values)
        told += message(b"D", struct.pack("!h", len(row)) + data)
    return told
