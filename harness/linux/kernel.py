"""The few Linux calls that Python 3.11 lacks: unshare, setns, mount, prctl, and lo brought up.

Everything that starts namespaces stands on this module, and most of it runs in interpreters
that were started with ``-I -S`` to be ready in a few milliseconds; so it imports next to nothing
and knows nothing of the rest of the harness. Each call raises ``OSError`` with the kernel's
number. See namespaces(7), mount_namespaces(7), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SCHED_FLAG_RESET_ON_FORK = 1
_TURN_NS = 100_000


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Give the calling process new namespaces (a new pid namespace for its next child)."""
    _check(_libc().unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move the calling *thread* into the namespace behind ``fd``, of the kind ``CLONE_NEW…``."""
    _check(_libc().setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). ``kind`` is the file system's name, empty for a bind or a change of flags."""
    result = _libc().mount(
        os.fsencode(source),
        os.fsencode(target),
        os.fsencode(kind) if kind else None,
        ctypes.c_ulong(flags),
        os.fsencode(options) if options else None,
    )
    _check(result, target)


def end_with_parent(signal_number: int) -> None:
    """Have the kernel send the caller ``signal_number`` when the thread that made it ends."""
    libc = _libc()
    _check(libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0), "prctl")


def end_with_this_parent(pid: int) -> None:
    """As :func:`end_with_parent` with SIGKILL; ends at once if ``pid`` is the parent no longer."""
    end_with_parent(signal.SIGKILL)
    if os.getppid() != pid:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of the caller's later descendants whose own parent ends."""
    libc = _libc()
    _check(libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def take_short_turns(*, children_too: bool) -> None:
    """Have the calling thread wait less for a busy machine, by taking shorter turns on it.

    Its share of the processors stays the same. Threads that it starts do likewise; so do processes,
    if ``children_too``. From Linux 6.12 on; before, and where it is forbidden, nothing changes.
    """
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        flags = 0 if children_too else _SCHED_FLAG_RESET_ON_FORK
        told = struct.pack("=IIQiIQQQ", 48, 0, flags, os.nice(0), 0, _TURN_NS, 0, 0)
        _libc().syscall(_SCHED_SETATTR.get(os.uname().machine, -1), 0, told, 0)


def bring_up(interface: str) -> None:
    """Set the interface of that name, in the caller's network namespace, up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", interface.encode(), 0)
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH14x", answer)[1] | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", interface.encode(), flags))


def start_ticks(pid: int) -> int:
    """Field 22 of ``/proc/PID/stat``: when the process began, in clock ticks since boot."""
    return int(_stat(pid)[19])


def parent(pid: int) -> int:
    """The parent of a process."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[bytes]:
    """The fields of ``/proc/PID/stat`` behind the name, the third (state) first."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()
