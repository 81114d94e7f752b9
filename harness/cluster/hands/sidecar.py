"""The program in a node's side-car that does what must be done inside the node.

It runs in the node's network and process namespaces, beside the database and not of it: it has
the hands obey, knows the daemons that the engine starts, runs short commands and passes on the
logs. The controller starts it by ``docker exec`` and speaks to it over its standard input and
output, a JSON object a line; each answer carries its request's ``id``. What the logs gained
comes unasked. The end of the input ends it; cuts stay as they are.

Each request is served in a thread of its own, since some wait.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import clock_server, family, users
from .daemons import Daemons
from .inside import HANDS, Inside, answered, obey
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

LOG_INTERVAL_S = 0.1
MOST_LOG_BYTES = 1 << 18
PID_WAIT_S = 20.0
_POLL_S = 0.005


def main() -> None:
    """Serve until the controller goes. ``argv``: the folder with the package, that of the logs."""
    say = Voice()
    sidecar = Sidecar(Logs(Path(sys.argv[2]), say))
    for line in sys.stdin:
        threading.Thread(target=serve, args=(sidecar, say, json.loads(line)), daemon=True).start()
    os._exit(0)


class Voice:
    """Standard output, a whole line at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> None:
        with self._lock:
            sys.stdout.write(json.dumps(body) + "\n")
            sys.stdout.flush()


def serve(sidecar: Sidecar, say: Voice, request: dict[str, Any]) -> None:
    """Obey one request and answer it."""
    say({"id": request["id"], **sidecar.obey(request)})


class Sidecar:
    """What can be asked for beside the hands: each ``do_NAME`` is the operation NAME."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._clock = clock_server.ServedClock(clock_server.program())
        self._gates: dict[str, int] = {}
        self.inside = Inside(Daemons(), clock=lambda: self._clock, watch=_no_watch)

    def obey(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request, or ``refused`` with why."""
        op = request["op"]
        if op in HANDS:
            return obey(self.inside, request)
        arguments = {name: value for name, value in request.items() if name not in ("op", "id")}
        return answered(lambda: getattr(self, f"do_{op}")(**arguments) or {}, op)

    def do_expect(self, path: str) -> None:
        """Forget the process number in ``path``: another is about to be written.

        Beside it, ``path.gate`` is a pipe at which the process that wrote its number waits.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if path not in self._gates:
            os.mkfifo(f"{path}.gate", 0o666)
            # Both ends, so that opening waits for nobody and what is written stays until read.
            self._gates[path] = os.open(f"{path}.gate", os.O_RDWR | os.O_NONBLOCK)

    def do_identify(self, path: str) -> dict[str, Any]:
        """The process that is starting and writes its number there, as it is named for good.

        It may go on then, to execute its program, in which its clock is as it is set.
        """
        deadline = time.monotonic() + PID_WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                text = Path(path).read_text()
                if text.endswith("\n"):
                    return self._let_in(path, int(text))
            time.sleep(_POLL_S)
        raise Refused(f"no process wrote its number to {path} in {PID_WAIT_S:g} s")

    def _let_in(self, path: str, pid: int) -> dict[str, Any]:
        ticks = family.start_ticks(pid)
        # A container holds one daemon, and what is in its control group is of it.
        self.inside.daemons.add(pid, ticks, family.Family(pid, ticks, by_cgroup=True))
        self._clock.before_start(pid)
        os.write(self._gates[path], b"\n")
        return self.inside.daemons.identity(pid, ticks)

    def do_run(
        self,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        limit_s: float,
        user: str | int | None = None,
    ) -> dict[str, Any]:
        """Run a short command, its outputs going to unnamed files; killed at the time-out."""
        another: dict[str, Any] = {}
        if user is not None:  # not by a function in the child: this process has threads
            account = users.way_to(user).account
            another = {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env={**os.environ, **env},
                start_new_session=True,
                **another,
            )
            try:
                code: int | None = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                code = None
            return {"exit": code, "stdout": content(stdout), "stderr": content(stderr)}

    def do_sync(self) -> None:
        """Pass on what the logs have gained until now."""
        self._logs.pass_on()


def _no_watch() -> NoReturn:
    raise Refused("system calls are not watched from a side-car")


class Logs:
    """Passes on what each log of the node gains, as ``{"log": name, "data": base64}``.

    Beside it ``since_ns``: when it was last looked at before, by the monotonic clock of the machine
    whose ``boot_id`` that is, and ``age_ns``, how long ago that was when this was said.
    """

    def __init__(self, folder: Path, say: Voice) -> None:
        self._folder = folder
        self._say = say
        self._offsets: dict[str, int] = {}
        self._lock = threading.Lock()
        self._looked_ns = self._began_ns = time.monotonic_ns()
        self._boot_id = family.read_file("/proc/sys/kernel/random/boot_id").decode().strip()
        threading.Thread(target=self._watch, daemon=True).start()

    def pass_on(self) -> None:
        """Say all that is new."""
        with self._lock:
            self._began_ns = time.monotonic_ns()
            for path in sorted(self._folder.glob("*.log")):
                data = self._new(path)
                while data:
                    self._say(self._told(path.name, data))
                    data = self._new(path)
            self._looked_ns = self._began_ns

    def _told(self, name: str, data: bytes) -> dict[str, Any]:
        return {
            "log": name,
            "data": base64.b64encode(data).decode(),
            "since_ns": self._looked_ns,
            "age_ns": time.monotonic_ns() - self._looked_ns,
            "boot_id": self._boot_id,
        }

    def _new(self, path: Path) -> bytes:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path.name, 0))
            data = file.read(MOST_LOG_BYTES)
        self._offsets[path.name] = self._offsets.get(path.name, 0) + len(data)
        return data

    def _watch(self) -> None:
        while True:
            time.sleep(LOG_INTERVAL_S)
            with contextlib.suppress(OSError):
                self.pass_on()


def content(file: Any) -> str:
    """A file's whole content in base64."""
    file.seek(0)
    return base64.b64encode(file.read()).decode()
