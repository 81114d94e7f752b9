"""DuckDB: a library for analysis, with transactions, and a server of ours round it.

One process alone may write a file of DuckDB, with a connection for each thread. So there is one
server (:mod:`systems.drivers.embedded.server`), on the first node, and each client is a connection
of it; the other nodes, if there are any, have nothing to do.

What is promised is snapshot isolation, and a transaction sees what was committed before it began
(https://duckdb.org/2024/09/25/changing-data-with-confidence-and-acid.html#isolation): strong
snapshot isolation. A statement that stands alone is a transaction of its own. Write skew is allowed
then; ask for ``--consistency-models serializable`` to see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar, Final

from harness.contract.client import Predicates, Transactions
from harness.contract.node import Daemon, Node
from harness.contract.option import Option
from harness.contract.roles import Role
from harness.contract.system import Stage
from harness.errors import NeedsError
from systems.drivers.embedded.client import CAN
from systems.drivers.embedded.dialect import TABLES, Dialect
from systems.drivers.embedded.system import Embedded
from systems.duckdb.errors import MISANSWERS, is_definite

WHEEL: Final = "pip install 'polygraph-db[duckdb]'"
_TABLES: Final = (
    *TABLES,
    "CREATE SEQUENCE IF NOT EXISTS places",
    "CREATE TABLE IF NOT EXISTS queued (place BIGINT PRIMARY KEY DEFAULT nextval('places'),"
    " name TEXT NOT NULL, value TEXT NOT NULL)",
    "CREATE SEQUENCE IF NOT EXISTS tokens",
    "CREATE TABLE IF NOT EXISTS locks"
    " (token BIGINT DEFAULT nextval('tokens'), name TEXT PRIMARY KEY)",
    "CREATE SEQUENCE IF NOT EXISTS ids",
)


class Duckdb(Embedded):
    """The system ``duckdb``. It is ``OfRoles``, for one node alone has a server; also ``Stops``."""

    name = "duckdb"
    broken = ("FatalException", "InternalException")
    advice = WHEEL
    misanswers = MISANSWERS
    options: ClassVar[tuple[Option, ...]] = (
        Option(name="threads", kind=int, default=1, least=1, help="threads of one statement"),
    )
    dialect = Dialect(make=_TABLES, generate="SELECT nextval('ids')")

    def claims(self) -> Mapping[type, Sequence[str]]:
        """Snapshots of the last commit; what is one statement is atomic."""
        isolated = (Transactions, Predicates)
        return {
            ability: ("strong-snapshot-isolation" if ability in isolated else "linearizable",)
            for ability in CAN
        }

    def versions(self) -> Mapping[str, str]:
        """The wheel's; ``NeedsError`` if there is none."""
        try:
            return {"duckdb": version("duckdb")}
        except PackageNotFoundError as error:
            raise NeedsError("DuckDB is not installed", WHEEL) from error

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        """One process alone may write the file."""
        return (Role(name=self.name, nodes=tuple(nodes[:1])),)

    def serving(self, stage: Stage) -> Sequence[Node]:
        """The first node."""
        return stage.cluster.nodes[:1]

    def flags(self) -> Sequence[str]:
        """As the options say."""
        return ("--threads", str(self._options["threads"]))

    def is_definite(self, name: str, text: str) -> bool:
        """By :mod:`systems.duckdb.errors`."""
        return is_definite(name, text)

    def install(self, node: Node, role: str) -> None:
        """Prove that it is there."""
        self.prove(node)

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        """Start the server."""
        return self.launch(stage, node)

    def stop(self, stage: Stage, node: Node, role: str) -> None:
        """SIGTERM."""
        self.end(stage, node)

    def stop_statuses(self, role: str) -> Sequence[int]:
        """The server ends by itself."""
        return (0,)


SYSTEMS = {"duckdb": Duckdb}
