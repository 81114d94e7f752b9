"""Client partition: clients that lose nodes, while the nodes hear each other or fall apart, too.

By the words of ``--client-partition-targets`` clients lose ``one`` node, a ``minority``, the
``primaries``, ``majority`` or ``all``; by ``side`` the nodes fall into halves and the clients stand
with one of these, which is drawn: the larger goes on without the rest, or they are left with those
who can decide nothing. What a client asks of a node that it lost is dropped at the ports by which
clients connect, whoever it is; an answer to what was asked before may still come.

It bit when packets of clients (of the run, before any connection of ours was tried) ran into it,
and exactly the nodes that are left answer a new connection (:mod:`nemeses.network.proofs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness.contract.fault import Proof, Stage
from harness.contract.node import Cluster, CutsClients, CutsPorts, Grudge, Partitionable
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import System
from nemeses.network import shapes
from nemeses.network.cuts import together
from nemeses.network.holding import HoldsCut
from nemeses.network.proofs import (
    is_of_clients,
    measured,
    no_client_cuts,
    ran_into,
    without_clients,
)
from nemeses.targets import (
    PRIMARIES,
    TARGETS,
    Aim,
    check_roles,
    choices,
    current_primaries,
    pick,
    plan_targets,
)

_KEY = "client_partition_targets"
SIDE = "side"
KNOWN = (*(word for word in TARGETS if word != "all"), SIDE)


class ClientPartition(HoldsCut):
    """Clients cut off from nodes."""

    name = "client-partition"
    needs = (Partitionable, CutsPorts, CutsClients)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(KNOWN),
            words=(*KNOWN, "all"),
            help="which nodes clients lose, with commas, or alpha:one for a role's; side: they "
            "stand on one side of a cut",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {_KEY: options.get(_KEY) or KNOWN}
        self._words = choices(given, _KEY, (*TARGETS, SIDE), "target", roles=True)
        self._roles: dict[str, Sequence[str]] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Keeps which nodes each role has; refuses roles that there are not."""
        check_roles(self._words, _KEY, roles)
        self._roles = {role.name: role.nodes for role in roles}

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where clients cannot be cut off."""
        return no_client_cuts(cluster, system)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Whom clients lose, the order in which nodes are taken, and on which side they stand."""
        possible = [word for word in self._words if word != SIDE or len(nodes) > 1]
        plan = plan_targets(possible or ("one",), nodes, rng)
        if plan["target"] == SIDE:
            plan["with"] = rng.choice(("smaller", "larger"))
        return plan

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the leaders are meant: who they are is known at the moment only."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The nodes that are lost now, and the grudge."""
        aim = Aim.of(plan["target"])
        role = () if aim.role is None else stage.role(aim.role).nodes
        order = [node for node in plan["order"] if aim.role is None or node in role]
        detail: dict[str, Any] = {"target": plan["target"]}
        between: Grudge = {}
        if aim.word == PRIMARIES:
            leading, why = current_primaries(stage, aim.role)
            lost = leading or order[:1]
            if not leading:
                detail["fallback"] = why
        elif aim.word == SIDE:
            smaller, larger = order[: len(order) // 2], order[len(order) // 2 :]
            lost = larger if plan["with"] == "smaller" else smaller
            between = shapes.apart([smaller, larger])
            detail["with"] = plan["with"]
        else:
            lost = pick(plan, order, len(order))
        names = [node.name for node in stage.cluster.nodes]
        told = f"{shapes.describe(names, between)}; " if between else ""
        grudge = together([between, without_clients(stage.system, lost)])
        what = f"{told}clients lose {' '.join(sorted(lost))}"
        return sorted(lost), {**detail, "grudge": shapes.as_json(grudge), "what": what}

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether clients ran into it, and exactly the nodes that are left answer."""
        grudge, figures = shapes.from_json(detail["grudge"]), dict[str, Any]()
        dropped = ran_into(stage, grudge, figures)
        of_clients = sum(count for link, count in dropped.items() if is_of_clients(link))
        if not of_clients:
            return Proof(holds=False, what="no client has run into the cut", figures=figures)
        what, is_exact = measured(stage, figures, about=grudge)
        packets = f"{of_clients} packets of clients dropped"
        return Proof(holds=is_exact, what=f"{packets}; {what}", figures=figures)


NEMESES = {"client-partition": ClientPartition}
