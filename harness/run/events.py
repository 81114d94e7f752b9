"""The run's stream of events: JSON lines from the run process to whoever shows them.

``{"event": "phase|progress|fault|warning|verdict|end", "time_ns": n, ...}``; ``end`` carries
``exit``. A front that went away is no reason for the run to fail, so a broken stream is silent:
what matters stands in the run's folder. Nor does one that was stopped (Ctrl-Z) hold the run up: of
the progress it gets what fits into the pipe. All but the progress is also kept in ``run.log``.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from harness.confidential import cleared
from harness.store.run_log import RunLog

Event = Literal["phase", "progress", "fault", "warning", "verdict", "end"]
AFTERWARDS: Final = ("report", "teardown")
"""Phases that come also where the run ended in another one."""


class Events:
    """Writes events to a file descriptor (``None``: nowhere). Safe from any thread.

    ``phase`` is the name of the last one that was told, :data:`AFTERWARDS` apart.
    """

    def __init__(self, fd: int | None, log: RunLog | None = None) -> None:
        self.phase = ""
        self._fd = fd
        self._log = log
        self._lock = threading.Lock()

    def have_clock(self, clock: Callable[[], int]) -> None:
        """From now on there is a history, whose clock this is."""
        if self._log is not None:
            self._log.clock = clock

    def note(self, words: object, *, node: str = "-") -> None:
        """Say something in ``run.log`` alone."""
        if self._log is not None:
            self._log.write(words, node=node)

    def note_error(self, error: BaseException) -> None:
        """Keep an exception with its traceback in ``run.log``."""
        if self._log is not None:
            self._log.error(error)

    def emit(self, event: Event, time_ns: int, **facts: Any) -> None:
        """Send one event; each is one ``write`` so that lines never mix.

        Progress is left out where nobody reads.
        """
        facts = cleared(facts)
        if event == "phase" and facts.get("name") not in AFTERWARDS:
            self.phase = str(facts.get("name"))
        if self._log is not None and event != "progress":
            node, words = _in_words(event, facts)
            self._log.write(words, node=node)
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


def _in_words(event: Event, facts: Mapping[str, Any]) -> tuple[str, str]:
    """The node that an event is about, if it is about one, and what it says."""
    if event == "phase":
        return "-", f"phase {facts.get('name')}"
    if event == "fault":
        targets = [str(target) for target in facts.get("targets") or ()]
        what = f"fault {facts.get('id')} {facts.get('fault')}: {facts.get('what')}"
        one = targets[0] if len(targets) == 1 else "-"
        return one, f"{what} ({', '.join(targets)})" if targets else what
    if event == "verdict":
        verdict = facts.get("verdict") or {}
        return "-", f"verdict {verdict.get('valid')}: {verdict.get('why')}"
    if event == "end":
        return "-", f"end: exit {facts.get('exit')} {facts.get('message') or ''}".rstrip()
    return "-", f"{event}: {facts.get('message')}"


def _has_room(fd: int) -> bool:
    """Whether a line can be written without waiting (a pipe says so while a page is free)."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))
