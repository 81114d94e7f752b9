"""One node's end of the matrix of reachable links: a UDP socket that sends and hears probes.

A probe is the round's number, so that a late one of an earlier round proves nothing. Where it
came from is the source address that the host sees, the same one that a cut drops by.
"""

from __future__ import annotations

import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PROBE = struct.Struct(">Q")
_MOST_AT_ONCE = 1000
_ROUNDS_KEPT = 8


class Probes:
    """The probe socket at the address by which the other nodes know this one."""

    def __init__(self, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._port = port
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._heard: dict[int, set[str]] = {}
        try:
            self._socket.setblocking(False)
            self._socket.bind((address, port))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """For a selector."""
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

    def take(self) -> None:
        """Note what has arrived."""
        for _ in range(_MOST_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(64)
            except BlockingIOError:
                return
            except OSError:
                continue  # the kernel's word on an earlier probe of ours, which nobody took
            if len(data) == _PROBE.size and source[1] == self._port:
                self._heard.setdefault(_PROBE.unpack(data)[0], set()).add(source[0])
                while len(self._heard) > _ROUNDS_KEPT:
                    del self._heard[min(self._heard)]

    def heard(self, number: int) -> list[str]:
        """The addresses from which round ``number``'s probe has come."""
        self.take()
        return sorted(self._heard.get(number, ()))
