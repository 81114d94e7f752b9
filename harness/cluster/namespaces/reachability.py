"""The matrix of links that carry packets now, measured by a datagram on each.

Every node has one UDP socket for it, made inside its network namespace; the controller holds all
of them and so both sends and receives for everyone, with no process in the node. A probe carries
the round's number, so that a late one of an earlier round proves nothing.

A link is called cut only after four probes in four rounds were lost: one lost datagram is no
proof. Cost: under 5 ms where all links carry, else about 0.24 s.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Mapping

from harness.cluster.namespaces.firewall import PROBE_PORT
from harness.contract.node import Link

ROUNDS_S = (0.04, 0.04, 0.06, 0.1)
"""How long each round waits for its probes; later ones longer, for a machine that is busy."""

_PROBE = struct.Struct(">Q")


class Prober:
    """Probes all links. ``addresses`` maps node to address; safe from any thread."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._names = {address: name for name, address in addresses.items()}
        self._sockets: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._round = 0

    def open_socket(self, name: str) -> None:
        """Make the socket of a node. Called inside its network namespace."""
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sockets[name] = probe
        probe.setblocking(False)
        probe.bind((self._addresses[name], PROBE_PORT))

    def close(self) -> None:
        """Close every socket. Safe twice."""
        while self._sockets:
            self._sockets.popitem()[1].close()

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now."""
        with self._lock:
            links = {(a, b) for a in self._sockets for b in self._sockets if a != b}
            missing = set(links)
            for round_s in ROUNDS_S:
                missing -= self._probe(missing, round_s)
            return frozenset(links - missing)

    def _probe(self, links: set[Link], round_s: float) -> set[Link]:
        """Send one datagram over each link; those that arrived within a round's time."""
        self._round += 1
        for source, destination in links:
            try:
                address = (self._addresses[destination], PROBE_PORT)
                self._sockets[source].sendto(_PROBE.pack(self._round), address)
            except OSError:
                # The kernel refuses on account of an earlier answer, or has no room: not sent,
                # and probed again in the next round.
                continue
        return self._collect(links, round_s)

    def _collect(self, awaited: set[Link], round_s: float) -> set[Link]:
        arrived: set[Link] = set()
        by_fd = {probe.fileno(): name for name, probe in self._sockets.items()}
        poll = select.poll()
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + round_s
        while arrived != awaited:
            # Also when the time is over: what came while we got none is here, and counts.
            came = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not came:
                break
            for fd, _ in came:
                arrived |= self._receive(by_fd[fd]) & awaited
        return arrived

    def _receive(self, destination: str) -> set[Link]:
        try:
            data, (address, port) = self._sockets[destination].recvfrom(64)
        except OSError:
            return set()
        is_probe = data == _PROBE.pack(self._round) and port == PROBE_PORT
        return (
            {(self._names[address], destination)} if is_probe and address in self._names else set()
        )
