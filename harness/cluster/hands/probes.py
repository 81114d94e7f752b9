"""One node's end of the matrix of reachable links: a UDP socket that sends and hears probes.

A probe is the round's number, so that a late one of an earlier round proves nothing. Where it
came from is the source address that the host sees, the same one that a cut drops by. The rounds
are in :mod:`harness.cluster.links`.
"""

from __future__ import annotations

import select
import socket
import struct
import time

from .inside import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from .inside import Inside

_PROBE = struct.Struct(">Q")
_MOST_AT_ONCE = 1000
_ROUNDS_KEPT = 8
_ROOM_BYTES = 1 << 20
"""For a probe of every other node, should nobody get the time to take them: as far as allowed."""


class Probes:
    """The probe socket at the address by which the other nodes know this one."""

    def __init__(self, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._port = port
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._heard: dict[int, set[str]] = {}
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
            self._socket.setblocking(False)
            self._socket.bind((address, port))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """To wait for what it hears."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket. Safe twice."""
        self._socket.close()

    def send(self, number: int, addresses: Sequence[str]) -> None:
        """Send round ``number``'s probe to each address."""
        for address in addresses:
            try:
                self._socket.sendto(_PROBE.pack(number), (address, self._port))
            except OSError:
                # Refused on account of an earlier answer, or no room: not sent, and probed again.
                continue

    def take(self) -> list[tuple[int, str]]:
        """Note what has arrived: (round, source) of each probe."""
        taken = []
        for _ in range(_MOST_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(64)
            except BlockingIOError:
                break
            except OSError:
                continue  # the kernel's word on an earlier probe of ours, which nobody took
            if len(data) == _PROBE.size and source[1] == self._port:
                taken.append((_PROBE.unpack(data)[0], source[0]))
        for number, address in taken:
            self._heard.setdefault(number, set()).add(address)
            while len(self._heard) > _ROUNDS_KEPT:
                del self._heard[min(self._heard)]
        return taken

    def heard(self, number: int, sources: Collection[str] = (), wait_s: float = 0.0) -> list[str]:
        """The addresses from which round ``number``'s probe has come.

        Waits at most ``wait_s`` until it has come from all ``sources``.
        """
        deadline = time.monotonic() + wait_s
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            left_s = deadline - time.monotonic()
            # Also when the time is over: what came while we got none is here, and counts.
            self.take()
            came = self._heard.get(number, set())
            if left_s <= 0 or came.issuperset(sources):
                return sorted(came)
            poll.poll(left_s * 1000)


class Ear(Part):
    """The node's probe socket, once it listens."""

    probes: Probes | None = None

    def end(self) -> None:
        """Close it."""
        if self.probes is not None:
            self.probes.close()
            self.probes = None


def listen(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: open the probe socket at ``address`` and ``port``, instead of any earlier one."""
    ear = inside.part(Ear)
    ear.end()
    ear.probes = Probes(request["address"], request["port"])
    return {}


def probe(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: send the probe of ``round`` to each of ``addresses``."""
    _of(inside).send(request["round"], request["addresses"])
    return {}


def heard(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: whose probe of ``round`` has come, by ``wait_s`` at most from all ``sources``.

    Only who serves each request in a thread of its own may be asked to wait.
    """
    sources, wait_s = request.get("sources", ()), request.get("wait_s", 0.0)
    return {"heard": _of(inside).heard(request["round"], sources, wait_s)}


def _of(inside: Inside) -> Probes:
    probes = inside.part(Ear).probes
    assert probes is not None, "nobody listens"
    return probes
