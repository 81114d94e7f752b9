"""A node of a docker cluster, and the daemons on it, as :mod:`harness.contract.node` promises them.

A daemon is a container of its own that joins the side-car's namespaces, started by a few words
for the static shell that the side-car brings along (so that the database's image needs none):
they write the process's number down, wait until its clock is seen to, and send its output to a
file in the node's volume, never to a pipe. A daemon that is started again with the same words is
the same container again, with what it had written outside of its data folder.

Cost: about 0.3 s to create and start a daemon, 0.2 s until its end is known.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import signal
import tarfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.cluster.docker.engine import complaints
from harness.cluster.docker.layout import (
    DATA_DIR,
    LOG_DIR,
    NODE_DIR,
    NUMBER_DIR,
    PROGRAMS_DIR,
    Layout,
)
from harness.cluster.docker.link import SidecarLink
from harness.cluster.places import Placed, Places
from harness.cluster.remote import RemoteClock, RemoteDaemon, checked, identity_in
from harness.contract.node import Completed, Daemon, User
from harness.errors import NodeError
from harness.linux.identity import ProcessIdentity

SHELL = f"{PROGRAMS_DIR}/busybox"
_LAUNCH = (
    'echo $$ >"$1"; read -r go <"$1.gate"; log=$2; shift 2; exec "$@" >>"$log" 2>&1 </dev/null'
)
_RUN = 'exec >"$1" 2>"$2" </dev/null; shift 2; exec "$@"'
_SIGNAL_BASE = 128
_SIGNALLED = range(_SIGNAL_BASE + 1, _SIGNAL_BASE + signal.NSIG)
"""Exit codes by which the engine tells a signal; 255 is a program's own."""

_SLACK_S = 20.0


@dataclass
class Container:
    """A container that a daemon runs in, and the words that it was made for."""

    id: str
    words: tuple[Any, ...]


