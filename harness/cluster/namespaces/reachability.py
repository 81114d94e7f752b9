"""The matrix of links that carry packets now, measured by a datagram on each.

Every node has one UDP socket for it, made inside its network namespace; the controller holds all
of them and so both sends and receives for everyone, with no process in the node. A probe carries
the round's number, so that a late one of an earlier round proves nothing.

Cost: under 5 ms where all links carry, else about 0.24 s.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Mapping

from harness.cluster.hands.cuts import PROBE_PORT
from harness.cluster.hands.probes import Probes
from harness.cluster.links import all_links, carrying
from harness.contract.node import Link


class Prober:
    """Probes all links. ``addresses`` maps node to address; safe from any thread."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._names = {address: name for name, address in addresses.items()}
        self._probes: dict[str, Probes] = {}
        self._lock = threading.Lock()
        self._round = 0

    def open_socket(self, name: str) -> None:
        """Make the socket of a node. Called inside its network namespace."""
        self._probes[name] = Probes(self._addresses[name], PROBE_PORT)

    def close(self) -> None:
        """Close every socket. Safe twice."""
        while self._probes:
            self._probes.popitem()[1].close()

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now."""
        with self._lock:
            return carrying(all_links(self._probes), self._probe)

    def _probe(self, links: set[Link], round_s: float) -> set[Link]:
        """Send one datagram over each link; those that arrived within a round's time."""
        self._round += 1
        for source, destination in links:
            self._probes[source].send(self._round, [self._addresses[destination]])
        return self._collect(links, round_s)

    def _collect(self, awaited: set[Link], round_s: float) -> set[Link]:
        arrived: set[Link] = set()
        by_fd = {probes.fileno(): name for name, probes in self._probes.items()}
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
                arrived |= self._take(by_fd[fd]) & awaited
        return arrived

    def _take(self, destination: str) -> set[Link]:
        return {
            (self._names[address], destination)
            for number, address in self._probes[destination].take()
            if number == self._round and address in self._names
        }
