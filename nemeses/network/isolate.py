"""Isolate: a leader that is cut off in two steps, first from its peers, then from everybody.

In the second between the steps it still serves: it takes what clients and the nodes of other roles
ask of it, and cannot agree on it with anybody; then it is silent, with that in its hands, while the
others choose another; and when the heal comes (``--isolate-heal-s``) it may hand over what it took.
Which moment is worst depends on what the system tries again and when. So was found that Dgraph's
bank lost money, which no cut in one step showed: healed after 6 s, before a proposal was repeated
at 12 s.

Peers are the other nodes of its role. Everybody is all other nodes, and the clients, who are cut
off at the ports by which they connect; of what a client had asked before, the answer may still
come. It bit when packets of the database ran into both steps, and the links, and who answers a
client, were exactly as the second step has them (:mod:`nemeses.network.proofs`). A heal that comes
before the second step leaves that unproved.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from harness.contract.fault import Proof, Stage
from harness.contract.node import Cluster, CutsClients, CutsPorts, Partitionable
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.shot import Shot
from harness.contract.system import System
from harness.errors import UsageError
from harness.wording import named
from nemeses.network import shapes
from nemeses.network.cuts import cuts_of, together
from nemeses.network.holding import HoldsCut, occurrence_of
from nemeses.network.proofs import (
    cuttable,
    is_of_clients,
    measured,
    no_client_cuts,
    ran_into,
    without_clients,
)
from nemeses.targets import PRIMARIES, Aim, check_roles, choices, current_primaries

_KEY, _SECOND, _HEAL = "isolate_targets", "isolate_second_s", "isolate_heal_s"
KNOWN = (PRIMARIES, "one")
SECOND_S, HEAL_S = 1.0, 6.0


class Isolate(HoldsCut):
    """The links of a leader to its peers cut, then all others and those of clients."""

    name = "isolate"
    needs = (Partitionable, CutsPorts, CutsClients)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=PRIMARIES,
            words=KNOWN,
            help="whom to isolate in two steps: primaries, one; or zero:primaries for a role's",
        ),
        SystemOption(
            name=_SECOND, kind=float, default=SECOND_S, help="the second step comes so much later"
        ),
        SystemOption(
            name=_HEAL,
            kind=float,
            default=None,
            help="healed so long after the first step (default: --nemesis-duration, else "
            f"{HEAL_S:g})",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {_KEY: options.get(_KEY) or PRIMARIES}
        self._words = choices(given, _KEY, KNOWN, "target", roles=True)
        second, heal = options.get(_SECOND), options.get(_HEAL)
        self._second_s = SECOND_S if second is None else _seconds(second, _SECOND)
        self._heal_s = None if heal is None else _seconds(heal, _HEAL)
        if self._heal_s is not None and self._heal_s <= self._second_s:
            raise UsageError(
                f"--isolate-heal-s {self._heal_s:g} comes before the second step "
                f"({self._second_s:g} s), which would never be taken"
            )
        self._roles: dict[str, Sequence[str]] = {}
        self._second: dict[int, _Second] = {}

    def aim(self, roles: Sequence[Role]) -> None:
        """Keeps which nodes each role has; refuses roles that there are not."""
        check_roles(self._words, _KEY, roles)
        self._roles = {role.name: role.nodes for role in roles}

    def lasts_s(self, asked_s: float | None) -> float | None:
        """As long as ``--isolate-heal-s`` says, or by itself :data:`HEAL_S`."""
        return self._heal_s or (HEAL_S if asked_s is None else None)

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where clients cannot be cut off, so that both steps would be one."""
        if len(cluster.nodes) == 1:
            return "one node has no peers"
        return no_client_cuts(cluster, system)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Whom, when the second step comes, and who stands in where nobody leads."""
        if len(nodes) < 2:
            raise UsageError("--nemesis isolate: one node has no peers", "more --nodes")
        order = rng.sample(list(nodes), len(nodes))
        return {"target": rng.choice(self._words), "order": order, "second_s": self._second_s}

    def resolves_late(self, plan: Mapping[str, Any]) -> bool:
        """Where the leaders are meant: who they are is known at the moment only."""
        return Aim.of(plan["target"]).word == PRIMARIES

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """Who leads now, and the grudges of both steps."""
        aim = Aim.of(plan["target"])
        among = [n for n in plan["order"] if aim.role is None or n in stage.role(aim.role).nodes]
        detail: dict[str, Any] = {"target": plan["target"], "second_s": plan["second_s"]}
        alone = among[:1]
        if aim.word == PRIMARIES:
            leading, why = current_primaries(stage, aim.role)
            alone = leading or alone
            if not leading:
                detail["fallback"] = why
        nodes = [node.name for node in stage.cluster.nodes]
        peers = {node: _peers(stage, node, aim.role) for node in alone}
        first = together(
            shapes.isolated([node, *others], [node]) for node, others in peers.items() if others
        )
        second = together([shapes.isolated(nodes, alone), without_clients(stage.system, alone)])
        told = ", ".join(f"{node} from {' '.join(peers[node]) or 'nobody'}" for node in alone)
        return sorted(alone), {
            **detail,
            "first": shapes.as_json(first),
            "grudge": shapes.as_json(together([first, second])),
            "what": f"{told}; after {plan['second_s']:g} s from all nodes and clients",
        }

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """The first step made ready."""
        first = shapes.from_json(detail["first"])
        second = self._second[occurrence_of(detail)] = _Second(self, stage, detail)
        return _First(cuts_of(cuttable(stage)).prepare(self.holder(detail), first), second)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether packets ran into either step, and exactly what is left after the second works."""
        second = self._second.get(occurrence_of(detail))
        if second is None or not second.is_taken:
            trouble = "" if second is None else second.trouble
            return Proof(holds=False, what=f"the second step is not taken{trouble}")
        grudge, figures = shapes.from_json(detail["grudge"]), dict[str, Any]()
        dropped = ran_into(stage, grudge, figures)
        between = sum(count for link, count in dropped.items() if not is_of_clients(link))
        figures["dropped_by_the_first"] = second.dropped_before
        if not between or not sum(second.dropped_before.values()):
            return Proof(
                holds=False, what="no packet has run into one of the steps", figures=figures
            )
        what, is_exact = measured(stage, figures, about=grudge)
        ran = f"{sum(second.dropped_before.values())} packets ran into the first step"
        what = f"{ran}, {sum(dropped.values())} into the second; {what}"
        return Proof(holds=is_exact, what=what, figures=figures)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Take no second step any more, and let go what no other cut holds."""
        second = self._second.get(occurrence_of(detail))
        if second is not None:
            second.give_up()
        super().heal(stage, targets, detail)


class _Second:
    """The second step: taken in a thread of its own, unless the heal comes before it."""

    def __init__(self, fault: Isolate, stage: Stage, detail: Mapping[str, Any]) -> None:
        self._stage, self._holder = stage, fault.holder(detail)
        self._after_s = float(detail["second_s"])
        self._first = shapes.from_json(detail["first"])
        self._grudge = shapes.from_json(detail["grudge"])
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="isolate", daemon=True)
        self.is_taken = False
        self.dropped_before: Mapping[str, int] = {}
        self.trouble = ""

    def start(self) -> None:
        """The first step is taken: wait from now on."""
        self._thread.start()

    def give_up(self) -> None:
        """Return once the step is taken or never will be. Safe twice."""
        self._over.set()
        with self._lock:
            return

    def _run(self) -> None:
        if self._over.wait(self._after_s):
            return
        with self._lock:
            if self._over.is_set():
                return
            try:
                figures: dict[str, Any] = {}
                ran_into(self._stage, self._first, figures)
                cuts_of(cuttable(self._stage)).hold(self._holder, self._grudge)
                self.dropped_before, self.is_taken = figures["dropped"], True
            except Exception as error:  # a provider's own; the proof then says so
                self.trouble = f": {str(error) or named(error)}"


class _First:
    """The first step made ready."""

    def __init__(self, cut: Shot, second: _Second) -> None:
        self._cut, self._second = cut, second

    def fire(self) -> None:
        """Cut the peers off."""
        self._cut.fire()
        self._second.start()

    def settle(self) -> None:
        """Wait until they are."""
        self._cut.settle()


def _peers(stage: Stage, node: str, role: str | None) -> list[str]:
    """The other nodes of that role, or of all that the node holds."""
    roles = [role] if role is not None else stage.roles_on(node)
    held = {other for name in roles for other in stage.role(name).nodes}
    return [each.name for each in stage.cluster.nodes if each.name in held - {node}]


def _seconds(value: Any, key: str) -> float:
    flag = "--" + key.replace("_", "-")
    if not (math.isfinite(float(value)) and 0 < float(value) <= 86400):
        raise UsageError(f"{flag} {value}: must be seconds, more than 0", f"{flag} 6")
    return float(value)


NEMESES = {"isolate": Isolate}
