"""Partition: cut directed links between nodes by dropping packets on their way in.

Shapes are in :mod:`nemeses.network.shapes`; ``primaries`` isolates, one by one, the nodes that
believe they lead when the cut comes. ``zero:halves`` is the shape among the nodes of the role
``zero`` (:func:`nemeses.network.shapes.of_some`); links are cut between nodes, so it is felt by all
that runs on them. A cut proves nothing by being asked for. It bit when both
hold:

* its counters saw packets of the *database* on the links that it cuts; they are read before any
  probe of ours is sent, since a probe on a cut link is dropped and counted too; and
* the matrix of links that carry packets is exactly all links less those that were to be cut.

Cuts that overlap hold their links together (:mod:`nemeses.network.cuts`), so the matrix that is
asked for is all links less those that any cut in force holds.

A cut that no packet ran into (the node was down, the system idle) has not bitten. Healed is the
full matrix. Cost: one rule set a node, and a probe of n² links for each measurement.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Any, cast

from harness.contract.fault import Effects, Proof, Stage
from harness.contract.node import Cluster, Link, MayRefuseCuts, Partitionable
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.shot import Shot, shoot
from harness.contract.system import System
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.cuts import cuts_of
from nemeses.targets import PRIMARIES, Aim, check_roles, choices, current_primaries

_KEY = "partition_targets"
KNOWN = (*shapes.SHAPES, PRIMARIES)


class Partition:
    """Directed links cut between the nodes of a :class:`Partitionable` cluster."""

    name = "partition"
    needs = (Partitionable,)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(KNOWN),
            words=KNOWN,
            help="shapes of the cut, with commas; or zero:halves for nodes of the role zero",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._words = choices(options, _KEY, KNOWN, "partition shape", roles=True)
        self._roles: dict[str, Sequence[str]] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Keeps which nodes each role has, to draw among them; refuses roles that there are not."""
        check_roles(self._words, _KEY, roles)
        self._roles = {role.name: role.nodes for role in roles}

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Why not: no way to drop packets here, or too few nodes for the shapes asked for."""
        if not isinstance(cluster, Partitionable):
            return f"provider {cluster.provider} cannot drop packets between nodes"
        if isinstance(cluster, MayRefuseCuts) and (why := cluster.cut_refusal()) is not None:
            return why
        count = len(cluster.nodes)  # none yet where the cluster is not up; then plan() refuses
        names = [node.name for node in cluster.nodes]
        return self._too_few(count) if count and not self._possible(names) else None

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """A shape and its grudge (as JSON); ``primaries`` names who stands in if nobody leads.

        ``UsageError`` if there are too few nodes for the shapes asked for.
        """
        possible = self._possible(nodes)
        if not possible:
            raise UsageError(f"--nemesis partition: {self._too_few(len(nodes))}", "more --nodes")
        word = rng.choice(possible)
        aim, some = Aim.of(word), self._nodes_of(word, nodes)
        if aim.word == PRIMARIES:
            return {"shape": word, "fallback": rng.choice(some)}
        if aim.role is None:
            grudge = shapes.SHAPES[aim.word](nodes, rng)
        else:
            grudge = shapes.of_some(aim.word, nodes, some, rng)
        return {"shape": word, "grudge": shapes.as_json(grudge)}

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
        detail["grudge"] = shapes.as_json(grudge)
        detail["what"] = shapes.describe(nodes, grudge)
        return shapes.outsiders(nodes, grudge), detail

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """The links of the grudge carry nothing."""
        return Effects(cuts=detail["grudge"])

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Cut, beside what other cuts hold."""
        shoot(self.prepare(stage, targets, detail))

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """The cut made ready."""
        grudge = shapes.from_json(detail["grudge"])
        return cuts_of(_cuttable(stage)).prepare(_holder(self, detail), grudge)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether database packets were dropped and exactly the links that are cut are dead."""
        cut = shapes.cut_links(detail["grudge"])
        counted = _cuttable(stage).dropped()
        dropped = {link: count for link, count in counted.items() if link in cut and count > 0}
        figures: dict[str, Any] = {"dropped": {_named(k): n for k, n in sorted(dropped.items())}}
        if not dropped:
            return Proof(holds=False, what="no packet has run into the cut", figures=figures)
        what, is_exact = _measured(stage, figures)
        shown_as = getattr(stage.cluster, "cut_shows_as", "packets of the database dropped")
        packets = f"{sum(dropped.values())} {shown_as}"
        return Proof(holds=is_exact, what=f"{packets}; {what}", figures=figures)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Let every packet pass, but on links that another cut holds."""
        cuts_of(_cuttable(stage)).let_go(_holder(self, detail))

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether every directed link carries packets, but those that another cut holds."""
        figures: dict[str, Any] = {}
        what, is_exact = _measured(stage, figures, but=_holder(self, detail))
        return Proof(holds=is_exact, what=what, figures=figures)

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


def _cuttable(stage: Stage) -> Partitionable:
    return cast(Partitionable, stage.cluster)  # refused before set-up if it is not


def _holder(fault: Partition, detail: Mapping[str, Any]) -> tuple[str, int]:
    return fault.name, detail.get("occurrence", -1)


def _measured(
    stage: Stage, figures: dict[str, Any], but: tuple[str, int] | None = None
) -> tuple[str, bool]:
    """Compare the links that carry packets with those that no cut in force holds, but that one's.

    Where cuts come or go meanwhile the comparison says nothing, and is made again.
    """
    cuts = cuts_of(_cuttable(stage))
    before = cuts.in_force(but)
    measured = _cuttable(stage).reachable()
    if cuts.in_force(but) != before:
        return "another cut came or went while the links were probed", False
    return _compare(measured, _all_links(stage) - shapes.cut_links(before), figures)


def _all_links(stage: Stage) -> frozenset[Link]:
    return shapes.links(node.name for node in stage.cluster.nodes)


def _named(link: Link) -> str:
    return f"{link[0]}->{link[1]}"


def _compare(
    measured: Collection[Link], wanted: Collection[Link], figures: dict[str, Any]
) -> tuple[str, bool]:
    """A sentence and whether the matrix is as wanted; the matrix goes into ``figures``."""
    missing, extra = set(wanted) - set(measured), set(measured) - set(wanted)
    figures["reachable"] = [_named(link) for link in sorted(measured)]
    if missing:
        figures["dead_but_wanted"] = [_named(link) for link in sorted(missing)]
    if extra:
        figures["alive_but_cut"] = [_named(link) for link in sorted(extra)]
    if missing or extra:
        return (
            f"{len(missing)} links dead that should work, {len(extra)} work that should not",
            False,
        )
    return f"exactly the {len(wanted)} links that should work do", True


NEMESES = {"partition": Partition}
