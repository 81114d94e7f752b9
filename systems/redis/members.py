"""What the servers and Sentinels of a run say of themselves: who leads, who follows, who is ready.

Blocking calls for set-up, recovery and faults, each on a connection of its own, all nodes at once
(a paused one costs its time-out and must not hold up the others). Nothing here is an operation of
a history, so asking again is harmless; the one key that is written is no workload's.

Ready means: every Sentinel names the same primary and knows enough others to fail over; that server
says that it is a primary, and every other one that it follows it and has caught up its link; and a
write through the primary reaches all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from harness.contract.node import Node, split_address
from harness.contract.system import Stage, TimeReading
from harness.errors import NotReady
from harness.wording import shown
from systems.drivers.http import Lost
from systems.drivers.resp import Answer, Refusal, Word, ask
from systems.redis.log import tail
from systems.redis.places import PORT, PRIMARY_NAME, SENTINEL_PORT

READY_KEY: Final = b"polygraph-ready"
REDIS: Final = "redis"
SENTINEL: Final = "sentinel"
_POLL_S: Final = 0.1
_PATIENCE_S: Final = 1.0
_Found = TypeVar("_Found")


class NotAnswered(Exception):
    """A server did not answer as it should; says how."""


def asked(
    node: Node, port: int, *commands: Sequence[Word], timeout_s: float = _PATIENCE_S
) -> list[Answer]:
    """The answers of the server at ``port`` of ``node``; ``NotAnswered`` if one is an error."""
    try:
        answers = ask(split_address(node.reach(port, "client")), *commands, timeout_s=timeout_s)
    except (OSError, Lost) as error:
        raise NotAnswered(str(error) or type(error).__name__) from error
    for answer in answers:
        if isinstance(answer, Refusal):
            raise NotAnswered(str(answer))
    return answers


def info(node: Node, section: str, timeout_s: float = _PATIENCE_S) -> dict[str, str]:
    """``INFO`` of a server, by name."""
    (said,) = asked(node, PORT, ("INFO", section), timeout_s=timeout_s)
    lines = said.decode("utf-8", "replace").splitlines() if isinstance(said, bytes) else []
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: value for name, _, value in pairs}


def on_all(
    nodes: Sequence[Node], call: Callable[[Node], _Found]
) -> dict[str, _Found | NotAnswered]:
    """What ``call`` gives of every node, all at once, or why it gives nothing."""

    def guarded(node: Node) -> _Found | NotAnswered:
        try:
            return call(node)
        except NotAnswered as error:
            return error

    if not nodes:
        return {}
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        answers = pool.map(guarded, nodes)
        return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}


def nodes_of(stage: Stage, role: str) -> list[Node]:
    """The nodes of a role that the system may have."""
    roles = [each for each in stage.roles if each.name == role]
    return [stage.cluster.node(name) for each in roles for name in each.nodes]


def primaries(nodes: Sequence[Node], timeout_s: float) -> list[str]:
    """Names of the nodes whose server says that it is a primary; two of them during a cut."""
    found = on_all(nodes, lambda node: info(node, "replication", timeout_s))
    return [
        name
        for name, said in found.items()
        if not isinstance(said, NotAnswered) and said.get("role") == "master"
    ]


def wait_for_replicas(servers: Sequence[Node], primary: Node, timeout_s: float) -> None:
    """Return once all servers but ``primary`` follow it, or at the time-out: no check.

    A Sentinel asks a primary only every ten seconds who follows it; one that is started before that
    is so would learn it late.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if _followers(info(primary, "replication")) >= len(servers) - 1:
                return
        except NotAnswered:
            pass
        time.sleep(_POLL_S)


def _followers(said: Mapping[str, str]) -> int:
    return sum(name.startswith("slave") and "state=online" in value for name, value in said.items())


def wait_until_ready(stage: Stage, timeout_s: float) -> None:
    """Return once all is ready; ``NotReady`` says who was not, why, and its log's last lines."""
    deadline = time.monotonic() + timeout_s
    while True:
        unready = _unready(nodes_of(stage, REDIS), nodes_of(stage, SENTINEL))
        if not unready:
            return
        ended = _ended(stage, unready)
        if ended:
            raise _not_ready(stage, ended, "the server has ended")
        if time.monotonic() >= deadline:
            raise _not_ready(stage, unready, f"not ready after {timeout_s:g} s")
        time.sleep(_POLL_S)


