"""The run's first process: it starts the run process, reaps, and takes all down when it goes.

This module runs in a bare interpreter (``-I -S``) that the front starts. That process, the
*launcher*, stays outside of the namespaces; a child of it makes them, forks the *reaper* and
ends, so that the launcher adopts the reaper and waits for it, and the front for the launcher.
Reaper and launcher end with each other. Where the front was killed the launcher is left to the
machine's init, which may take its time to reap it: being outside, it holds nothing meanwhile.

The reaper is pid 1 of a pid namespace: when it ends, however it ends, the kernel kills every
process in it, and with the last of them go the namespaces, mounts, links and firewall rules. So
there is nothing to clean up and nothing that could be forgotten.

The reaper ends when the run process has ended, and 0.25 s after the front has died (the run
process saw the end of its standard input then, and had that long to heal and seal). Only after
the message ``stay`` does it outlive both, until ``down`` kills it.

It also forks the node agents (:mod:`harness.cluster.namespaces.agent`): it is small and has one
thread, while the run process has many, and a fork among threads may deadlock.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time

from harness.cluster.hands.execution import ended_children, execute
from harness.cluster.namespaces import agent, rehearsal, wire
from harness.cluster.namespaces import steps as namespaces
from harness.linux import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

CONTROL_FD_VARIABLE = "POLYGRAPH_CONTROL_FD"
GRACE_S = 0.25
EXIT_FAILED = 3


def main() -> NoReturn:
    """The launcher. ``sys.argv[-1]`` is a JSON object; see :func:`~.enter.spawn`."""
    settings = json.loads(sys.argv[-1])
    agent.ignore_signals()
    for fd in (settings["report_fd"], settings["front_fd"]):
        os.set_inheritable(fd, False)
    if _is_readable(settings["front_fd"]):
        os._exit(EXIT_FAILED)
    launcher_fd = os.pidfd_open(os.getpid())
    kernel.adopt_orphans()
    maker = os.fork()
    if maker == 0:
        _make_reaper(settings, launcher_fd)
    agent.point_standard_streams_nowhere()
    _close([settings["report_fd"], settings["front_fd"], launcher_fd, *settings["pass_fds"]])
    code = EXIT_FAILED
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid != maker:
                code = _exit_code(status)
                if settings["mode"] == "plain":
                    # The reaper is gone, however it went: what it left fell to us.
                    agent.end_descendants()
    os._exit(code)


def _make_reaper(settings: dict[str, Any], launcher_fd: int) -> NoReturn:
    """Make the namespaces, and leave in them the reaper alone."""
    report = socket.socket(fileno=settings["report_fd"])
    maker_fd = os.pidfd_open(os.getpid())
    try:
        if namespaces.enter_run(settings["mode"], settings["fail_at"]) == 0:
            _become_reaper(settings, report, launcher_fd, maker_fd)
    except namespaces.StepFailed as failure:
        wire.send(report, failure.as_message())
    except BaseException as error:
        with contextlib.suppress(OSError):
            wire.send(
                report, {"failed": "reaper", "errno": 0, "why": f"{type(error).__name__}: {error}"}
            )
    finally:
        os._exit(EXIT_FAILED)


def _become_reaper(
    settings: dict[str, Any], report: socket.socket, launcher_fd: int, maker_fd: int
) -> None:
    # Only once the launcher has become the parent is it the launcher's end that is signalled.
    _wait_until_readable(maker_fd)
    kernel.end_with_parent(signal.SIGKILL)
    if _is_readable(launcher_fd):
        os._exit(EXIT_FAILED)
    _close([launcher_fd, maker_fd])
    if settings["mode"] == "plain":
        kernel.adopt_orphans()
    else:
        namespaces.furnish_run(settings["fail_at"])
    if settings["rehearse"]:
        rehearsal.rehearse(settings["fail_at"])
        wire.send(report, {"rehearsed": True})
        os._exit(0)
    Reaper(settings, report).run()


class Reaper:
    """Pid 1 of the run, or in mode ``plain`` the process to which all orphans of the run fall.

    ``run`` never returns.
    """

    def __init__(self, settings: dict[str, Any], report: socket.socket) -> None:
        self._settings = settings
        self._is_plain = settings["mode"] == "plain"
        self._report = report
        self._front_fd: int = settings["front_fd"]
        self._control, self._run_control = wire.pair()
        self._run_pid = 0
        self._stays = False
        self._poll = select.poll()
        self._deadline: float | None = None

    def run(self) -> NoReturn:
        """Start the run process once the front has registered the run; then reap until the end."""
        woken = _wake_on_child()
        wire.send(self._report, {"ready": True})
        self._wait_for_go()
        self._start_run_process()
        for fd in (self._front_fd, self._control.fileno(), woken):
            self._poll.register(fd, select.POLLIN)
        while True:
            self._reap()
            for fd, _ in self._poll.poll(self._patience_ms()):
                if fd == woken:
                    os.read(woken, 4096)
                elif fd == self._front_fd:
                    self._front_died()
                else:
                    self._serve()

    def _wait_for_go(self) -> None:
        poll = select.poll()
        poll.register(self._report, select.POLLIN)
        poll.register(self._front_fd, select.POLLIN)
        poll.poll()
        if wire.receive(self._report) is None:
            os._exit(EXIT_FAILED)

    def _start_run_process(self) -> None:
        settings = self._settings
        with namespaces.step("start of the run process", settings["fail_at"]):
            control_fd = self._run_control.fileno()
            env = dict(os.environ, **{CONTROL_FD_VARIABLE: str(control_fd)})
            keep = [*settings["pass_fds"], control_fd]
            self._run_pid = execute(
                settings["argv"], env=env, keep=keep, in_child=_dying_with(self._is_plain)
            )
        self._run_control.close()
        _close(settings["pass_fds"])
        agent.point_standard_streams_nowhere()
        named = 0 if self._is_plain else self._run_pid
        wire.send(self._report, {"started": True, "pid": self._run_pid}, pid=named)

    def _patience_ms(self) -> float | None:
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic()) * 1000

    def _reap(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._end(EXIT_FAILED)
        for pid, status in ended_children():
            if pid == self._run_pid:
                self._run_process_ended(_exit_code(status))

    def _run_process_ended(self, code: int) -> None:
        with contextlib.suppress(OSError):
            wire.send(self._report, {"exit": code, "stays": self._stays})
        if not self._stays:
            self._end(code)
        self._report.close()

    def _end(self, code: int) -> NoReturn:
        """End, and with it all: the kernel sees to that, or without namespaces this does."""
        if self._is_plain:
            agent.end_descendants()
        os._exit(code)

    def _front_died(self) -> None:
        self._poll.unregister(self._front_fd)
        if not self._stays:
            self._deadline = time.monotonic() + self._settings["grace_s"]

    def _serve(self) -> None:
        message = wire.receive(self._control)
        if message is None:
            self._poll.unregister(self._control)
        elif message.body["op"] == "node":
            self._start_node({**message.body, "parent": os.getpid()})
        elif message.body["op"] == "links":
            self._start_links(message.body)
        elif message.body["op"] == "stay":
            _mark_left_running(self._settings["registration"])
            self._stays = True
            self._deadline = None
            wire.send(self._control, {"stays": True})

    def _start_node(self, spec: dict[str, Any]) -> None:
        ours, theirs = wire.pair()
        child = os.fork()
        if child == 0:
            agent.run_node(theirs.detach(), spec)
        theirs.close()
        wire.send(self._control, {"node": spec["name"]}, fds=[ours.fileno()])
        ours.close()

    def _start_links(self, request: dict[str, Any]) -> None:
        ours, theirs = wire.pair()
        argv = [*request["argv"], str(theirs.fileno())]
        env = dict(os.environ)
        keep = [theirs.fileno()]
        execute(argv, env=env, keep=keep, in_child=_dying_with(True))
        theirs.close()
        wire.send(self._control, {"links": True}, fds=[ours.fileno()])
        ours.close()


def _dying_with(is_so: bool) -> Callable[[], None]:
    """For a child of the caller: the kernel kills it when the caller ends, or nobody does.

    Like the caller, and unlike all others, it goes on ignoring what asks a command to stop.
    """
    parent = os.getpid()
    return lambda: kernel.end_with_this_parent(parent) if is_so else None


def _mark_left_running(registration: str) -> None:
    with open(registration, encoding="utf-8") as file:
        content = json.load(file)
    content["left_running"] = True
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    # Whatever the umask, nobody else may write it: else ``heal`` would not obey it.
    new = os.open(registration + ".stays", flags, 0o644)
    with open(new, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(registration + ".stays", registration)


def _close(fds: list[int]) -> None:
    for fd in fds:
        if fd > 2:
            os.close(fd)


def _wake_on_child() -> int:
    """A file descriptor that becomes readable whenever a child ends."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    return readable


def _is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _wait_until_readable(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll()


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
