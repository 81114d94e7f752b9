"""Whether the clocks of nodes on this machine can be set, tried before anything is set up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.cluster.hands.machine_clock import REFUSAL
from harness.contract.node import ClockMethod

_PROBE = "import sys; sys.path.append(sys.argv[1]); import harness.cluster.hands.clock_probe as p"
_TIMEOUT_S = 20.0


def refusal_on_this_machine(method: ClockMethod) -> str | None:
    """Why the clock of processes here cannot be set, or ``None``. Cost: 0.05 s."""
    if method == "machine":
        return REFUSAL
    root = Path(__file__).resolve().parents[2]
    argv = [sys.executable, "-I", "-S", "-c", f"{_PROBE}; p.main()", str(root)]
    try:
        probe = subprocess.run(argv, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"a child whose clock was set did not tell the time in {_TIMEOUT_S:g} s"
    if probe.returncode != 0:
        return f"the probe failed: {probe.stderr.decode(errors='replace').strip()[-300:]}"
    return probe.stdout.decode() or None
