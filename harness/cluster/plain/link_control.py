"""The run process's end of the channel to the process that carries all links.

One request at a time, from any thread; see :mod:`harness.cluster.plain.links` for what is asked.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.namespaces import wire
from harness.cluster.plain import links
from harness.contract.node import Link
from harness.errors import NodeError, SetupError

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); import harness.cluster.plain.links as l; l.main()"
)
_ANSWER_TIMEOUT_S = 30.0


class LinkControl:
    """Asks the link process. It is asked for from the reaper, over ``reaper``."""

    def __init__(self, reaper: socket.socket) -> None:
        root = Path(__file__).resolve().parents[3]
        argv = [sys.executable, "-I", "-S", "-c", _BOOT, str(root)]
        wire.send(reaper, {"op": "links", "argv": argv})
        answer = wire.receive(reaper)
        if answer is None:
            raise SetupError("the reaper is gone")
        self._channel = socket.socket(fileno=answer.fds[0])
        self._channel.settimeout(_ANSWER_TIMEOUT_S)
        self._lock = threading.Lock()
        self._last_id = 0

    def wait_until_up(self) -> None:
        """Wait for its first word; ``SetupError`` if none comes."""
        try:
            self._answer(0)
        except NodeError as error:
            raise SetupError(error.message) from error

    def open(
        self, roots: Mapping[int, str], ports: Sequence[tuple[str, str, int]]
    ) -> Sequence[int]:
        """Open a proxy for each (node, ``links.PEER`` or ``PROBE``, port); their own ports.

        ``roots`` names the node of each process that is the first of one, ``""`` the controller.
        """
        named = {str(pid): name for pid, name in roots.items()}
        asked: Sequence[int] = self._ask("open", roots=named, ports=list(ports))["ports"]
        return asked

    def reserve(self, port: int) -> bool:
        """Keep a port for this cluster while the link process lives (:mod:`ports`); if it can."""
        return bool(self._ask("reserve", port=port)["reserved"])

    def catch_up(self) -> None:
        """Return once everything that was sent into the links before has been read there."""
        self._ask("catch up")

    def claim(self, port: int, node: str) -> None:
        """The next connection from this port is to count as the node's."""
        self._ask("claim", port=port, node=node)

    def cut(self, cut: Iterable[Link]) -> None:
        """Cut exactly these links, and count what runs into the cut from zero."""
        self._ask("cut", links=sorted(cut))

    def delay(self, late_s: Mapping[Link, float]) -> None:
        """Have what passes exactly these links come so much later."""
        self._ask("delay", links=[[*link, seconds] for link, seconds in sorted(late_s.items())])

    def held(self) -> dict[Link, tuple[int, int]]:
        """Chunks and bytes of database traffic that ran into the present cut, by link."""
        counted = self._ask("held")["held"]
        return {(source, target): (n, size) for source, target, n, size in counted}

    def end(self) -> None:
        """End the link process, and let go of it. Safe twice."""
        with contextlib.suppress(NodeError, OSError):
            self._ask("end")
            self._channel.recv(1)  # returns when the process is gone
        self._channel.close()

    def _ask(self, op: str, **request: Any) -> dict[str, Any]:
        with self._lock:
            self._last_id += 1
            try:
                wire.send(self._channel, {"op": op, "id": self._last_id, **request})
            except OSError as error:
                raise NodeError(f"the links between the nodes are gone ({op}: {error})") from error
            body = self._answer(self._last_id)
        if "why" in body:
            raise NodeError(f"links: {op}: {body['why']}")
        return body

    def _answer(self, number: int) -> dict[str, Any]:
        while True:
            try:
                message = wire.receive(self._channel)
            except OSError as error:
                raise NodeError(f"the links between the nodes do not answer: {error}") from error
            if message is None:
                raise NodeError("the process that carries the links has ended")
            if message.body["id"] == number:
                return message.body


PEER, PROBE = links.PEER, links.PROBE
