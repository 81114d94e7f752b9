"""Every process of one daemon: itself, all that it started, and what fell away from it.

A database may answer clients from processes that are sessions of their own (PostgreSQL's backends)
or that have left their parent (a double fork), and a signal to the daemon's process group misses
them: a pause that does not bite. So the tree is walked by parents; what was orphaned, and so fell
to ``adopter``, is known by having been seen in the tree, by the group or session of one that was,
by a mark in its environment, or because it can be nobody else's.

A process forks while others are listed. So it is signalled and listed again until no new one
appears, and what is to be killed is stopped first, for what stands makes no child any more. A fork
that was under way when ``SIGSTOP`` came is completed before its process stands (Linux 4.19 on), so
what is to be stopped is listed until all of it does.

Cost: about 10 µs a process of the machine for each look.
"""

from __future__ import annotations

import _thread  # not threading: bare interpreters start with this module, in milliseconds
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MARK = "POLYGRAPH_DAEMON"
WHOLE = (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL)
"""Signals for every process of a family; others, which ask politely, are the daemon's alone."""

_MOST_ROUNDS = 1000
_STAND_S = 0.2
"""How long what was stopped is waited for: longer, and it is in the kernel, state ``D``."""
_LOOK_S = 0.001
_ENDED = ("Z", "X")


class Seen:
    """What a look at ``/proc`` told of one process."""

    __slots__ = ("group", "parent", "session", "state", "ticks")

    def __init__(self, fields: list[str]) -> None:
        self.state = fields[0]
        self.parent, self.group, self.session = (int(field) for field in fields[1:4])
        self.ticks = int(fields[19])


class Family:
    """The processes of the daemon ``leader`` that began at ``ticks``.

    ``mark`` is the value of :data:`MARK` in its environment. ``adopter`` is the process to which
    its orphans fall; where that is the keeper of the node alone (not the machine's first process),
    ``started`` gives what it started itself, and an orphan that carries no mark of another daemon
    is taken for this one's if ``takes_strays``. With ``by_cgroup`` what is in the leader's control
    group is a member, too, as in a container of its own.
    """

    def __init__(
        self,
        leader: int,
        ticks: int,
        *,
        mark: str = "",
        adopter: int = 0,
        started: Callable[[], Iterable[int]] = tuple,
        takes_strays: bool = False,
        by_cgroup: bool = False,
    ) -> None:
        self._known = {leader: ticks}
        self._mark = mark.encode()
        self._adopter = adopter
        self._started = started
        self._takes_strays = takes_strays
        self._cgroup = read_file(f"/proc/{leader}/cgroup") if by_cgroup else b""
        if self._cgroup == read_file("/proc/self/cgroup"):
            self._cgroup = b""
        self._lock = _thread.allocate_lock()

    def members(self) -> dict[int, str]:
        """Every process that runs (a stopped one does), to the letters of its threads' states."""
        found = {}
        with self._lock:
            living = self._living()
        for pid, seen in living.items():
            letters = set(_thread_letters(pid)) - set(_ENDED)
            if letters or seen.state not in _ENDED:
                found[pid] = "".join(sorted(letters or {seen.state}))
        return found

    def send(self, number: int) -> int:
        """Signal every member, also what appears meanwhile; how many there were."""
        with self._lock:
            if number == signal.SIGKILL:
                self._send_to_all(signal.SIGSTOP)
            return self._send_to_all(number, _STAND_S if number == signal.SIGSTOP else 0.0)

    def _send_to_all(self, number: int, stand_s: float = 0.0) -> int:
        """Until no new one appears and, for ``stand_s`` at most, until all of them stand."""
        reached: set[tuple[int, int]] = set()
        end = time.monotonic() + stand_s
        for _ in range(_MOST_ROUNDS):
            living = self._living()
            new = [
                (pid, seen.ticks)
                for pid, seen in living.items()
                if (pid, seen.ticks) not in reached
            ]
            for pid, ticks in new:
                _signal(pid, ticks, number)
                reached.add((pid, ticks))
            if not new:
                if time.monotonic() >= end or all(map(_stands, living)):
                    break
                time.sleep(_LOOK_S)
        return len(reached)

    def _living(self) -> dict[int, Seen]:
        """The members now; they are remembered."""
        table = _table()
        own = os.getpid()
        members = {pid for pid, ticks in self._known.items() if _is(table, pid, ticks)}
        members |= {
            pid
            for pid, seen in table.items()
            if pid not in members and pid != own and self._fell_away(pid, seen, table)
        }
        children: dict[int, list[int]] = {}
        for pid, seen in table.items():
            children.setdefault(seen.parent, []).append(pid)
        waiting = list(members)
        while waiting:
            for pid in children.get(waiting.pop(), ()):
                if pid not in members and pid != own:
                    members.add(pid)
                    waiting.append(pid)
        self._known.update({pid: table[pid].ticks for pid in members})
        return {pid: table[pid] for pid in members if table[pid].state not in _ENDED}

    def _fell_away(self, pid: int, seen: Seen, table: dict[int, Seen]) -> bool:
        """Whether a process that is nobody's child here is one of ours."""
        if self._cgroup and read_file(f"/proc/{pid}/cgroup") == self._cgroup:
            return True
        if not self._adopter or seen.parent not in (self._adopter, 1) or pid in self._started():
            return False
        mark = _mark_of(pid)
        if mark is not None:
            return mark == self._mark
        if seen.parent != self._adopter:
            return False
        if any(self._was_ours(number, table) for number in (seen.group, seen.session)):
            return True
        return self._takes_strays

    def _was_ours(self, number: int, table: dict[int, Seen]) -> bool:
        """Whether the group or session of that number was begun by a member."""
        return number in self._known and (
            number not in table or table[number].ticks == self._known[number]
        )


