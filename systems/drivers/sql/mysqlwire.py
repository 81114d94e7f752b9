"""MariaDB's and MySQL's protocol as its clients hear it: an honest server, and what is no success.

For the conformance kit (``polygraph conform``). A request is a packet. Logging in, setting the
connection up, saying goodbye and ROLLBACK belong to no operation. Every statement is a request of
its own, with its values in it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.speaker import Conversation, Kind, Misanswer
from systems.drivers.sql.requests import REQUESTS

_QUERY: Final = 3
_AUTOCOMMIT: Final = 2
_IN_TRANSACTION: Final = 1
_TEXT_FIELD: Final = 253
_CAPABILITIES: Final = 0x0008_0000 | 0x8000 | 0x2000 | 0x0200 | 0x0008 | 0x0002 | 0x0001
"""PLUGIN_AUTH, SECURE_CONNECTION, TRANSACTIONS, PROTOCOL_41, CONNECT_WITH_DB, FOUND_ROWS, LONG."""


def packet(sequence: int, body: bytes) -> bytes:
    """One packet: its length, its place in the exchange, what it says."""
    return struct.pack("<I", len(body))[:3] + bytes([sequence]) + body


def done(*, is_inside: bool = False, count: int = 1, inserted: int = 7, sequence: int = 1) -> bytes:
    """That a statement was done, and whether a transaction is open now."""
    status = _AUTOCOMMIT | (_IN_TRANSACTION if is_inside else 0)
    return packet(sequence, bytes([0, count, inserted]) + struct.pack("<HH", status, 0))


def error(number: int, state: str, words: str) -> bytes:
    """An error."""
    return packet(1, b"\xff" + struct.pack("<H", number) + f"#{state}{words}".encode())


_GREETING: Final = packet(
    0,
    b"\x0a5.5.5-10.11.19-MariaDB\0"
    + struct.pack("<I", 1)
    + b"saltsalt\0"
    + struct.pack("<H", _CAPABILITIES & 0xFFFF)
    + b"\x2d"
    + struct.pack("<H", _AUTOCOMMIT)
    + struct.pack("<H", _CAPABILITIES >> 16)
    + b"\x15"
    + b"\0" * 10
    + b"saltsaltsalt\0"
    + b"mysql_native_password\0",
)


class MysqlSpeaker:
    """An honest server in which every key holds one value."""

    greeting = _GREETING
    requests: ClassVar[Mapping[str, int | Sequence[str]]] = REQUESTS
    misanswers: ClassVar[Mapping[str, Misanswer]] = {
        "deadlock": Misanswer(answer=error(1213, "40001", "Deadlock found"), definite=True),
        "lock wait timeout": Misanswer(
            answer=error(1205, "HY000", "Lock wait timeout exceeded"), definite=True
        ),
        "changed since the snapshot": Misanswer(
            answer=error(1020, "HY000", "Record has changed since last read"), definite=True
        ),
        "read only server": Misanswer(
            answer=error(1290, "HY000", "running with the --read-only option"), definite=True
        ),
        "read only transaction": Misanswer(
            answer=error(1792, "25006", "Cannot execute in a READ ONLY transaction"), definite=True
        ),
        "error during commit": Misanswer(answer=error(1180, "HY000", "Got error during COMMIT")),
        "interrupted": Misanswer(answer=error(1317, "70100", "Query execution was interrupted")),
        "shutdown": Misanswer(answer=error(1053, "08S01", "Server shutdown in progress")),
        "killed": Misanswer(answer=error(1927, "70100", "Connection was killed")),
        "disk full": Misanswer(answer=error(1021, "HY000", "Disk full")),
        "not prepared": Misanswer(answer=error(1047, "08S01", "WSREP has not yet prepared")),
        "unknown": Misanswer(answer=error(1105, "HY000", "Unknown error")),
        "commit leaves it open": Misanswer(answer=done(is_inside=True), to=("commit",)),
        "an empty packet": Misanswer(answer=packet(1, b"")),
        "a packet out of order": Misanswer(answer=packet(9, b"\0\0\0\2\0\0\0")),
    }

    def connection(self) -> Conversation:
        """A new connection, not logged in."""
        return MysqlConversation()


class MysqlConversation:
    """One connection."""

    def __init__(self) -> None:
        self._has_logged_in = self._is_inside = self._only_reads = False

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """A packet."""
        size = 4 + int.from_bytes(received[:3], "little")
        if len(received) < 4 or len(received) < size:
            return None
        return received[:size], received[size:]

    def kind(self, request: bytes) -> Kind:
        """Effective is a COMMIT, and what changes something outside of a transaction.

        Where nothing can have changed, in a transaction that only reads, COMMIT is harmless.
        """
        sql = _statement(request) if self._has_logged_in else ""
        word = sql.partition(" ")[0]
        was_inside = self._is_inside
        if word == "START":
            self._only_reads = sql.endswith("READ ONLY")
        self._is_inside = word == "START" or (was_inside and word not in ("COMMIT", "ROLLBACK"))
        if word in ("", "ROLLBACK", "SET"):
            return Kind.HANDSHAKE
        if word == "COMMIT":
            return Kind.HARMLESS if self._only_reads else Kind.EFFECTIVE
        return Kind.HARMLESS if was_inside or word in ("START", "SELECT") else Kind.EFFECTIVE

    def answer(self, request: bytes, value: Any) -> bytes:
        """What an honest server says."""
        if not self._has_logged_in:
            self._has_logged_in = True
            return done(count=0, inserted=0, sequence=2)
        sql = _statement(request)
        if not sql:
            return b""  # goodbye
        if sql.startswith("SELECT "):
            return _table(_rows(sql, value), is_inside=self._is_inside)
        return done(is_inside=self._is_inside)


def _statement(request: bytes) -> str:
    """The SQL of a packet; empty of another command."""
    return request[5:].decode() if request[4:5] == bytes([_QUERY]) else ""


def _rows(sql: str, value: Any) -> list[list[Any]]:
    """What a statement of the family reads: each row is of one key, which holds ``value``."""
    held = json.dumps(value)
    if sql.startswith("SELECT k, v"):
        is_range = "k >= " in sql
        return [['"k"', held]] if is_range else [['"k"', held], ['"l"', held]]
    if sql.startswith(("SELECT id, v", "SELECT place, v")):
        return [[1, held]]
    return [[held]]


def _table(rows: Sequence[Sequence[Any]], *, is_inside: bool) -> bytes:
    end = b"\xfe" + struct.pack("<HH", 0, _AUTOCOMMIT | (_IN_TRANSACTION if is_inside else 0))
    column = (
        b"".join(_counted(each) for each in (b"def", b"", b"t", b"t", b"c", b"c"))
        + b"\x0c"
        + struct.pack("<HIBHB", 45, 1024, _TEXT_FIELD, 0, 0)
        + b"\0\0"
    )
    bodies = [bytes([len(rows[0])]), *([column] * len(rows[0])), end]
    bodies += [b"".join(_counted(str(each).encode()) for each in row) for row in rows]
    return b"".join(packet(1 + n, body) for n, body in enumerate([*bodies, end]))


def _counted(text: bytes) -> bytes:
    return bytes([len(text)]) + text
