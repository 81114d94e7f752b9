"""Upgrade: one node after another gets the other build, each ready before the next.

As a rolling restart, but that each node starts as another build than it stopped: the second
(``--binary-b``) while any of the targets is not that one, and at the next time the first again, a
downgrade. In between the cluster is mixed, for as long as the roll takes. A system that takes no
downgrade wants a schedule with one of these. It bit when two nodes ended politely, run again,
tell the version that they were to become, and the system was ready after each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from harness.contract.fault import Proof, Stage
from harness.contract.node import Cluster, HasProcesses, RunsAlready
from harness.contract.operating import Builds
from harness.contract.option import SystemOption
from harness.contract.system import Stops, System
from nemeses.process.rolling import RollingRestart
from nemeses.targets import TARGETS

_KEY = "upgrade_targets"
_ASK_S: Final = 2.0
FIRST, SECOND = "a", "b"


class Upgrade(RollingRestart):
    """Each of the targets stopped, given the other build, and started."""

    name = "upgrade"
    key = _KEY
    how = "ended politely, one after another"
    needs = (HasProcesses, Stops, Builds)
    options = (
        SystemOption(
            name=_KEY,
            kind=str,
            default="all",
            words=TARGETS,
            help="which nodes get the other build (--binary-b) one after another, with commas",
        ),
    )

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Where there is no other build, or it is not ours to start."""
        if not isinstance(system, Builds):
            return f"{system.name} does not say that its nodes may run another build (Builds)"
        if SECOND not in system.builds():
            return f"there is one build of {system.name} only; --binary-b gives another"
        if isinstance(cluster, RunsAlready):
            return "what runs already is started by whoever runs it, as the build that it is"
        return super().refusal(cluster, system)

    def resolve(self, plan: Mapping[str, Any], stage: Stage) -> tuple[list[str], dict[str, Any]]:
        """The targets that run now, and which build they get."""
        targets, detail = super().resolve(plan, stage)
        system = _system(stage)
        build = SECOND if any(system.build_of(node) != SECOND for node in targets) else FIRST
        version = system.builds()[build]
        what = f"{detail['what']} to {version}"
        return targets, {**detail, "build": build, "version": version, "what": what}

    def between(self, stage: Stage, node: str, detail: Mapping[str, Any]) -> None:
        """It has the other build from its next start on."""
        _system(stage).use_build(node, detail["build"])

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether two nodes went through, and tell the version that they were to become."""
        rolled = super().bit(stage, targets, detail)
        system = _system(stage)
        told = {
            node: system.running_version(stage.cluster.node(node), _ASK_S)
            for node in rolled.figures["through"]
        }
        wrong = [node for node, version in told.items() if version != detail["version"]]
        what = f"{rolled.what}; of these {len(told) - len(wrong)} are {detail['version']}"
        figures = {**rolled.figures, "versions": told}
        return Proof(holds=rolled.holds and not wrong, what=what, figures=figures)


def _system(stage: Stage) -> Builds:
    return cast(Builds, stage.system)  # refused before set-up if it is not


NEMESES = {"upgrade": Upgrade}
