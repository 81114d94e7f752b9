"""The links between nodes that are plain processes: every byte from node to node passes here.

::

    n1's daemon ──► proxy port of n2 ──[link n1→n2: open, cut, late]──► n2's daemon
                ◄──────────────────────[link n2→n1]───────────────────◄

Each node listens on a port of its own and tells the others the port of a proxy in this process.
A connection belongs to the node whose process holds its other end. While a link is cut its bytes
are read, held and counted, and connections across it are accepted and not carried on, so that to
both sides the other is silent, not gone; an end that closes is not heard of on the other side.
After the heal what was held arrives in order, as after a retransmission. A late link (``delay``)
keeps order too. What differs from a real cut: only connections between nodes pass here, no
datagrams, and acknowledgements of TCP itself are never lost.

A process of its own (a bare interpreter, started by the reaper), so that a busy run process does
not slow the database's traffic. Cost: about 0.1 ms a message.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import socket
import sys

from harness.cluster.namespaces import wire
from harness.cluster.plain import ports
from harness.linux import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Link = tuple[str, str]

LOOPBACK = "127.0.0.1"
PEER = "peer"
PROBE = "probe"
_MOST_HELD_BYTES = 1 << 20
_END = None


def main() -> None:
    """Carry traffic until killed. The control channel's descriptor is the last argument."""
    channel = socket.socket(fileno=int(sys.argv[-1]))
    asyncio.run(_serve(channel))


