"""What the nodes say of themselves: who leads, what they hold, what waits to be replicated.

Blocking conversations for set-up, recovery, faults and figures, each on a connection of its own.

Ready means: every node names the same one primary and knows of all the others, and has the run's
database. A cluster of Nun-db can come up with two or three nodes that each call themselves the
primary, and stays so; that is not waited out but told in so many words (``split brain at start``).
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final, TypeVar

from harness.contract.node import Cluster, Node, split_address
from harness.contract.system import FinalStates, Stage
from harness.errors import NotReady
from systems.nundb.log import tail
from systems.nundb.places import DATABASE, EMPTY, LOGIN, TCP, TOKEN

_POLL_S: Final = 0.2
_PATIENCE_S: Final = 2.0
_ELECTION_S: Final = 2.0
_MEMBER: Final = re.compile(r"([^\s,]+:\d+):(\w+)")
_Found = TypeVar("_Found")


class NotAnswered(Exception):
    """A node did not answer as it should; says how."""


def asked(node: Node, *commands: str, timeout_s: float = _PATIENCE_S) -> list[list[str]]:
    """The lines of each command's answer, without its ``ok``; ``NotAnswered`` if there is none."""
    deadline = time.monotonic() + timeout_s
    try:
        address = split_address(node.reach(TCP, "client"))
        with (
            closing(socket.create_connection(address, timeout=timeout_s)) as link,
            link.makefile("r", encoding="utf-8", errors="replace", newline="\n") as answers,
        ):
            found = []
            for command in commands:
                link.settimeout(max(0.01, deadline - time.monotonic()))
                link.sendall(command.encode() + b"\n")
                found.append(_answer(answers, command))
            return found
    except OSError as error:
        raise NotAnswered(str(error) or type(error).__name__) from error


def _answer(answers: Any, command: str) -> list[str]:
    lines: list[str] = []
    for line in answers:
        text = line.strip()
        if text == "ok":
            return lines
        if text.startswith("error"):
            raise NotAnswered(f"{command.split()[0]}: {text}")
        lines += [text] if text else []
    raise NotAnswered("the connection was closed")


def primary_in(lines: Sequence[str]) -> str | None:
    """The address of the only primary in an answer to ``cluster-state``; else ``None``."""
    leading = [address for address, role in members_in(lines).items() if role == "Primary"]
    return leading[0] if len(leading) == 1 else None


def members_in(lines: Sequence[str]) -> dict[str, str]:
    """Address to role, as ``cluster-state`` tells."""
    return dict(_MEMBER.findall(" ".join(lines).removeprefix("cluster-state")))


def view(node: Node, timeout_s: float = _PATIENCE_S) -> dict[str, str]:
    """The cluster as one node sees it."""
    return members_in(asked(node, LOGIN[0], "cluster-state", timeout_s=timeout_s)[1])


def primaries(cluster: Cluster, timeout_s: float) -> list[str]:
    """Names of the nodes that call themselves the primary."""
    found = on_all(cluster.nodes, lambda node: view(node, timeout_s))
    return [
        node.name
        for node in cluster.nodes
        if isinstance(seen := found[node.name], dict)
        and seen.get(node.reach(TCP, "peer")) == "Primary"
    ]


def on_all(
    nodes: Sequence[Node], call: Callable[[Node], _Found]
) -> dict[str, _Found | NotAnswered]:
    """What ``call`` gives of every node, all at once, or why it gives nothing."""

    def guarded(node: Node) -> _Found | NotAnswered:
        try:
            return call(node)
        except NotAnswered as error:
            return error

    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        answers = pool.map(guarded, nodes)
        return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}


def wait_until_ready(stage: Stage, timeout_s: float) -> None:
    """Return once all is ready; ``NotReady`` says who was not, and names a split brain."""
    deadline = time.monotonic() + timeout_s
    while True:
        unready = _unready(stage.cluster)
        if not unready:
            return
        ended = [
            f"{name}: {daemon.name} ended ({daemon.exit_status()})"
            for name, daemons in stage.daemons.items()
            for daemon in daemons
            if not daemon.alive()
        ]
        if ended or time.monotonic() >= deadline:
            raise _not_ready(stage.cluster, unready, ended, timeout_s)
        time.sleep(_POLL_S)


