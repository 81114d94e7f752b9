"""What the members of an etcd cluster say of themselves: who leads, who serves, who is not ready.

Blocking calls over the JSON gateway for set-up, recovery and nemeses, each on a connection of its
own, all members at once (a paused member costs its time-out and must not hold up the others).
Nothing here is an operation of a history, so asking again is harmless: the one key that it
writes, ``polygraph-ready``, is no JSON value and so can never be a workload's key.

Ready means: every member answers, all name the same leader, which is one of them, and through
every member a write is committed and read back linearizably.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from harness.contract.node import Cluster, Daemon, Node, split_address
from harness.contract.system import FinalStates, TimeReading
from harness.errors import NotReady
from systems.etcd import gateway
from systems.etcd.apart import behind, within, without
from systems.etcd.log import last_words, tail

READY_KEY: Final = b"polygraph-ready"
_POLL_S: Final = 0.05
_PEER_POLL_S: Final = 0.01
_SETTLE_S: Final = 0.3
_STATE_TIMEOUT_S: Final = 5.0
_Shape = TypeVar("_Shape")


class NotAnswered(Exception):
    """A member did not answer as it should; says how."""


class Refused(NotAnswered):
    """It answered that it will not do it; says why."""


def ask(
    node: Node,
    path: str,
    message: Any,
    shape: type[_Shape],
    timeout_s: float,
    prefix: bytes = b"",
) -> _Shape:
    """POST ``message``, about keys under ``prefix``, to the member on ``node``.

    ``NotAnswered`` if that fails.
    """
    host, port = split_address(node.reach(gateway.PORT, "client"))
    with closing(http.client.HTTPConnection(host, port, timeout=timeout_s)) as connection:
        try:
            connection.request("POST", path, gateway.encode(within(prefix, message)))
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(str(error) or type(error).__name__) from error
    if answer.status != 200:
        raise Refused(gateway.error_message(body))
    try:
        return without(prefix, gateway.decode(body, shape))
    except msgspec.MsgspecError as error:
        raise NotAnswered(f"an answer that is not etcd's: {error}") from error


def statuses(cluster: Cluster, timeout_s: float) -> dict[str, gateway.Status | NotAnswered]:
    """Every node's own view of the cluster, or why it gave none within ``timeout_s``."""
    return _on_all(cluster, lambda node: ask(node, gateway.STATUS, {}, gateway.Status, timeout_s))


def leaders(cluster: Cluster, timeout_s: float) -> list[str]:
    """Names of the nodes whose member believes that it leads."""
    found = statuses(cluster, timeout_s).items()
    return [name for name, status in found if _believes_it_leads(status)]


def versions(cluster: Cluster, timeout_s: float) -> dict[str, str]:
    """What the members say that they are; ``NotReady`` if none says anything."""
    found = list(statuses(cluster, timeout_s).values())
    said = sorted({each.version for each in found if isinstance(each, gateway.Status)})
    if not said:
        raise NotReady(f"no etcd answers: {found[0]}", "--endpoint host:port of a member of etcd")
    return {"etcd": ", ".join(said)}


def version(node: Node, timeout_s: float) -> str:
    """What the member on ``node`` says that it is; ``NotAnswered`` if it says nothing."""
    return ask(node, gateway.STATUS, {}, gateway.Status, timeout_s).version


def clear(cluster: Cluster, prefix: bytes, timeout_s: float) -> None:
    """Delete every key under ``prefix``; ``NotReady`` if none of the members does it.

    Once more a moment later: a write that was given up may still have been on its way.
    """
    request = {"key": prefix, "range_end": behind(prefix)}
    for _ in range(2):
        why: list[str] = []
        for node in cluster.nodes:
            try:
                ask(node, gateway.DELETE, request, gateway.PutAnswer, timeout_s)
                break
            except NotAnswered as error:
                why.append(f"{node.name}: {error}")
        else:
            raise NotReady(f"no etcd deletes them: {'; '.join(why)}")
        time.sleep(_SETTLE_S)


def final_states(cluster: Cluster, timeout_s: float, prefix: bytes = b"") -> FinalStates:
    """What every member holds by itself, once all are equal or the time is over."""
    begun = time.monotonic()
    while True:
        answers = _on_all(cluster, lambda node: _own_state(node, _STATE_TIMEOUT_S, prefix))
        states = {n: state for n, state in answers.items() if not isinstance(state, NotAnswered)}
        unread = {n: str(why) for n, why in answers.items() if isinstance(why, NotAnswered)}
        waited_s = time.monotonic() - begun
        equal = len(states) == len(answers) and all(
            state == next(iter(states.values())) for state in states.values()
        )
        if equal or waited_s >= timeout_s:
            return FinalStates(states=states, unread=unread, waited_s=waited_s)
        time.sleep(_POLL_S)


def _own_state(node: Node, timeout_s: float, prefix: bytes) -> dict[str, dict[str, Any]]:
    """Every key that the member on ``node`` has, by a serializable read of all."""
    request = gateway.range_of_all(serializable=True)
    answer = ask(node, gateway.RANGE, request, gateway.RangeAnswer, timeout_s, prefix)
    return {
        pair.key.decode("utf-8", "backslashreplace"): {
            "value": pair.value.decode("utf-8", "backslashreplace"),
            "version": pair.mod_revision,
        }
        for pair in answer.kvs
    }


