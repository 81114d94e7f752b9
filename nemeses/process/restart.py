"""Restart: stop a node's processes as an operator would for an upgrade, and start them again.

What is stopped politely flushes what it holds and hands over what it leads; what it acknowledged
must be there when it comes back, and whoever takes over meanwhile must know of it. The system says
how it is stopped and with which exit statuses it then ends; any other end is a crash, and no proof
of this fault. Roles are stopped in the reverse of the order in which they start. What does not obey
is ended by SIGKILL before it is started again, and then the fault has not bitten. Nor has it where
a process was stopped before it knew of its signals, which the signal itself ends; that is no crash.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from harness.contract.fault import Stage
from harness.contract.node import HasProcesses
from harness.contract.option import SystemOption
from harness.contract.roles import Place, in_waves
from harness.contract.system import Stops
from nemeses.process.ending import EndsProcesses
from nemeses.process.starting import attempt_all, raise_all
from nemeses.targets import TARGETS, places


class Restart(EndsProcesses):
    """A polite stop of each role of the targets (``System.stop``); healed by ``System.start``."""

    name = "restart"
    key = "restart_targets"
    how = "ended politely"
    politely = True
    needs: Sequence[type] = (HasProcesses, Stops)
    options: tuple[SystemOption, ...] = (
        SystemOption(
            name=key,
            kind=str,
            default=",".join(TARGETS),
            words=TARGETS,
            help="whom to stop politely and start again, with commas; or alpha:one for the role"
            " alpha alone",
        ),
    )

    def statuses(self, stage: Stage, role: str) -> Sequence[int]:
        """What the system says."""
        return stage.stop_statuses(role)

    def may_end_with(self, stage: Stage, role: str) -> Sequence[int]:
        """Or as a process does that has no handlers yet; or by SIGKILL, if it did not obey."""
        return (*self.statuses(stage, role), -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL)

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Have the system stop every role on every target, the last started first."""
        self.begin(stage, detail)
        trouble: list[str] = []
        for wave in reversed(in_waves(stage.roles, places(detail, stage))):
            trouble += attempt_all(
                {place: partial(self._stop, stage, place, detail) for place in wave}
            )
        raise_all(trouble)

    def _stop(self, stage: Stage, place: Place, detail: Mapping[str, Any]) -> None:
        named = [
            (role, each) for node, role, each in self.named(stage, detail) if (node, role) == place
        ]
        for _, daemon in named:
            if daemon.alive():
                self.told(daemon)
        try:
            stage.stop(*place)
        finally:
            for role, daemon in named:
                self.note_end(stage, role, daemon)


NEMESES = {"restart": Restart}
