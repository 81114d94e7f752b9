"""What datagrams meet on a link: how late they come, how many, in which order, how often, unharmed.

As with probes of cut links (:mod:`.reachability`) every node has a UDP socket, made inside its
network namespace and held by the controller, which sends and receives for everyone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from harness.cluster.hands.meter import APART_S, Meter, Seen, wait_for
from harness.contract.node import Link, Measured


class LinkMeter:
    """Measures links. ``addresses`` maps node to address; safe from any thread."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._meters: dict[str, Meter] = {}
        self._lock = threading.Lock()
        self._round = 0

    def open_socket(self, name: str) -> None:
        """Make the socket of a node. Called inside its network namespace."""
        self._meters[name] = Meter(self._addresses[name])

    def close(self) -> None:
        """Close every socket. Safe twice."""
        while self._meters:
            self._meters.popitem()[1].close()

    def measure(self, links: Collection[Link], count: int, wait_s: float) -> dict[Link, Measured]:
        """Send so many datagrams over each link and wait, at most so long, until all have come."""
        with self._lock:
            self._round += 1
            meters = list(self._meters.values())
            for meter in meters:
                meter.begin(self._round)
            for number in range(count):
                for source, destination in links:
                    self._meters[source].send(number, [self._addresses[destination]])
                until = time.monotonic() + APART_S
                while time.monotonic() < until:
                    wait_for(meters, until)
            deadline = time.monotonic() + wait_s
            while time.monotonic() < deadline and not self._have_all(links, count):
                wait_for(meters, deadline)
            return {link: Measured(**self._seen(link).figures(count)) for link in links}

    def _have_all(self, links: Collection[Link], count: int) -> bool:
        return all(self._seen(link).distinct() >= count for link in links)

    def _seen(self, link: Link) -> Seen:
        return self._meters[link[1]].seen.get(self._addresses[link[0]], Seen())
