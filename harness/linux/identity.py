"""Who a process is, so that no other is ever signalled in its place.

A process number alone is reused. Number, start time, boot and pid namespace together are not;
a pidfd that was opened *before* the comparison then stays with that very process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.linux import kernel


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """A process that can be told from any other: only a full match is ever signalled.

    ``pid`` is as the controller sees it, ``start_ticks`` field 22 of ``/proc/PID/stat``,
    ``pid_namespace`` the inode of ``/proc/PID/ns/pid``.
    """

    pid: int
    start_ticks: int
    boot_id: str
    pid_namespace: int


def boot_id() -> str:
    """The kernel's name for the time since it was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that now has this number, or ``None`` if there is none."""
    try:
        return ProcessIdentity(
            pid=pid,
            start_ticks=kernel.start_ticks(pid),
            boot_id=boot_id(),
            pid_namespace=os.stat(f"/proc/{pid}/ns/pid").st_ino,
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def is_running(identity: ProcessIdentity) -> bool:
    """Whether exactly this process still exists (stopped counts, a zombie does not)."""
    return state(identity) not in ("gone", "Z", "X")


def state(identity: ProcessIdentity) -> str:
    """The letter of ``/proc/PID/stat`` if the process there is this one, else ``"gone"``."""
    try:
        stat = Path(f"/proc/{identity.pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    fields = stat.rpartition(b")")[2].split()
    if int(fields[19]) != identity.start_ticks or boot_id() != identity.boot_id:
        return "gone"
    # A zombie has left its namespace, and another user's process does not show it.
    with contextlib.suppress(OSError):
        if os.stat(f"/proc/{identity.pid}/ns/pid").st_ino != identity.pid_namespace:
            return "gone"
    return fields[0].decode()


def kill_and_wait(
    identity: ProcessIdentity, timeout_s: float, may: Callable[[], bool] = lambda: True
) -> bool:
    """Kill exactly this process and wait for its end; whether it is gone.

    ``may`` is asked once the process is held and known to be this one; ``False`` spares it.
    """
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return True
    try:
        if identify(identity.pid) == identity and may() and identify(identity.pid) == identity:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_for_end(pidfd, timeout_s)
    except (ProcessLookupError, PermissionError):
        # Gone meanwhile, or another user's: what is there now tells which.
        return not is_running(identity)
    finally:
        os.close(pidfd)
    return not is_running(identity)


def wait_for_end(pidfd: int, timeout_s: float) -> bool:
    """Whether the process behind ``pidfd`` ended within the time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
