"""Links that are slow or lossy: what becomes of each packet that a queue hands over.

What is done on a link is a *shape*, JSON; what is not named is not done::

    {"delay_s": 0.1, "jitter_s": 0.05,      held so long, more or less (normally distributed)
     "loss": 0.2,                           dropped, with this probability
     "duplicate": 0.2,                      comes twice
     "reorder": 0.3, "late_s": 0.02,        some are held longer than those that come after them
     "corrupt": 0.1,                        one bit is turned over behind the IP header
     "rate": 100000}                        bytes a second; what finds no room is dropped

A packet with a wrong checksum is thrown away by whoever it is for, so to TCP corruption is loss. A
duplicate is sent once more by a raw socket, marked so that it is not handed over again. Whoever
holds packets lets them all pass when it ends, and so does the kernel if it is killed.

Run as a process (:func:`main`) it takes the queues of all nodes of one machine as descriptors.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import select
import socket
import sys
import time

from .queueing import MARK, Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

COUNTS = ("seen", "held", "dropped", "duplicated", "reordered", "corrupted")
_SO_MARK = 36
_IP_HEADER = 20
_ROOM_S = 0.5
"""So much of a second's bytes may wait on a link of limited rate; what is more is dropped."""


class Shaper:
    """What comes into one node: ``shapes`` by source address, and what was done by now."""

    def __init__(self, queue: Queue, raw: socket.socket, seed: int) -> None:
        self.queue = queue
        self.shapes: Mapping[str, Mapping[str, float]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self._raw = raw
        self._random = random.Random(seed)
        self._held: list[tuple[float, int, int, bytes | None]] = []
        self._order = 0
        self._free_at: dict[str, float] = {}

    def shape(self, shapes: Mapping[str, Mapping[str, float]]) -> None:
        """Do this from now on; what is held goes at its time."""
        self.shapes = shapes
        self.counts = {source: dict.fromkeys(COUNTS, 0) for source in shapes}
        self._free_at = {}

    def take(self, now: float) -> None:
        """Decide on all that has come."""
        for number, packet in self.queue.take():
            source = socket.inet_ntoa(packet[12:16])
            shape = self.shapes.get(source)
            if shape is None:
                self.queue.decide(number, True)
            else:
                self._decide(number, packet, shape, source, now)

    def let_go(self, now: float) -> float | None:
        """Let pass what has been held long enough; when the next one is due."""
        while self._held and self._held[0][0] <= now:
            _, _, number, changed = heapq.heappop(self._held)
            self.queue.decide(number, True, changed)
        return self._held[0][0] if self._held else None

    def _decide(
        self, number: int, packet: bytes, shape: Mapping[str, float], source: str, now: float
    ) -> None:
        counts = self.counts[source]
        counts["seen"] += 1
        due = self._due(shape, source, len(packet), now)
        if due is None or self._is_so("loss", shape):
            counts["dropped"] += 1
            self.queue.decide(number, False)
            return
        changed = None
        if self._is_so("corrupt", shape) and len(packet) > _IP_HEADER:
            counts["corrupted"] += 1
            changed = self._corrupted(packet)
        if self._is_so("duplicate", shape):
            counts["duplicated"] += 1
            self._send_again(packet)
        if self._is_so("reorder", shape):
            counts["reordered"] += 1
            due += shape["late_s"]
        if due <= now:
            self.queue.decide(number, True, changed)
            return
        counts["held"] += 1
        self._order += 1
        heapq.heappush(self._held, (due, self._order, number, changed))

    def _is_so(self, key: str, shape: Mapping[str, float]) -> bool:
        return self._random.random() < shape.get(key, 0.0)

    def _due(self, shape: Mapping[str, float], source: str, size: int, now: float) -> float | None:
        """When it may pass; ``None`` where it finds no room."""
        due = now
        rate = shape.get("rate", 0.0)
        if rate:
            begins = max(now, self._free_at.get(source, 0.0))
            if begins - now > _ROOM_S:
                return None
            due = self._free_at[source] = begins + size / rate
        delay, jitter = shape.get("delay_s", 0.0), shape.get("jitter_s", 0.0)
        return due + max(0.0, self._random.gauss(delay, jitter) if jitter else delay)

    def _corrupted(self, packet: bytes) -> bytes:
        changed = bytearray(packet)
        at = self._random.randrange(_IP_HEADER, len(packet))
        changed[at] ^= 1 << self._random.randrange(8)
        return bytes(changed)

    def _send_again(self, packet: bytes) -> None:
        try:
            self._raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        except OSError:
            return  # no room for it: it comes once


def open_raw() -> socket.socket:
    """What duplicates are sent by, in the calling thread's network namespace."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
    raw.setblocking(False)
    return raw


def serve(shapers: Sequence[Shaper], control: int) -> None:
    """Until the end of ``control``, on which each line is ``[shapes, ...]``, one a node.

    Or ``null``, which only asks. Answered with ``[counts, ...]``.
    """
    poll = select.poll()
    poll.register(control, select.POLLIN)
    by_fd = {shaper.queue.socket.fileno(): shaper for shaper in shapers}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    torn = b""
    while True:
        now = time.monotonic()
        held = [shaper.let_go(now) for shaper in shapers]
        due = [at for at in held if at is not None]
        wait_ms = max(0.0, min(due) - time.monotonic()) * 1000 if due else None
        for fd, _ in poll.poll(wait_ms):
            if fd in by_fd:
                by_fd[fd].take(time.monotonic())
                continue
            data = os.read(control, 1 << 16)
            if not data:
                return
            *lines, torn = (torn + data).split(b"\n")
            for line in lines:
                _obey(shapers, json.loads(line))


def _obey(shapers: Sequence[Shaper], told: Any) -> None:
    if told is not None:
        for shaper, shapes in zip(shapers, told):  # noqa: B905 - the node's Python may be old
            shaper.shape(shapes)
    answer = json.dumps([shaper.counts for shaper in shapers]) + "\n"
    os.write(1, answer.encode())


def main() -> None:
    """``argv``: seed, then the descriptors of each node: its queue's socket and its raw one."""
    fds = list(map(int, sys.argv[3:]))
    shapers = []
    for place in range(0, len(fds), 2):
        queue, raw = (socket.socket(fileno=fd) for fd in fds[place : place + 2])
        shapers.append(Shaper(Queue(queue), raw, int(sys.argv[2]) + place))
    os.write(1, b"\n")
    serve(shapers, 0)
