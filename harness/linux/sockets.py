"""Which process holds the other end of a TCP connection on this machine.

A link proxy sees a connection come from an ephemeral port of loopback. The kernel's table of
connections gives the socket behind that port, and the descriptors of the nodes' processes say
whose it is; no rights beyond one's own processes are needed. Light: the proxies' bare
interpreter imports it. Cost: under a millisecond with five nodes.
"""

from __future__ import annotations

import contextlib
import os

from harness.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ESTABLISHED = "01"


def inode_of(port: int, remote_port: int) -> int | None:
    """The socket bound to ``port`` of 127.0.0.1 and connected to ``remote_port`` there."""
    ends = (f"0100007F:{port:04X}", f"0100007F:{remote_port:04X}")
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if (fields[1], fields[2], fields[3]) == (*ends, _ESTABLISHED):
                return int(fields[9]) or None
    return None


def holder(inode: int, pids: Iterable[int]) -> int | None:
    """Which of these processes has the socket open."""
    name = f"socket:[{inode}]"
    for pid in pids:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == name:
                        return pid
    return None


def descendants(roots: Mapping[int, str]) -> dict[int, str]:
    """Every process below each of ``roots``, and they themselves, to the root's name."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents[int(name)] = kernel.parent(int(name))
    found = dict(roots)
    while True:
        new = {
            pid: found[parent]
            for pid, parent in parents.items()
            if parent in found and pid not in found
        }
        if not new:
            return found
        found |= new
