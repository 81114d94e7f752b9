"""Power: a node loses its power. Its processes end at once, and with them what nobody synced.

A killed process loses what it kept in memory; what it had written is the kernel's, and is written
out. Without power that is lost, too: of every file what was not synced, of every folder the names
that were not. So this fault finds what ``kill`` cannot: an acknowledgement given before ``fsync``
returned. It takes a disk of its own for each node (``Disk``), and hits whole nodes.

All processes of a node end by SIGKILL; when they have, the disk takes back what it was not asked
to keep, and is mounted anew. So the power is lost when the last process has ended, a few
milliseconds after the first one was told to: what one of them synced meanwhile is kept. Proof of
bite, beside the ends: on every node, every time, a page that we had synced is there, and one that
we had written and not synced is not. Healed is what was started again, as after ``kill``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from harness.contract.fault import Proof, Stage
from harness.contract.node import Cluster, Disk, HasProcesses
from harness.contract.option import SystemOption
from harness.contract.shot import Shot, shoot
from harness.contract.system import System
from harness.errors import NodeError
from nemeses.disk.disks import disk_of, no_disks
from nemeses.process.kill import Kill
from nemeses.process.starting import END_S, attempt_all, raise_all, starting_of
from nemeses.targets import TARGETS, choices, live_daemons, processes

_POLL_S = 0.02


class Power(Kill):
    """No power for the targets; healed by ``System.start`` on what their disks had kept."""

    name = "power"
    key = "power_targets"
    needs = (HasProcesses, Disk)
    options = (
        SystemOption(
            name=key,
            kind=str,
            default=",".join(TARGETS),
            words=TARGETS,
            help="which nodes lose their power, with commas",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._words = choices(options, self.key, TARGETS, "target")
        self._found: dict[int, dict[str, Mapping[str, Any]]] = {}

    def refusal(self, cluster: Cluster, system: System) -> str | None:
        """Also where nodes can have no disks of their own."""
        return super().refusal(cluster, system) or no_disks(cluster)

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """Whom to end, looked up."""
        return _Outage(self, stage, targets, detail, super().prepare(stage, targets, detail))

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """End them all at once, then have their disks forget."""
        shoot(self.prepare(stage, targets, detail))

    def bit(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Proof:
        """Whether all ended, and of our two pages on each disk exactly the synced one is left."""
        ends = super().bit(stage, targets, detail)
        found = self._found.get(_occurrence(detail), {})
        right = [node for node, told in found.items() if told["kept"] and told["gone"]]
        lost = {node: told["lost"] for node, told in found.items()}
        files = sum(told["files"] for told in lost.values())
        pages = sum(told["pages"] for told in lost.values())
        what = (
            f"{ends.what}; of two pages of ours exactly the synced one is left on {len(right)} of"
            f" {len(targets)} disks; of the system's {files} files lost {pages} pages"
        )
        return Proof(
            holds=ends.holds and set(right) == set(targets),
            what=what,
            figures={**ends.figures, "lost": lost},
        )

    def note_loss(self, detail: Mapping[str, Any], node: str, told: Mapping[str, Any]) -> None:
        """Keep what a disk lost."""
        self._found.setdefault(_occurrence(detail), {})[node] = told


class _Outage:
    """The processes of nodes about to be killed, and what their disks hold."""

    def __init__(
        self,
        power: Power,
        stage: Stage,
        targets: Sequence[str],
        detail: Mapping[str, Any],
        volley: Shot,
    ) -> None:
        self._power, self._stage, self._targets = power, stage, targets
        self._detail, self._volley = detail, volley

    def fire(self) -> None:
        """Send every node its signals."""
        self._volley.fire()

    def settle(self) -> None:
        """See each process end, then each disk lose what it has not kept."""
        self._volley.settle()
        steps = {(node, ""): partial(self._cut, node) for node in self._targets}
        raise_all(attempt_all(steps))

    def _cut(self, node: str) -> None:
        """Nothing is started there meanwhile, and nothing runs: both would meet a dead disk."""
        stage = self._stage
        with ExitStack() as stack:
            for role in stage.roles_on(node):
                stack.enter_context(starting_of(stage, (node, role)))
            self._wait_until_nothing_runs(node)
            told = disk_of(stage, node).lose_power()
        self._power.note_loss(self._detail, node, told)

    def _wait_until_nothing_runs(self, node: str) -> None:
        named = {identity for of, identity in processes(self._detail) if of == node}
        deadline = time.monotonic() + END_S
        while others := [
            each for each in live_daemons(self._stage, node) if each.identity not in named
        ]:
            if time.monotonic() > deadline:
                names = ", ".join(each.name for each in others)
                raise NodeError(
                    f"{node}: another fault started or stops {names}, so the power stays"
                )
            time.sleep(_POLL_S)


def _occurrence(detail: Mapping[str, Any]) -> int:
    return int(detail.get("occurrence", -1))


NEMESES = {"power": Power}
