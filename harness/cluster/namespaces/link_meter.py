"""What datagrams meet on a link: how late they come, how many, in which order, how often, unharmed.

As with probes of cut links (:mod:`.reachability`) every node has a UDP socket, made inside its
network namespace and held by the controller, which sends and receives for everyone. Datagrams carry
their number, the time at which they were sent and a checksum of their own: the kernel's is turned
off, so that what was corrupted on the way comes and is seen to be.
"""

from __future__ import annotations

import contextlib
import select
import socket
import statistics
import struct
import threading
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from harness.cluster.hands.queueing import METER_PORT
from harness.contract.node import Link, Measured

SIZE_BYTES = 1000
_TOLD = struct.Struct(">QIQ")
_CHECKSUM = struct.Struct(">I")
_SO_NO_CHECK = 11
_ROOM_BYTES = 1 << 20


@dataclass
class _Volley:
    """What has come over one link: (number, seconds on the way) in the order of arrival."""

    came: list[tuple[int, float]] = field(default_factory=list)
    corrupted: int = 0
    last_at: float = 0.0

    @property
    def distinct(self) -> int:
        return len({number for number, _ in self.came})


class LinkMeter:
    """Measures links. ``addresses`` maps node to address; safe from any thread."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        self._names = {address: name for name, address in addresses.items()}
        self._sockets: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._round = 0

    def open_socket(self, name: str) -> None:
        """Make the socket of a node. Called inside its network namespace."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
        made.setblocking(False)
        made.bind((self._addresses[name], METER_PORT))
        self._sockets[name] = made

    def close(self) -> None:
        """Close every socket. Safe twice."""
        while self._sockets:
            self._sockets.popitem()[1].close()

    def measure(self, links: Collection[Link], count: int, wait_s: float) -> dict[Link, Measured]:
        """Send so many datagrams over each link and wait, at most so long, until all have come."""
        with self._lock:
            self._round += 1
            volleys = {link: _Volley() for link in links}
            begun = time.monotonic()
            for number in range(count):
                for source, destination in links:
                    self._send(source, destination, number)
                self._take(volleys, time.monotonic() + 0.001)
            deadline = time.monotonic() + wait_s
            while time.monotonic() < deadline:
                if all(volley.distinct == count for volley in volleys.values()):
                    break
                self._take(volleys, min(deadline, time.monotonic() + 0.05))
            return {link: _measured(each, count, begun) for link, each in volleys.items()}

    def _send(self, source: str, destination: str, number: int) -> None:
        told = _TOLD.pack(self._round, number, time.monotonic_ns())
        body = told.ljust(SIZE_BYTES - _CHECKSUM.size, b"\0")
        with contextlib.suppress(OSError):  # no room: not sent, and so it does not come
            self._sockets[source].sendto(
                body + _CHECKSUM.pack(zlib.crc32(body)), (self._addresses[destination], METER_PORT)
            )

    def _take(self, volleys: Mapping[Link, _Volley], until: float) -> None:
        by_fd = {each.fileno(): name for name, each in self._sockets.items()}
        poll = select.poll()
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        while True:
            came = poll.poll(max(0.0, until - time.monotonic()) * 1000)
            for fd, _ in came:
                for source, data in _datagrams(self._sockets[by_fd[fd]]):
                    volley = volleys.get((self._names.get(source, ""), by_fd[fd]))
                    if volley is not None:
                        self._note(volley, data)
            if not came or time.monotonic() >= until:
                return

    def _note(self, volley: _Volley, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        body, checksum = data[: -_CHECKSUM.size], data[-_CHECKSUM.size :]
        if len(data) != SIZE_BYTES or _CHECKSUM.pack(zlib.crc32(body)) != checksum:
            volley.corrupted += 1
            return
        of_round, number, sent_ns = _TOLD.unpack_from(body)
        if of_round == self._round:
            volley.came.append((number, (now_ns - sent_ns) / 1e9))
            volley.last_at = now_ns / 1e9


def _datagrams(of: socket.socket) -> Iterator[tuple[str, bytes]]:
    with contextlib.suppress(OSError):
        while True:
            data, source = of.recvfrom(2 * SIZE_BYTES)
            yield source[0], data


def _measured(volley: _Volley, count: int, begun: float) -> Measured:
    numbers = [number for number, _ in volley.came]
    first = list(dict.fromkeys(numbers))
    late = sum(after < before for before, after in pairwise(first))
    on_the_way = [seconds for _, seconds in volley.came]
    return Measured(
        sent=count,
        came=len(first),
        copies=len(numbers) - len(first),
        corrupted=volley.corrupted,
        overtaken=late,
        least_s=min(on_the_way, default=0.0),
        median_s=statistics.median(on_the_way) if on_the_way else 0.0,
        took_s=volley.last_at - begun if on_the_way else 0.0,
        size_bytes=SIZE_BYTES,
    )
