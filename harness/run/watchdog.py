"""A watchdog over the loop that serves the clients: it notices when the loop stands still.

Everything that limits a client (time-outs, abandoned workers, stop) runs on that loop. A client
that blocks it, say by ``time.sleep`` in a coroutine, stops all of these too, and only something
outside the loop can tell. The loop's heartbeat is counted here, and a thread looks at the count.

The thread adds up only the time that it lived through itself, so that a machine that was
suspended, or a whole process that was stopped, is not taken for a loop that hangs. A client that
holds the interpreter's lock stops this thread as well; that, only another process can see.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

LEAST_LIMIT_S: Final = 10.0
LOOKS_PER_LIMIT: Final = 20


def stall_limit_s(op_timeout_s: float) -> float:
    """How long a loop may stand still: ten seconds, or twice the operations' time-out if longer."""
    return max(LEAST_LIMIT_S, 2 * op_timeout_s)


class Watchdog:
    """Calls ``on_stall(seconds)`` once for every stall of ``limit_s`` or more.

    The loop calls :meth:`beat` again and again while it works, and :meth:`rest` where it stops
    beating on purpose (:class:`harness.run.dispatcher.Dispatcher` does both); before the first
    beat it counts as resting. ``on_stall`` is called in the watchdog's own thread, never on the
    loop, and must not wait for the loop. ``clock`` gives nanoseconds.
    """

    def __init__(
        self,
        limit_s: float,
        on_stall: Callable[[float], None],
        *,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.limit_s = limit_s
        self._on_stall = on_stall
        self._clock = clock
        self._period_s = limit_s / LOOKS_PER_LIMIT
        self._beats = 0
        self._is_resting = True
        self._seen = -1
        self._silent_ns = 0
        self._looked_ns = clock()
        self._is_told = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def beats(self) -> int:
        """How often the loop has beaten."""
        return self._beats

    @property
    def is_resting(self) -> bool:
        """Whether no beat is to be expected now."""
        return self._is_resting

    def beat(self) -> None:
        """The loop lives. Costs next to nothing."""
        self._beats += 1
        self._is_resting = False

    def rest(self) -> None:
        """No beat is to be expected until the next one."""
        self._is_resting = True

    def start(self) -> None:
        """Begin to look, from a thread that does not keep the program from ending."""
        self._looked_ns = self._clock()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Safe twice, and from ``on_stall``."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def look(self) -> None:
        """Compare with the last look; what the thread does twenty times in ``limit_s``."""
        now = self._clock()
        # At most two periods: what goes beyond, this thread did not live through either.
        passed_ns = min(now - self._looked_ns, round(2e9 * self._period_s))
        self._looked_ns = now
        if self._is_resting or self._beats != self._seen:
            self._seen, self._silent_ns, self._is_told = self._beats, 0, False
            return
        self._silent_ns += passed_ns
        if self._silent_ns >= self.limit_s * 1e9 and not self._is_told:
            self._is_told = True
            self._on_stall(self._silent_ns / 1e9)

    def _watch(self) -> None:
        while not self._stop.wait(self._period_s):
            self.look()
