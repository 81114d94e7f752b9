"""Which process of a host is meant: by its pid file, the port it listens at, or its program.

Each way must lead to exactly one process that is no child of another one found: of a server that
forks, its first.
"""

from __future__ import annotations

import os

from . import family
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

_LISTENS = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_MOST_TOLD = 8


def leader(how: str, what: str) -> int:
    """Its number; ``Refused`` says why it is not known."""
    by = {"pidfile": _by_pid_file, "port": _by_port, "program": _by_program}
    pids = by[how](what)
    first = [pid for pid in sorted(pids) if not _is_below(pid, pids)]
    if not first:
        raise Refused(f"nothing runs here that {_told(how, what)}")
    if len(first) > 1:
        many = " ".join(map(str, first[:_MOST_TOLD]))
        raise Refused(f"{len(first)} processes {_told(how, what, 's')}: {many}")
    return first[0]


def described(pid: int) -> dict[str, Any]:
    """A process as it is told: its number, its start, and its command."""
    words = family.read_file(f"/proc/{pid}/cmdline").split(b"\0")
    command = b" ".join(words).decode(errors="replace").strip()
    return {"pid": pid, "ticks": family.start_ticks(pid), "command": command[:200]}


def _told(how: str, what: str, many: str = "") -> str:
    if how == "port":
        return f"listen{'' if many else 's'} at port {what}"
    if how == "program":
        return f"{'are' if many else 'is'} of the program {what}"
    return f"the pid file {what} names"


def _by_pid_file(path: str) -> set[int]:
    try:
        with open(path, "rb") as file:
            words = file.read(64).split()
    except OSError as error:
        raise Refused(f"the pid file {path}: {error.strerror}") from error
    if not words or not words[0].isdigit():
        raise Refused(f"the pid file {path} holds no number")
    pid = int(words[0])
    return {pid} if family.start_ticks(pid) else set()


def _by_port(port: str) -> set[int]:
    """Whoever has a socket that listens there; ``Refused`` where only root may know who."""
    inodes = _listening(int(port))
    if not inodes:
        return set()
    closed = False
    found = set()
    for pid in _pids():
        try:
            files = os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            closed = True
            continue
        except OSError:
            continue
        if any(_target(f"/proc/{pid}/fd/{fd}") in inodes for fd in files):
            found.add(pid)
    if not found and closed:
        raise Refused(
            f"something listens at port {port}, and this login may not see whose it is: log in as"
            " root or as its user"
        )
    return found


def _listening(port: int) -> set[str]:
    """The sockets that listen there, as ``/proc/PID/fd`` names them."""
    found = set()
    for table in _TABLES:
        for line in family.read_file(table).decode().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _by_program(name: str) -> set[int]:
    """Whoever executes a file of that name (or exactly that file), or is called so itself."""
    own = {os.getpid(), os.getppid()}
    return {pid for pid in _pids() if pid not in own and _is_called(pid, name)}


def _is_called(pid: int, name: str) -> bool:
    executed = _target(f"/proc/{pid}/exe").partition(" (deleted)")[0]
    first = family.read_file(f"/proc/{pid}/cmdline").partition(b"\0")[0].decode(errors="replace")
    return any(name in (word, os.path.basename(word)) for word in (executed, first) if word)


def _is_below(pid: int, others: Collection[int]) -> bool:
    """Whether an ancestor of it is one of the others."""
    seen = set()
    while pid > 1 and pid not in seen:
        seen.add(pid)
        fields = family.stat_fields(f"/proc/{pid}/stat")
        pid = int(fields[1]) if fields else 0
        if pid in others:
            return True
    return False


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