async def _serve(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    carrier = Carrier(loop)
    tasks: set[asyncio.Task[None]] = set()

    def hear() -> None:
        message = wire.receive(channel)
        if message is None:  # the run process is gone; the cluster may have been left running
            loop.remove_reader(channel)
            return
        task = loop.create_task(_answer(carrier, channel, message.body))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_reader(channel, hear)
    wire.send(channel, {"id": 0, "up": True})
    await asyncio.Event().wait()


async def _answer(carrier: Carrier, channel: socket.socket, request: dict[str, Any]) -> None:
    try:
        answer = await carrier.obey(request)
    except (OSError, KeyError) as error:
        answer = {"why": f"{type(error).__name__}: {error}"}
    wire.send(channel, {"id": request["id"], **answer})
    if request["op"] == "end":
        os._exit(0)


class Carrier:
    """All links, their state, and the connections that pass."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.cut: set[Link] = set()
        self.delay_s: dict[Link, float] = {}
        self.held: dict[Link, list[int]] = {}
        self.passages: set[Passage] = set()
        self._roots: dict[int, str] = {}
        self._claimed: dict[int, str] = {}
        self._reserved = ports.Reservations()

    async def obey(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request of the cluster; its answer."""
        if request["op"] == "open":
            self._roots = {int(pid): name for pid, name in request["roots"].items()}
            return {"ports": [await self._listen(*each) for each in request["ports"]]}
        if request["op"] == "reserve":
            return {"reserved": self._reserved.reserve(request["port"])}
        if request["op"] == "claim":
            self._claimed[request["port"]] = request["node"]
        elif request["op"] == "cut":
            self.cut = {(source, target) for source, target in request["links"]}
            self.held = {link: [0, 0] for link in self.cut}
            self._go_on()
        elif request["op"] == "delay":
            self.delay_s = {(source, target): late for source, target, late in request["links"]}
            self._go_on()
        elif request["op"] == "held":
            return {"held": [[*link, *counts] for link, counts in self.held.items()]}
        return {}

    def source_of(self, port: int, proxy_port: int) -> str | None:
        """The node whose connection comes from ``port``; ``""`` for the controller's own."""
        if port in self._claimed:
            return self._claimed.pop(port)
        inode = sockets.inode_of(port, proxy_port)
        family = sockets.descendants(self._roots)
        pid = None if inode is None else sockets.holder(inode, family)
        return None if pid is None else family[pid]

    def count(self, link: Link, size: int) -> None:
        """A chunk of database traffic has run into the cut of ``link``."""
        if link in self.held:
            self.held[link][0] += 1
            self.held[link][1] += size

    async def _listen(self, target: str, kind: str, port: int) -> int:
        """Open a proxy in front of ``port`` of the node ``target``; its own port."""
        server = await self.loop.create_server(
            lambda: Passage(self, target, kind, port).near, LOOPBACK, 0
        )
        return int(server.sockets[0].getsockname()[1])

    def _go_on(self) -> None:
        for passage in list(self.passages):
            passage.go_on()


class Passage:
    """One connection from a node through the proxy of another: two ends, two directed links."""

    def __init__(self, carrier: Carrier, target: str, kind: str, port: int) -> None:
        self.carrier = carrier
        self.source: str | None = None
        self.target = target
        self.kind = kind
        self._port = port
        self._dialling: asyncio.Task[None] | None = None
        self.near = End(self)
        self.far = End(self)
        self.near.other, self.far.other = self.far, self.near
        self.is_joined = False

    def link_from(self, end: End) -> Link:
        """The directed link over which what ``end`` receives is carried."""
        source = self.source or ""
        return (source, self.target) if end is self.near else (self.target, source)

    def begin(self) -> None:
        """The source has connected: find out who it is, and dial the target unless that is cut."""
        transport = self.near.transport
        assert transport is not None
        port, proxy_port = (transport.get_extra_info(x)[1] for x in ("peername", "sockname"))
        self.source = self.carrier.source_of(port, proxy_port)
        if self.source is None:
            transport.abort()  # gone already, or nobody's: nothing may pass round a cut
            return
        self.carrier.passages.add(self)
        for end in (self.near, self.far):
            if self.kind == PEER:
                self.carrier.count(self.link_from(end), 0)
        self.go_on()

    def go_on(self) -> None:
        """Links may have changed: dial, and carry what is held, as far as nothing is cut."""
        ends = (self.near, self.far)
        is_cut = any(self.link_from(end) in self.carrier.cut for end in ends)
        if not self.is_joined and self._dialling is None and not is_cut:
            self._dialling = self.carrier.loop.create_task(self._dial())
        for end in ends:
            end.carry()

    def is_begun_across_a_cut(self) -> bool:
        """Whether nobody has tried yet to reach the target for it."""
        return not self.is_joined and self._dialling is None

    async def _dial(self) -> None:
        try:
            await self.carrier.loop.create_connection(lambda: self.far, LOOPBACK, self._port)
        except OSError:
            self._dialling = None
            self.end()
        else:
            self.is_joined = True
            self.go_on()

    def end(self) -> None:
        """Close both ends at once."""
        self.carrier.passages.discard(self)
        if self._dialling is not None:
            self._dialling.cancel()
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()


class End(asyncio.Protocol):
    """One end of a passage: what it receives is carried to the other, in order, in time."""

    other: End

    def __init__(self, passage: Passage) -> None:
        self.transport: asyncio.Transport | None = None
        self._passage = passage
        self._waiting: collections.deque[tuple[float, bytes | None]] = collections.deque()
        self.waiting_bytes = 0
        self._is_reading = True
        self._other_is_full = False
        self._is_lost = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self is self._passage.near:
            self._passage.begin()

    def data_received(self, data: bytes) -> None:
        """Bytes to be carried to the other end."""
        carrier, link = self._passage.carrier, self._passage.link_from(self)
        if self._passage.kind == PEER and link in carrier.cut:
            carrier.count(link, len(data))
        self._wait(data, len(data))

    def eof_received(self) -> bool:
        """It sends no more. The other end hears of it behind what was sent."""
        if self._passage.is_begun_across_a_cut():
            self._passage.end()  # given up before it stood: the target never hears of it
        self._wait(_END, 0)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone. The other end hears of it behind what was sent, and not across a cut."""
        self._is_lost = True
        if self._passage.is_begun_across_a_cut():
            self._passage.end()
        self._wait(_END, 0)

    def pause_writing(self) -> None:
        """More was carried to this end than it takes."""
        self.other._other_is_full = True

    def resume_writing(self) -> None:
        """It takes more again."""
        self.other._other_is_full = False
        self.other.carry()

    def carry(self) -> None:
        """Carry on what is due and not cut."""
        carrier, link = self._passage.carrier, self._passage.link_from(self)
        while self._waiting and self._passage.is_joined and link not in carrier.cut:
            due_s, data = self._waiting[0]
            if self._other_is_full or self._is_early(due_s):
                break
            self._waiting.popleft()
            self._hand_over(data)
        self._read_or_not()

    def _wait(self, data: bytes | None, size: int) -> None:
        carrier = self._passage.carrier
        late_s = carrier.delay_s.get(self._passage.link_from(self), 0.0)
        self._waiting.append((carrier.loop.time() + late_s, data))
        self.waiting_bytes += size
        self.carry()

    def _hand_over(self, data: bytes | None) -> None:
        target = self.other.transport
        if data is not None:
            self.waiting_bytes -= len(data)
            if target is not None and not target.is_closing():
                target.write(data)
        elif self._is_lost:
            if target is not None:
                target.close()
            self._passage.carrier.passages.discard(self._passage)
        elif target is not None and not target.is_closing() and target.can_write_eof():
            with contextlib.suppress(OSError):  # reset meanwhile, of which the loop hears next
                target.write_eof()

    def _is_early(self, due_s: float) -> bool:
        loop = self._passage.carrier.loop
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_s <= loop.time():
            return False
        self._timer = loop.call_at(due_s, self.carry)
        return True

    def _read_or_not(self) -> None:
        """Read no more than can be held: the sender's own buffers fill up, as on a real link."""
        is_wanted = self.waiting_bytes < _MOST_HELD_BYTES
        if self.transport is None or self._is_lost or is_wanted == self._is_reading:
            return
        if self.transport.is_closing():
            return
        self._is_reading = is_wanted
        if is_wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
