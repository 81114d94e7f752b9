"""The keeper of one node on an ssh host: starts daemons, has the hands obey, and tells of exits.

A process of its own session that outlives every connection, until it is told to ``end``; then it
kills what it started, lets every link carry again, removes the node's folder and goes. It listens
on a socket in that folder, which only its user can open. Requests and answers are lines of JSON;
an answer carries the request's ``id``. Daemons' ends come by themselves as ``exited``, and are
told again to everyone who connects.

A controller whose connection broke cannot know whether its last request was carried out, and
sends it again under the same ``id``: what is not harmless twice is carried out once and answered
from memory.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time

from . import cuts, family, users
from .attached import Attached, undo
from .host_processes import HostProcesses
from .inside import Inside, answered, obey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_START_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 10.0
_POLL_S = 0.01
_ANSWERS_KEPT = 64
_OUTPUT_BYTES = 8 << 20


class Client:
    """One connection; whoever is too slow to read is let go."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""
        connection.settimeout(_END_TIMEOUT_S)

    def requests(self) -> list[dict[str, Any]] | None:
        """What has been asked, or ``None`` at the end."""
        try:
            data = self.connection.recv(1 << 16)
        except OSError:
            return None
        *lines, self._received = (self._received + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None

    def tell(self, body: dict[str, Any]) -> None:
        """Send one line; a connection that is gone finds out by reading.

        So does one that took a part of it: behind that, no other line could be told from it.
        """
        try:
            self.connection.sendall(json.dumps(body).encode() + b"\n")
        except OSError:
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)


class Command:
    """A short command that runs: who asked, where its outputs go, and until when it may."""

    def __init__(self, client: Client, id: str, timeout_s: float) -> None:
        self.client = client
        self.id = id
        self.deadline = time.monotonic() + timeout_s
        self.is_late = False
        self.files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115

    def outputs(self) -> list[str]:
        """Both outputs, for JSON; the end of each if there is too much."""
        said = []
        for file in self.files:
            size = os.fstat(file.fileno()).st_size
            data = os.pread(file.fileno(), _OUTPUT_BYTES, max(0, size - _OUTPUT_BYTES))
            said.append(base64.b64encode(data).decode())
            file.close()
        return said


