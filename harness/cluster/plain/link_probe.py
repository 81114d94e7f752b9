"""The matrix of links that carry bytes now, for nodes that are plain processes.

For every directed link one connection of ours stands through the same proxy process that carries
the database's, marked there as the source's, to a socket of ours that stands for the target. A
number sent over it arrives, or the link is cut; each round has its own, so that what was held
and comes late proves nothing. As in :mod:`harness.cluster.links` a link is called
cut only after four rounds; and a round's time begins when the proxy process has read what was sent,
so that no link is called cut because that process got no time. Cost: a few milliseconds where all
links carry, else about 0.24 s.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence

from harness.cluster.links import carrying
from harness.cluster.plain.link_control import LinkControl
from harness.cluster.plain.links import LOOPBACK
from harness.contract.node import Link
from harness.errors import NodeError, SetupError

_NUMBER = struct.Struct(">Q")
_CONNECT_TIMEOUT_S = 30.0
_CLOSED = -1


class LinkProber:
    """Probes all links between ``names``; ``listen`` first, ``connect`` once the proxies stand."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._listeners: dict[str, socket.socket] = {}
        self._senders: dict[Link, socket.socket] = {}
        self._receivers: dict[Link, socket.socket] = {}
        self._lock = threading.Lock()
        self._round = 0
        self._control: LinkControl | None = None

    def listen(self) -> dict[str, int]:
        """A socket of ours for each node; their ports."""
        for name in self._names:
            listener = socket.create_server((LOOPBACK, 0), backlog=len(self._names))
            listener.settimeout(_CONNECT_TIMEOUT_S)
            self._listeners[name] = listener
        return {name: each.getsockname()[1] for name, each in self._listeners.items()}

    def connect(self, control: LinkControl, proxies: Mapping[str, int]) -> None:
        """One connection for each directed link, through the target's proxy."""
        self._control = control
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
            return carrying(self._senders, self._probe)

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
        if self._control is not None:
            with contextlib.suppress(NodeError):  # it is gone: then nothing arrives
                self._control.catch_up()
        return self._collect(links, round_s)

    def _collect(self, awaited: set[Link], round_s: float) -> set[Link]:
        arrived: set[Link] = set()
        by_fd = {self._receivers[link].fileno(): link for link in awaited}
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
                last = self._last_that_came(by_fd[fd])
                if last == self._round:
                    arrived.add(by_fd[fd])
                if last in (self._round, _CLOSED):
                    poll.unregister(fd)
        return arrived

    def _last_that_came(self, link: Link) -> int:
        """The number of the round whose probe came last over a link, or ``_CLOSED``."""
        try:
            came = self._receivers[link].recv(1 << 16)
        except BlockingIOError:
            return 0
        except OSError:
            return _CLOSED
        if not came:
            return _CLOSED
        return int(_NUMBER.unpack(came[-_NUMBER.size :])[0]) if len(came) >= _NUMBER.size else 0
