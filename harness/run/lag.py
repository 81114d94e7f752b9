"""How late the event loop is: the harness must not widen the intervals that it measures.

A callback is due every ten milliseconds; how late it runs is how long everything else on the
loop (an answer that had come, say) had to wait. Health judges the 99th percentile.
"""

from __future__ import annotations

import time
from array import array


class LagMeter:
    """Collects latenesses in milliseconds; four bytes each."""

    def __init__(self) -> None:
        self._late_ms = array("f")
        self._due_ns = 0

    def expect(self, in_s: float) -> None:
        """A callback is due ``in_s`` seconds from now."""
        self._due_ns = time.monotonic_ns() + round(in_s * 1e9)

    def arrived(self) -> None:
        """The callback that was due runs now."""
        self._late_ms.append(max(0, time.monotonic_ns() - self._due_ns) / 1e6)

    def figures(self) -> dict[str, float]:
        """``p50``, ``p99`` and ``max`` in milliseconds; 0 before the first sample."""
        ordered = sorted(self._late_ms)
        if not ordered:
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        last = len(ordered) - 1
        return {
            "p50": round(ordered[last // 2], 3),
            "p99": round(ordered[last * 99 // 100], 3),
            "max": round(ordered[last], 3),
        }
