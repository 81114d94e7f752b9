"""What a run does beside its clients: it lives its fault schedule, and observes the system.

All of it works in threads of its own. The schedule stands in the run's folder from the start of the
operations, and again at their end with what happened to each occurrence.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.confidential import without_secrets
from harness.contract.fault import Stage
from harness.contract.theirs import TellsTrouble
from harness.errors import cannot_write
from harness.evidence.metrics import NAME as METRICS
from harness.evidence.metrics import MetricWatch
from harness.evidence.milestones import NAME as MILESTONES
from harness.evidence.milestones import Milestone, MilestoneWatch
from harness.history.ledger import NAME as LEDGER
from harness.history.ledger import Ledger, LedgerEntry
from harness.linux import kernel
from harness.run.events import Events
from harness.run.injection import Limits
from harness.run.lines import Lines, Record
from harness.run.nemesis import Nemesis
from harness.run.preparation import Parts
from harness.run.schedule import AfterMilestone, Schedule
from harness.run.schedule_file import NAME as SCHEDULE
from harness.run.schedule_file import text_of

SWITCH_S = 0.0005
"""A thread that computes gives way to one that waits after so long; Python's own is 5 ms."""


@dataclass
class Beside:
    """``record`` puts an operation into the history, ``now`` is its clock; any thread."""

    parts: Parts
    stage: Stage
    run_dir: Path
    limits: Limits
    events: Events
    record: Record
    now: Callable[[], int]

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.run_dir / LEDGER, self.now, self._tell_fault)
        schedule = self.parts.schedule or Schedule(seed=self.parts.scenario.seed, occurrences=())
        self.schedule = schedule
        self.nemesis = Nemesis(self.parts.faults, self.stage, self.ledger, self.limits)
        self._lines = Lines(
            schedule,
            self.nemesis,
            self.record,
            self.now,
            self.parts.scenario.time_limit,
            self.parts.faults,
        )
        self._milestones = MilestoneWatch(
            self.run_dir / "evidence" / MILESTONES,
            self.parts.system,
            self.stage.cluster,
            self.now,
            self._reached,
            self._warn,
            is_awaited=any(isinstance(e.begin, AfterMilestone) for e in schedule.occurrences),
        )
        evidence = self.run_dir / "evidence"
        self._metrics = MetricWatch(evidence / METRICS, self.stage, self.now, self._warn)
        self._is_closed = False
        if isinstance(self.stage.cluster, TellsTrouble):
            self.stage.cluster.on_trouble(self._troubled)

    def entries(self) -> list[LedgerEntry]:
        """What the ledger holds by now."""
        return self.ledger.entries

    def sample(self) -> None:
        """Begin to sample what the nodes tell of themselves, before the operations. Blocks."""
        self._metrics.start()

    def settle(self, is_stopped: Callable[[], bool]) -> None:
        """The load is over and all is healed: wait for what is promised of the quiet. Blocks."""
        self._metrics.settle(is_stopped)

    def start(self) -> None:
        """The operations begin now."""
        self._write_schedule(None)
        if self._milestones.is_awaited:
            be_prompt()
        self._milestones.start()
        if self.schedule.occurrences:
            self._lines.start()

    def halt(self) -> None:
        """Begin no fault any more. Any thread."""
        self._lines.halt()

    async def end_faults(self, stopped: asyncio.Event) -> None:
        """Begin no fault any more and wait for steps under way, not long if the run is stopped."""
        hurry_s = self.parts.scenario.op_timeout
        await self._lines.close(self.limits.call_s, stopped, hurry_s)
        for what in self._lines.trouble:
            self._warn(what)
        self._lines.trouble.clear()

    async def heal_all(self) -> list[str]:
        """Heal what is still open; a sentence for each that could not be healed."""
        left = await self.nemesis.heal_all()
        for message in left:
            self._warn(f"not healed: {message}")
        return left

    def close(self) -> None:
        """The run is over: observe no more, and say what happened. Blocks; safe twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._milestones.stop()
        self._metrics.stop()
        self._write_schedule(self._lines.happened())

    def milestones(self) -> dict[str, int]:
        """How often each declared milestone was reached by now."""
        return self._milestones.reached()

    def _reached(self, milestone: Milestone) -> None:
        self._lines.reached(milestone.name, milestone.node, milestone.time)
        detail = {key: value for key, value in milestone.detail.items() if key != "line"}
        told = " ".join(f"{key}={value}" for key, value in detail.items())
        self.events.note(f"milestone {milestone.name}: {told}", node=milestone.node)

    def _troubled(self, node: str, what: str) -> None:
        self.nemesis.troubled(node, what)
        self._warn(f"{node}: {what}")

    def _tell_fault(self, entry: LedgerEntry) -> None:
        facts = {"id": entry.id, "fault": entry.fault, "targets": entry.targets}
        self.events.emit("fault", entry.time, what=entry.event, **facts)

    def _warn(self, message: str) -> None:
        self.events.emit("warning", self.now(), message=message)

    def _write_schedule(self, happened: list[dict[str, Any]] | None) -> None:
        if not self.schedule.occurrences:
            return
        path = self.run_dir / SCHEDULE
        try:
            path.write_text(without_secrets(text_of(self.schedule, happened)), encoding="utf-8")
        except OSError as error:
            self._warn(cannot_write(f"cannot write {path}", error).message)


def be_prompt() -> None:
    """Have the threads of this process wait less for each other and for a busy machine.

    For the sake of faults that strike within milliseconds of something; a thread that computes is
    interrupted more often for that.
    """
    sys.setswitchinterval(SWITCH_S)
    kernel.take_short_turns(children_too=True)
