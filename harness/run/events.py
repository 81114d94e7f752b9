"""The run's stream of events: JSON lines from the run process to whoever shows them.

``{"event": "phase|progress|fault|warning|verdict|end", "time_ns": n, ...}``; ``end`` carries
``exit``. A front that went away is no reason for the run to fail, so a broken stream is silent:
what matters stands in the run's folder.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any, Literal

Event = Literal["phase", "progress", "fault", "warning", "verdict", "end"]


class Events:
    """Writes events to a file descriptor (``None``: nowhere). Safe from any thread."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def emit(self, event: Event, time_ns: int, **facts: Any) -> None:
        """Send one event; each is one ``write`` so that lines never mix."""
        line = json.dumps({"event": event, "time_ns": time_ns, **facts}, default=str) + "\n"
        with self._lock:
            if self._fd is None:
                return
            try:
                data = line.encode()
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:
                self._fd = None
