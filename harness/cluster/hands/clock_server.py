"""A process that sets the clock of a side-car's node, and the side-car's end of the line to it.

A process of its own, beside the one that serves everything else: a tracer must wait for every
child of its process, and one thread must make all its calls. It reads requests, a JSON object a
line, from its standard input and answers each with a line; the end of the input has every
process read the true time again. The node's processes are those that see other files than the
side-car does: the database's containers. Where the side-car sees the whole machine, they are those
alone that it is told to ``follow``, with what they started.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading

from . import family
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .node_clock import NodeClock

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from hands import clock_server; clock_server.main()"
)


FOLLOWED = "followed"
"""Of the program: the processes are those that it is told to follow."""


def program(*, followed: bool = False) -> list[str]:
    """What starts it, where this package lies as ``hands``."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return [sys.executable, "-c", _START, package, *([FOLLOWED] if followed else [])]


class ServedClock:
    """The clock of the node's processes, set by the process ``argv``, started when first needed.

    For callers in several threads.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv
        self._followed: list[tuple[int, int]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def set(self, program: Mapping[str, Any]) -> dict[str, Any]:
        """Set it for every process of the node; its state then."""
        return self._state(do="set", program=dict(program))

    def heal(self) -> dict[str, Any]:
        """Have every process read the true time again; its state then."""
        return self._state(do="heal")

    def state(self) -> dict[str, Any]:
        """How it is now."""
        return self._state(do="read")

    def rehearse(self) -> dict[str, Any]:
        """Seize every process for a moment; its state then."""
        return self._state(do="rehearse")

    def follow(self, pid: int, ticks: int) -> None:
        """The processes are this one, with what it starts, beside those followed before."""
        if (pid, ticks) not in self._followed:
            self._followed.append((pid, ticks))
            if self._process is not None:
                self._ask(do="follow", leaders=[[pid, ticks]])

    def before_start(self, pid: int) -> None:
        """A process is about to execute its program: its clock is set if the node's is."""
        if self._process is not None:
            self._ask(do="start", pid=pid)

    def _state(self, **request: Any) -> dict[str, Any]:
        state: dict[str, Any] = self._ask(**request)["clock"]
        return state

    def _ask(self, **request: Any) -> dict[str, Any]:
        with self._lock:
            if self._process is None:
                pipe = subprocess.PIPE
                self._process = subprocess.Popen(self._argv, stdin=pipe, stdout=pipe)
                if self._followed:
                    self._line(self._process, {"do": "follow", "leaders": self._followed})
            line = self._line(self._process, request)
            if not line:
                # The next one undoes what this one had set.
                status, self._process = self._process.wait(), None
                raise Refused(f"the program that sets the clock ended ({status})")
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer

    def _line(self, process: subprocess.Popen[bytes], request: Mapping[str, Any]) -> bytes:
        """The line that it answers with; none if it has ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            return process.stdout.readline()
        return b""


def main() -> None:
    """Serve until the side-car's program goes."""
    from .node_clock import NodeClock

    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    families: list[family.Family] = []

    def followed() -> list[int]:
        return sorted({pid for whole in families for pid in whole.members()})

    processes = followed if sys.argv[2:] == [FOLLOWED] else database_processes
    server = Server(NodeClock(processes), families)
    poll = select.poll()
    poll.register(readable, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        server.pump()
        for fd, _ in poll.poll():
            if fd == readable:
                os.read(readable, 4096)
            elif not server.serve():
                return


class Server:
    """Answers requests with one node's clock. ``families`` are what is followed."""

    def __init__(self, clock: NodeClock, families: list[family.Family]) -> None:
        self._clock = clock
        self._families = families
        self._unread = b""

    def pump(self) -> None:
        """Serve the traced processes."""
        self._clock.pump()

    def serve(self) -> bool:
        """Answer what has come; at the end of the input undo all and say ``False``."""
        data = os.read(0, 65536)
        if not data:
            with contextlib.suppress(Refused):
                self._clock.heal()
            return False
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            answer = json.dumps(self._answer(json.loads(line))) + "\n"
            os.write(1, answer.encode())
        return True

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if request["do"] == "start":
                self._clock.before_start(request["pid"])
                return {}
            if request["do"] == "follow":
                self._families += [family.Family(*each) for each in request["leaders"]]
                return {}
            if request["do"] == "set":
                return {"clock": self._clock.set(request["program"])}
            plain = {"heal": self._clock.heal, "rehearse": self._clock.rehearse}
            return {"clock": plain.get(request["do"], self._clock.state)()}
        except (Refused, OSError) as error:
            return {"refused": str(error)}


def database_processes() -> list[int]:
    """Every process here that is in another mount namespace than this one."""
    own = os.stat("/proc/self/ns/mnt").st_ino
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}/ns/mnt").st_ino != own:
                    found.append(int(name))
    return found
