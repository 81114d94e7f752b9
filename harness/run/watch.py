"""Two watchers beside a run: daemons that end, and a machine that sleeps.

Both work from threads of their own, off the loop that serves the clients.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.contract.fault import Stage
from harness.contract.node import Daemon
from harness.history.effects import effects_of
from harness.history.faults import recorded_faults
from harness.history.ledger import LedgerEntry
from harness.linux.identity import ProcessIdentity
from harness.verdict.evidence import Exit

POLL_S = 0.1
NOTICED_NS = 1_000_000_000
"""An end is noticed within this time, also on a machine that is busy."""


@dataclass
class ExitWatch:
    """Notes every end of a daemon, with the fault that killed it if one did.

    It was a fault's doing if, and only if, the ledger says that this fault, once begun, ends
    exactly this process, and in the way in which it ended; every other end is the system's own.
    """

    stage: Stage
    clock: Callable[[], int]
    ledger: Callable[[], Sequence[LedgerEntry]]
    exits: list[Exit] = field(default_factory=list)
    tell: Callable[[Exit], None] = lambda gone: None
    _seen: dict[int, tuple[str, str, Daemon]] = field(default_factory=dict)
    _noted: set[int] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch, those that run now in any case, however soon they are replaced."""
        self._notice()
        self._thread = threading.Thread(target=self._watch, name="exit-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look once more and stop. Safe twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.look()

    def look(self) -> None:
        """Note every daemon that has ended since the last look."""
        self._notice()
        for number, (node, role, daemon) in self._seen.items():
            status = daemon.exit_status() if number not in self._noted else None
            if status is not None:
                self._noted.add(number)
                self.exits.append(self._exit(node, role, daemon, status))
                self.tell(self.exits[-1])

    def _notice(self) -> None:
        for role in self.stage.roles:
            for node in role.nodes:
                for daemon in self.stage.daemons_of(node, role.name):
                    self._seen.setdefault(id(daemon), (node, role.name, daemon))

    def _exit(self, node: str, role: str, daemon: Daemon, status: int) -> Exit:
        gone: Exit = {
            "node": node,
            "daemon": daemon.name,
            "pid": daemon.identity.pid,
            "time": self.clock(),
            "status": status,
            "killed_by": killer(self.ledger(), node, daemon.identity, status, self.clock()),
        }
        if self.stage.has_roles:
            gone["role"] = role
        return gone

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            self.look()


def killer(
    entries: Sequence[LedgerEntry],
    node: str,
    process: ProcessIdentity,
    status: int | None,
    now_ns: int,
) -> int | None:
    """The id of the fault whose effect it is that this process ended so, or ``None``.

    ``now_ns`` is when the end was noticed, which may be a little after it.
    """
    for fault in reversed(recorded_faults(entries)):
        effects = effects_of(fault.detail)
        if not fault.has_fired or effects is None:
            continue
        is_in_force = fault.may_be_in_force(now_ns - NOTICED_NS, now_ns)
        if effects.explains_end(node, process, status, is_in_force=is_in_force):
            return fault.id
    return None


@dataclass
class SleepWatch:
    """How long the machine was suspended: boot time runs on in sleep, monotonic time does not."""

    boot_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    _ahead_ns: int = 0

    def start(self) -> None:
        """Take the present difference as zero."""
        self._ahead_ns = self.boot_ns() - self.monotonic_ns()

    def suspended_ms(self) -> float:
        """Milliseconds of suspension since :meth:`start`."""
        return max(0.0, (self.boot_ns() - self.monotonic_ns() - self._ahead_ns) / 1e6)
