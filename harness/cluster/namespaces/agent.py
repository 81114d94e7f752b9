"""A node's first process: it starts the node's daemons and commands, reaps them, and tells.

The agent is pid 1 of the node's pid namespace and one small single thread, forked by the reaper.
It obeys the run process over one channel (:mod:`harness.cluster.namespaces.wire`) and is the parent
of every daemon, so it alone decides when a process number becomes free: a signal that passes
through it can never hit a stranger. When it ends, the kernel ends the whole node. When the run
process goes while the cluster is left running, it only reaps.

Requests: ``start`` (argv, env, cwd; files for both outputs come as descriptors), ``signal``
(a daemon with all that it started, or its process group), ``family`` (what it consists of),
``open`` (a file of the node, answered with its descriptor), ``clock`` (set,
heal or read the clock of the node's processes), ``syscalls`` (trace and count them), ``exit``.
Each answer carries the request's ``id``; ``{"exited": pid, "status": n}`` comes by itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time

from harness.cluster.hands.family import MARK, WHOLE, Family
from harness.cluster.hands.node_clock import Cannot, NodeClock
from harness.cluster.hands.syscalls import SyscallWatch
from harness.cluster.namespaces import steps as namespaces
from harness.cluster.namespaces import wire
from harness.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, NoReturn

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SERVE_EACH_MS = 1
_MISSED_S = 0.001


def run_node(channel_fd: int, spec: dict[str, Any]) -> NoReturn:
    """In a fresh child of the reaper: enter the node's namespaces and become its agent."""
    signal.set_wakeup_fd(-1)
    close_all_but(channel_fd)
    channel = socket.socket(fileno=channel_fd)
    try:
        if spec.get("plain"):
            with namespaces.step("node process", spec["fail_at"]):
                kernel.adopt_orphans()
                kernel.end_with_this_parent(spec["parent"])
            Agent(channel, None).run()
        maker_fd = os.pidfd_open(os.getpid())
        if namespaces.enter_node(spec["fail_at"]) != 0:
            os._exit(0)
        _wait_for_end(maker_fd)  # a node that is up, or failed, has no process but its own
        hidden = namespaces.furnish_node(spec)
        Agent(channel, hidden).run()
    except namespaces.StepFailed as failure:
        wire.send(channel, failure.as_message())
    except BaseException as error:
        with contextlib.suppress(OSError):
            wire.send(channel, {"failed": "agent", "errno": 0, "why": repr(error)})
    os._exit(3)


