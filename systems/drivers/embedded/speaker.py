"""The server as its clients hear it, for the conformance kit.

The same INSERT is effective outside of a transaction and harmless inside of one, so every
connection is a conversation of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.contract.speaker import Kind, Misanswer
from systems.drivers.embedded.dialect import Dialect

REQUESTS: Final[Mapping[str, int | Sequence[str]]] = {
    "read": ("select",),
    "write": ("insert",),
    "compare_and_set": ("update",),
    "read_only_transaction": ("begin", "select", "commit"),
    "transaction": ("begin", "select", "insert", "commit"),
    "append": ("begin", "insert", "commit"),
    "scan": ("begin", "select", "commit"),
    "scan_and_insert": ("begin", "select", "insert", "commit"),
    "scan_and_delete": ("begin", "select", "delete", "commit"),
    "add_to_set": ("insert",),
    "read_set": ("select",),
    "add_to_counter": ("insert",),
    "read_counter": ("select",),
    "enqueue": ("insert",),
    "dequeue": ("delete",),
    "append_to_log": ("insert",),
    "poll_log": ("select",),
    "acquire": ("insert",),
    "release": ("delete",),
    "generate_id": ("insert",),
}
"""What each trial of the kit sends."""


class EmbeddedSpeaker:
    """An honest server in which everything holds one value, and its wrong answers."""

    greeting = b""
    requests = REQUESTS

    def __init__(self, dialect: Dialect, misanswers: Mapping[str, Misanswer]) -> None:
        self.dialect, self.misanswers = dialect, misanswers
        self._only = Conversation(dialect)

    def connection(self) -> Conversation:
        """A new connection, on which no transaction is open."""
        return Conversation(self.dialect)

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """One line."""
        return self._only.take(received)

    def kind(self, request: bytes) -> Kind:
        """As on a connection that was asked nothing else."""
        return Conversation(self.dialect).kind(request)

    def answer(self, request: bytes, value: Any) -> bytes:
        """An honest answer."""
        return self._only.answer(request, value)


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._is_open = False
        self._writes = False

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        """One line."""
        line, end, rest = received.partition(b"\n")
        return (line + end, rest) if end else None

    def kind(self, request: bytes) -> Kind:
        """Effective is a COMMIT after a change, and a change outside of any transaction."""
        sql = json.loads(request)["sql"]
        word = "INSERT" if sql == self.dialect.generate else sql.partition(" ")[0]
        if word == "BEGIN":
            self._is_open, self._writes = True, False
        elif word in ("COMMIT", "ROLLBACK"):
            writes, self._is_open, self._writes = self._writes, False, False
            return Kind.EFFECTIVE if writes and word == "COMMIT" else Kind.HARMLESS
        elif word != "SELECT":
            self._writes = True
            return Kind.HARMLESS if self._is_open else Kind.EFFECTIVE
        return Kind.HARMLESS

    def answer(self, request: bytes, value: Any) -> bytes:
        """The rows that an honest server would give."""
        asked = json.loads(request)
        rows = self._rows(asked["sql"], asked["values"], value)
        return json.dumps({"rows": rows}).encode() + b"\n"

    def _rows(self, sql: str, values: Sequence[Any], value: Any) -> list[list[Any]]:
        stored, one = json.dumps(value), [[1]]
        if sql.startswith(self.dialect.get):
            return [[key, stored] for key in values]
        found: dict[str, list[list[Any]]] = {
            self.dialect.scan: [[f'{values[0]}"', stored]] if values else [],
            self.dialect.members: [[stored]],
            self.dialect.counted: [[value]],
            self.dialect.logged: [[1, stored]],
            self.dialect.dequeue: [[stored]],
            self.dialect.generate: one,
        }
        return found.get(sql, one if "RETURNING" in sql else [])