def _is(table: dict[int, Seen], pid: int, ticks: int) -> bool:
    return pid in table and table[pid].ticks == ticks


def _table() -> dict[int, Seen]:
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(f"/proc/{name}/stat")
            if len(fields) > 19:
                table[int(name)] = Seen(fields)
    return table


def _mark_of(pid: int) -> bytes | None:
    """The mark in its environment; ``None`` where it has none, or nobody may look."""
    start = f"{MARK}=".encode()
    for entry in read_file(f"/proc/{pid}/environ").split(b"\0"):
        if entry.startswith(start):
            return entry[len(start) :]
    return None


def _signal(pid: int, ticks: int, number: int) -> None:
    """Signal exactly this process; that it has ended is no error."""
    pidfd = -1
    try:
        if hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal"):
            pidfd = os.pidfd_open(pid)
        fields = stat_fields(f"/proc/{pid}/stat")
        if len(fields) <= 19 or int(fields[19]) != ticks:
            return
        if pidfd >= 0:
            signal.pidfd_send_signal(pidfd, number)
        else:
            os.kill(pid, number)
    except OSError:
        return
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def _stands(pid: int) -> bool:
    """Whether all of its threads that have not ended are stopped."""
    return set(_thread_letters(pid)) <= {"T", "t", *_ENDED}


def _thread_letters(pid: int) -> list[str]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found = (stat_fields(f"/proc/{pid}/task/{thread}/stat") for thread in threads)
    return [fields[0] for fields in found if fields]


def new_mark() -> str:
    """A value of :data:`MARK` for a daemon that this process is about to start."""
    return f"{os.getpid()}-{time.monotonic_ns()}"


def start_ticks(pid: int) -> int:
    """When a process began; 0 if there is none."""
    fields = stat_fields(f"/proc/{pid}/stat")
    return int(fields[19]) if fields else 0


def stat_fields(path: str) -> list[str]:
    """Fields of a ``stat`` file from the third (the state) on; none if the process is gone."""
    return read_file(path).rpartition(b")")[2].decode().split()


def read_file(path: str) -> bytes:
    """The bytes of a file; none if it is gone or not to be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
