"""A server round a database that is a library: ``python3 -I server.py sqlite --file PATH ...``.

Polygraph starts it on the nodes, so that there is a process that can be killed and paused. It adds
nothing of its own: each connection from a client is one connection of the library, each line in is
one statement, each line out is what the library said of it::

    {"sql": "SELECT value FROM held WHERE key = ?", "values": ["a"]}
    {"rows": [["1"]]}
    {"error": "SQLITE_BUSY", "text": "database is locked", "undone": true}

After an error the transaction that was open is rolled back. ``undone`` says that one was *still*
open after the error: so nothing of it can have been committed, whatever the error was. A client
that goes away in the middle of a transaction has it rolled back, for its connection is closed.

It stands on Python alone and is one file, for it runs by its path.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any, Protocol

_NEVER = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "FatalException", "InternalException")
"""Errors that a sound library never gives; they are told in the log, where they count."""


class Session(Protocol):
    """One connection of the library."""

    def do(self, sql: str, values: Sequence[Any]) -> list[list[Any]]:
        """The rows of one statement; raises what the library raises."""
        ...

    def said(self, error: Exception) -> tuple[str, str]:
        """The library's own name of an error, and its words; raises it again if it is no such."""
        ...

    def undo(self) -> bool:
        """Roll back what is open after an error; whether something was, for certain."""
        ...

    def close(self) -> None:
        """Let go of it; what is open is rolled back."""
        ...


class Sqlite:
    """A file of SQLite; every session opens it anew, as every process that uses it does."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given

    def session(self) -> SqliteSession:
        """A new connection."""
        return SqliteSession(self.given)


class SqliteSession:
    """One connection, whose statements commit themselves unless a BEGIN came before."""

    def __init__(self, given: argparse.Namespace) -> None:
        import sqlite3

        self.library = sqlite3
        wait_s = given.busy_timeout_ms / 1000
        self.db = sqlite3.connect(
            given.file, timeout=wait_s, isolation_level=None, check_same_thread=False
        )
        self.db.execute(f"PRAGMA synchronous = {given.synchronous}")
        if (
            given.journal_mode != "wal"
        ):  # that one is the file's, and is set once, by whoever makes it
            self.db.execute(f"PRAGMA journal_mode = {given.journal_mode}")

    def do(self, sql: str, values: Sequence[Any]) -> list[list[Any]]:
        """The rows of one statement."""
        return [list(row) for row in self.db.execute(sql, values).fetchall()]

    def said(self, error: Exception) -> tuple[str, str]:
        """SQLite's own name (``SQLITE_BUSY_SNAPSHOT``) and words."""
        if not isinstance(error, self.library.Error):
            raise error
        return str(getattr(error, "sqlite_errorname", type(error).__name__)), str(error)

    def undo(self) -> bool:
        """SQLite tells whether a transaction is open."""
        was_open = self.db.in_transaction
        if was_open:
            self.db.execute("ROLLBACK")
        return was_open

    def close(self) -> None:
        """SQLite rolls back what is open."""
        self.db.close()


class Duckdb:
    """A file of DuckDB, which one process alone may write: every session is a cursor of it."""

    def __init__(self, given: argparse.Namespace) -> None:
        import duckdb

        self.library = duckdb
        self.db = duckdb.connect(given.file, config={"threads": given.threads})

    def session(self) -> DuckdbSession:
        """A new connection to the same database."""
        return DuckdbSession(self.library, self.db.cursor())


class DuckdbSession:
    """One connection, of which it is known by its statements whether a transaction is open.

    An error in an open transaction aborts it. Of a COMMIT that failed nobody knows but DuckDB.
    """

    def __init__(self, library: Any, db: Any) -> None:
        self.library, self.db = library, db
        self.is_open = False

    def do(self, sql: str, values: Sequence[Any]) -> list[list[Any]]:
        """The rows of one statement."""
        word = sql.partition(" ")[0].upper()
        if word in ("COMMIT", "ROLLBACK"):
            self.is_open = False
        result = self.db.execute(sql, list(values))
        rows = [list(row) for row in result.fetchall()] if result.description else []
        if word == "BEGIN":
            self.is_open = True
        return rows

    def said(self, error: Exception) -> tuple[str, str]:
        """The class of DuckDB's exception, and its words."""
        if not isinstance(error, self.library.Error):
            raise error
        return type(error).__name__, str(error)

    def undo(self) -> bool:
        """Roll back, by which DuckDB leaves the aborted transaction."""
        was_open, self.is_open = self.is_open, False
        if was_open:
            self.db.execute("ROLLBACK")
        return was_open

    def close(self) -> None:
        """DuckDB rolls back what is open."""
        self.db.close()


def serve(engine: Sqlite | Duckdb, listener: socket.socket) -> None:
    """Each client in a thread of its own, for good."""
    while True:
        line, _ = listener.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(engine, line), daemon=True).start()


def _talk(engine: Sqlite | Duckdb, line: socket.socket) -> None:
    session: Session | None = None
    with contextlib.suppress(ConnectionError), line, line.makefile("rb") as received:
        try:
            for text in received:
                if not text.endswith(b"\n"):
                    return  # the client went away in the middle of it
                answer, session = _answer(engine, session, json.loads(text))
                line.sendall(json.dumps(answer).encode() + b"\n")
        finally:
            if session is not None:
                session.close()


def _answer(
    engine: Sqlite | Duckdb, session: Session | None, request: dict[str, Any]
) -> tuple[dict[str, Any], Session | None]:
    """What the library said of one statement, and the session to go on with."""
    opened = session
    try:
        opened = session or engine.session()
        return {"rows": opened.do(request["sql"], request["values"])}, opened
    except Exception as error:
        if opened is None:  # it could not even be opened: nothing was asked of it
            return {"error": type(error).__name__, "text": str(error), "undone": True}, None
        name, text = opened.said(error)
        if name.startswith(_NEVER):
            print(f"{name}: {text}", file=sys.stderr, flush=True)
        try:
            undone = opened.undo()
        except Exception:
            opened.close()  # which rolls back; what was open before is not known
            return {"error": name, "text": text, "undone": False}, None
        return {"error": name, "text": text, "undone": undone}, opened


def _given() -> argparse.Namespace:
    flags = argparse.ArgumentParser(allow_abbrev=False)
    flags.add_argument("engine", choices=("sqlite", "duckdb"))
    flags.add_argument("--listen", default="")
    flags.add_argument("--file", default="")
    flags.add_argument("--journal-mode", default="wal")
    flags.add_argument("--synchronous", default="full")
    flags.add_argument("--busy-timeout-ms", type=int, default=0)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--tell-version", action="store_true")
    return flags.parse_args()


def main() -> None:
    """Serve, or tell which version of the library there is."""
    given = _given()
    if given.tell_version:
        import importlib

        library = importlib.import_module({"sqlite": "sqlite3"}.get(given.engine, given.engine))
        print(getattr(library, "sqlite_version", None) or library.__version__)
        return
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    engine = Sqlite(given) if given.engine == "sqlite" else Duckdb(given)
    host, _, port = given.listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server(
        (host.strip("[]"), int(port)), family=family, backlog=128
    ) as listener:
        print(f"serving {given.file} at {given.listen}", file=sys.stderr, flush=True)
        serve(engine, listener)


if __name__ == "__main__":
    main()
