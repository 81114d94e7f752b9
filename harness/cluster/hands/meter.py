"""One node's end of measuring links: a UDP socket that sends datagrams and sees what came of them.

A datagram carries its number, when it was sent and a checksum of its own: the kernel's is turned
off, so that what was corrupted on the way comes and is seen to be. Times are those of the machine's
monotonic clock, which all nodes on one machine share.
"""

from __future__ import annotations

import select
import socket
import statistics
import struct
import time
import zlib

from .inside import Part
from .queueing import METER_PORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from .inside import Inside

SIZE_BYTES = 1000
APART_S = 0.001
"""Between two datagrams to the same node."""
_TOLD = struct.Struct(">QIQ")
_CHECKSUM = struct.Struct(">I")
_SO_NO_CHECK = 11
_ROOM_BYTES = 1 << 20


class Seen:
    """What came of one round from one node."""

    def __init__(self) -> None:
        self.came: list[tuple[int, float]] = []
        self.corrupted = 0
        self.first_ns = self.last_ns = 0

    def distinct(self) -> int:
        """How many different ones."""
        return len({number for number, _ in self.came})

    def figures(self, sent: int) -> dict[str, Any]:
        """In figures, of so many that were sent (``Measured``)."""
        numbers = [number for number, _ in self.came]
        first = list(dict.fromkeys(numbers))
        on_the_way = [seconds for _, seconds in self.came]
        return {
            "sent": sent,
            "came": len(first),
            "copies": len(numbers) - len(first),
            "corrupted": self.corrupted,
            "overtaken": sum(first[i] < first[i - 1] for i in range(1, len(first))),
            "least_s": min(on_the_way, default=0.0),
            "median_s": statistics.median(on_the_way) if on_the_way else 0.0,
            "took_s": (self.last_ns - self.first_ns) / 1e9,
            "size_bytes": SIZE_BYTES,
        }


class Meter:
    """The socket at the address by which the other nodes know this one."""

    def __init__(self, address: str) -> None:
        self.seen: dict[str, Seen] = {}
        self._round = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM_BYTES)
        self._socket.setblocking(False)
        self._socket.bind((address, METER_PORT))

    def fileno(self) -> int:
        """To wait for what comes."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket. Safe twice."""
        self._socket.close()

    def begin(self, number: int) -> None:
        """Round ``number`` begins: what comes of earlier ones is none of it."""
        self._round = number
        self.seen = {}

    def send(self, number: int, addresses: Collection[str]) -> None:
        """Send the round's datagram ``number`` to each address."""
        for address in addresses:
            told = _TOLD.pack(self._round, number, time.monotonic_ns())
            body = told.ljust(SIZE_BYTES - _CHECKSUM.size, b"\0")
            data = body + _CHECKSUM.pack(zlib.crc32(body))
            try:
                self._socket.sendto(data, (address, METER_PORT))
            except OSError:
                continue  # no room: not sent, and so it does not come

    def take(self) -> None:
        """Note all that has come."""
        while True:
            try:
                data, source = self._socket.recvfrom(2 * SIZE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue
            self._note(self.seen.setdefault(source[0], Seen()), data)

    def has_all(self, sources: Collection[str], count: int) -> bool:
        """Whether so many have come from each of them."""
        return all(s in self.seen and self.seen[s].distinct() >= count for s in sources)

    def _note(self, seen: Seen, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        body, checksum = data[: -_CHECKSUM.size], data[-_CHECKSUM.size :]
        if len(data) != SIZE_BYTES or _CHECKSUM.pack(zlib.crc32(body)) != checksum:
            seen.corrupted += 1
            return
        of_round, number, sent_ns = _TOLD.unpack_from(body)
        if of_round == self._round:
            seen.came.append((number, (now_ns - sent_ns) / 1e9))
            seen.first_ns = min(seen.first_ns or sent_ns, sent_ns)
            seen.last_ns = now_ns


def wait_for(meters: Sequence[Meter], until: float) -> bool:
    """Take what comes until then; whether something came at all, which ends the waiting."""
    poll = select.poll()
    for meter in meters:
        poll.register(meter, select.POLLIN)
    came = poll.poll(max(0.0, until - time.monotonic()) * 1000)
    for meter in meters:
        meter.take()
    return bool(came)


class Gauge(Part):
    """The node's meter, once it is asked for."""

    meter: Meter | None = None

    def end(self) -> None:
        """Close it."""
        if self.meter is not None:
            self.meter.close()
            self.meter = None


def meter(inside: Inside, request: dict[str, Any]) -> dict[str, Any]:
    """The hand: send ``count`` datagrams of ``round`` to each of ``to``, and see what comes.

    From ``sources``; ``wait_s`` after the last at most. Only who serves each request in a thread of
    its own may be asked.
    """
    part = inside.part(Gauge)
    if part.meter is None:
        part.meter = Meter(request["address"])
    own, count, sources = part.meter, request["count"], request["sources"]
    own.begin(request["round"])
    for number in range(count):
        own.send(number, request["to"])
        until = time.monotonic() + APART_S
        while time.monotonic() < until:
            wait_for([own], until)
    deadline = time.monotonic() + request["wait_s"]
    while time.monotonic() < deadline and not own.has_all(sources, count):
        wait_for([own], deadline)
    return {"seen": {s: own.seen.get(s, Seen()).figures(count) for s in sources}}
