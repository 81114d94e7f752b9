"""What the servers of a cluster say of themselves: the part that is the same of every SQL database.

Blocking calls, each over a connection of its own, all servers at once (a paused one costs its
time-out and must not hold up the others). Nothing here is an operation of a history, so asking
again is harmless.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

from harness.contract.node import Cluster, Daemon, Node
from harness.contract.system import FinalStates
from harness.errors import NotReady
from systems.drivers.sql.tables import Tables

_POLL_S: Final = 0.1
_STATE_S: Final = 10.0
_TAIL_LINES: Final = 5
_Found = TypeVar("_Found")


class NotAnswered(Exception):
    """A server did not answer, or not as it should; says how."""


class Ask(Protocol):
    """One statement to one server over a connection of its own; ``NotAnswered``."""

    def __call__(self, node: Node, sql: str, timeout_s: float = 2.0) -> Sequence[Sequence[Any]]:
        """The rows that it gives."""
        ...


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


def leaders(cluster: Cluster, is_leading: Callable[[Node], bool]) -> list[str]:
    """Names of the nodes whose server takes writes."""
    found = on_all(cluster, is_leading)
    return [name for name, leads in found.items() if leads is True]


def make_tables(ask: Ask, node: Node, tables: Tables) -> None:
    """Make what is not there yet, and commit a row: the proof that writes are served."""
    for statement in tables.creations():
        ask(node, statement, _STATE_S)
    ask(node, tables.count_up())


def wait_until(
    unready: Callable[[], Mapping[str, str]],
    cluster: Cluster,
    daemons: Mapping[str, Sequence[Daemon]],
    timeout_s: float,
    log: str,
) -> None:
    """Return once ``unready`` names no node; ``NotReady`` says why, and what it logged."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = unready()
        if not found:
            return
        gone = [name for name in found if any(not d.alive() for d in daemons.get(name, ()))]
        if gone or time.monotonic() >= deadline:
            what = "the server has ended" if gone else f"not ready after {timeout_s:g} s"
            raise _not_ready(cluster, found, what, log)
        time.sleep(_POLL_S)


def final_states(ask: Ask, cluster: Cluster, timeout_s: float, tables: Tables) -> FinalStates:
    """What every server holds by itself, once all are equal or the time is over."""
    begun = time.monotonic()
    while True:
        answers = on_all(cluster, lambda node: _own_state(ask, node, tables))
        states = {n: each for n, each in answers.items() if not isinstance(each, NotAnswered)}
        unread = {n: str(each) for n, each in answers.items() if isinstance(each, NotAnswered)}
        waited_s = time.monotonic() - begun
        equal = not unread and len({json.dumps(state) for state in states.values()}) == 1
        if equal or waited_s >= timeout_s:
            return FinalStates(states=states, unread=unread, waited_s=waited_s)
        time.sleep(_POLL_S)


def _own_state(ask: Ask, node: Node, tables: Tables) -> dict[str, dict[str, Any]]:
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


def _not_ready(cluster: Cluster, unready: Mapping[str, str], what: str, log: str) -> NotReady:
    parts = [f"{what}:"]
    for name, why in unready.items():
        parts.append(f"  {name}: {why}")
        parts += [f"    {line}" for line in _tail(cluster.node(name), log)]
    return NotReady("\n".join(parts), "the logs under nodes/ of the run folder tell more")


def _tail(node: Node, log: str) -> list[str]:
    try:
        text = (node.log_dir / f"{log}.log").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-_TAIL_LINES:]
