"""MariaDB: one server, or a primary (the first node) with replicas on the others.

Options have the vendor's names. ``--isolation`` is the level at which every transaction runs;
``--innodb-snapshot-isolation`` decides what ``REPEATABLE READ`` is: with it a transaction that
would change a row that has changed since its snapshot is refused, without it the change is made to
the newer row, unseen. Clients write to the primary; what only reads goes there too, or, with
``--reads any``, to the node that the client was opened on.

What is claimed: of single statements that they are linearizable, of transactions what the level's
name says in the literature. MariaDB's ``REPEATABLE READ`` without snapshot isolation is not
repeatable read; ``--claims documented`` judges that by ``read-committed``, and replicas too.

Where the programs come from: :mod:`systems.mariadb.install`. How a server comes to run:
:mod:`systems.mariadb.server`. What the servers say: :mod:`systems.mariadb.members`. The client is
that of all SQL databases: :mod:`systems.drivers.sql`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from harness.contract.action import Outcome
from harness.contract.client import Predicates, SystemClient, Target, Transactions
from harness.contract.node import UNPRIVILEGED, Cluster, Daemon, Node, Port
from harness.contract.option import PASSWORD, TLS, USER, SystemOption
from harness.contract.roles import Role
from harness.contract.system import WAITS_ON_TRUE_CLOCK, Documentation, FinalStates, Stage
from harness.errors import NeedsError
from harness.history.effects import Ended
from systems.drivers.sql import adopted
from systems.drivers.sql.client import ABILITIES, SqlClient
from systems.drivers.sql.members import NotAnswered, final_states, leaders, on_all, wait_until
from systems.drivers.sql.mysql import DIALECTS, LEVELS, TIDB
from systems.drivers.sql.mysql_connection import MysqlConnection
from systems.drivers.sql.mysqlwire import MysqlSpeaker
from systems.drivers.sql.options import (
    ANY,
    APPEND_BY,
    DATABASE,
    PRIMARY,
    READS,
    SETTINGS,
    STATEMENT,
    TABLES,
    dialect_of,
    settings_of,
    values_of,
)
from systems.drivers.sql.promotion import FENCING, PROMOTE, Leadership, Promotion
from systems.drivers.sql.tables import Tables
from systems.mariadb import administration, members, server
from systems.mariadb.install import HINT, Programs, find_programs, read_version
from systems.mariadb.log import EXPECTED_LINES, LOG_PATTERNS, MILESTONES

REPLICA: Final = "replica"
_MANUAL: Final = "https://mariadb.com/kb/en"
ON, OFF = "on", "off"
_STOP_TIMEOUT_S: Final = 30.0
_MODELS: Final = {
    "read-uncommitted": ("read-uncommitted",),
    "read-committed": ("read-committed",),
    "repeatable-read": ("repeatable-read",),
    "serializable": ("serializable",),
}


class Mariadb:
    """MariaDB, a primary and replicas.

    Also ``Forms``, ``Stops``, ``Primaries``, ``Documented``, ``Admin``, ``EndsByAdmin``,
    ``FinalState``, ``LogPatterns``, ``Milestones``, ``ClockPath``, ``Adopts`` and ``Ports``.
    """

    name = "mariadb"
    options: tuple[SystemOption, ...] = (
        SystemOption(
            name="isolation",
            choices=tuple(LEVELS),
            default="serializable",
            help="isolation level of every transaction and statement",
        ),
        SystemOption(
            name="innodb_snapshot_isolation",
            choices=(OFF, ON),
            default=OFF,
            help="whether a change of a row that is newer than the snapshot is refused",
        ),
        SystemOption(
            name="innodb_flush_log_at_trx_commit",
            choices=("1", "0", "2"),
            default="1",
            help="whether a commit waits for the disk (1), or the system (2), or nothing (0)",
        ),
        SystemOption(
            name="binary",
            kind=Path,
            default=None,
            help="path of the program mariadbd (default: Debian's package)",
        ),
        FENCING,
        READS,
        TABLES,
        APPEND_BY,
        SETTINGS,
        dialect_of(tuple(DIALECTS)),
        DATABASE,
        USER,
        PASSWORD,
        *TLS,
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = values_of(self.options, options)
        self._isolation = str(self._options["isolation"])
        self._reads_any = self._options["reads"] == ANY
        self._dialect = DIALECTS[str(self._options["dialect"])]
        self._access: Mapping[str, Any] = {**members.OURS, "user": server.USER}
        self._is_adopted = False
        self._tables = self._named("")
        self._settings = settings_of(self._options["settings"])
        self._begun_anew: dict[str, int] = {}
        self._leadership = Leadership()
        fencing = str(self._options["fencing"])
        self._promotion = Promotion(administration.MariadbServers(), self._leadership, fencing)

    @cached_property
    def _programs(self) -> Programs:
        asked = self._options["binary"]
        return find_programs(None if asked is None else str(asked))

    def speaker(self) -> MysqlSpeaker:
        """An honest server, for the conformance kit."""
        return MysqlSpeaker()

    def abilities(self) -> Sequence[type]:
        """All that SQL can do: everything but watches."""
        return ABILITIES

    def claims(self) -> Mapping[type, Sequence[str]]:
        """Linearizable statements, transactions by their level, wherever they are read."""
        return self._claimed(("linearizable",), self._of_level(_MODELS[self._isolation]))

    def documented(self) -> Documentation | None:
        """Less of replicas, of a snapshot that is none, and of a log that is not flushed."""
        is_unflushed = self._options["innodb_flush_log_at_trx_commit"] == "0"
        models = assumed = self._of_level(_MODELS[self._isolation])
        if self._isolation == "repeatable-read" and assumed != ("snapshot-isolation",):
            models = ("read-committed",)
        page = "innodb-transaction-isolation-levels/"
        if self._reads_any:
            models, page = ("read-committed",), "replication-overview/"
        elif is_unflushed:
            page = "innodb-system-variables/#innodb_flush_log_at_trx_commit"
        if not self._reads_any and not is_unflushed and models == assumed:
            return None
        single = ("read-committed",) if self._reads_any else ("linearizable",)
        return Documentation(
            models=self._claimed(single, models),
            not_durable="innodb_flush_log_at_trx_commit=0" if is_unflushed else None,
            source=f"{_MANUAL}/{page}",
        )

    def _of_level(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """What a transaction of the level is taken for: a snapshot where that is switched on."""
        if self._isolation != "repeatable-read":
            return models
        is_on = self._options["innodb_snapshot_isolation"] == ON
        return ("snapshot-isolation",) if is_on or self._dialect is TIDB else models

    def _claimed(
        self, single: Sequence[str], models: Sequence[str]
    ) -> Mapping[type, Sequence[str]]:
        return {**dict.fromkeys(ABILITIES, single), Transactions: models, Predicates: models}

    def versions(self) -> Mapping[str, str]:
        """As ``mariadbd --version`` says; ``NeedsError`` if there is none."""
        return {"mariadb": read_version(self._programs.server)}

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        """The first node is the primary, the others are its replicas."""
        primary = Role(name=PRIMARY, nodes=tuple(nodes[:1]))
        if len(nodes) == 1:
            return (primary,)
        return (primary, Role(name=REPLICA, nodes=tuple(nodes[1:])))

    def install(self, node: Node, role: str) -> None:
        """Prove that the server runs on ``node``; ``NeedsError`` says what is missing."""
        try:  # here, in a worker thread: an import later would hold up the clients' loop
            importlib.import_module("pymysql")
        except ImportError as error:
            wanted = "pip install 'polygraph-db[mariadb]'"
            raise NeedsError(f"MariaDB's client needs PyMySQL: {error}", wanted) from error
        program = str(self._programs.server)
        version = [program, "--no-defaults", "--version"]
        done = node.run(version, check=False, user=UNPRIVILEGED)
        if done.exit_code != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[:200]
            raise NeedsError(f"{node.name}: {program} does not run there: {said}", HINT)

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        """Start the server with the data that it has, or with none.

        A primary of before that was fenced too late, and who followed it, begins anew.
        """
        primary = self._leadership.primary_of(stage)
        self._leadership.note(node, server.PORT)
        if node.name in self._promotion.strayed:
            server.forget(node)
            self._begun_anew[node.name] = 1 + self._begun_anew.get(node.name, 0)
        if not server.is_made(node):
            server.make(node, self._programs)
        names = [each.name for each in stage.cluster.nodes]
        number = 1 + names.index(node.name) + self._begun_anew.get(node.name, 0) * len(names)
        settings = {
            "transaction-isolation": LEVELS[self._isolation].replace(" ", "-"),
            **{
                name: str(self._options[name]).upper()
                for name in ("innodb_snapshot_isolation", "innodb_flush_log_at_trx_commit")
            },
        }
        if len(stage.cluster.nodes) > 1:
            settings |= {"log-bin": "binlog", "log-slave-updates": "ON"}
            settings |= {} if node.name == primary.name else {"read-only": "ON"}
        argv = server.argv(node, self._programs, number, {**settings, **self._settings})
        return [node.start(argv, name="mariadb", user=UNPRIVILEGED)]

    def form(self, stage: Stage, timeout_s: float) -> None:
        """Have the replicas follow the primary."""
        primary, *replicas = stage.cluster.nodes
        wait_until(
            lambda: {
                name: str(each)
                for name, each in on_all(stage.cluster, members.is_leading).items()
                if isinstance(each, NotAnswered)
            },
            *(stage.cluster, stage.daemons, timeout_s, "mariadb"),
        )
        for node in replicas:
            members.follow(node, primary)

    def _named(self, prefix: str) -> Tables:
        return Tables(self._dialect, prefix, int(self._options["tables"]))

    def adopt(self, cluster: Cluster, namespace: str) -> Mapping[str, str]:
        """Keep all rows in tables of the run's own; the version of what runs there."""
        self._is_adopted, self._access = True, access_of(self._options)
        self._tables = self._named(adopted.prefix_of(namespace))
        return {self._dialect.name: adopted.version(self._ask, cluster)}

    def clear(self, cluster: Cluster, namespace: str) -> None:
        """Drop the tables of the run."""
        self._is_adopted, self._access = True, access_of(self._options)
        adopted.clear(self._ask, cluster, self._named(adopted.prefix_of(namespace)))

    def _ask(self, node: Node, sql: str, timeout_s: float = 2.0) -> Sequence[Sequence[Any]]:
        access = self._access if self._is_adopted else members.OURS
        return members.ask(node, sql, timeout_s, access=access)

    def _unready(self, cluster: Cluster) -> Mapping[str, str]:
        if self._is_adopted:
            return adopted.unready(self._ask, cluster, self._tables, writes=not self._reads_any)
        return members.unready(cluster, self._tables)

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once one server takes writes and the others have replicated the last one."""
        wait_until(
            lambda: self._unready(stage.cluster),
            *(stage.cluster, stage.daemons, timeout_s, "mariadb"),
        )

    def stop(self, stage: Stage, node: Node, role: str) -> None:
        """SIGTERM: open transactions are rolled back, and the server ends."""
        stage.terminate(node.name, _STOP_TIMEOUT_S, role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        """0: shut down."""
        return (0,)

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client with all abilities, not yet open."""
        level = LEVELS[self._isolation]
        connect = partial(
            MysqlConnection.connect,
            parameters=self._access,
            set_up=(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}",),
        )
        return SqlClient(
            self._dialect,
            connect,
            op_timeout_s,
            tables=self._tables,
            level=self._isolation,
            appends=self._options["append_by"] == STATEMENT,
            write_to=self._primary_for,
            read_from=str if self._reads_any else None,
        )

    def _primary_for(self, target: Target) -> str:
        """Where a client of a node writes: to the primary, as far as is known there."""
        return self._leadership.address_for(target.node) or str(target)

    def admin_actions(self) -> Sequence[str]:
        """``promote``."""
        return (PROMOTE,)

    def administer(self, stage: Stage, node: Node, action: str, timeout_s: float) -> Outcome:
        """A promotion, which takes some seconds."""
        return self._promotion.promote(stage, node)

    def admin_ends(self, stage: Stage, node: Node, action: str) -> Sequence[Ended]:
        """A promotion stops the old primary."""
        return self._promotion.ends(stage, node)

    def primaries(self, stage: Stage, role: str) -> Sequence[str]:
        """Nodes of that role whose server says that it takes writes."""
        found = leaders(stage.cluster, members.is_leading)
        return [name for name in found if name in stage.role(role).nodes]

    def ports(self) -> Sequence[Port]:
        """Clients and replicas connect to the same port."""
        return server.PORTS

    def final_states(self, stage: Stage, timeout_s: float) -> FinalStates:
        """Every server's own rows."""
        return final_states(self._ask, stage.cluster, timeout_s, self._tables)

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Failed assertions, signals that it got, broken pages."""
        return LOG_PATTERNS

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """None: what a fault leaves in the log is no panic."""
        return EXPECTED_LINES

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Recoveries, replicas that begin to replicate."""
        return MILESTONES

    def clock_path(self) -> str:
        """Its threads wait until wall-clock times: ``doctor --clock mariadb`` shows it."""
        return WAITS_ON_TRUE_CLOCK


def access_of(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """How a server that runs already is logged in to, in PyMySQL's words."""
    given = {
        "user": options["user"] or server.ROOT,
        "password": options["password"],
        "database": options["database"] or "test",
        "ssl_ca": options["tls_ca"],
        "ssl_cert": options["tls_cert"],
        "ssl_key": options["tls_key"],
        "ssl_verify_cert": True if options["tls_ca"] else None,
        "ssl_disabled": None if options["tls_ca"] else True,
    }
    return {name: value for name, value in given.items() if value is not None}


SYSTEMS = {"mariadb": Mariadb}