class Keeper:
    """Serves one node. ``run`` never returns."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._processes = HostProcesses(root)
        self._inside = Inside(
            self._processes.daemons,
            clock=lambda: self._processes.tracing().clock(),
            watch=lambda: self._processes.tracing().watch(),
            folder=root,
        )
        self._inside.part(Attached).use(self._inside)
        self._processes.others = self._inside.part(Attached).members
        self._processes.spared = self._inside.own
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._commands: dict[int, Command] = {}
        self._running: set[int] = set()
        self._exits: list[dict[str, int]] = []
        self._answers: collections.OrderedDict[str, dict[str, Any]] = collections.OrderedDict()

    def run(self, listener: socket.socket) -> NoReturn:
        """Serve for ever."""
        readable, writable = os.pipe()
        os.set_blocking(writable, False)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(readable, selectors.EVENT_READ, lambda fd: os.read(fd, 4096))
        while True:
            for key, _ in self._selector.select(self._patience_s()):
                key.data(key.fileobj)
            self._reap()
            self._end_late_commands()

    def _accept(self, listener: Any) -> None:
        client = Client(listener.accept()[0])
        self._clients.add(client)
        self._selector.register(
            client.connection, selectors.EVENT_READ, lambda connection: self._serve(client)
        )
        client.tell(
            {
                "keeper": [os.getpid(), family.start_ticks(os.getpid())],
                "boot_id": self._processes.daemons.boot_id,
                "exits": self._exits,
            }
        )

    def _serve(self, client: Client) -> None:
        requests = client.requests()
        if requests is None:
            self._selector.unregister(client.connection)
            self._clients.discard(client)
            client.connection.close()
            return
        for request in requests:
            self._obey(client, request)

    def _obey(self, client: Client, request: dict[str, Any]) -> None:
        id = request["id"]
        running = [command for command in self._commands.values() if command.id == id]
        if running:
            running[0].client = client
            return
        answer = self._answers.get(id)
        if answer is None:
            answer = self._carry_out(client, request)
        if answer is not None:
            self._answer(client, id, answer)

    def _carry_out(self, client: Client, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; ``None`` to ``run``, whose answer comes when the command has ended."""
        op = request["op"]
        if op == "run":
            refused = answered(lambda: self._run(client, request), op)
            return refused or None
        if op in ("start", "end"):
            own = self._start if op == "start" else self._end
            return answered(lambda: own(client, request), op)
        return obey(self._inside, request)

    def _answer(self, client: Client, id: str, answer: dict[str, Any]) -> None:
        self._answers[id] = answer
        while len(self._answers) > _ANSWERS_KEPT:
            self._answers.popitem(last=False)
        client.tell({"id": id, **answer})

    # -- processes -----------------------------------------------------------------------------

    def _start(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            argv, env, cwd = request["argv"], request["env"], request["cwd"]
            way, own = self._way(request.get("user"))
            started = self._processes.start(
                argv, env={**own, **env}, cwd=cwd, outputs=(log, log), way=way
            )
        finally:
            os.close(log)
        self._processes.keep(started)
        self._running.add(started.pid)
        return self._inside.daemons.identity(started.pid, started.ticks)

    def _run(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        command = Command(client, request["id"], request["limit_s"])
        outputs = (command.files[0].fileno(), command.files[1].fileno())
        argv, cwd = request["argv"], request["cwd"]
        way, own = self._way(request.get("user"))
        started = self._processes.start(argv, env=own, cwd=cwd, outputs=outputs, way=way)
        self._commands[started.pid] = command
        return {}

    def _way(self, user: str | int | None) -> tuple[users.Way | None, dict[str, str]]:
        """How to become ``user``, with the data folder made its own; its environment."""
        if user is None:
            return None, {}
        way, data = users.way_to(user), os.path.join(self._root, "data")
        if way.changes_owner:
            users.open_way(self._root)
            base = os.path.dirname(self._root)
            if os.path.basename(base) == f"polygraph-{os.geteuid()}":  # made by us, for our runs
                users.open_way(base)
        way.give(data)
        return way, way.environment(data)

    def _patience_s(self) -> float | None:
        waiting = [command.deadline for command in self._commands.values() if not command.is_late]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else None

    def _end_late_commands(self) -> None:
        for pid, command in self._commands.items():
            if not command.is_late and time.monotonic() >= command.deadline:
                command.is_late = True
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> None:
        for pid, status in self._processes.reap():
            command = self._commands.pop(pid, None)
            if command is not None:
                answer: dict[str, Any] = {"exit_code": status, "late": command.is_late}
                answer["stdout"], answer["stderr"] = command.outputs()
                self._answer(command.client, command.id, answer)
            elif pid in self._running:
                self._running.remove(pid)
                self._exits.append({"exited": pid, "status": status})
                for client in self._clients:
                    client.tell(self._exits[-1])

    # -- the end -------------------------------------------------------------------------------

    def _end(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        """Undo everything; goes if nothing is left, else says what is."""
        if self._inside.part(Attached).members():  # they stay: all must be as it was
            left = undo(self._inside, request)["left"]
        else:
            with contextlib.suppress(Exception):  # its processes end next, changed or not
                if self._processes.has_tracing():
                    self._processes.tracing().clock().heal()
            from . import disk

            for kind in (cuts.Cutter, disk.Disk):  # what an earlier keeper of this node did, too
                self._inside.part(kind)
            left = self._inside.end_parts()
        stuck = self._processes.end(_END_TIMEOUT_S)
        if stuck:
            left.append("processes do not end: " + " ".join(map(str, stuck)))
        if left:
            return {"left": left}
        shutil.rmtree(self._root, ignore_errors=True)
        if os.path.exists(self._root):
            left.append(f"its folder {self._root} cannot be removed")
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self._root))
        # Also with something left: its socket is gone, and who comes next starts another keeper.
        client.tell({"id": request["id"], "left": left})
        os._exit(0)


def main() -> None:
    """``sys.argv[2:]``: the node's folder, and a descriptor to say by that we listen."""
    root, told = sys.argv[2], int(sys.argv[3])
    path = os.path.join(root, "keeper.socket")
    lock = os.open(os.path.join(root, "keeper.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    if not _is_first(lock, path):
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    listener.bind(path)
    os.umask(before)
    listener.listen(16)
    os.write(told, b"1")
    os.close(told)
    Keeper(root).run(listener)


def _is_first(lock: int, path: str) -> bool:
    """Hold the lock of the node's one keeper; ``False`` once another one that holds it listens.

    Until then that one may be about to listen, or about to end.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as other:
                other.connect(path)
                return False
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
