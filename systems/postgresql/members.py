"""What PostgreSQL's servers say of themselves: who takes writes, who follows, and how far.

Ready means: exactly one server takes writes and has just committed one, and every other has
replayed that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from harness.contract.node import Cluster, Node, split_address
from systems.drivers.sql.members import NotAnswered, make_tables, on_all
from systems.drivers.sql.tables import Tables
from systems.postgresql import server
from systems.postgresql.server import DATABASE, PORT, SUPERUSER

if TYPE_CHECKING:
    import psycopg


OURS: Final[Mapping[str, str]] = {
    "user": SUPERUSER,
    "dbname": DATABASE,
    "sslmode": "disable",
    "gssencmode": "disable",
}
"""How a server that a run has started is logged in to, in libpq's words."""


def ask(
    node: Node, sql: str, timeout_s: float = 2.0, *, access: Mapping[str, str] = OURS
) -> Sequence[Sequence[Any]]:
    """The rows that one statement gives on the server of ``node``; ``NotAnswered``."""
    import psycopg

    try:
        with closing(_connected(node, timeout_s, access)) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NotAnswered(said[0]) from error


def _connected(
    node: Node, timeout_s: float, access: Mapping[str, str]
) -> psycopg.Connection[tuple[Any, ...]]:
    import psycopg

    host, port = split_address(node.reach(PORT, "client"))
    patience_ms = max(1, round(timeout_s * 1000))
    words: dict[str, Any] = {
        **access,
        "host": host,
        "port": port,
        "connect_timeout": max(2, round(timeout_s)),
        "tcp_user_timeout": patience_ms,
        "options": f"-c statement_timeout={patience_ms}",
    }
    return psycopg.connect(autocommit=True, **words)


def is_leading(node: Node) -> bool:
    """Whether the server on ``node`` takes writes."""
    return bool(ask(node, "SELECT NOT pg_is_in_recovery()")[0][0])


def follow(node: Node, primary: Node) -> None:
    """Have the standby on ``node`` follow another primary, from now on."""
    wanted = server.conninfo(node, primary)
    ask(node, f"ALTER SYSTEM SET primary_conninfo = '{wanted}'")
    ask(node, "SELECT pg_reload_conf()")


def unready(cluster: Cluster, tables: Tables) -> Mapping[str, str]:
    """The nodes that are not ready, and why."""
    found = on_all(cluster, is_leading)
    silent = {name: str(each) for name, each in found.items() if isinstance(each, NotAnswered)}
    if silent:
        return silent
    leading = [name for name, leads in found.items() if leads is True]
    if not leading:
        return dict.fromkeys(found, "follows, and nobody takes writes")
    if len(leading) > 1:
        return dict.fromkeys(leading, f"takes writes, as {len(leading)} servers do")
    (leader,) = leading
    try:
        make_tables(ask, cluster.node(leader), tables)
        written = str(ask(cluster.node(leader), "SELECT pg_current_wal_insert_lsn()::text")[0][0])
    except NotAnswered as error:
        return {leader: str(error)}
    caught_up = on_all(cluster, lambda node: _has_replayed(node, written))
    return {
        name: str(each) if isinstance(each, NotAnswered) else "has not replayed the last write"
        for name, each in caught_up.items()
        if each is not True and name != leader
    }


def _has_replayed(node: Node, place: str) -> bool:
    follows = f"SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= '{place}'::pg_lsn"
    return bool(ask(node, follows)[0][0])
