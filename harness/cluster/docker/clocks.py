"""Whether a side-car can set its node's clock, tried in a container."""

from __future__ import annotations

from typing import Any

from harness.cluster.docker.layout import Layout
from harness.cluster.docker.trying import tried
from harness.cluster.hands.machine_clock import REFUSAL
from harness.contract.node import ClockMethod


def refusal(client: Any, layout: Layout, method: ClockMethod) -> str | None:
    """Why the clock of processes in containers cannot be set here, or ``None``. Cost: 1 s."""
    if method == "machine":
        return REFUSAL
    return tried(client, layout, "from hands import clock_probe; clock_probe.main()", "SYS_PTRACE")
