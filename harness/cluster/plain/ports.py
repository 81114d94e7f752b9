"""Ports of loopback for a cluster of plain processes, which no other cluster here is given.

Between the choice of a port and the first daemon that listens on it, and again while that daemon
is killed, nobody holds it, so that two clusters that come up at once could choose the same. Hence
each cluster holds, for as long as it is there, a name for each of its ports in the kernel's
abstract socket namespace (unix(7)): a name can be bound once, belongs to the same network
namespace as the port, and goes with the process that bound it, however that ends. The port itself
stays free for any kind of daemon.

Light: the process that carries a cluster's links imports it, and holds the names.
"""

from __future__ import annotations

import socket

_NAME = "\0polygraph-port-{}"


class Reservations:
    """The ports that this process keeps for its cluster until it ends."""

    def __init__(self) -> None:
        self._names: list[socket.socket] = []

    def reserve(self, port: int) -> bool:
        """Keep the port, unless another cluster has it or anybody listens on it."""
        name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            name.bind(_NAME.format(port))
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:
            name.close()
            return False
        self._names.append(name)
        return True

    def close(self) -> None:
        """Give all of them up. Safe twice."""
        for name in self._names:
            name.close()
        self._names.clear()
