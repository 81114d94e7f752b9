"""The run's stream of events: JSON lines from the run process to whoever shows them.

``{"event": "phase|progress|fault|warning|verdict|end", "time_ns": n, ...}``; ``end`` carries
``exit``. A front that went away is no reason for the run to fail, so a broken stream is silent:
what matters stands in the run's folder. Nor does one that was stopped (Ctrl-Z) hold the run up: of
the progress it gets what fits into the pipe.
"""

from __future__ import annotations

import json
import os
import select
import threading
from typing import Any, Literal

Event = Literal["phase", "progress", "fault", "warning", "verdict", "end"]


class Events:
    """Writes events to a file descriptor (``None``: nowhere). Safe from any thread."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def emit(self, event: Event, time_ns: int, **facts: Any) -> None:
        """Send one event; each is one ``write`` so that lines never mix.

        Progress is left out where nobody reads.
        """
        line = json.dumps({"event": event, "time_ns": time_ns, **facts}, default=str) + "\n"
        with self._lock:
            if self._fd is None:
                return
            try:
                if event == "progress" and not _has_room(self._fd):
                    return
                data = line.encode()
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                self._fd = None


def _has_room(fd: int) -> bool:
    """Whether a line can be written without waiting (a pipe says so while a page is free)."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))
