"""Kill: end a node's processes with SIGKILL, and start them again on the same data.

A killed process answers nothing, flushes nothing and loses what it kept in memory alone; what
comes back must be what the system promised to keep. With a daemon ends all that it started, in
whatever session or group (PostgreSQL's backends, what was forked twice).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from harness.contract.fault import Stage
from harness.contract.node import Daemon
from harness.contract.option import SystemOption
from nemeses.process.ending import EndsProcesses
from nemeses.process.starting import attempt, raise_all, wait_for_end
from nemeses.targets import TARGETS


class Kill(EndsProcesses):
    """SIGKILL to all that is of each daemon of the targets; healed by ``System.start``."""

    name = "kill"
    key = "kill_targets"
    how = "ended by SIGKILL"
    options = (
        SystemOption(
            name=key,
            kind=str,
            default=",".join(TARGETS),
            words=TARGETS,
            help="whom to kill, with commas; or alpha:one for the role alpha alone",
        ),
    )

    def statuses(self, stage: Stage, role: str) -> Sequence[int]:
        """By SIGKILL, and nothing else."""
        return (-signal.SIGKILL,)

    def inject(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> None:
        """Kill them all at once, then see each one end."""
        self.begin(stage, detail)
        doomed, trouble = self.named(stage, detail), []
        for node, _, daemon in doomed:
            trouble += attempt(node, partial(self._shoot, daemon))
        for node, role, daemon in doomed:
            trouble += attempt(node, partial(wait_for_end, daemon))
            self.note_end(stage, role, daemon)
        raise_all(trouble)

    def _shoot(self, daemon: Daemon) -> None:
        """SIGKILL; noted only if the process lived and the signal went out."""
        was_alive = daemon.alive()
        try:
            daemon.signal(signal.SIGKILL)
        except Exception:
            if daemon.alive():
                raise
            return
        if was_alive:
            self.told(daemon)


NEMESES = {"kill": Kill}
