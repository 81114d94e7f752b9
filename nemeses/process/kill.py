"""Kill: end a node's processes with SIGKILL, and start them again on the same data.

A killed process answers nothing, flushes nothing and loses what it kept in memory alone; what
comes back must be what the system promised to keep. With a daemon ends all that it started, in
whatever session or group (PostgreSQL's backends, what was forked twice).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from harness.contract.fault import Stage
from harness.contract.node import Daemon
from harness.contract.option import SystemOption
from harness.contract.shot import Shot, shoot
from nemeses.process.ending import EndsProcesses
from nemeses.process.starting import attempt, raise_all, wait_for_end
from nemeses.targets import TARGETS, prepare_signal


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
        shoot(self.prepare(stage, targets, detail))

    def prepare(self, stage: Stage, targets: Sequence[str], detail: Mapping[str, Any]) -> Shot:
        """Whom to kill, looked up."""
        return _Volley(self, stage, detail)


class _Volley:
    """SIGKILL to every process that the ledger names, made ready."""

    def __init__(self, kill: Kill, stage: Stage, detail: Mapping[str, Any]) -> None:
        self._kill, self._stage, self._detail = kill, stage, detail
        self._doomed = kill.named(stage, detail)
        self._shots = [prepare_signal(daemon, signal.SIGKILL) for _, _, daemon in self._doomed]
        self._sent: list[Callable[[], bool]] = []
        self._trouble: list[str] = []

    def fire(self) -> None:
        """Send every node its signals."""
        self._kill.begin(self._stage, self._detail)
        for (node, _, _), send in zip(self._doomed, self._shots, strict=True):
            self._trouble += attempt(node, partial(self._send, send))

    def settle(self) -> None:
        """See each one end."""
        trouble = self._trouble
        for (node, _, daemon), was_alive in zip(self._doomed, self._sent, strict=False):
            trouble += attempt(node, partial(self._note, daemon, was_alive))
        for node, role, daemon in self._doomed:
            trouble += attempt(node, partial(wait_for_end, daemon))
            self._kill.note_end(self._stage, role, daemon)
        raise_all(trouble)

    def _send(self, send: Callable[[], Callable[[], bool]]) -> None:
        self._sent.append(lambda: False)
        self._sent[-1] = send()

    def _note(self, daemon: Daemon, was_alive: Callable[[], bool]) -> None:
        """Only what lived when the signal went out was told to end."""
        if was_alive():
            self._kill.told(daemon)


NEMESES = {"kill": Kill}
