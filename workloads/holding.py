"""Transactions that are held open: pauses between their steps, for a share of them.

A transaction that is never open for long cannot see what a database does to one that is, while
others delete, compact or roll up (:mod:`workloads.micro_operations` has the figures). The pauses
stand beside an invocation's value; what carries the operation out waits before each step.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from msgspec.structs import replace

from harness.contract.workload import WorkloadOptions
from harness.generator import Random
from harness.history.operation import Operation
from workloads.kit import seconds, share
from workloads.micro_operations import PAUSES, pauses_of

HELD_SHARE = share("held_share", 0.02, "share of transactions that are held open between steps")
HELD_S = seconds(
    "held_s", 2.0, "the longest that a held transaction pauses in all (keep it below --op-timeout)"
)
OPTIONS = (HELD_SHARE, HELD_S)


@dataclass(frozen=True)
class Holding:
    """Which share is held, and for how long at most."""

    share: float
    longest_s: float

    @classmethod
    def of(cls, options: WorkloadOptions, workload: str) -> Holding:
        """As the options say."""
        return cls(HELD_SHARE.of(options, workload), HELD_S.of(options, workload))

    def some(self, operation: Operation, steps: int, random: Random) -> Operation:
        """``operation``, of so many steps, or the same with pauses; before its first never one.

        Draws after whatever else is drawn for it, so that a share of 0 asks what it always asked.
        """
        if steps < 2 or random.random() >= self.share:
            return operation
        parts = [random.random() for _ in range(steps - 1)]
        scale = self.longest_s * random.random() / (sum(parts) or 1.0)
        pauses = [0.0, *(round(part * scale, 3) for part in parts)]
        return replace(operation, extra={**(operation.extra or {}), PAUSES: pauses})


async def pause_before(step: int, operation: Operation) -> None:
    """Wait as long as ``operation`` is to be held before that step, if it is."""
    pauses = pauses_of(operation)
    if step < len(pauses) and pauses[step] > 0:
        await asyncio.sleep(pauses[step])