def wait_for_peer(node: Node, port: int, timeout_s: float) -> None:
    """Return once the member on ``node`` answers its peers, or at the time-out: no check."""
    host, port = split_address(node.reach(port, "peer"))
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        connection = http.client.HTTPConnection(host, port, timeout=left_s)
        with closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/members")
            if connection.getresponse().status == 200:
                return
        time.sleep(_PEER_POLL_S)


def reported_time(node: Node, timeout_s: float) -> TimeReading:
    """The time that the member's HTTP server reads as it answers; ``NotAnswered`` if it does not.

    Go writes the Date of each answer from ``time.Now``, cut off to whole seconds. ``/version``
    is answered by the member alone, with or without a leader.
    """
    host, port = split_address(node.reach(gateway.PORT, "client"))
    with closing(http.client.HTTPConnection(host, port, timeout=timeout_s)) as connection:
        try:
            connection.request("GET", "/version")
            date = connection.getresponse().headers["Date"]
            second = int(parsedate_to_datetime(date).timestamp())
        except (OSError, http.client.HTTPException, TypeError, ValueError) as error:
            raise NotAnswered(str(error) or type(error).__name__) from error
    return TimeReading(earliest_ns=second * 10**9, latest_ns=(second + 1) * 10**9)


def wait_until_ready(
    cluster: Cluster,
    daemons: Mapping[str, Sequence[Daemon]],
    timeout_s: float,
    prefix: bytes = b"",
) -> None:
    """Return once every member is ready; ``NotReady`` says who was not, why, and its log.

    With a ``prefix`` these are members that somebody else runs: the leader may be one unknown.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        patience_s = max(0.2, min(1.0, deadline - time.monotonic()))
        unready = _unready(cluster, patience_s, prefix)
        if not unready:
            return
        gone = [name for name in unready if _has_ended(daemons.get(name, ()))]
        if gone:
            raise _not_ready(cluster, {name: unready[name] for name in gone}, "etcd has ended")
        if time.monotonic() >= deadline:
            raise _not_ready(cluster, unready, f"not ready after {timeout_s:g} s")
        time.sleep(_POLL_S)


def _believes_it_leads(status: gateway.Status | NotAnswered) -> bool:
    return isinstance(status, gateway.Status) and status.leader == status.header.member_id != 0


def _unready(cluster: Cluster, timeout_s: float, prefix: bytes) -> dict[str, str]:
    """The nodes that are not ready, and why."""
    found = statuses(cluster, timeout_s)
    unready = {name: str(answer) for name, answer in found.items() if isinstance(answer, Exception)}
    known = {name: s for name, s in found.items() if isinstance(s, gateway.Status)}
    unready.update(_disagreement(known, knows_all=not prefix))
    if unready:
        return unready
    served = _on_all(cluster, lambda node: _serve_one(node, timeout_s, prefix))
    return {name: str(answer) for name, answer in served.items() if isinstance(answer, Exception)}


def _disagreement(known: Mapping[str, gateway.Status], *, knows_all: bool) -> dict[str, str]:
    """Members that know no leader, or another one than the rest."""
    members = {status.header.member_id for status in known.values()}
    views = {(status.header.cluster_id, status.leader) for status in known.values()}
    unready = {
        name: "knows of no leader" if not status.leader else "its leader is no node that answers"
        for name, status in known.items()
        if not status.leader or (knows_all and status.leader not in members)
    }
    if not unready and len(views) > 1:
        return {name: f"takes {status.leader:x} for the leader" for name, status in known.items()}
    return unready


def _serve_one(node: Node, timeout_s: float, prefix: bytes) -> None:
    """Have one write and one linearizable read served through ``node``."""
    value = gateway.stored(node.name)
    put, get = gateway.put_of(READY_KEY, value), gateway.range_of(READY_KEY)
    ask(node, gateway.PUT, put, gateway.PutAnswer, timeout_s, prefix)
    read = ask(node, gateway.RANGE, get, gateway.RangeAnswer, timeout_s, prefix)
    if not read.kvs:
        raise NotAnswered("a write through it was acknowledged, but cannot be read")


_Found = TypeVar("_Found")


def _on_all(cluster: Cluster, call: Callable[[Node], _Found]) -> dict[str, _Found | NotAnswered]:
    def guarded(node: Node) -> _Found | NotAnswered:
        try:
            return call(node)
        except NotAnswered as error:
            return error

    with ThreadPoolExecutor(max_workers=len(cluster.nodes)) as pool:
        answers = pool.map(guarded, cluster.nodes)
        return {node.name: answer for node, answer in zip(cluster.nodes, answers, strict=True)}


def _has_ended(daemons: Sequence[Daemon]) -> bool:
    return any(not daemon.alive() for daemon in daemons)


def _not_ready(cluster: Cluster, unready: Mapping[str, str], what: str) -> NotReady:
    parts = [f"{what}:"]
    for name, why in unready.items():
        parts += _told(name, why, cluster.node(name).log_dir / "etcd.log")
    return NotReady("\n".join(parts), "the logs under nodes/ of the run folder tell more")


def _told(name: str, why: str, log: Path) -> list[str]:
    """Of one member: how it died, if its log says so, else what it last logged."""
    cause = last_words(log)
    if cause:
        return [f"  {name}: {cause}", f"    asked, it gives: {why}; its whole log is {log}"]
    return [f"  {name}: {why}", *(f"    {line}" for line in tail(log))]
