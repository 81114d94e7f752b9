"""A node's first process: it starts the node's daemons and commands, reaps them, and tells.

The agent is pid 1 of the node's pid namespace and one small single thread, forked by the reaper.
It obeys the run process over one channel (:mod:`harness.cluster.namespaces.wire`) and is the parent
of every daemon, so it alone decides when a process number becomes free: a signal that passes
through it can never hit a stranger. When it ends, the kernel ends the whole node. When the run
process goes while the cluster is left running, it only reaps.

Requests: those of the hands (:mod:`harness.cluster.hands.inside`), and ``start`` (argv, env, cwd;
files for both outputs come as descriptors), ``open`` (a file of the node, answered with its
descriptor) and ``exit``. Each answer carries the request's ``id``; ``{"exited": pid, "status":
n}`` comes by itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time

from harness.cluster.hands import users
from harness.cluster.hands.inside import HANDS, Inside, answered, obey
from harness.cluster.hands.processes import Processes
from harness.cluster.hands.tracing import Tracing
from harness.cluster.namespaces import steps as namespaces
from harness.cluster.namespaces import wire
from harness.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
            wire.send(
                channel, {"failed": "agent", "errno": 0, "why": f"{type(error).__name__}: {error}"}
            )
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
        self._tracing = Tracing(self._of_the_node)
        self._processes = Processes(self._tracing)
        self._inside = Inside(
            self._processes.daemons, clock=self._tracing.clock, watch=self._tracing.watch
        )

    def _of_the_node(self) -> list[int]:
        """Every process of the node but its first and those that hands started for themselves."""
        return [pid for pid in other_processes() if pid not in self._inside.own]

    def run(self) -> NoReturn:
        """Say that the node is up, then serve and reap for ever."""
        readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(readable, select.POLLIN)
        kernel.take_short_turns(children_too=False)
        self._tell({"up": True})
        while True:
            self._reap()
            for fd, _ in poll.poll(0 if self._tracing.now().has_more else None):
                if fd == readable:
                    os.read(readable, 4096)
                elif not self._serve():
                    poll.unregister(self._channel)

    def _tell(self, body: Mapping[str, Any], *, fds: Sequence[int] = (), pid: int = 0) -> None:
        # The run process may be gone and the cluster left running.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.send(self._channel, body, fds=fds, pid=pid)

    def _reap(self) -> None:
        for pid, status in self._processes.reap():
            self._tell({"exited": pid, "status": status})

    def _serve(self) -> bool:
        message = wire.receive(self._channel)
        if message is None:
            return False
        request = message.body
        try:
            self._obey(request, message.fds)
        finally:
            for fd in message.fds:
                os.close(fd)
        return True

    def _obey(self, request: dict[str, Any], fds: list[int]) -> None:
        op = request["op"]
        if op in HANDS:
            self._answer(request, obey(self._inside, request))
        elif op == "exit":
            if self._hidden is None:
                end_descendants()
            os._exit(0)
        else:
            own = self._start if op == "start" else self._open
            refused = answered(lambda: own(request, fds), op)
            if refused:
                self._answer(request, refused)

    def _answer(self, request: dict[str, Any], answer: dict[str, Any], **beside: Any) -> None:
        self._tell({"id": request["id"], **answer}, **beside)

    def _open(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """Answer with the descriptor of a file of the node."""
        fd = os.open(request["path"], request["flags"] | os.O_CLOEXEC, request["mode"])
        self._answer(request, {}, fds=[fd])
        os.close(fd)
        return {}

    def _start(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """Answer with the identity of the process that was started, and name it to the kernel."""
        if self._hidden is not None:
            self._hidden.show(request["show"])
        parent, dies_with_parent = os.getpid(), self._hidden is None

        def in_child() -> None:
            if dies_with_parent:
                kernel.end_with_this_parent(parent)
            hear_signals()

        # The controller's folder for temporary files may be one that the node does not see.
        env, way = {**os.environ, "TMPDIR": "/tmp"}, None
        if request.get("user") is not None:
            way = users.way_to(request["user"])
            way.give(request["data"])
            env.update(way.environment(request["data"]))
        started = self._processes.start(
            request["argv"],
            env={**env, **request["env"]},
            cwd=request["cwd"],
            outputs=(fds[0], fds[1]),
            in_child=in_child,
            way=way,
        )
        self._processes.remember(started, takes_strays=bool(request.get("is_daemon")))
        # Only who rules the pid namespace may name another process to the kernel; without
        # namespaces of its own the node's numbers are everybody's.
        named = 0 if self._hidden is None or started.has_ended else started.pid
        self._answer(request, self._inside.daemons.identity(started.pid, started.ticks), pid=named)
        return {}


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
