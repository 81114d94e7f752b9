"""What the servers of a cluster say of themselves: who takes writes, who follows, what they hold.

Blocking calls, each over a connection of its own, all servers at once (a paused one costs its
time-out and must not hold up the others). Nothing here is an operation of a history, so asking
again is harmless.

Ready means: exactly one server takes writes and has just committed one, and every other has
replayed that one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.contract.node import Cluster, Daemon, Node, split_address
from harness.contract.system import FinalStates
from harness.errors import NotReady
from systems.drivers.sql.tables import Tables
from systems.postgresql.server import DATABASE, PORT, SUPERUSER

if TYPE_CHECKING:
    import psycopg

_POLL_S: Final = 0.1
_ASK_S: Final = 2.0
_STATE_S: Final = 10.0
_TAIL_LINES: Final = 5
_Found = TypeVar("_Found")


class NotAnswered(Exception):
    """A server did not answer, or not as it should; says how."""


def ask(node: Node, sql: str, timeout_s: float = _ASK_S) -> list[tuple[Any, ...]]:
    """The rows that one statement gives on the server of ``node``; ``NotAnswered``."""
    import psycopg

    try:
        with closing(_connected(node, timeout_s)) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise NotAnswered(said[0]) from error


def _connected(node: Node, timeout_s: float) -> psycopg.Connection[tuple[Any, ...]]:
    import psycopg

    host, port = split_address(node.reach(PORT, "client"))
    patience_ms = max(1, round(timeout_s * 1000))
    return psycopg.connect(
        host=host,
        port=port,
        user=SUPERUSER,
        dbname=DATABASE,
        autocommit=True,
        connect_timeout=max(2, round(timeout_s)),
        tcp_user_timeout=patience_ms,
        sslmode="disable",
        gssencmode="disable",
        options=f"-c statement_timeout={patience_ms}",
    )


def on_all(cluster: Cluster, call: Callable[[Node], _Found]) -> dict[str, _Found | NotAnswered]:
    """What ``call`` gives for each node, all at once."""

    def guarded(node: Node) -> _Found | NotAnswered:
        try:
            return call(node)
        except NotAnswered as error:
            return error

    with ThreadPoolExecutor(max_workers=len(cluster.nodes)) as pool:
        answers = pool.map(guarded, cluster.nodes)
        return {node.name: answer for node, answer in zip(cluster.nodes, answers, strict=True)}


def leaders(cluster: Cluster) -> list[str]:
    """Names of the nodes whose server takes writes."""
    found = on_all(cluster, is_leading)
    return [name for name, leads in found.items() if leads is True]


def is_leading(node: Node) -> bool:
    """Whether the server on ``node`` takes writes."""
    return bool(ask(node, "SELECT NOT pg_is_in_recovery()")[0][0])


def wait_until_ready(
    cluster: Cluster,
    daemons: Mapping[str, Sequence[Daemon]],
    timeout_s: float,
    tables: Tables,
    follows: Callable[[str], bool],
) -> None:
    """Return once all are ready; ``NotReady`` says who was not, why, and what it logged.

    Of the others only those that ``follows`` says must have caught up.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        unready = _unready(cluster, tables, follows)
        if not unready:
            return
        gone = [name for name in unready if any(not d.alive() for d in daemons.get(name, ()))]
        if gone or time.monotonic() >= deadline:
            what = "PostgreSQL has ended" if gone else f"not ready after {timeout_s:g} s"
            raise _not_ready(cluster, unready, what)
        time.sleep(_POLL_S)


def _unready(cluster: Cluster, tables: Tables, follows: Callable[[str], bool]) -> dict[str, str]:
    found = on_all(cluster, is_leading)
    unready = {name: str(each) for name, each in found.items() if isinstance(each, NotAnswered)}
    leading = [name for name, leads in found.items() if leads is True]
    if unready:
        return unready
    if len(leading) != 1:
        told = "takes writes, and so do others" if leading else "follows, and nobody takes writes"
        return dict.fromkeys(leading or found, told)
    try:
        written = _write_one(cluster.node(leading[0]), tables)
    except NotAnswered as error:
        return {leading[0]: str(error)}
    caught_up = on_all(cluster, lambda node: _has_replayed(node, written))
    return {
        name: str(each) if isinstance(each, NotAnswered) else "has not replayed the last write"
        for name, each in caught_up.items()
        if each is not True and name != leading[0] and follows(name)
    }


def _write_one(node: Node, tables: Tables) -> str:
    """Make the tables where they are missing and commit a row; the place in the log after it."""
    for statement in tables.creations():
        ask(node, statement, _STATE_S)
    ask(
        node,
        f"INSERT INTO {tables.ready} VALUES (1, 1)"
        f" ON CONFLICT (k) DO UPDATE SET n = {tables.ready}.n + 1",
    )
    return str(ask(node, "SELECT pg_current_wal_insert_lsn()::text")[0][0])


def _has_replayed(node: Node, place: str) -> bool:
    follows = f"SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= '{place}'::pg_lsn"
    return bool(ask(node, follows)[0][0])


def final_states(cluster: Cluster, timeout_s: float, tables: Tables) -> FinalStates:
    """What every server holds by itself, once all are equal or the time is over."""
    begun = time.monotonic()
    while True:
        answers = on_all(cluster, lambda node: _own_state(node, tables))
        states = {n: each for n, each in answers.items() if not isinstance(each, NotAnswered)}
        unread = {n: str(each) for n, each in answers.items() if isinstance(each, NotAnswered)}
        waited_s = time.monotonic() - begun
        equal = not unread and len({json.dumps(state) for state in states.values()}) == 1
        if equal or waited_s >= timeout_s:
            return FinalStates(states=states, unread=unread, waited_s=waited_s)
        time.sleep(_POLL_S)


def _own_state(node: Node, tables: Tables) -> dict[str, dict[str, Any]]:
    """Every key and object that the server on ``node`` has."""
    held = {}
    for table in tables.keyed:
        for key, value in ask(node, f"SELECT k, v FROM {table} ORDER BY k", _STATE_S):
            held[str(key)] = {"value": json.loads(value), "version": 0}
    for key, number in ask(node, f"SELECT k, n FROM {tables.counters} ORDER BY k", _STATE_S):
        held[f"counter {key}"] = {"value": number, "version": 0}
    rows = ask(node, f"SELECT id, kind, name, v FROM {tables.items} ORDER BY id", _STATE_S)
    for number, kind, name, value in rows:
        held[f"{kind} {name} {number}"] = {"value": json.loads(value), "version": 0}
    return held


def _not_ready(cluster: Cluster, unready: Mapping[str, str], what: str) -> NotReady:
    parts = [f"{what}:"]
    for name, why in unready.items():
        parts.append(f"  {name}: {why}")
        parts += [f"    {line}" for line in _tail(cluster.node(name))]
    return NotReady("\n".join(parts), "the logs under nodes/ of the run folder tell more")


def _tail(node: Node) -> list[str]:
    log = node.log_dir / "postgres.log"
    try:
        return log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
