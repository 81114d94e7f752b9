"""The program in a side-car that sets the clock of the node's processes.

A process of its own, beside the one that serves everything else: a tracer must wait for every
child of its process, and one thread must make all its calls. It reads requests, a JSON object a
line, from its standard input and answers each with a line; the end of the input has every
process read the true time again. The node's processes are those that see other files than the
side-car does: the database's containers.

Run as a file beside the package ``hands`` (:mod:`harness.cluster.hands`), in the side-car's
python3, with nothing else of ours.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
from typing import Any


def main() -> None:
    """Serve until the side-car's program goes."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    node_clock: Any = importlib.import_module("hands.node_clock")
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    server = Server(node_clock.NodeClock(database_processes), node_clock.Cannot)
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
    """Answers requests with one node's clock. ``refusal`` is what the clock raises."""

    def __init__(self, clock: Any, refusal: type[Exception]) -> None:
        self._clock = clock
        self._refusal = refusal
        self._unread = b""

    def pump(self) -> None:
        """Serve the traced processes."""
        self._clock.pump()

    def serve(self) -> bool:
        """Answer what has come; at the end of the input undo all and say ``False``."""
        data = os.read(0, 65536)
        if not data:
            with contextlib.suppress(self._refusal):
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
            if request["do"] == "set":
                return {"clock": self._clock.set(request["program"])}
            return {"clock": self._clock.heal() if request["do"] == "heal" else self._clock.state()}
        except (self._refusal, OSError) as error:
            return {"error": str(error)}


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


if __name__ == "__main__":
    main()
