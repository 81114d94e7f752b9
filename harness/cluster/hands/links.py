"""The hands that make the links into one node slow or lossy (:mod:`.shaper`), in a process beside.

The process is of the node's network, and lives no longer than whoever sits in the node: at its end
the kernel lets everything pass.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from . import shaper
from .inside import Part
from .queueing import Queue, Rules, open_netfilter
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .inside import Inside

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from hands import shaper; shaper.main()"
_NOBODY = "192.0.2.1"
"""An address of documentation, which no packet comes from."""


class Links(Part):
    """The node's shaped links, once there are any."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._lock = threading.Lock()
        self._rules: Rules | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def shape(self, shapes: dict[str, dict[str, float]], seed: int) -> None:
        """Shape what comes from these addresses, and nothing else."""
        with self._lock:
            if self._process is None and not shapes:
                return
            if self._rules is None:
                self._rules = Rules()
            if self._process is None:
                self._start(seed)
            self._ask([shapes])
            self._rules.queue(sorted(shapes))

    def shaped(self) -> dict[str, dict[str, int]]:
        """What was done by source, and the database's ``packets`` that met it."""
        with self._lock:
            if self._process is None or self._rules is None:
                return {}
            packets = self._rules.counted()
            counts = self._ask(None)[0]
            return {
                source: {**n, "packets": packets.get(source, 0)} for source, n in counts.items()
            }

    def end(self) -> None:
        """Let everything pass. Safe twice."""
        with self._lock:
            if self._process is not None:
                assert self._process.stdin is not None
                self._process.stdin.close()
                self._process.wait()
                self._process = None
            if self._rules is not None:
                self._rules.queue([])
                self._rules.close()
                self._rules = None

    def _start(self, seed: int) -> None:
        made = [open_netfilter(), shaper.open_raw()]
        try:
            fds = [each.fileno() for each in made]
            folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
            argv = [sys.executable, "-I", "-S", "-c", _BOOT, folder, str(seed), *map(str, fds)]
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=fds
            )
        finally:
            for each in made:
                each.close()
        self._answer()

    def _ask(self, told: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process = None
            raise Refused("the process that shapes links has ended")
        return line


def shape(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: shape what comes from each address of ``shapes``, and nothing else."""
    inside.part(Links).shape(request["shapes"], request["seed"])
    return {}


def shaped(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: what was done by now, by source."""
    return {"shaped": inside.part(Links).shaped()}


def why_not() -> str | None:
    """Why the kernel hands over no packets in the calling process's network; ``None`` if it does.

    Tried with a rule that meets nothing, and removed again.
    """
    try:
        rules = Rules()
        try:
            rules.queue([_NOBODY])
            Queue().close()
            rules.queue([])
        finally:
            rules.close()
    except OSError as error:
        return (
            f"the kernel has no netfilter queues here ({error.strerror or error}); it needs "
            "NETFILTER_NETLINK_QUEUE, NETFILTER_XT_TARGET_NFQUEUE and NFT_COMPAT"
        )
    return None


def main() -> None:
    """Say why not, or nothing."""
    print(why_not() or "")
