"""The daemons and commands of one node: started, signalled, looked at, reaped, ended.

The keeper is their parent, so it alone decides when a process number becomes free: a signal that
passes through it can never hit a stranger. Daemons of a keeper that died are known by a file;
they can be looked at and signalled by their identity, but how they end nobody learns.

Whatever is started carries ``POLYGRAPH_NODE``, the node's folder, in its environment, and the
keeper adopts orphans where it can; by both, :meth:`Processes.end` finds also what daemonized.
"""

from __future__ import annotations

import json
import os
import signal
import time

from . import execution, family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from . import node_clock

MARK = "POLYGRAPH_NODE"
GONE = "gone"
_STOPPED = {"T", "t"}  # the second where it is traced, for its clock
_POLL_S = 0.01
_PR_SET_CHILD_SUBREAPER = 36


class Processes:
    """Of one node, whose folder is ``root``."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known = os.path.join(root, "daemons.json")
        self._children: set[int] = set()
        self._clock: node_clock.NodeClock | None = None
        self.boot_id = family.read_file("/proc/sys/kernel/random/boot_id").decode().strip()
        self._daemons: list[list[Any]] = _read_known(self._known).get(self.boot_id, [])
        self._marks: dict[int, str] = {}
        self._families: dict[tuple[int, int], family.Family] = {}
        for pid, ticks, mark in self._daemons:
            self._families[pid, ticks] = self._family(pid, ticks, mark)
        self.namespace = os.stat("/proc/self/ns/pid").st_ino
        _adopt_orphans()

    def start(
        self, argv: Sequence[str], env: dict[str, str], cwd: str, outputs: tuple[int, int]
    ) -> int:
        """Execute ``argv`` in a session of its own; its pid. ``OSError`` if it cannot be."""
        before_exec = self._clock.before_start if self._clock and self._clock.is_set else None
        mark = f"{os.getpid()}-{time.time()}"
        marked = {**os.environ, **env, MARK: self._root, family.MARK: mark}
        pid = execution.execute(argv, marked, cwd, outputs, before_exec)
        self._children.add(pid)
        self._marks[pid] = mark
        return pid

    def _family(self, pid: int, ticks: int, mark: str) -> family.Family:
        return family.Family(
            pid,
            ticks,
            mark=mark,
            adopter=os.getpid(),
            started=lambda: self._children,
            takes_strays=True,
        )

    def remember(self, pid: int) -> None:
        """Write down that this is a daemon, so that it is found also when the keeper is gone."""
        ticks, mark = start_ticks(pid), self._marks.pop(pid)
        self._daemons.append([pid, ticks, mark])
        self._families[pid, ticks] = self._family(pid, ticks, mark)
        with open(self._known + ".new", "w", encoding="ascii") as file:
            json.dump({self.boot_id: self._daemons}, file)
        os.replace(self._known + ".new", self._known)

    def reap(self) -> Iterator[tuple[int, int]]:
        """(pid, exit code or minus the signal) of every own process that has ended."""
        for pid, status in self._clock.pump() if self._clock else _ended_children():
            if pid in self._children:
                self._children.remove(pid)
                self._marks.pop(pid, None)
                yield pid, _exit_code(status)

    def clock(self) -> node_clock.NodeClock:
        """The clock of all processes here. It traces them while it is set, and then reaps too."""
        if self._clock is None:
            from . import node_clock

            self._clock = node_clock.NodeClock(self.running)
        return self._clock

    def signal(self, identity: dict[str, Any], number: int) -> bool:
        """Signal a daemon with all that is of it, or its process group; whether there was one."""
        pid, ticks = identity["pid"], identity["start_ticks"]
        full = [identity["boot_id"], identity["pid_namespace"]] == [self.boot_id, self.namespace]
        whole = self._families.get((pid, ticks))
        if not full or whole is None:
            return False
        if number in family.WHOLE:
            return whole.send(number) > 0
        return start_ticks(pid) == ticks and _signal_group(pid, number)

    def members(self, pid: int, ticks: int) -> dict[int, str]:
        """What runs of a daemon, to the letters of its threads' states."""
        whole = self._families.get((pid, ticks))
        return whole.members() if whole else {}

    def has_clock(self) -> bool:
        """Whether a clock was ever set here."""
        return self._clock is not None

    def state(self, pid: int, ticks: int) -> str:
        """The letter of the process; ``T`` only if every thread of all that is of it is stopped."""
        fields = family.stat_fields(f"/proc/{pid}/stat")
        if not fields or int(fields[19]) != ticks or fields[0] in "ZX":
            return GONE
        if fields[0] not in _STOPPED:
            return fields[0]
        letters = set("".join(self.members(pid, ticks).values()))
        return min(letters - _STOPPED, default="T")

    def end(self, timeout_s: float) -> list[int]:
        """Kill everything that was started here; the pids that are still there at the time-out."""
        deadline = time.monotonic() + timeout_s
        while True:
            for pid in self.running():
                _signal_group(pid, signal.SIGKILL)
            list(self.reap())
            left = list(self.running())
            if not left or time.monotonic() > deadline:
                list(self.reap())
                return left
            time.sleep(_POLL_S)

    def running(self) -> Iterator[int]:
        """What runs of ours: children, known daemons, and whatever carries our mark."""
        mark = f"{MARK}={self._root}".encode()
        known = {pid for pid, ticks, _ in self._daemons if start_ticks(pid) == ticks}
        for pid in _pids():
            if pid == os.getpid():
                continue
            fields = family.stat_fields(f"/proc/{pid}/stat")
            if not fields or fields[0] in "ZX":
                continue
            marked = mark in family.read_file(f"/proc/{pid}/environ").split(b"\0")
            if marked or pid in known or int(fields[1]) == os.getpid():
                yield pid


def _ended_children() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def start_ticks(pid: int) -> int:
    """When the process began, in clock ticks since boot; 0 if it is gone."""
    fields = family.stat_fields(f"/proc/{pid}/stat")
    return int(fields[19]) if fields else 0


def _signal_group(pid: int, number: int) -> bool:
    """Signal the group that ``pid`` leads, or ``pid`` alone where it leads none."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, number)
            return True
        except ProcessLookupError:
            continue
    return False


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read_known(path: str) -> dict[str, list[list[Any]]]:
    """Boot to the daemons started in it: after a reboot the same numbers are others'."""
    try:
        known: dict[str, list[list[Any]]] = json.loads(family.read_file(path) or b"{}")
    except ValueError:
        return {}
    return known


def _exit_code(status: int) -> int:
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _adopt_orphans() -> None:
    try:
        import ctypes

        prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return  # a python without ctypes: the mark in the environment has to do
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
