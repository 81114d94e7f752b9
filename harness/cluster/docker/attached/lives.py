"""The lives of containers that the engine starts and ends: how each ended, and that one began.

A container is the same through many lives; each begins at a time that the engine tells, and it is
the first end after that time that was its end. Both come as events of the engine, which are asked
for from a moment on that lies before the first life that is asked about. So does that somebody has
the engine signal it (``docker stop``, ``restart``, ``kill``), which no fault does.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

_SIGNAL_BASE = 128
_SIGNALLED = range(_SIGNAL_BASE + 1, _SIGNAL_BASE + signal.NSIG)
_NS = 10**9
_ACTIONS = ("die", "kill", "start")
_TIME = re.compile(r"([^.Z+]{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


class Lives:
    """Of the containers ``ids``, from now on. ``on_start`` is called with the id, in a thread."""

    def __init__(self, client: Any, ids: Collection[str], on_start: Callable[[str], None]) -> None:
        self._on_start = on_start
        self._ends: dict[str, list[tuple[int, int]]] = {each: [] for each in ids}
        self._ordered: dict[str, str] = {}
        self._condition = threading.Condition()
        since_ns = time_ns(client.info()["SystemTime"])
        self._stream = client.events(
            since=f"{since_ns // _NS}.{since_ns % _NS:09d}",
            filters={
                "type": "container",
                "container": list(ids),
                "event": ["die", "kill", "start"],
            },
            decode=True,
        )
        threading.Thread(target=self._follow, name="lives", daemon=True).start()

    def status(self, container: str, began_ns: int) -> int | None:
        """How the life that began then ended: exit code, or minus a signal; ``None`` if unknown."""
        with self._condition:
            return self._status(container, began_ns)

    def wait(self, container: str, began_ns: int, timeout_s: float) -> int | None:
        """The same, waited for."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._status(container, began_ns) is not None, timeout_s
            )
            return self._status(container, began_ns)

    def ordered(self, container: str) -> str | None:
        """The signal that somebody had the engine send to it, if anybody did."""
        with self._condition:
            return self._ordered.get(container)

    def close(self) -> None:
        """Follow no longer. Safe twice."""
        with contextlib.suppress(Exception):
            self._stream.close()

    def _status(self, container: str, began_ns: int) -> int | None:
        ends = (status for time, status in self._ends[container] if time >= began_ns)
        return next(ends, None)

    def _follow(self) -> None:
        with contextlib.suppress(Exception):  # the engine is gone: ends stay unknown
            for event in self._stream:
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        container = event["Actor"]["ID"]
        if event["Action"] == "start":
            threading.Thread(target=self._on_start, args=(container,), daemon=True).start()
            return
        if event["Action"] == "kill":
            with self._condition:
                self._ordered[container] = str(event["Actor"]["Attributes"].get("signal"))
            return
        code = int(event["Actor"]["Attributes"].get("exitCode", -1))
        status = _SIGNAL_BASE - code if code in _SIGNALLED else code
        with self._condition:
            self._ends[container].append((int(event["timeNano"]), status))
            self._condition.notify_all()


def time_ns(text: str) -> int:
    """A time as the engine writes it (``2026-11-30T12:00:00.123456789Z``), since 1970."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    whole, fraction, zone = match[1], match[2] or "", match[3].replace("Z", "+00:00")
    seconds = int(datetime.fromisoformat(whole + zone).timestamp())
    return seconds * _NS + int(fraction[:9].ljust(9, "0"))
