"""Member: a node is taken out of the cluster for good, and joins again as a new one with no data.

The others are asked to remove it, and it is stopped. The heal removes what it kept and has it join
in one of the ways that the system knows: as a voter at once, or as a learner that is promoted when
it has caught up. So majorities change while clients work, and what was acknowledged by a majority
must be known to every later one. It bit when the cluster's own word is that the node is no member,
and its processes ended as they do when they are stopped; healed is that it is a voter again and
runs.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, cast

from harness.contract.fault import Proof, Stage
from harness.contract.node import Cluster, HasProcesses, RunsAlready
from harness.contract.operating import VOTER, Members
from harness.contract.option import SystemOption
from harness.contract.system import Stops, System
from harness.errors import UsageError, unknown_name
from nemeses.process.restart import Restart
from nemeses.process.rolling import only
from nemeses.process.starting import start_again
from nemeses.targets import PRIMARIES, choices, places

_KEY, _WAYS = "member_targets", "member_ways"
KNOWN = ("one", PRIMARIES)
LEAVE_S, JOIN_S, ASK_S = 10.0, 40.0, 2.0
_LEAST_NODES = 3


class Member(Restart):
    """A member removed; healed by one that joins in its place."""

    name = "member"
    key = _KEY
    how = "ended, no member any more"
    needs = (HasProcesses, Stops, Members)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default=",".join(KNOWN),
            words=KNOWN,
            help="who is removed and joins again, with commas",
        ),
        SystemOption(
            name=_WAYS,
            kind=str,
            default=None,
            help="how it joins: a list of the system's ways (etcd: voter, learner; default: all)",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        words = choices({_KEY: options.get(_KEY) or KNOWN}, _KEY, KNOWN, "target")
        super().__init__({_KEY: words})
        given = options.get(_WAYS) or ""
        ways = given.split(",") if isinstance(given, str) else given
        self._ways = [word.strip() for word in ways if word.strip()]

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where the system knows no members, or they are somebody else's."""
        if not isinstance(system, Members):
            return f"{system.name} does not say how members are removed and added (Members)"
        if isinstance(cluster, RunsAlready):
            return "members of a cluster that runs already are not removed: their data would go"
        for way in self._ways:
            if way not in system.member_ways():
                return f"--member-ways: {unknown_name('way', way, list(system.member_ways()))}"
        return super().refusal(cluster, system)

    def plan(self, nodes: Sequence[str], rng: Random) -> dict[str, Any]:
        """Whom, and how it joins (where that is not said, as a number)."""
        if len(nodes) < _LEAST_NODES:
            raise UsageError("--nemesis member: two nodes cannot spare one", "--nodes 3 or more")
        plan = super().plan(nodes, rng)
        way = {"way": rng.choice(self._ways)} if self._ways else {"number": rng.randrange(1 << 30)}
        return {**plan, **way}

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """One node that runs, its processes, and how it will join."""
        targets, detail = super().resolve(plan, stage)
        ways = list(_system(stage).member_ways())
        way = plan.get("way") or ways[plan["number"] % len(ways)]
        target = targets[:1]
        told = f"{' '.join(target) or 'nobody'} leaves, and joins as a {way}"
        parts = [only(detail, node) for node in target]
        return target, {**detail, **(parts[0] if parts else {}), "way": way, "what": told}

    def may_end_with(self, stage: Stage, role: str) -> Sequence[int]:
        """As it is stopped, or by SIGKILL if it did not obey."""
        return (*self.statuses(stage, role), -signal.SIGTERM, -signal.SIGKILL)

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Have it removed, then stop what still runs of it."""
        for _, _, daemon in self.named(stage, detail):
            if daemon.alive():
                self.told(daemon)
        for node in targets:
            _system(stage).remove_member(stage, stage.cluster.node(node), LEAVE_S)
        super().inject(stage, targets, detail)

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether it is no member any more, and has ended."""
        ended = super().bit(stage, targets, detail)
        members = dict(_system(stage).members(stage, ASK_S))
        still = [node for node in targets if node in members]
        told = f"members are {' '.join(sorted(members))}"
        figures = {**ended.figures, "members": members}
        holds = ended.holds and not still
        return Proof(holds=holds, what=f"{told}; {ended.what}", figures=figures)

    def heal(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Have it join; where it was never removed, have it run."""
        members = dict(_system(stage).members(stage, ASK_S))
        for node in targets:
            if members.get(node) == VOTER:
                start_again(stage, detail, self._told)
            else:
                _system(stage).add_member(stage, stage.cluster.node(node), detail["way"], JOIN_S)
        for named in places(detail, stage).values():
            for process in named:
                stage.note_spared(process)

    def healed(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether it is a voter, and runs."""
        runs = super().healed(stage, targets, detail)
        members = dict(_system(stage).members(stage, ASK_S))
        missing = [node for node in targets if members.get(node) != VOTER]
        told = f"no voter: {' '.join(missing)}" if missing else "every target is a voter"
        figures = {**runs.figures, "members": members}
        return Proof(holds=runs.holds and not missing, what=f"{told}; {runs.what}", figures=figures)


def _system(stage: Stage) -> Members:
    return cast(Members, stage.system)  # refused before set-up if it is not


NEMESES = {"member": Member}
