"""SQLite: one file, and a server round it on every node, all of them over the same file.

SQLite is a library. A server of a few lines (:mod:`systems.drivers.embedded.server`) is the process
that uses it, so that it can be killed while it commits and paused while it holds a lock; with
several nodes several processes share the file, as they do where people use SQLite so.

Options are SQLite's own pragmas and words. What is promised is strict serializability in every
journal mode, for a commit that was answered survives the end of any process. (The journal modes
``memory`` and ``off`` give that up, as SQLite's manual says: a kill may leave a broken file. The
claim stays, so that it shows.) The library is that of the Python that runs this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.node import Daemon, Node
from harness.contract.option import Duration, Option
from harness.contract.system import Stage
from systems.drivers.embedded.dialect import TABLES, Dialect
from systems.drivers.embedded.system import Embedded
from systems.sqlite.errors import MISANSWERS, is_definite

_TABLES: Final = (
    *TABLES,
    "CREATE TABLE IF NOT EXISTS queued"
    " (place INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS locks"
    " (token INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS ids (id INTEGER PRIMARY KEY AUTOINCREMENT)",
)


class Sqlite(Embedded):
    """The system ``sqlite``. Also ``Stops``."""

    name = "sqlite"
    broken = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
    misanswers = MISANSWERS
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            name="journal_mode",
            choices=("wal", "delete", "truncate", "persist", "memory", "off"),
            default="wal",
            help="wal, or a rollback journal; memory and off do not survive a kill",
        ),
        Option(
            name="synchronous",
            choices=("full", "extra", "normal", "off"),
            default="full",
            help="when SQLite has the disk written",
        ),
        Option(
            name="busy_timeout",
            kind=Duration,
            default=2.0,
            least=0,
            help="how long a statement waits for a lock",
        ),
        Option(
            name="begin",
            choices=("immediate", "deferred", "exclusive"),
            default="immediate",
            help="how a transaction that writes begins",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        make = (f"PRAGMA journal_mode = {self._options['journal_mode']}", *_TABLES)
        self.dialect = Dialect(make=make, begin=f"BEGIN {self._options['begin'].upper()}")

    def claims(self) -> Sequence[str]:
        """One writer at a time, and readers of the last commit."""
        return ("strict-serializable",)

    def versions(self) -> Mapping[str, str]:
        """The library's that Python brings."""
        import sqlite3

        return {"sqlite": sqlite3.sqlite_version}

    def flags(self) -> Sequence[str]:
        """As the options say."""
        return (
            *("--journal-mode", self._options["journal_mode"]),
            *("--synchronous", self._options["synchronous"]),
            *("--busy-timeout-ms", str(round(1000 * self._options["busy_timeout"]))),
        )

    def is_definite(self, name: str, text: str) -> bool:
        """By :mod:`systems.sqlite.errors`."""
        return is_definite(name, text)

    def install(self, node: Node) -> None:
        """Prove that it is there."""
        self.prove(node)

    def start(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        """Start the server on ``node``."""
        return self.launch(stage, node)

    def stop(self, stage: Stage, node: Node) -> None:
        """SIGTERM."""
        self.end(stage, node)

    def stop_statuses(self) -> Sequence[int]:
        """The server ends by itself."""
        return (0,)


SYSTEMS = {"sqlite": Sqlite}