class DockerDaemon(RemoteDaemon):
    """A daemon on a docker node: one run of its container."""

    def __init__(
        self, name: str, link: SidecarLink, identity: ProcessIdentity, wait: Callable[[], int]
    ) -> None:
        super().__init__(name, identity, link.ask)
        self._status: int | None = None
        self._ended = threading.Event()
        waiter = threading.Thread(target=self._wait_for_end, args=(wait,), daemon=True)
        waiter.start()

    def exit_status(self) -> int | None:
        """``None`` while it runs, its exit code, or minus the signal that ended it."""
        return self._status

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; the exit status, or ``None`` at the time-out."""
        self._ended.wait(timeout_s)
        return self._status

    def _wait_for_end(self, wait: Callable[[], int]) -> None:
        with contextlib.suppress(Exception):  # the engine is gone: the end stays unknown
            code = wait()
            self._status = _SIGNAL_BASE - code if code in _SIGNALLED else code
            self._ended.set()


class Programs:
    """Programs of the controller in the volume that all nodes share."""

    def __init__(self, client: Any, sidecar: str) -> None:
        self._client = client
        self._sidecar = sidecar
        self._lock = threading.Lock()
        self._brought: dict[Path, str] = {}

    def bring(self, program: Path) -> str:
        """Copy it there unless it is; its path. Two of one name from two folders are two."""
        with self._lock:
            if program not in self._brought:
                folder = hashlib.sha256(str(program).encode()).hexdigest()[:8]
                inside = f"{folder}/{program.name}"
                with complaints(f"copy of {program} to the nodes"):
                    self._client.put_archive(self._sidecar, PROGRAMS_DIR, packed({inside: program}))
                self._brought[program] = f"{PROGRAMS_DIR}/{inside}"
            return self._brought[program]


@dataclass
class DockerNode(RemoteClock, Placed):
    """One side-car and the containers that join it. ``image`` is the database's."""

    name: str
    client: Any
    layout: Layout
    sidecar: str
    link: SidecarLink
    programs: Programs
    image: str
    log_dir: Path
    places: Places
    data_dir: str = DATA_DIR
    _containers: dict[str, Container] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _commands: int = 0

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        user: User | None = None,
    ) -> Completed:
        """Run a short command; ``NodeError`` at the time-out or, if ``check``, on a bad exit.

        In the side-car, unless the database has an image of its own: then in a container of it.
        """
        words = [str(word) for word in argv]
        if self.image == self.layout.image:
            done = self._run_beside(words, timeout_s, user)
        else:
            done = self._run_in_image(words, timeout_s, user)
        return checked(self.name, words, done, timeout_s, check)

    def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
    ) -> Daemon:
        """Start a daemon; both outputs go to ``log_dir/<name>.log``, at most 0.1 s later.

        ``env`` is added to the image's environment; ``cwd`` is the data folder unless given.
        """
        number_file = f"{NUMBER_DIR}/{name}"
        words = [SHELL, "sh", "-c", _LAUNCH, "launch", number_file, f"{LOG_DIR}/{name}.log", *argv]
        self.link.ask("expect", path=number_file)
        container = self._container(name, [str(word) for word in words], env or {}, cwd, user)
        with complaints(f"{self.name}: start of {name}"):
            self.client.start(container)
        try:
            who = self.link.ask("identify", path=number_file)
        except NodeError:
            with contextlib.suppress(Exception):  # it waits for ever
                self.client.kill(container)
            raise
        identity = identity_in(who)
        return DockerDaemon(name, self.link, identity, self._waiter(container))

    def bring(self, program: Path) -> str:
        """Copy a program into the volume that all nodes share, once; its path there."""
        return self.programs.bring(program)

    def _ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        return self.link.ask(op, **request)

    def upload(self, source: Path, destination: str) -> None:
        """Copy a file of the controller to the node, its permissions too.

        Only into the folders that side-car and database share.
        """
        if not destination.startswith((f"{NODE_DIR}/", f"{PROGRAMS_DIR}/")):
            raise NodeError(
                f"{self.name}: {destination} would not be seen by the database's container",
                f"a path under {DATA_DIR}",
            )
        folder, _, name = destination.rpartition("/")
        with complaints(f"{self.name}: upload of {source} to {destination}"):
            self.client.put_archive(self.sidecar, folder, packed({name: source}))

    def download(self, source: str, destination: Path) -> None:
        """Copy a file of the node to the controller."""
        with complaints(f"{self.name}: download of {source}"):
            chunks, _ = self.client.get_archive(self.sidecar, source)
            archive = io.BytesIO(b"".join(chunks))
        with tarfile.open(fileobj=archive) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            if file is None:
                raise NodeError(f"{self.name}: {source} is not a file")
            destination.write_bytes(file.read())

    def _container(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        user: User | None,
    ) -> str:
        """The container made for these words, a new one where they are others than before."""
        words = (tuple(argv), tuple(sorted(env.items())), cwd, user)
        with self._lock:
            known = self._containers.get(name)
            if known is not None and known.words == words:
                return known.id
            with complaints(f"{self.name}: container for {name}"):
                if known is not None:
                    self.client.remove_container(known.id, force=True, v=True)
                settings = self.layout.database(
                    self.client, self.name, self.sidecar, image=self.image, name=name, user=user
                )
                made = self.client.create_container(
                    **settings,
                    entrypoint=list(argv),
                    command=[],
                    environment={**self._environment(user), **env},
                    working_dir=cwd or self.data_dir,
                )
            self._containers[name] = Container(made["Id"], words)
            return str(made["Id"])

    def _environment(self, user: User | None) -> dict[str, str]:
        """Who another user is, to its programs."""
        if user is None:
            return {}
        return {"HOME": self.data_dir, "USER": str(user), "LOGNAME": str(user)}

    def _waiter(self, container: str) -> Callable[[], int]:
        return lambda: int(self.client.wait(container, timeout=None)["StatusCode"])

    def _run_beside(
        self, argv: Sequence[str], timeout_s: float, user: User | None = None
    ) -> Completed | None:
        """Run in the side-car; ``None`` at the time-out."""
        answer = self.link.ask(
            "run",
            argv=list(argv),
            env=self._environment(user),
            cwd=self.data_dir,
            limit_s=timeout_s,
            user=user,
            timeout_s=timeout_s + _SLACK_S,
        )
        return _completed(answer["exit"], answer["stdout"], answer["stderr"])

    def _run_in_image(
        self, argv: Sequence[str], timeout_s: float, user: User | None
    ) -> Completed | None:
        """Run in a container of the database's image; ``None`` at the time-out."""
        with self._lock:
            self._commands += 1
            name = f"command-{self._commands}"
        outputs = [f"{NUMBER_DIR}/{name}.{stream}" for stream in ("stdout", "stderr")]
        words = [SHELL, "sh", "-c", _RUN, "run", *outputs, *argv]
        container = self._container(name, words, {}, None, user)
        try:
            with complaints(f"{self.name}: {argv[0]}"):
                self.client.start(container)
            code = self._exit_code(container, timeout_s)
        finally:
            with contextlib.suppress(Exception):
                self.client.remove_container(container, force=True, v=True)
            self._containers.pop(name)
        texts = [self._run_beside(["cat", path], 30.0) for path in outputs]
        stdout, stderr = (text.stdout if text else b"" for text in texts)
        return None if code is None else Completed(exit_code=code, stdout=stdout, stderr=stderr)

    def _exit_code(self, container: str, timeout_s: float) -> int | None:
        try:
            return int(self.client.wait(container, timeout=timeout_s)["StatusCode"])
        except Exception:
            with complaints(f"{self.name}: a command"):
                running = self.client.inspect_container(container)["State"]["Running"]
            if not running:
                raise
            return None


def _completed(code: int | None, stdout: str, stderr: str) -> Completed | None:
    if code is None:
        return None
    return Completed(
        exit_code=code, stdout=base64.b64decode(stdout), stderr=base64.b64decode(stderr)
    )


def packed(files: Mapping[str, Path]) -> io.BytesIO:
    """A tar archive of files under new names, their permissions kept, owned by root."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, source in files.items():
            member = tar.gettarinfo(str(source), arcname=name)
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            with source.open("rb") as content:
                tar.addfile(member, content)
    archive.seek(0)
    return archive
