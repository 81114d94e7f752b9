"""Where the loop that serves the clients is held up: a blocking call in a client that should await.

A client that calls ``time.sleep``, a driver that blocks or a long computation in a coroutine holds
up every other client: completions are recorded late, intervals widen, violations hide. That the
loop is late is measured on the loop (:mod:`harness.run.timers`); *where* can only be seen from
another thread while it is so. This one looks forty times a second at the stack of the loop's
thread. It takes a look for a held-up loop where the loop is inside a client or workload, and

* has not beaten for two periods, and is where it was a look ago, or
* sleeps in the kernel, which a client that awaits never does (on Linux, by
  ``/proc/self/task/TID/syscall``; waits for a lock look like those for the interpreter's own and
  are left to the first rule). So calls that block for a millisecond each are seen as well.

It counts only the time that it lived through itself, like the watchdog. A driver that blocks
without giving up the interpreter's lock stops this thread too, and no one in this process sees it.

Cost: 40 looks a second of some microseconds.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from harness.run import workers
from harness.run.watchdog import Watchdog
from harness.verdict.evidence import BlockingCall
from harness.wording import is_machinery

PERIOD_S: Final = 0.025
TOLD_FROM_S: Final = 0.1
"""Less than this in all is not worth a word."""
_LONGEST_GAP: Final = 2 * PERIOD_S
_LATE_S: Final = 2 * PERIOD_S  # and five beats
_FUTEX: Final = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_SERVE: Final = workers.Worker._serve.__code__


@dataclass(frozen=True)
class HeldUp:
    """A place that held up the loop: ``by`` names client and method, ``at`` file and line."""

    by: str
    at: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.by} ({self.at})"


class Standstill:
    """Looks at the loop of the thread that makes it, while ``watchdog`` says that it must beat."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._loop_thread = threading.get_ident()
        self._kernel = Path(f"/proc/self/task/{threading.get_native_id()}/syscall")
        self._seconds: dict[tuple[str, str], float] = {}
        self._names: dict[tuple[Any, int], tuple[str, str]] = {}
        self._beats = -1
        self._silent_s = 0.0
        self._place: tuple[str, str] | None = None
        self._looked_s = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="standstill", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Safe twice."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def told(self) -> list[HeldUp]:
        """The places that held up the loop for long enough to matter, the worst first."""
        found = [HeldUp(by, at, seconds) for (by, at), seconds in list(self._seconds.items())]
        worth = [each for each in found if each.seconds >= TOLD_FROM_S]
        return sorted(worth, key=lambda each: -each.seconds)

    def now(self) -> str | None:
        """In which client and method the loop is now, in words; ``None`` if in none."""
        place = self._place_of_loop()
        return None if place is None else f"{place[0]} ({place[1]})"

    def look(self) -> None:
        """Look once; what the thread does forty times a second."""
        now_s = time.monotonic()
        passed_s = min(now_s - self._looked_s, _LONGEST_GAP)
        self._looked_s = now_s
        beats, before = self._watchdog.beats, self._place
        self._silent_s = self._silent_s + passed_s if beats == self._beats else 0.0
        self._beats = beats
        self._place = None
        if self._watchdog.is_resting or (self._silent_s < _LATE_S and not self._sleeps()):
            return
        place = self._place = self._place_of_loop()
        if place is not None and (place == before or self._sleeps()):
            self._seconds[place] = self._seconds.get(place, 0.0) + passed_s

    def _watch(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.look()

    def _sleeps(self) -> bool:
        """Whether the kernel has put the loop's thread to sleep, for something but a lock."""
        if _FUTEX is None:
            return False
        try:
            word = self._kernel.read_bytes().split(maxsplit=1)[0]
            return word.isdigit() and int(word) != _FUTEX
        except (OSError, IndexError):
            return False

    def _place_of_loop(self) -> tuple[str, str] | None:
        """Client and method, file and line that the loop is in; ``None`` outside of clients."""
        inward: list[FrameType] = []
        frame = sys._current_frames().get(self._loop_thread)
        while frame is not None and frame.f_code is not _SERVE:
            inward.append(frame)
            frame = frame.f_back
        if frame is None:
            return None
        ours = [each for each in inward if not is_machinery(each.f_code.co_filename)]
        if not ours:
            return None
        innermost, line = ours[0], ours[0].f_lineno
        known = (innermost.f_code, line)
        if known not in self._names:
            by = _named(frame.f_locals.get("client"), ours)
            self._names[known] = (by, f"{innermost.f_code.co_filename}:{line}")
        return self._names[known]


def _named(client: Any, inward: list[FrameType]) -> str:
    """``PgClient.read, in Connection.recv``: the client's method, and what it had called."""
    kind = type(client)
    methods = [each for each in reversed(inward) if hasattr(kind, each.f_code.co_name)]
    method = (methods or inward[-1:])[0].f_code
    name = method.co_qualname if not methods else f"{kind.__name__}.{method.co_name}"
    last = inward[0].f_code
    return name if last is method else f"{name}, in {last.co_qualname}"


class LoopWatch:
    """What watches the loop of the thread that makes it: for standing still, and where."""

    def __init__(self, limit_s: float, on_stall: Callable[[float], None]) -> None:
        self.watchdog = Watchdog(limit_s, on_stall)
        self._standstill = Standstill(self.watchdog)

    def start(self) -> None:
        """Begin to watch."""
        self.watchdog.start()
        self._standstill.start()

    def stop(self) -> None:
        """Watch no more. Safe twice."""
        self.watchdog.stop()
        self._standstill.stop()

    def place(self) -> str:
        """``" in CLIENT.METHOD (FILE:LINE)"``, where the loop is now; empty if in no client."""
        place = self._standstill.now()
        return f" in {place}" if place else ""

    def blocking_calls(self) -> list[BlockingCall]:
        """The calls in clients that held up the loop, the worst first."""
        return [
            {"by": call.by, "at": call.at, "seconds": round(call.seconds, 3)}
            for call in self._standstill.told()
        ]