def _wait_for_end(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()
    os.close(pidfd)


class Agent:
    """Pid 1 of a node. ``run`` never returns.

    Without namespaces (``hidden`` is ``None``) it is the one that every orphan of the node falls
    to, and ends them all before it ends; each daemon also ends when it does.
    """

    def __init__(self, channel: socket.socket, hidden: namespaces.HiddenFolders | None) -> None:
        self._channel = channel
        self._hidden = hidden
        self._children: set[int] = set()
        self._early: dict[int, int] = {}
        self._families: dict[tuple[int, int], Family] = {}
        self._pid_namespace = os.stat("/proc/self/ns/pid").st_ino
        self._clock = NodeClock(other_processes)
        self._watch: SyscallWatch | None = None

    def run(self) -> NoReturn:
        """Say that the node is up, then serve and reap for ever."""
        readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(readable, select.POLLIN)
        self._tell({"up": True})
        while True:
            self._reap()
            for fd, _ in poll.poll(0 if self._tracing().has_more else None):
                if fd == readable:
                    os.read(readable, 4096)
                elif not self._serve():
                    poll.unregister(self._channel)

    def _tell(self, body: Mapping[str, Any], *, fds: Sequence[int] = (), pid: int = 0) -> None:
        # The run process may be gone and the cluster left running.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.send(self._channel, body, fds=fds, pid=pid)

    def _reap(self) -> None:
        for pid, status in self._tracing().pump():
            if pid in self._children:
                self._children.remove(pid)
                self._tell({"exited": pid, "status": os.waitstatus_to_exitcode(status)})
            else:
                self._early[pid] = status

    def _serve(self) -> bool:
        message = wire.receive(self._channel)
        if message is None:
            return False
        request = message.body
        try:
            self._obey(request, message.fds)
        except Cannot as error:
            self._tell({"id": request["id"], "errno": errno.EPERM, "why": str(error)})
        except OSError as error:
            why = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            self._tell({"id": request["id"], "errno": error.errno or errno.EIO, "why": why})
        finally:
            for fd in message.fds:
                os.close(fd)
        return True

    def _obey(self, request: dict[str, Any], fds: list[int]) -> None:
        if request["op"] == "start":
            self._start(request, fds)
        elif request["op"] == "signal":
            self._signal(request)
        elif request["op"] == "family":
            family = self._families.get((request["pid"], request["start_ticks"]))
            self._tell({"id": request["id"], "members": family.members() if family else {}})
        elif request["op"] == "open":
            fd = os.open(request["path"], request["flags"] | os.O_CLOEXEC, request["mode"])
            self._tell({"id": request["id"]}, fds=[fd])
            os.close(fd)
        elif request["op"] == "clock":
            self._tell({"id": request["id"], "clock": self._set_clock(request)})
        elif request["op"] == "syscalls":
            if self._watch is None:
                self._watch = SyscallWatch(other_processes)
            self._tell({"id": request["id"], "syscalls": self._watch.state()})
        elif request["op"] == "exit":
            if self._hidden is None:
                end_descendants()
            os._exit(0)

    def _tracing(self) -> NodeClock | SyscallWatch:
        """Who traces, and so waits for, the node's processes: one at a time can."""
        return self._watch or self._clock

    def _set_clock(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._watch is not None:
            raise Cannot("the system calls of this node are being traced")
        if request["do"] == "set":
            return self._clock.set(request["program"])
        return self._clock.heal() if request["do"] == "heal" else self._clock.state()

    def _start(self, request: dict[str, Any], fds: list[int]) -> None:
        if self._hidden is not None:
            self._hidden.show(request["show"])
        self._early.clear()
        tracing, began, mark = self._tracing(), [], f"{os.getpid()}-{time.monotonic_ns()}"

        def before_exec(pid: int) -> None:
            began.append(kernel.start_ticks(pid))
            tracing.before_start(pid)

        pid = start_process(
            request["argv"],
            # The controller's folder for temporary files may be one that the node does not see.
            env={**os.environ, "TMPDIR": "/tmp", **request["env"], MARK: mark},
            cwd=request["cwd"],
            streams=(fds[0], fds[1]),
            before_exec=before_exec if tracing.is_set else None,
            meanwhile=self._reap,
            dies_with_parent=self._hidden is None,
        )
        self._children.add(pid)
        ticks = began[0] if began else kernel.start_ticks(pid)
        self._remember(pid, ticks, mark, bool(request.get("is_daemon")))
        # A traced one may have begun and ended while it was waited for, and be known to nobody
        # any more; any other is there until it is reaped.
        has_ended = pid in self._early
        answer = {
            "id": request["id"],
            "pid": pid,
            "start_ticks": ticks,
            "pid_namespace": self._pid_namespace,
        }
        # Only who rules the pid namespace may name another process to the kernel; without
        # namespaces of its own the node's numbers are everybody's.
        self._tell(answer, pid=0 if self._hidden is None or has_ended else pid)
        if has_ended:
            self._children.remove(pid)
            self._tell({"exited": pid, "status": os.waitstatus_to_exitcode(self._early[pid])})

    def _remember(self, pid: int, ticks: int, mark: str, is_daemon: bool) -> None:
        """Know what belongs to it, also when it has ended; what is all gone is forgotten."""
        for key, family in list(self._families.items()):
            if key[0] not in self._children and not family.members():
                del self._families[key]
        self._families[pid, ticks] = Family(
            pid,
            ticks,
            mark=mark,
            adopter=os.getpid(),
            started=lambda: self._children,
            takes_strays=is_daemon,
        )

    def _signal(self, request: dict[str, Any]) -> None:
        family = self._families.get((request["pid"], request["start_ticks"]))
        if request["number"] in WHOLE:
            reached = family.send(request["number"]) if family else 0
            self._tell({"id": request["id"], "signalled": reached > 0})
            return
        # Not reaped yet, so the number is still the daemon's, and its group's.
        known = request["pid"] in self._children
        if known:
            os.killpg(request["pid"], request["number"])
        self._tell({"id": request["id"], "signalled": known})


def start_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None = None,
    streams: tuple[int, int] | None = None,
    keep: Sequence[int] = (),
    before_exec: Callable[[int], None] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    dies_with_parent: bool = False,
    is_ours: bool = False,
) -> int:
    """Fork and execute ``argv`` in a session of its own; its pid once the program is loaded.

    With ``streams`` its outputs go there and its input is empty, else all three are inherited.
    Descriptors in ``keep`` stay open under their numbers. ``before_exec(pid)`` is called in the
    parent while the child waits, and then ``meanwhile`` again and again until the program is
    loaded, since a traced child may stop on the way; with ``dies_with_parent`` the kernel kills
    it when the caller ends. What asks a command to stop (:data:`STOPPING`) is ignored in the
    caller and in what ``is_ours``, and in nothing else. ``OSError`` if it cannot be executed.
    """
    parent = os.getpid()
    readable, writable = os.pipe2(os.O_CLOEXEC)
    waits, goes = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(goes)
        try:
            os.read(waits, 1)
            if dies_with_parent:
                kernel.end_with_this_parent(parent)
            if not is_ours:
                hear_signals()
            _become(argv, env, cwd, streams, keep)
        except OSError as error:
            os.write(writable, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(writable)
    os.close(waits)
    try:
        if before_exec is not None:
            before_exec(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(goes)
    with open(readable, "rb") as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while before_exec is not None and not poll.poll(_SERVE_EACH_MS):
            meanwhile()
        refused = pipe.read()
    if refused:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        raise OSError(int(refused), os.strerror(int(refused)), argv[0])
    return pid


def ignore_signals() -> None:
    """Nobody stops the caller, nor what it starts, by a signal to all that there is of a run.

    They end with the run process, which ends by what its front tells it.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def hear_signals() -> None:
    """Take signals as any program does."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def _become(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str | None,
    streams: tuple[int, int] | None,
    keep: Sequence[int],
) -> NoReturn:
    os.setsid()
    signal.set_wakeup_fd(-1)
    # Python ignores these two, and an ignored signal stays ignored across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if cwd is not None:
        os.chdir(cwd)
    if streams is not None:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(streams[0], 1)
        os.dup2(streams[1], 2)
    for fd in keep:
        os.set_inheritable(fd, True)
    os.execvpe(argv[0], list(argv), dict(env))


def ended_children() -> Iterator[tuple[int, int]]:
    """Reap: (pid, wait status) of every child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def other_processes() -> list[int]:
    """Every process of the node but its first; of a node without namespaces all descendants."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents[int(name)] = kernel.parent(int(name))
    if os.getpid() == 1:
        return [pid for pid in parents if pid != 1]
    found = {os.getpid()}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return sorted(found - {os.getpid()})


def end_descendants() -> None:
    """Kill every process below the caller, to which their orphans fall, and reap them all.

    Over when none is listed and the caller has no child: a listing of processes may miss one that
    is just forked, or whose parent ends meanwhile.
    """
    while True:
        pids = other_processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0 if pids else os.WNOHANG)
        except ChildProcessError:
            if not pids:
                return
        if not pids:
            time.sleep(_MISSED_S)


def point_standard_streams_nowhere() -> None:
    """Hold no terminal, pipe or file of anybody's open any longer."""
    nowhere = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)


def close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard streams and those given."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            # The listing's own descriptor is gone already.
            with contextlib.suppress(OSError):
                os.close(int(name))