def _unready(servers: Sequence[Node], sentinels: Sequence[Node]) -> dict[str, str]:
    """The nodes that are not ready, and why."""
    said = on_all(servers, lambda node: info(node, "replication"))
    unready = {name: str(found) for name, found in said.items() if isinstance(found, NotAnswered)}
    if unready:
        return unready
    roles = {name: found for name, found in said.items() if not isinstance(found, NotAnswered)}
    leads = [name for name, found in roles.items() if found.get("role") == "master"]
    if len(leads) != 1:
        return {name: f"{len(leads)} servers say that they lead" for name in leads or roles}
    primary = next(node for node in servers if node.name == leads[0])
    unready = _not_following(roles, primary, len(servers)) | _disagreeing(sentinels, primary)
    return unready or _unserved(primary, len(servers) - 1)


def _not_following(
    roles: Mapping[str, Mapping[str, str]], primary: Node, servers: int
) -> dict[str, str]:
    address = primary.reach(PORT, "peer")
    unready = {}
    for name, said in roles.items():
        follows = f"{said.get('master_host')}:{said.get('master_port')}"
        if name == primary.name:
            if (found := _followers(said)) < servers - 1:
                unready[name] = f"it leads, and {found} of {servers - 1} replicas are online"
        elif follows != address:
            unready[name] = f"it follows {follows}, and {primary.name} ({address}) leads"
        elif said.get("master_link_status") != "up":
            unready[name] = f"its link to {primary.name} is {said.get('master_link_status')}"
    return unready


def _disagreeing(sentinels: Sequence[Node], primary: Node) -> dict[str, str]:
    host, port = split_address(primary.reach(PORT, "peer"))
    expected = [host.encode(), str(port).encode()]

    def view(node: Node) -> str:
        named = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY_NAME)
        found, _ = asked(node, SENTINEL_PORT, named, ("SENTINEL", "CKQUORUM", PRIMARY_NAME))
        return "" if found == expected else f"its Sentinel names {_address(found)} as primary"

    views = on_all(sentinels, view)
    return {name: f"Sentinel: {said}" for name, said in views.items() if said}


def _unserved(primary: Node, replicas: int) -> dict[str, str]:
    """A write through the primary that every replica acknowledges."""
    try:
        done, reached = asked(
            primary,
            PORT,
            ("SET", READY_KEY, primary.name),
            ("WAIT", replicas, int(_PATIENCE_S * 500)),
        )
    except NotAnswered as error:
        return {primary.name: f"a write was refused: {error}"}
    if done != "OK" or not isinstance(reached, int) or reached < replicas:
        return {primary.name: f"a write reached {shown(reached)} of {replicas} replicas"}
    return {}


def _address(found: Answer) -> str:
    match found:
        case [bytes(host), bytes(port)]:
            return f"{host.decode()}:{port.decode()}"
    return "nobody"


def _ended(stage: Stage, unready: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, why in unready.items():
        for daemon in stage.daemons.get(name, ()):
            if not daemon.alive():
                found[name] = f"{daemon.name} ended ({daemon.exit_status()}); {why}"
    return found


def _not_ready(stage: Stage, unready: Mapping[str, str], what: str) -> NotReady:
    lines = [f"{what}:"]
    for name, why in unready.items():
        lines.append(f"  {name}: {why}")
        log_dir = stage.cluster.node(name).log_dir
        for role in (REDIS, SENTINEL):
            lines += [f"    {role}.log: {line}" for line in tail(log_dir / f"{role}.log")]
    return NotReady("\n".join(lines), "the logs under nodes/ of the run folder tell more")


def reported_time(node: Node, timeout_s: float) -> TimeReading:
    """By the command ``TIME``, to the microsecond."""
    (said,) = asked(node, PORT, ("TIME",), timeout_s=timeout_s)
    match said:
        case [bytes(seconds), bytes(microseconds)]:
            at_ns = int(seconds) * 10**9 + int(microseconds) * 1000
            return TimeReading(earliest_ns=at_ns, latest_ns=at_ns + 1000)
    raise NotAnswered(f"TIME was answered with {shown(said)}")


def figures(node: Node, timeout_s: float) -> dict[str, Any]:
    """What a server says of its part in the replication; each change is a milestone."""
    said = info(node, "replication", timeout_s)
    return {
        "role": said.get("role"),
        "replicas": int(said.get("connected_slaves", 0)),
        "primary-link": said.get("master_link_status"),
    }
