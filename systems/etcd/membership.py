"""Who is a member of an etcd cluster: asked, removed, added as a voter or as a learner, promoted.

Requests of an operator to the JSON gateway of whichever member answers; none is an operation of a
history, so asking again is harmless. etcd itself refuses a change that would cost the cluster its
majority, and a promotion of a learner that has not caught up; both are asked for again until the
time is over. A member that joins must find no data: its folder is removed first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from harness.contract.node import Cluster, Node
from harness.contract.operating import VOTER
from harness.contract.system import Stage
from harness.errors import NodeError
from systems.etcd import gateway
from systems.etcd.members import NotAnswered, ask

LEARNER: Final = "learner"
WAYS: Final = (VOTER, LEARNER)
_ASK_S: Final = 5.0
_POLL_S: Final = 0.1
T = TypeVar("T")


def members(stage: Stage, peer_port: int, timeout_s: float) -> dict[str, str]:
    """Node to ``voter`` or ``learner``, as whoever answers first says; ``NodeError`` if none."""
    found = _by_node(stage.cluster, peer_port, timeout_s)
    return {name: LEARNER if each.is_learner else VOTER for name, each in found.items()}


def remove(stage: Stage, node: Node, peer_port: int, timeout_s: float) -> None:
    """Have the others remove it; ``NodeError`` where they did not in time."""

    def step() -> bool:
        member = _by_node(stage.cluster, peer_port, _ASK_S, but=node.name).get(node.name)
        if member is not None:
            _any(
                stage.cluster,
                gateway.MEMBER_REMOVE,
                {"ID": member.ID},
                gateway.Members,
                _ASK_S,
                but=node.name,
            )
        return True

    _until(step, f"{node.name} was not removed", timeout_s)


def add(
    stage: Stage,
    node: Node,
    role: str,
    way: str,
    peer_port: int,
    joining: Callable[[str], None],
    timeout_s: float,
) -> None:
    """Have it join. ``joining`` is told the members that it is to be started with.

    ``NodeError`` where it is no voter in time.
    """
    deadline = time.monotonic() + timeout_s
    url = f"http://{node.reach(peer_port, 'peer')}"

    def told() -> bool:
        if node.name not in _by_node(stage.cluster, peer_port, _ASK_S, but=node.name):
            message = {"peerURLs": [url], "isLearner": way == LEARNER}
            _any(stage.cluster, gateway.MEMBER_ADD, message, gateway.Members, _ASK_S, but=node.name)
        return True

    def promoted() -> bool:
        member = _by_node(stage.cluster, peer_port, _ASK_S, but=node.name)[node.name]
        if member.is_learner:
            _any(
                stage.cluster,
                gateway.MEMBER_PROMOTE,
                {"ID": member.ID},
                gateway.Members,
                _ASK_S,
                but=node.name,
            )
        return bool(member.name)  # it has one once it has started, and not before

    if not any(daemon.alive() for daemon in stage.daemons_of(node.name, role)):
        node.run(["rm", "-rf", f"{node.data_dir}/etcd"])
        _until(told, f"{node.name} was not added", deadline - time.monotonic())
        known = _by_node(stage.cluster, peer_port, _ASK_S, but=node.name)
        joining(",".join(f"{name}={url}" for name, each in known.items() for url in each.peer_urls))
        stage.start(node.name, role)
    _until(promoted, f"{node.name} is no voter", deadline - time.monotonic())


def _until(step: Callable[[], bool], what: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        why = ""
        try:
            if step():
                return
        except (NotAnswered, NodeError) as error:
            why = f": {error}"
        if time.monotonic() >= deadline:
            raise NodeError(f"{what} in {timeout_s:.0f} s{why}")
        time.sleep(_POLL_S)


def _by_node(
    cluster: Cluster, peer_port: int, timeout_s: float, but: str = ""
) -> Mapping[str, gateway.Member]:
    """The members by their nodes, which are known by the URLs that their peers are told."""
    nodes = {f"http://{node.reach(peer_port, 'peer')}": node.name for node in cluster.nodes}
    found = _any(cluster, gateway.MEMBER_LIST, {}, gateway.Members, timeout_s, but).members
    return {nodes[url]: each for each in found for url in each.peer_urls if url in nodes}


def _any(
    cluster: Cluster, path: str, message: Any, shape: type[T], timeout_s: float, but: str = ""
) -> T:
    """The first answer that a member gives, one after another; ``NodeError`` if none gives any."""
    why = []
    for node in cluster.nodes:
        if node.name == but:
            continue
        try:
            return ask(node, path, message, shape, timeout_s)
        except NotAnswered as error:
            why.append(f"{node.name}: {error}")
    raise NodeError("; ".join(why))
