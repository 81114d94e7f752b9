"""What went wrong with this machine during a run, so that nobody takes it for the system's doing.

A machine that stands still, has no room on its disk, no memory or no descriptors left makes any
database late, cuts its last log line off and keeps it from coming back. Nothing of that is a
violation: what is found here is written down with the run (``machine_trouble``), and findings
that it may explain are *unknown* then.

A thread looks five times a second. How long it was away is how long the machine, or all of the
run, stood still: a suspended machine, one that swaps, a ``SIGSTOP``. Cost: about 20 µs a look.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LOOK_S: Final = 0.2
STOOD_STILL_S: Final = 1.0
"""So much later than it should have been, a look was held up by the machine."""

LEAST_DISK_BYTES: Final = 1 << 20
LEAST_MEMORY_SHARE: Final = 0.01
DESCRIPTORS_IN_HAND: Final = 4
MOST_STALLS: Final = 20


def boot_ns() -> int:
    """The clock that goes on while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass
class MachineWatch:
    """Looks at the machine from a thread of its own. ``clock`` is the history's."""

    run_dir: Path
    clock: Callable[[], int]
    proc: Path = Path("/proc")
    boot: Callable[[], int] = boot_ns
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """(seconds that it stood still, when it went on, in seconds of the run)."""
    _others: dict[str, str] = field(default_factory=dict)
    _looked_ns: int = 0
    _killed: int = -1
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._looked_ns = self.boot()
        self._killed = self._kills_for_memory()
        self._thread = threading.Thread(target=self._watch, name="machine-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look once more, and no more then. Safe twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.look()

    def trouble(self) -> list[str]:
        """A sentence for each trouble so far, stalls first."""
        return [
            *(
                f"this machine, or the whole run, stood still for {seconds:.1f} s until"
                f" {until_s:.1f} s"
                for seconds, until_s in list(self.stalls)[:MOST_STALLS]
            ),
            *self._others.values(),
        ]

    def look(self) -> None:
        """Compare with the last look."""
        now = self.boot()
        late_s = (now - self._looked_ns) / 1e9 - LOOK_S
        self._looked_ns = now
        at_s = self.clock() / 1e9
        if late_s >= STOOD_STILL_S:
            self.stalls.append((late_s, at_s))
        for kind, what in (
            ("disk", self._disk()),
            ("memory", self._memory()),
            ("killed", self._killed_for_memory()),
            ("descriptors", self._descriptors()),
        ):
            if what:
                self._others.setdefault(kind, f"{what} (first seen at {at_s:.1f} s)")

    def _disk(self) -> str:
        try:
            found = os.statvfs(self.run_dir)
        except OSError:
            return ""
        if found.f_bavail * found.f_frsize < LEAST_DISK_BYTES:
            return "the disk that holds the run's folder is full"
        is_out_of_files = found.f_files > 0 and found.f_favail == 0
        return "the disk that holds the run's folder takes no more files" if is_out_of_files else ""

    def _memory(self) -> str:
        figures = _figures(self.proc / "meminfo")
        total, left = figures.get("MemTotal:", 0), figures.get("MemAvailable:", -1)
        if total and 0 <= left < total * LEAST_MEMORY_SHARE:
            return f"this machine has no memory left ({left} of {total} kB)"
        return ""

    def _killed_for_memory(self) -> str:
        now = self._kills_for_memory()
        if self._killed < 0 or now <= self._killed:
            return ""
        return f"the kernel killed {now - self._killed} processes for lack of memory"

    def _kills_for_memory(self) -> int:
        return _figures(self.proc / "vmstat").get("oom_kill", -1)

    def _descriptors(self) -> str:
        try:
            is_open = len(os.listdir(self.proc / "self" / "fd"))
        except OSError:
            return "the run's process has no descriptors left"
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit != resource.RLIM_INFINITY and is_open > limit - DESCRIPTORS_IN_HAND:
            return f"the run's process has no descriptors left ({is_open} of {limit})"
        return ""

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.look()


def _figures(path: Path) -> dict[str, int]:
    """The lines ``NAME NUMBER …`` of a file of the kernel; none where there is no such file."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    words = (line.split() for line in lines)
    return {w[0]: int(w[1]) for w in words if len(w) > 1 and w[1].isdigit()}
