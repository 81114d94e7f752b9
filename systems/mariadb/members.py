"""What MariaDB's servers say of themselves: who takes writes, who replicates, and how far.

Ready means: exactly one server takes writes and has just committed one, and every other has
replicated that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final

from harness.contract.node import Cluster, Node, split_address
from systems.drivers.sql.members import NotAnswered, make_tables, on_all
from systems.drivers.sql.tables import Tables
from systems.mariadb.server import DATABASE, PORT, ROOT

OURS: Final[Mapping[str, Any]] = {"user": ROOT, "database": DATABASE, "ssl_disabled": True}
"""How a server that a run has started is logged in to, in PyMySQL's words."""


def ask(
    node: Node, sql: str, timeout_s: float = 2.0, *, access: Mapping[str, Any] = OURS
) -> Sequence[Sequence[Any]]:
    """The rows that one statement gives on the server of ``node``; ``NotAnswered``."""
    return _answer(node, sql, timeout_s, access)[1]


def _answer(
    node: Node, sql: str, timeout_s: float, access: Mapping[str, Any]
) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Names of the columns, and rows."""
    import pymysql

    host, port = split_address(node.reach(PORT, "client"))
    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), max(1, timeout_s))
    try:
        connection = pymysql.connect(host=host, port=port, autocommit=True, **limits, **access)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)
            if not cursor.description:
                return (), ()
            return [column[0] for column in cursor.description], cursor.fetchall()
    except (pymysql.MySQLError, OSError) as error:
        raise NotAnswered(str(error.args[-1] if error.args else error)) from error


def follow(node: Node, primary: Node) -> None:
    """Have the server on ``node`` replicate from ``primary``, from where it is.

    That is the first transaction for one without data; of one that led before, where its own
    binary log ends.
    """
    host, port = split_address(primary.reach(PORT, "peer"))
    ask(node, "STOP SLAVE")
    ask(
        node,
        f"CHANGE MASTER TO MASTER_HOST = '{host}', MASTER_PORT = {port}, MASTER_USER = '{ROOT}',"
        " MASTER_USE_GTID = current_pos, MASTER_CONNECT_RETRY = 1",
    )
    ask(node, "START SLAVE")


def follows(node: Node) -> str | None:
    """The address that the server on ``node`` was told to replicate from, if any."""
    found = _replication(node)
    return f"{found['Master_Host']}:{found['Master_Port']}" if found else None


def has_executed_all(node: Node) -> bool:
    """Whether the server on ``node`` has executed all that it has received."""
    found = _replication(node)
    executed = [found.get("Relay_Master_Log_File"), found.get("Exec_Master_Log_Pos")]
    if executed == [found.get("Master_Log_File"), found.get("Read_Master_Log_Pos")]:
        return True
    received = found.get("Gtid_IO_Pos")  # of whole transactions: half a one is never executed
    return received is not None and received == ask(node, "SELECT @@global.gtid_slave_pos")[0][0]


def _replication(node: Node) -> Mapping[str, Any]:
    names, rows = _answer(node, "SHOW SLAVE STATUS", 2.0, OURS)
    return dict(zip(names, rows[0], strict=True)) if rows else {}


def is_leading(node: Node) -> bool:
    """Whether the server on ``node`` takes writes."""
    return not int(ask(node, "SELECT @@global.read_only")[0][0])


def unready(cluster: Cluster, tables: Tables) -> Mapping[str, str]:
    """The nodes that are not ready, and why."""
    found = on_all(cluster, is_leading)
    silent = {name: str(each) for name, each in found.items() if isinstance(each, NotAnswered)}
    if silent:
        return silent
    leading = [name for name, leads in found.items() if leads is True]
    if len(leading) != 1:
        return dict.fromkeys(leading or found, f"{len(leading)} servers take writes")
    (leader,) = leading
    try:
        for name in found:
            if name != leader and follows(cluster.node(name)) is None:  # it begins anew
                follow(cluster.node(name), cluster.node(leader))
        make_tables(ask, cluster.node(leader), tables)
        place = str(ask(cluster.node(leader), "SELECT @@global.gtid_binlog_pos")[0][0])
    except NotAnswered as error:
        return {leader: str(error)}
    caught_up = on_all(cluster, partial(_has_replicated, place=place))
    return {
        name: str(each) if isinstance(each, NotAnswered) else "has not replicated the last write"
        for name, each in caught_up.items()
        if each is not True and name != leader
    }


def _has_replicated(node: Node, place: str) -> bool:
    if not int(ask(node, "SELECT @@global.read_only")[0][0]):
        return True
    waited = ask(node, f"SELECT MASTER_GTID_WAIT('{place}', 1)")[0][0]
    return waited is not None and int(waited) == 0
