"""A plug-in with the system ``two-faults``: registers that go wrong by two faults in order.

Each node runs a daemon that does nothing, so that it can be killed, paused and restarted for real.
Once a node was killed, the next polite stop (of any node) makes reads stale; ``--shows`` is the
probability that it does. A stop before the kill, and everything else, is harmless. So the smallest
schedule is known, and how often a run of it fails::

    polygraph test two-faults --plugin benchmarks/two_faults.py --nodes 3 --schedule SCHEDULE
    polygraph shrink latest --plugin benchmarks/two_faults.py --parallel 3
    polygraph replay latest --plugin benchmarks/two_faults.py --runs 12
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

from harness.contract.option import SystemOption

_PATH = Path(__file__).parents[1] / "tests" / "toys" / "memory_system.py"
_SPEC = importlib.util.spec_from_file_location("memory_system_for_two_faults", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
memory = sys.modules.setdefault(_SPEC.name, importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(memory)


class TwoFaults(memory.MemorySystem):  # type: ignore[name-defined, misc]
    """Stale after a kill that a polite stop follows."""

    name = "two-faults"
    options = (SystemOption(name="shows", kind=float, default=1.0, help="how often the bug shows"),)

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__({"misbehave": "no"})
        given = options.get("shows")
        self._can_show = SystemRandom().random() < (1.0 if given is None else float(given))
        self._was_killed = False
        self._is_stopped: set[str] = set()

    def start(self, stage: Any, node: Any) -> Sequence[Any]:
        """A daemon; what was not stopped politely before was killed."""
        if stage.daemons[node.name] and node.name not in self._is_stopped:
            self._was_killed = True
        self._is_stopped.discard(node.name)
        return [node.start(["sleep", "infinity"], name="idle")]

    def stop(self, stage: Any, node: Any) -> None:
        """SIGTERM, and the bug."""
        if self._was_killed and self._can_show:
            self.misbehave = "stale"
        self._is_stopped.add(node.name)
        stage.terminate(node.name, 5.0)

    def stop_statuses(self) -> Sequence[int]:
        """As sleep ends."""
        return (-15,)


SYSTEMS = {"two-faults": TwoFaults}
