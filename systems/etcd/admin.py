"""What an operator asks of etcd while it serves: compact, defragment, move leaders, snapshot.

Each is one request to the JSON gateway of one member, and is not repeated. etcd refuses a
compaction up to a revision that is compacted already; a move of the leader to the member that leads
is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from harness.contract.action import Outcome
from harness.contract.node import Cluster, Node
from systems.etcd import gateway
from systems.etcd.members import NotAnswered, Refused, ask, statuses
from systems.etcd.snapshot import size_of_snapshot


def administer(action: str, node: Node, cluster: Cluster, timeout_s: float) -> Outcome:
    """Do one of :data:`ACTIONS`; ``NotAnswered`` where nobody can know whether it was done."""
    try:
        return _ACTIONS[action](node, cluster, timeout_s)
    except Refused as error:
        return Outcome(is_done=False, what=f"{action} on {node.name}: {error}")


def _compact(node: Node, cluster: Cluster, timeout_s: float) -> Outcome:
    """Up to the revision that the member is at."""
    at = ask(node, gateway.STATUS, {}, gateway.Status, timeout_s).header.revision
    ask(node, gateway.COMPACT, {"revision": str(at)}, gateway.Done, timeout_s)
    what = f"{node.name} compacted the history up to revision {at}"
    return Outcome(is_done=True, what=what, figures={"revision": at})


def _defragment(node: Node, cluster: Cluster, timeout_s: float) -> Outcome:
    ask(node, gateway.DEFRAGMENT, {}, gateway.Done, timeout_s)
    return Outcome(is_done=True, what=f"{node.name} was defragmented")


def _move_leader(node: Node, cluster: Cluster, timeout_s: float) -> Outcome:
    """To the member on ``node``, by a request to whoever leads."""
    found = statuses(cluster, timeout_s)
    own = found[node.name]
    if isinstance(own, NotAnswered):
        return Outcome(is_done=False, what=f"{node.name} does not answer: {own}")
    member = own.header.member_id
    if own.leader == member:
        return Outcome(is_done=False, what=f"{node.name} leads already")
    leading = [
        name
        for name, status in found.items()
        if not isinstance(status, NotAnswered) and status.leader == status.header.member_id
    ]
    if not leading:
        return Outcome(is_done=False, what="nobody leads")
    leader = cluster.node(leading[0])
    ask(leader, gateway.MOVE_LEADER, {"targetID": str(member)}, gateway.Done, timeout_s)
    what = f"{leader.name} handed its leadership to {node.name}"
    return Outcome(is_done=True, what=what, figures={"from": leader.name, "to": node.name})


def _snapshot(node: Node, cluster: Cluster, timeout_s: float) -> Outcome:
    size = size_of_snapshot(node, timeout_s)
    what = f"a whole snapshot of {node.name} was taken, {size} bytes"
    return Outcome(is_done=True, what=what, figures={"bytes": size})


_ACTIONS: Final[Mapping[str, Callable[[Node, Cluster, float], Outcome]]] = {
    "compact": _compact,
    "defragment": _defragment,
    "move-leader": _move_leader,
    "snapshot": _snapshot,
}
ACTIONS: Final = tuple(_ACTIONS)
"""What etcd can be asked for."""
