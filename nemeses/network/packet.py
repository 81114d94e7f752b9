"""Packet: links that are slow or lossy, each in one direction, in both, or of some nodes only.

What is done is in :mod:`nemeses.network.behaviours`; to whom, a target word says: all links of
``one`` node, of a ``minority``, of the nodes that lead, of ``all``; ``alpha:one`` is one of a role.
Whether what comes in is hit, what goes out, or both, is drawn. It is proved twice over. The kernel
counts packets *of the database* that met the rules of the links, apart from ours; and datagrams of
ours, sent over every link, are seen to be late, lost, doubled, out of order or harmed on exactly
the links that were meant, and to be whole and in time on the others.

It stands on queues of netfilter on the side where packets come in (:mod:`.hands.queueing`), not on
tc's netem: the same on every kernel, by directed link, with no program, and undone by the kernel
itself when whoever reads the queue dies. Overlapping ones hold links together, and a link that is
cut meanwhile is not asked for proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, cast

from harness.contract.fault import Effects, Proof, Stage
from harness.contract.node import Cluster, Link, Measured, Partitionable, Shapeable
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import System
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.behaviours import BEHAVIOURS, Doing
from nemeses.network.cuts import cuts_of
from nemeses.network.slowing import shapes_of
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

_TARGETS, _BEHAVIOURS = "packet_targets", "packet_behaviors"
IN, OUT, BOTH = "in", "out", "both"
DIRECTIONS = (IN, OUT, BOTH)


class Packet:
    """Directed links made slow or lossy on a :class:`Shapeable` cluster."""

    name = "packet"
    needs = (Shapeable,)
    options = (
        SystemOption(
            name=_BEHAVIOURS,
            kind=str,
            default=",".join(BEHAVIOURS),
            help=f"what links do: a list of {', '.join(BEHAVIOURS)}, each with a figure if wanted:"
            " delay=0.3 (seconds), loss=0.5 (a share), rate=50000 (bytes a second)",
        ),
        SystemOption(
            name=_TARGETS,
            kind=str,
            default=",".join(TARGETS),
            help=f"whose links: a list of {', '.join(TARGETS)}, or alpha:one for the role alpha",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = options.get(_BEHAVIOURS) or ",".join(BEHAVIOURS)
        words = given.split(",") if isinstance(given, str) else list(given)
        flag = "--" + _BEHAVIOURS.replace("_", "-")
        self._doings = [Doing.of(word.strip(), flag) for word in words if word.strip()]
        if not self._doings:
            raise UsageError(f"{flag} is empty", f"one or more of {','.join(BEHAVIOURS)}")
        self._words = choices(options, _TARGETS, TARGETS, "target", roles=True)
        self._roles: dict[str, Sequence[str]] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Keeps which nodes each role has; refuses roles that there are not."""
        check_roles(self._words, _TARGETS, roles)
        self._roles = {role.name: role.nodes for role in roles}

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where packets cannot be held back, or there is no link."""
        if not isinstance(cluster, Shapeable):
            return (
                f"provider {cluster.provider} cannot hold packets back; "
                "--provider local:root, local:userns and docker can"
            )
        if len(cluster.nodes) == 1:
            return "one node has no links"
        return cluster.shape_refusal()

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """What, in which direction, to whom, and the order in which nodes are taken."""
        if len(nodes) < 2:
            raise UsageError("--nemesis packet: one node has no links", "more --nodes")
        return {
            "behaviour": str(rng.choice(self._doings)),
            "direction": rng.choice(DIRECTIONS),
            **plan_targets(self._words, nodes, rng),
        }

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the links of the leaders are meant: who they are is known at the moment only."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """Whose links, and which."""
        aim = Aim.of(plan["target"])
        order = [n for n in plan["order"] if aim.role is None or n in self._roles[aim.role]]
        detail: dict[str, Any] = {"target": plan["target"]}
        if aim.word == PRIMARIES:
            leading, why = current_primaries(stage, aim.role)
            targets = leading or order[:1]
            if not leading:
                detail["fallback"] = why
        else:
            targets = pick(plan, order, len(order))
        links = _links([node.name for node in stage.cluster.nodes], targets, plan["direction"])
        doing = Doing.of(plan["behaviour"], "behaviour")
        way = {IN: "to", OUT: "from", BOTH: "to and from"}[plan["direction"]]
        return sorted(targets), {
            **detail,
            "behaviour": str(doing),
            "links": [list(link) for link in links],
            "what": f"{doing} on links {way} {' '.join(sorted(targets))}",
        }

    def effects(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Effects:
        """The links are slow or lossy, by who hears whom so."""
        slow: dict[str, list[str]] = {}
        for source, target in _own(detail):
            slow.setdefault(target, []).append(source)
        return Effects(slows=slow)

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Shape the links, beside what others hold."""
        shape = _doing(detail).shape()
        held = dict.fromkeys(_own(detail), shape)
        shapes_of(_shapeable(stage)).hold(_holder(detail), held)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether packets of the database met it, and exactly these links show it."""
        counted = _shapeable(stage).shaped()
        met = {link: counted[link]["packets"] for link in _own(detail) if link in counted}
        met = {link: count for link, count in met.items() if count}
        figures: dict[str, Any] = {"packets": {_named(k): n for k, n in sorted(met.items())}}
        if not met:
            return Proof(holds=False, what="no packet of the database met it", figures=figures)
        others = shapes_of(_shapeable(stage)).in_force(but=_holder(detail))
        own, rest = self._asked(stage, detail, others)
        seen = self._measured(stage, detail, [*own, *rest], figures)
        doing = _doing(detail)
        without = [link for link in own if not doing.shows(seen[link])]
        besides = [link for link in rest if not doing.is_gone(seen[link])]
        what = f"{sum(met.values())} packets of the database met {doing}; "
        if without or besides:
            figures["does_not_show_on"] = [_named(link) for link in without]
            figures["shows_also_on"] = [_named(link) for link in besides]
            what += f"it does not show on {len(without)} links, and does on {len(besides)} others"
            return Proof(holds=False, what=what, figures=figures)
        what += f"datagrams show it on exactly the {len(own)} links"
        return Proof(holds=bool(own), what=what, figures=figures)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Let every packet pass at once, but for what others hold."""
        shapes_of(_shapeable(stage)).let_go(_holder(detail))

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether nothing of it shows any more, but on links that others hold."""
        figures: dict[str, Any] = {}
        others = shapes_of(_shapeable(stage)).in_force(but=_holder(detail))
        own, _ = self._asked(stage, detail, others)
        asked = [link for link in own if link not in others]
        seen = self._measured(stage, detail, asked, figures)
        left = [link for link in asked if not _doing(detail).is_gone(seen[link])]
        what = f"{len(left)} of {len(asked)} links still show {_doing(detail)}"
        return Proof(holds=not left, what=what, figures=figures)

    def _asked(
        self, stage: Stage, detail: Mapping[str, Any], others: Mapping[Link, Any]
    ) -> tuple[list[Link], list[Link]]:
        """Its own links, and those that nobody shapes; of both only what no cut holds."""
        cluster: Any = stage.cluster
        cut = frozenset[Link]()
        if isinstance(cluster, Partitionable):
            cut = shapes.cut_links(cuts_of(cluster).in_force())
        own = [link for link in _own(detail) if link not in cut]
        every = shapes.links(node.name for node in stage.cluster.nodes)
        return own, sorted(every - set(_own(detail)) - set(others) - cut)

    def _measured(
        self,
        stage: Stage,
        detail: Mapping[str, Any],
        links: Sequence[Link],
        figures: dict[str, Any],
    ) -> Mapping[Link, Measured]:
        doing = _doing(detail)
        seen = _shapeable(stage).measure(links, doing.count(), doing.wait_s())
        figures["datagrams"] = {_named(link): _told(each) for link, each in sorted(seen.items())}
        return seen


def _links(nodes: Sequence[str], targets: Sequence[str], direction: str) -> list[Link]:
    """The directed links of these nodes that go that way."""
    into = {link for link in shapes.links(nodes) if link[1] in targets}
    out = {link for link in shapes.links(nodes) if link[0] in targets}
    return sorted({IN: into, OUT: out, BOTH: into | out}[direction])


def _told(seen: Measured) -> dict[str, Any]:
    """What matters of a measurement, for the ledger."""
    return {
        "came": f"{seen.came} of {seen.sent}",
        "least_ms": round(seen.least_s * 1e3, 2),
        "median_ms": round(seen.median_s * 1e3, 2),
        "took_ms": round(seen.took_s * 1e3, 1),
        "copies": seen.copies,
        "corrupted": seen.corrupted,
        "overtaken": seen.overtaken,
    }


def _shapeable(stage: Stage) -> Shapeable:
    return cast(Shapeable, stage.cluster)  # refused before set-up if it is not


def _doing(detail: Mapping[str, Any]) -> Doing:
    return Doing.of(detail["behaviour"], "behaviour")


def _own(detail: Mapping[str, Any]) -> list[Link]:
    return [(source, target) for source, target in detail["links"]]


def _holder(detail: Mapping[str, Any]) -> int:
    return int(detail.get("occurrence", -1))


def _named(link: Link) -> str:
    return f"{link[0]}->{link[1]}"


NEMESES = {"packet": Packet}
