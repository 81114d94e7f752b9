"""The matrix of links that carry bytes now, for nodes that are plain processes.

For every directed link one connection of ours stands through the same proxy process that carries
the database's, marked there as the source's, to a socket of ours that stands for the target. A
number sent over it arrives, or the link is cut; each round has its own, so that what was held
and comes late proves nothing. As in :mod:`harness.cluster.reachability` a link is called cut only
after four rounds. Cost: a few milliseconds where all links carry, else about 0.24 s.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence

from harness.cluster.link_control import LinkControl
from harness.cluster.links import LOOPBACK
from harness.cluster.node import Link
from harness.cluster.reachability import ROUNDS_S
from harness.errors import SetupError

_NUMBER = struct.Struct(">Q")
_CONNECT_TIMEOUT_S = 10.0


class LinkProber:
    """Probes all links between ``names``; ``listen`` first, ``connect`` once the proxies stand."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._listeners: dict[str, socket.socket] = {}
        self._senders: dict[Link, socket.socket] = {}
        self._receivers: dict[Link, socket.socket] = {}
        self._lock = threading.Lock()
        self._round = 0

    def listen(self) -> dict[str, int]:
        """A socket of ours for each node; their ports."""
        for name in self._names:
            listener = socket.create_server((LOOPBACK, 0), backlog=len(self._names))
            listener.settimeout(_CONNECT_TIMEOUT_S)
            self._listeners[name] = listener
        return {name: each.getsockname()[1] for name, each in self._listeners.items()}

    def connect(self, control: LinkControl, proxies: Mapping[str, int]) -> None:
        """One connection for each directed link, through the target's proxy."""
        for target in self._names:
            for source in self._names:
                if source != target:
                    self._connect(control, (source, target), proxies[target])

    def close(self) -> None:
        """Close every socket. Safe twice."""
        for each in (self._listeners, self._senders, self._receivers):
            for open_socket in each.values():
                open_socket.close()
            each.clear()

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry bytes now."""
        with self._lock:
            missing = set(self._senders)
            for round_s in ROUNDS_S:
                missing -= self._probe(missing, round_s)
            return frozenset(set(self._senders) - missing)

    def _connect(self, control: LinkControl, link: Link, proxy: int) -> None:
        sender = socket.socket()
        self._senders[link] = sender
        sender.bind((LOOPBACK, 0))
        control.claim(sender.getsockname()[1], link[0])
        sender.settimeout(_CONNECT_TIMEOUT_S)
        try:
            sender.connect((LOOPBACK, proxy))
            receiver, _ = self._listeners[link[1]].accept()
        except OSError as error:
            raise SetupError(
                f"the link from {link[0]} to {link[1]} is not carried: {error}"
            ) from error
        receiver.setblocking(False)
        sender.setblocking(False)
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._receivers[link] = receiver

    def _probe(self, links: set[Link], round_s: float) -> set[Link]:
        self._round += 1
        for link in links:
            with contextlib.suppress(OSError):
                self._senders[link].send(_NUMBER.pack(self._round))
        return self._collect(links, round_s)

    def _collect(self, awaited: set[Link], round_s: float) -> set[Link]:
        arrived: set[Link] = set()
        by_fd = {self._receivers[link].fileno(): link for link in awaited}
        poll = select.poll()
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + round_s
        while arrived != awaited and (left_s := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left_s * 1000):
                if self._has_arrived(by_fd[fd]):
                    arrived.add(by_fd[fd])
                    poll.unregister(fd)
        return arrived

    def _has_arrived(self, link: Link) -> bool:
        """Whether this round's number is the last that came."""
        try:
            came = self._receivers[link].recv(1 << 16)
        except OSError:
            return False
        return came.endswith(_NUMBER.pack(self._round))
