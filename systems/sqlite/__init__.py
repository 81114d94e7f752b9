"""SQLite: one file, and a server round it on every node, all of them over the same file.

SQLite is a library. A server of a few lines (:mod:`systems.drivers.embedded.server`) is the process
that uses it, so that it can be killed while it commits and paused while it holds a lock; with
several nodes several processes share the file, as they do where people use SQLite so. The file lies
in the run's folder, so all nodes must be on this machine: ``--provider local``.

Options are SQLite's own pragmas and words. What is promised is strict serializability in every
journal mode, for a commit that was answered survives the end of any process. (The journal modes
``memory`` and ``off`` give that up, as SQLite's manual says: a kill may leave a broken file. The
claim stays, so that it shows.) The library is that of the Python that runs this.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from harness.contract.client import SystemClient
from harness.contract.node import Daemon, Node, Port
from harness.contract.option import Duration, Option
from harness.contract.system import Stage
from harness.errors import NeedsError
from systems.drivers.embedded import members
from systems.drivers.embedded.client import CAN, EmbeddedClient
from systems.drivers.embedded.dialect import TABLES, Dialect
from systems.drivers.embedded.speaker import EmbeddedSpeaker
from systems.sqlite.errors import MISANSWERS, is_definite

SERVER: Final = Path(members.__file__).with_name("server.py")
_STOP_TIMEOUT_S: Final = 10.0
_LOCAL: Final = "--provider local: all nodes share the one file"


class Sqlite:
    """The system ``sqlite``. Also ``Ports``, ``Stops`` and ``LogPatterns``."""

    name = "sqlite"
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
        given = {option.name: options.get(option.name) for option in self.options}
        self._options: dict[str, Any] = {
            option.name: option.default if given[option.name] is None else given[option.name]
            for option in self.options
        }
        make = [f"PRAGMA journal_mode = {self._options['journal_mode']}", *TABLES, *_OWN_TABLES]
        self._dialect = Dialect(make=make, begin=f"BEGIN {self._options['begin'].upper()}")

    def speaker(self) -> EmbeddedSpeaker:
        """An honest server, for the conformance kit."""
        return EmbeddedSpeaker(self._dialect, MISANSWERS)

    def abilities(self) -> Sequence[type]:
        """All but watches."""
        return CAN

    def claims(self) -> Sequence[str]:
        """One writer at a time, and readers of the last commit."""
        return ("strict-serializable",)

    def versions(self) -> Mapping[str, str]:
        """The library's that Python brings."""
        import sqlite3

        return {"sqlite": sqlite3.sqlite_version}

    def ports(self) -> Sequence[Port]:
        """The one of the server."""
        return (Port(members.PORT, clients=True),)

    def install(self, node: Node) -> None:
        """Prove that the server runs on ``node``."""
        argv = [sys.executable, "-I", node.bring(SERVER), self.name, "--tell-version"]
        done = node.run(argv, check=False)
        if done.exit_code != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[-200:]
            raise NeedsError(f"{node.name}: SQLite does not run there: {said}", _LOCAL)

    def start(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        """Start the server on ``node`` over the one file."""
        if (
            not stage.cluster.provider.startswith(("local", "test"))
            and len(stage.cluster.nodes) > 1
        ):
            raise NeedsError(f"{stage.cluster.provider}: the nodes share no file", _LOCAL)
        folder = stage.cluster.nodes[0].log_dir / "data"  # under one name on every node
        folder.mkdir(exist_ok=True)
        argv = [
            *(sys.executable, "-I", node.bring(SERVER), self.name),
            *("--listen", node.listen(members.PORT), "--file", f"{folder}/held.db"),
            *("--journal-mode", self._options["journal_mode"]),
            *("--synchronous", self._options["synchronous"]),
            *("--busy-timeout-ms", str(round(1000 * self._options["busy_timeout"]))),
        ]
        return [node.start(argv, name=self.name, cwd=str(folder))]

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once the tables are there, and every server has written and read."""
        members.wait_until_ready(stage, stage.cluster.nodes, self._dialect, timeout_s)

    def stop(self, stage: Stage, node: Node) -> None:
        """SIGTERM; what was not committed is rolled back by whoever opens the file next."""
        stage.terminate(node.name, _STOP_TIMEOUT_S)

    def stop_statuses(self) -> Sequence[int]:
        """The server ends by itself."""
        return (0,)

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """What SQLite says of a broken file, and a server that broke off."""
        return {
            "corrupt": ["SQLITE_CORRUPT", "SQLITE_NOTADB"],
            "panic": [r"Traceback \(most recent call last\)"],
        }

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """A broken file is expected after nothing."""
        return {}

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client, not yet open."""
        return EmbeddedClient(op_timeout_s, self._dialect, is_definite)


_OWN_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS queued"
    " (place INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS locks"
    " (token INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS ids (id INTEGER PRIMARY KEY AUTOINCREMENT)",
)

SYSTEMS = {"sqlite": Sqlite}
