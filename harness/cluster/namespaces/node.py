"""A node of a local cluster, and the daemons on it, as :mod:`harness.contract.node` promises them.

The node's agent starts everything and is its parent. Outputs go to files that the controller
opens and hands over: a log file for a daemon, an unnamed file in memory for a command, never a
pipe, which a grandchild could hold open or a chatty program could fill.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.cluster.namespaces.agent_link import AgentLink, Started
from harness.cluster.places import Placed, Places
from harness.cluster.remote import RemoteClock, RemoteDaemon, RemoteDisk, checked
from harness.contract.node import Completed, Daemon, User
from harness.linux import identity

_KILL_TIMEOUT_S = 30.0


class LocalDaemon(RemoteDaemon):
    """A daemon on a local node."""

    def __init__(self, name: str, link: AgentLink, started: Started) -> None:
        super().__init__(name, started.identity, link.ask, started.inside)
        self._started = started
        self._link = link

    def prepare_signal(self, number: int) -> Callable[[], Callable[[], bool]]:
        """A signal made ready (``SignalsAtOnce``)."""
        if not self._concerns(number):
            return lambda: lambda: False
        send = self._link.prepare("signal", **self._signal(number))

        def sent() -> Callable[[], bool]:
            answer = send()
            return lambda: bool(answer()["signalled"])

        return sent

    def alive(self) -> bool:
        """Whether it runs (a stopped process is alive)."""
        return self._started.status is None and identity.is_running(self.identity)

    def exit_status(self) -> int | None:
        """``None`` while it runs, its exit code, or minus the signal that ended it."""
        return self._started.status

    def state(self) -> str:
        """The letter of ``/proc/PID/stat`` (``T`` stopped), or ``"gone"``: seen from here."""
        return "gone" if self._started.status is not None else identity.state(self.identity)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; the exit status, or ``None`` at the time-out."""
        return self._started.wait(timeout_s)


class LocalNode(RemoteClock, Placed):
    """One node in namespaces of its own, or without any, its ports moved (``places``)."""

    def __init__(self, places: Places, log_dir: Path, data_dir: str, link: AgentLink) -> None:
        self.name = places.node
        self.places = places
        self.log_dir = log_dir
        self.data_dir = data_dir
        self._link = link
        self._brought: tuple[str, ...] = ()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        user: User | None = None,
    ) -> Completed:
        """Run a short command; ``NodeError`` at the time-out or, if ``check``, on a bad exit.

        At the time-out its whole process group is killed.
        """
        with _memory_file("stdout") as stdout, _memory_file("stderr") as stderr:
            started = self._start(argv, {}, None, (stdout, stderr), user)
            code = started.wait(timeout_s)
            if code is None:
                LocalDaemon(argv[0], self._link, started).signal(signal.SIGKILL)
                started.wait(_KILL_TIMEOUT_S)
            done = code if code is None else _completed(code, stdout, stderr)
        return checked(self.name, list(map(str, argv)), done, timeout_s, check)

    def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
    ) -> Daemon:
        """Start a daemon; both outputs are appended to ``log_dir/<name>.log``.

        ``env`` is added to the controller's environment; ``cwd`` is the data folder unless given.
        """
        with _log_file(self.log_dir / f"{name}.log") as log:
            started = self._start(argv, env or {}, cwd, (log, log), user, is_daemon=True)
        return LocalDaemon(name, self._link, started)

    def bring(self, program: Path) -> str:
        """The program itself: the node sees the controller's files.

        One under ``/tmp`` is shown to what is started from now on.
        """
        path = os.path.abspath(program)
        self._brought = tuple(dict.fromkeys([*self._brought, path]))
        return path

    def upload(self, source: Path, destination: str) -> None:
        """Copy a file of the controller to the node, its permissions too."""
        mode = source.stat().st_mode & 0o7777
        with source.open("rb") as from_file:
            fd = self._open(destination, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(fd, "wb") as to_file:
                shutil.copyfileobj(from_file, to_file)
                os.fchmod(to_file.fileno(), mode)
                to_file.flush()
                os.fsync(to_file.fileno())  # what the system is given outlives a loss of power

    def download(self, source: str, destination: Path) -> None:
        """Copy a file of the node to the controller."""
        fd = self._open(source, os.O_RDONLY)
        with open(fd, "rb") as from_file, destination.open("wb") as to_file:
            shutil.copyfileobj(from_file, to_file)

    def watch_syscalls(self) -> None:
        """Trace every system call of the node's processes until it goes down. It gets slow."""
        self._link.ask("syscalls")

    def read_syscalls(self) -> Mapping[str, Any]:
        """How many there were, and which matter for the clock (``SyscallWatch.state``)."""
        seen: Mapping[str, Any] = self._link.ask("syscalls")["syscalls"]
        return seen

    def _ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        return self._link.ask(op, **request)

    def _open(self, path: str, flags: int) -> int:
        request = {"op": "open", "path": path, "flags": flags, "mode": 0o600}
        return self._link.exchange(request).fds[0]

    def _start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        outputs: tuple[int, int],
        user: User | None,
        *,
        is_daemon: bool = False,
    ) -> Started:
        words = [os.fspath(word) for word in argv]
        request = {
            "argv": words,
            "env": dict(env),
            "cwd": cwd or self.data_dir,
            "user": user,
            "data": self.data_dir,
            "show": with_real_paths([words[0], *self._brought, cwd or self.data_dir]),
            "is_daemon": is_daemon,
        }
        return self._link.start(request, outputs)


class NodeWithDisk(LocalNode, RemoteDisk):
    """A node with a mount namespace of its own, where its data folder may be a disk."""


def with_real_paths(paths: Sequence[str]) -> list[str]:
    """The absolute ones among ``paths`` and where their symbolic links lead, each once."""
    absolute = [path for path in paths if os.path.isabs(path)]
    return list(dict.fromkeys([*absolute, *(os.path.realpath(path) for path in absolute)]))


@contextmanager
def _memory_file(name: str) -> Iterator[int]:
    fd = os.memfd_create(name)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _log_file(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def _completed(code: int, stdout: int, stderr: int) -> Completed:
    return Completed(exit_code=code, stdout=_content(stdout), stderr=_content(stderr))


def _content(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0)
