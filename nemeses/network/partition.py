"""Partition: cut directed links between nodes by dropping packets on their way in.

Shapes are in :mod:`nemeses.network.shapes`; ``primaries`` isolates, one by one, the nodes that
believe they lead when the cut comes. ``zero:halves`` is the shape among the nodes of the role
``zero`` (:func:`nemeses.network.shapes.of_some`); links are cut between nodes, so it is felt by all
that runs on them, unless ``--partition-ports`` has them cut at one of these ports alone. A cut
proves nothing by being asked for: what does is in :mod:`nemeses.network.proofs`.

Cuts that overlap hold their links together (:mod:`nemeses.network.cuts`), so the matrix that is
asked for is all links less those that any cut in force holds.

A cut that no packet ran into (the node was down, the system idle) has not bitten. Healed is the
full matrix. Cost: one rule set a node, and a probe of n² links for each measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness.contract.fault import Proof, Stage
from harness.contract.node import Cluster, CutsPorts, MayRefuseCuts, Partitionable
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import System
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.holding import HoldsCut
from nemeses.network.proofs import ALLOWING_PORTS, at_port, measured, ran_into
from nemeses.targets import PRIMARIES, Aim, check_roles, choices, current_primaries

_KEY = "partition_targets"
_PORTS = "partition_ports"
KNOWN = (*shapes.SHAPES, PRIMARIES)
"""The shapes that are drawn by themselves; those of ``shapes.ASKED`` where they are asked for."""


class Partition(HoldsCut):
    """Directed links cut between the nodes of a :class:`Partitionable` cluster."""

    name = "partition"
    key = _KEY
    needs = (Partitionable,)
    options: tuple[SystemOption, ...] = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(KNOWN),
            words=KNOWN,
            help="shapes of the cut, with commas; or zero:halves for nodes of the role zero",
        ),
        SystemOption(
            name=_PORTS,
            kind=str,
            default=None,
            help="cut TCP at these ports alone, one of them at a time (default: all packets)",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        known = KNOWN if options.get(self.key) is None else (*KNOWN, *shapes.ASKED)
        self._words = choices(options, self.key, known, "partition shape", roles=True)
        self._ports = _ports(options.get(_PORTS))
        self._roles: dict[str, Sequence[str]] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Keeps which nodes each role has, to draw among them; refuses roles that there are not."""
        check_roles(self._words, self.key, roles)
        self._roles = {role.name: role.nodes for role in roles}

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Why not: no way to drop packets here, or too few nodes for the shapes asked for."""
        if not isinstance(cluster, Partitionable):
            return f"provider {cluster.provider} cannot drop packets between nodes"
        if isinstance(cluster, MayRefuseCuts) and (why := cluster.cut_refusal()) is not None:
            return why
        if self._ports and not isinstance(cluster, CutsPorts):
            return f"provider {cluster.provider} cuts whole links, not ports; {ALLOWING_PORTS}"
        count = len(cluster.nodes)  # none yet where the cluster is not up; then plan() refuses
        names = [node.name for node in cluster.nodes]
        return self._too_few(count) if count and not self._possible(names) else None

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """A shape and its grudge (as JSON); ``primaries`` names who stands in if nobody leads.

        ``UsageError`` if there are too few nodes for the shapes asked for.
        """
        possible = self._possible(nodes)
        if not possible:
            raise UsageError(f"--nemesis {self.name}: {self._too_few(len(nodes))}", "more --nodes")
        word = rng.choice(possible)
        at = {"port": rng.choice(self._ports)} if self._ports else {}
        aim, some = Aim.of(word), self._nodes_of(word, nodes)
        if aim.word == PRIMARIES:
            return {"shape": word, "fallback": rng.choice(some), **at}
        if aim.role is None:
            grudge = shapes.EVERY[aim.word](nodes, rng)
        else:
            grudge = shapes.of_some(aim.word, nodes, some, rng)
        return {"shape": word, "grudge": shapes.as_json(grudge), **at}

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the leaders are isolated: who they are is known at the moment only."""
        return Aim.of(plan["shape"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The grudge now; the targets are the nodes outside the largest group that is left."""
        nodes = [node.name for node in stage.cluster.nodes]
        detail: dict[str, Any] = {"shape": plan["shape"]}
        aim = Aim.of(plan["shape"])
        if aim.word == PRIMARIES:
            leading, why = current_primaries(stage, aim.role)
            if not leading:
                detail["fallback"] = why
            detail["primaries"] = leading
            grudge = shapes.isolated(nodes, leading or [plan["fallback"]])
        else:
            grudge = shapes.from_json(plan["grudge"])
        port = plan.get("port")
        detail["grudge"] = shapes.as_json(grudge if port is None else at_port(grudge, port))
        detail["what"] = shapes.describe(nodes, grudge) + ("" if port is None else f" at {port}")
        return shapes.outsiders(nodes, grudge), detail

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether database packets were dropped and exactly the links that are cut are dead."""
        grudge, figures = shapes.from_json(detail["grudge"]), dict[str, Any]()
        dropped = ran_into(stage, grudge, figures)
        if not dropped:
            return Proof(holds=False, what="no packet has run into the cut", figures=figures)
        what, is_exact = measured(stage, figures, about=grudge)
        shown_as = getattr(stage.cluster, "cut_shows_as", "packets of the database dropped")
        packets = f"{sum(dropped.values())} {shown_as}"
        return Proof(holds=is_exact, what=f"{packets}; {what}", figures=figures)

    def _too_few(self, count: int) -> str:
        return f"a cut of shape {' or '.join(self._words)} needs more than {count} nodes"

    def _possible(self, nodes: Sequence[str]) -> list[str]:
        return [each for each in self._words if self._is_possible(each, nodes)]

    def _is_possible(self, word: str, nodes: Sequence[str]) -> bool:
        """Whether there are nodes enough; somebody alone is cut off from all, not from its like."""
        aim, some = Aim.of(word), self._nodes_of(word, nodes)
        if aim.role is not None and aim.word in (*shapes.ALONE, PRIMARIES):
            return bool(some) and len(nodes) >= 2
        return len(some) >= shapes.LEAST_NODES.get(aim.word, 2)

    def _nodes_of(self, word: str, nodes: Sequence[str]) -> Sequence[str]:
        """Among whom a shape is drawn: the nodes of its role, else all."""
        role = Aim.of(word).role
        return nodes if role is None else self._roles[role]


def _ports(given: Any) -> list[int]:
    """The ports of the option; ``UsageError`` for what is none."""
    words = given.split(",") if isinstance(given, str) else [str(each) for each in given or ()]
    found = [word.strip() for word in words if word.strip()]
    wrong = [word for word in found if not (word.isdecimal() and 0 < int(word) < 1 << 16)]
    if wrong:
        raise UsageError(f"--partition-ports: {wrong[0]} is no port", "a number, such as 2380")
    return [int(word) for word in found]


NEMESES = {"partition": Partition}
