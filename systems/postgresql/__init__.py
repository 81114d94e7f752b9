"""PostgreSQL: one server, or a primary (the first node) with streaming standbys on the others.

Options have the vendor's names: ``--isolation`` is the level at which every transaction and every
single statement runs, ``--synchronous-commit`` and ``--synchronous-standby-names`` say what a
commit waits for. Clients write to the primary; what only reads goes there too, or, with ``--reads
any``, to the node that the client was opened on, which may be a standby.

What is claimed: of single statements that they are linearizable, of transactions what the level is
called in the literature (PostgreSQL's ``REPEATABLE READ`` is snapshot isolation). Reads of standbys
are claimed alike, for that is what their users count on; ``--claims documented`` judges by what the
manual says: a standby shows the past, and ``synchronous_commit=off`` may lose.

Where the programs come from: :mod:`systems.postgresql.install`. How a server comes to run:
:mod:`systems.postgresql.server`. What the servers say of themselves:
:mod:`systems.postgresql.members`, and in their logs: :mod:`systems.postgresql.log`. The client is
that of all SQL databases: :mod:`systems.drivers.sql`.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from harness.contract.action import Outcome
from harness.contract.client import Predicates, SystemClient, Target, Transactions
from harness.contract.metrics import Gauge, Sample
from harness.contract.node import UNPRIVILEGED, Cluster, Daemon, Node, Port
from harness.contract.option import PASSWORD, TLS, USER, SystemOption
from harness.contract.roles import Role
from harness.contract.system import FAITHFUL, Documentation, FinalStates, Stage
from harness.errors import NeedsError, UsageError
from harness.history.effects import Ended
from systems.drivers.sql import adopted
from systems.drivers.sql.client import ABILITIES, SqlClient
from systems.drivers.sql.libpq import PgConnection
from systems.drivers.sql.members import final_states, leaders, wait_until
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
from systems.drivers.sql.pgwire import PgSpeaker
from systems.drivers.sql.postgresql import DIALECTS, LEVELS
from systems.drivers.sql.promotion import FENCING, PROMOTE, Leadership, Promotion
from systems.drivers.sql.tables import Tables
from systems.postgresql import administration, members, metrics, server
from systems.postgresql.install import HINT, find_programs, read_version
from systems.postgresql.log import EXPECTED_LINES, LOG_PATTERNS, MILESTONES

STANDBY: Final = "standby"
_MANUAL: Final = "https://www.postgresql.org/docs/current"
_STOP_TIMEOUT_S: Final = 20.0
_MODELS: Final = {
    "read-committed": ("read-committed",),
    "repeatable-read": ("snapshot-isolation",),
    "serializable": ("serializable",),
}
"""What each level is called in the literature."""


class Postgresql:
    """PostgreSQL, a primary and streaming standbys.

    Also ``Stops``, ``Primaries``, ``Documented``, ``Admin``, ``EndsByAdmin``, ``FinalState``,
    ``LogPatterns``, ``Milestones``, ``Metrics``, ``ClockPath``, ``Adopts`` and ``Ports``.
    """

    name = "postgresql"
    options: tuple[SystemOption, ...] = (
        SystemOption(
            name="isolation",
            choices=tuple(LEVELS),
            default="serializable",
            help="isolation level of every transaction and statement",
        ),
        SystemOption(
            name="synchronous_commit",
            choices=("on", "off", "local", "remote_write", "remote_apply"),
            default="on",
            help="what a commit waits for",
        ),
        SystemOption(
            name="synchronous_standby_names",
            default="",
            help="which standbys a commit waits for, as PostgreSQL spells it: 'ANY 1 (n2, n3)'",
        ),
        FENCING,
        READS,
        TABLES,
        APPEND_BY,
        SystemOption(
            name="binary",
            kind=Path,
            default=None,
            help="folder of the programs postgres and initdb (default: Debian's package)",
        ),
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
        if self._reads_any and self._isolation == "serializable":
            raise UsageError(
                "PostgreSQL's standbys serve no SERIALIZABLE transactions, so --reads any needs"
                " another level",
                "--isolation repeatable-read",
            )
        self._dialect = DIALECTS[str(self._options["dialect"])]
        self._access = members.OURS
        self._is_adopted = False
        self._tables = self._named("")
        self._leadership = Leadership()
        fencing = str(self._options["fencing"])
        self._promotion = Promotion(administration.PgServers(), self._leadership, fencing)
        self._settings = {
            "synchronous_commit": str(self._options["synchronous_commit"]),
            "synchronous_standby_names": str(self._options["synchronous_standby_names"]),
            **settings_of(self._options["settings"]),
        }

    @cached_property
    def _programs(self) -> Path:
        asked = self._options["binary"]
        return find_programs(None if asked is None else str(asked))

    def speaker(self) -> PgSpeaker:
        """An honest server, for the conformance kit."""
        return PgSpeaker()

    def abilities(self) -> Sequence[type]:
        """All that SQL can do: everything but watches."""
        return ABILITIES

    def claims(self) -> Mapping[type, Sequence[str]]:
        """Linearizable statements, transactions by their level, wherever they are read."""
        return self._claimed(("linearizable",), _MODELS[self._isolation])

    def documented(self) -> Documentation | None:
        """Less of standbys, which show the past, and of what is acknowledged before it is kept."""
        is_off = self._options["synchronous_commit"] == "off"
        if not self._reads_any and not is_off:
            return None
        single: Sequence[str] = ("linearizable",)
        models: Sequence[str] = _MODELS[self._isolation]
        if self._reads_any:
            single = ("read-committed",)
            is_repeatable = self._isolation == "repeatable-read"
            models = ("parallel-snapshot-isolation",) if is_repeatable else models
        page = "hot-standby.html" if self._reads_any else "wal-async-commit.html"
        return Documentation(
            models=self._claimed(single, models),
            not_durable="synchronous_commit=off" if is_off else None,
            source=f"{_MANUAL}/{page}",
        )

    def _claimed(
        self, single: Sequence[str], models: Sequence[str]
    ) -> Mapping[type, Sequence[str]]:
        return {**dict.fromkeys(ABILITIES, single), Transactions: models, Predicates: models}

    def versions(self) -> Mapping[str, str]:
        """As ``postgres --version`` says; ``NeedsError`` if there is none."""
        return {"postgresql": read_version(self._programs)}

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        """The first node begins as the primary, the others as its standbys."""
        primary = Role(name=PRIMARY, nodes=tuple(nodes[:1]))
        if len(nodes) == 1:
            return (primary,)
        return (primary, Role(name=STANDBY, nodes=tuple(nodes[1:]), after=(PRIMARY,)))

    def install(self, node: Node, role: str) -> None:
        """Prove that the server runs on ``node``; ``NeedsError`` says what is missing."""
        try:  # here, in a worker thread: an import later would hold up the clients' loop
            importlib.import_module("psycopg")
        except ImportError as error:
            wanted = "pip install 'polygraph-db[postgresql]'"
            raise NeedsError(f"PostgreSQL's client needs psycopg: {error}", wanted) from error
        program = str(self._programs / "postgres")
        done = node.run([program, "--version"], check=False, user=UNPRIVILEGED)
        if done.exit_code != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[:200]
            raise NeedsError(f"{node.name}: {program} does not run there: {said}", HINT)

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        """Start the server with the data that it has; a standby without any copies the primary's.

        So does a primary of before, when another was promoted while it was away.
        """
        primary = self._leadership.primary_of(stage)
        self._leadership.note(node, server.PORT)
        has_strayed = not server.is_standby(node) or node.name in self._promotion.strayed
        if primary.name != node.name and server.is_made(node) and has_strayed:
            server.forget(node)
        if not server.is_made(node):
            if node.name == primary.name:
                server.make(node, self._programs)
            else:
                server.copy(node, primary, self._programs)
        argv = server.argv(node, self._programs, self._settings)
        return [node.start(argv, name="postgres", user=UNPRIVILEGED)]

    def _named(self, prefix: str) -> Tables:
        return Tables(self._dialect, prefix, int(self._options["tables"]))

    def adopt(self, cluster: Cluster, namespace: str) -> Mapping[str, str]:
        """Keep all rows in tables of the run's own; the version of what runs there."""
        self._is_adopted, self._access = True, access_of(self._options)
        self._tables = self._named(adopted.prefix_of(namespace))
        return {self._dialect.name: adopted.version(self._ask, cluster)}

    def clear(self, cluster: Cluster, namespace: str) -> None:
        """Drop the tables of the run."""
        self._access = access_of(self._options)
        adopted.clear(self._ask, cluster, self._named(adopted.prefix_of(namespace)))

    def _ask(self, node: Node, sql: str, timeout_s: float = 2.0) -> Sequence[Sequence[Any]]:
        return members.ask(node, sql, timeout_s, access=self._access)

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once one server takes writes and the others have replayed the last one."""
        wait_until(
            lambda: self._unready(stage.cluster),
            *(stage.cluster, stage.daemons, timeout_s, "postgres"),
        )

    def _unready(self, cluster: Cluster) -> Mapping[str, str]:
        if self._is_adopted:
            return adopted.unready(self._ask, cluster, self._tables, writes=not self._reads_any)
        return members.unready(cluster, self._tables)

    def stop(self, stage: Stage, node: Node, role: str) -> None:
        """SIGINT, PostgreSQL's fast shutdown: open transactions are rolled back."""
        for daemon in stage.daemons_of(node.name, role):
            if daemon.alive():
                daemon.signal(signal.SIGINT)
                daemon.signal(signal.SIGCONT)
        stage.terminate(node.name, _STOP_TIMEOUT_S, role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        """0: shut down."""
        return (0,)

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client with all abilities, not yet open."""
        level = LEVELS[self._isolation].lower().replace(" ", r"\ ")
        connect = partial(
            PgConnection.connect,
            parameters={
                **self._access,
                "options": f"-c default_transaction_isolation={level}",
            },
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
        """``checkpoint``, ``vacuum`` and ``promote``."""
        return administration.ACTIONS

    def administer(self, stage: Stage, node: Node, action: str, timeout_s: float) -> Outcome:
        """One request to one server; a promotion is several, and takes some seconds."""
        return administration.administer(self._promotion, stage, node, action)

    def admin_ends(self, stage: Stage, node: Node, action: str) -> Sequence[Ended]:
        """A promotion stops the old primary."""
        return self._promotion.ends(stage, node) if action == PROMOTE else ()

    def primaries(self, stage: Stage, role: str) -> Sequence[str]:
        """Nodes of that role whose server says that it takes writes."""
        found = leaders(stage.cluster, members.is_leading)
        return [name for name in found if name in stage.role(role).nodes]

    def ports(self) -> Sequence[Port]:
        """Clients and standbys connect to the same port."""
        return server.PORTS

    def final_states(self, stage: Stage, timeout_s: float) -> FinalStates:
        """Every server's own rows."""
        return final_states(self._ask, stage.cluster, timeout_s, self._tables)

    def gauges(self) -> Sequence[Gauge]:
        """The position in the log rises; of what only speaks PostgreSQL's protocol, nothing."""
        return metrics.GAUGES if self._dialect.name == self.name else ()

    def metric_samples(self, node: Node, timeout_s: float) -> Iterable[Sample]:
        """By one statement to one server."""
        if self._dialect.name != self.name:
            return ()
        return metrics.samples_in(self._ask(node, metrics.SQL, timeout_s))

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Panics, failed assertions, backends that crashed, broken pages."""
        return LOG_PATTERNS

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """None: what a fault leaves in the log is no panic."""
        return EXPECTED_LINES

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Promotions, checkpoints, recoveries, standbys that begin to stream."""
        return MILESTONES

    def clock_path(self) -> str:
        """Reads by libc, waits relative."""
        return FAITHFUL


def access_of(options: Mapping[str, Any]) -> Mapping[str, str]:
    """How a server that runs already is logged in to, in libpq's words."""
    given = {
        "user": options["user"] or server.SUPERUSER,
        "password": options["password"],
        "dbname": options["database"] or server.DATABASE,
        "sslmode": "verify-full" if options["tls_ca"] else "prefer",
        "sslrootcert": options["tls_ca"],
        "sslcert": options["tls_cert"],
        "sslkey": options["tls_key"],
    }
    return {name: str(value) for name, value in given.items() if value is not None}


SYSTEMS = {"postgresql": Postgresql}