def join_by_hand(cluster: Cluster, timeout_s: float) -> None:
    """Where the nodes came up apart, have the first primary take the others in; no check.

    A node asks to be taken in before it listens, and the primary tries it once and at once.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = on_all(cluster.nodes, view)
        if all(isinstance(seen, dict) and seen for seen in found.values()):
            break
        time.sleep(_POLL_S)
    time.sleep(_ELECTION_S)  # a node that hears nothing for a second calls itself the primary
    leading = primaries(cluster, _PATIENCE_S)
    if not _unready_views(cluster) or not leading:
        return
    first = cluster.node(leading[0])
    for node in cluster.nodes:
        if node.name != first.name:
            try:
                if node.reach(TCP, "peer") in view(first):
                    continue  # a primary that is to take in whom it has already ends by a panic
                asked(first, LOGIN[0], f"join {node.reach(TCP, 'peer')}")
            except NotAnswered:
                continue


def _unready(cluster: Cluster) -> dict[str, str]:
    bad = _unready_views(cluster)
    if bad:
        return bad
    (primary,) = set(primaries(cluster, _PATIENCE_S)) or {cluster.nodes[0].name}
    return _without_database(cluster, cluster.node(primary))


def _unready_views(cluster: Cluster) -> dict[str, str]:
    """The nodes that do not agree with the others on one primary and all members."""
    found = on_all(cluster.nodes, view)
    bad = {name: str(why) for name, why in found.items() if isinstance(why, NotAnswered)}
    if bad:
        return bad
    everybody = {node.reach(TCP, "peer"): node for node in cluster.nodes}
    seen: dict[str, Mapping[str, str]] = {n: v for n, v in found.items() if isinstance(v, dict)}
    leading = {
        name: tuple(sorted(a for a, role in of.items() if role == "Primary"))
        for name, of in seen.items()
    }
    for name, of in seen.items():
        if len(cluster.nodes) > 1 and set(of) != set(everybody):
            bad[name] = f"knows of {len(of)} of {len(everybody)} nodes, primary {leading[name]}"
        elif len(leading[name]) != 1 or leading[name] != next(iter(leading.values())):
            bad[name] = f"takes {' and '.join(leading[name]) or 'nobody'} for the primary"
    return bad


def _without_database(cluster: Cluster, primary: Node) -> dict[str, str]:
    """The nodes that do not have the run's database; it is made on the primary."""

    def has(node: Node) -> None:
        asked(node, *LOGIN)

    lacking = {n: str(w) for n, w in on_all(cluster.nodes, has).items() if w is not None}
    if primary.name in lacking:
        try:
            asked(primary, LOGIN[0], f"create-db {DATABASE} {TOKEN}")
        except NotAnswered as error:
            lacking[primary.name] = str(error)
    return lacking


def _not_ready(
    cluster: Cluster, unready: Mapping[str, str], ended: Sequence[str], timeout_s: float
) -> NotReady:
    leading = primaries(cluster, _PATIENCE_S)
    what = f"not ready after {timeout_s:g} s" if not ended else "a process has ended"
    if len(leading) > 1:
        what = f"split brain: {' and '.join(leading)} each call themselves the primary ({what})"
    lines = [f"{what}:", *(f"  {each}" for each in ended)]
    for name, why in unready.items():
        lines.append(f"  {name}: {why}")
        log = cluster.node(name).log_dir / "nundb.log"
        lines += [f"    nundb.log: {line}" for line in tail(log)]
    return NotReady("\n".join(lines), "the logs under nodes/ of the run folder tell more")


def metrics(node: Node, timeout_s: float) -> dict[str, float]:
    """``metrics-state`` by name."""
    said = " ".join(asked(node, LOGIN[0], "metrics-state", timeout_s=timeout_s)[1])
    return {name: float(value) for name, value in re.findall(r"(\w+): (-?[\d.]+)", said)}


def final_states(cluster: Cluster, timeout_s: float) -> FinalStates:
    """What every node holds by itself, once all are equal or the time is over."""
    begun = time.monotonic()
    while True:
        answers = on_all(cluster.nodes, lambda node: _own_state(node, timeout_s))
        states = {n: state for n, state in answers.items() if isinstance(state, dict)}
        unread = {n: str(why) for n, why in answers.items() if isinstance(why, NotAnswered)}
        waited_s = time.monotonic() - begun
        equal = len(states) == len(answers) and all(
            state == next(iter(states.values())) for state in states.values()
        )
        if equal or waited_s >= timeout_s:
            return FinalStates(states=states, unread=unread, waited_s=waited_s)
        time.sleep(_POLL_S)


def _own_state(node: Node, timeout_s: float) -> dict[str, dict[str, Any]]:
    """Every key that the node has, with its value. (Versions count writes by each for itself.)"""
    (_, _, found) = asked(node, *LOGIN, "keys", timeout_s=timeout_s)
    names = sorted(filter(None, "".join(found).removeprefix("keys").strip().split(",")))
    answers = asked(node, *LOGIN, *(f"get {name}" for name in names), timeout_s=timeout_s)[2:]
    values = ["".join(lines).removeprefix("value ") for lines in answers]
    return {
        name: {"value": value, "version": 0}
        for name, value in zip(names, values, strict=True)
        if value != EMPTY and not name.startswith("$")  # a node's own: $connections
    }
