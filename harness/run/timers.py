"""Time on the loop that serves the clients: an alarm, a heartbeat, and how late the loop is.

Nothing here trusts a timer to be punctual: whoever is woken compares with the clock, and the
lateness is measured, because it widens the intervals of operations (an answer that had come had
to wait) and so hides what the run looks for. Health judges its 99th percentile.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable

from harness.generator.core import NS_PER_S

HEARTBEAT_S = 0.010


class Alarm:
    """Calls ``ring`` at the soonest of the times that were asked for.

    One timer however many operations wait: at high rates all that are due are let go together.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at_ns = 0

    def set(self, at_ns: int, now_ns: int) -> None:
        """Ring at ``at_ns`` at the latest; one that is set for sooner is kept."""
        if self._timer is not None:
            if self._at_ns <= at_ns:
                return
            self._timer.cancel()
        self._at_ns = at_ns
        self._timer = self._loop.call_later((at_ns - now_ns) / NS_PER_S, self._rings)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self._timer = None
        self._ring()


class Heartbeat:
    """Calls ``beat`` every ten milliseconds, and measures how late it is called."""

    def __init__(self, loop: asyncio.AbstractEventLoop, beat: Callable[[], None]) -> None:
        self._loop = loop
        self._beat = beat
        self._late_ms = array("f")
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0

    def start(self) -> None:
        """Beat from now on."""
        self._due_ns = time.monotonic_ns() + round(HEARTBEAT_S * NS_PER_S)
        self._timer = self._loop.call_later(HEARTBEAT_S, self._beats)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beats(self) -> None:
        self._late_ms.append(max(0, time.monotonic_ns() - self._due_ns) / 1e6)
        self.start()  # first, so that a beat that stops the heart does stop it
        self._beat()

    def lag_ms(self) -> dict[str, float]:
        """``p50``, ``p99`` and ``max`` of the lateness; 0 before the first beat."""
        ordered = sorted(self._late_ms)
        if not ordered:
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        last = len(ordered) - 1
        return {
            "p50": round(ordered[last // 2], 3),
            "p99": round(ordered[last * 99 // 100], 3),
            "max": round(ordered[last], 3),
        }
