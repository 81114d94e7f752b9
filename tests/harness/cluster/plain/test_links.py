"""The process that carries links: what is held, counted, late, refused, and what is passed on."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from unittest import mock

from harness.cluster.plain.links import LOOPBACK, PEER, Carrier

WAIT_S = 20.0


class Target:
    """What stands behind a proxy: collects what each connection sends, and can answer."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = 0
        self.news = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self.got)
        self.got.append(b"")
        self.writers.append(writer)
        await self._tell()
        while data := await reader.read(1 << 16):
            self.got[place] += data
            await self._tell()
        self.ended += 1
        await self._tell()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(holds), WAIT_S)


class Setting:
    """A carrier with one proxy, that of ``n2``, and the target behind it."""

    def __init__(self, carrier: Carrier, target: Target, proxy: int) -> None:
        self.carrier = carrier
        self.target = target
        self.proxy = proxy
        self._last_port = 0

    async def connect(self, node: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that counts as the node's, or (``None``) is nobody's."""
        import socket

        sock = socket.socket()
        sock.bind((LOOPBACK, 0))
        if node is not None:
            await self.ask("claim", port=sock.getsockname()[1], node=node)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (LOOPBACK, self.proxy))
        return await asyncio.open_connection(sock=sock)

    async def ask(self, op: str, **request: Any) -> dict[str, Any]:
        return await self.carrier.obey({"op": op, **request})

    async def held(self) -> dict[str, list[int]]:
        return {f"{a} {b}": counts for a, b, *counts in (await self.ask("held"))["held"]}

    async def until_held(self, link: str, size: int) -> None:
        source, target = link.split()
        await _until(lambda: self.carrier.held[source, target][1] >= size)


@contextlib.asynccontextmanager
async def setting(roots: dict[str, str] | None = None) -> AsyncIterator[Setting]:
    target = Target()
    server = await asyncio.start_server(target.serve, LOOPBACK, 0)
    carrier = Carrier(asyncio.get_running_loop())
    port = server.sockets[0].getsockname()[1]
    answer = await carrier.obey({"op": "open", "roots": roots or {}, "ports": [["n2", PEER, port]]})
    yield Setting(carrier, target, answer["ports"][0])
    server.close()


def run(case: Callable[[Setting], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        async with setting(**options) as given:
            await case(given)

    asyncio.run(whole())


def test_bytes_over_a_cut_link_are_held_counted_and_delivered_in_order() -> None:
    async def case(s: Setting) -> None:
        _, writer = await s.connect("n1")
        writer.write(b"one")
        await s.target.until(lambda: s.target.got == [b"one"])
        await s.ask("cut", links=[["n1", "n2"]])
        writer.write(b"two")
        await s.until_held("n1 n2", 3)
        writer.write(b"three")
        await s.until_held("n1 n2", 8)
        assert s.target.got == [b"one"]
        await s.ask("cut", links=[])
        await s.target.until(lambda: s.target.got == [b"onetwothree"])
        assert await s.held() == {}

    run(case)


def test_a_cut_is_directed() -> None:
    async def case(s: Setting) -> None:
        reader, writer = await s.connect("n1")
        writer.write(b"ask")
        await s.target.until(lambda: s.target.got == [b"ask"])
        await s.ask("cut", links=[["n1", "n2"]])
        s.target.writers[0].write(b"answer")
        assert await asyncio.wait_for(reader.readexactly(6), WAIT_S) == b"answer"
        await s.ask("cut", links=[["n2", "n1"]])
        s.target.writers[0].write(b"again")
        await s.until_held("n2 n1", 5)
        writer.write(b" more")
        await s.target.until(lambda: s.target.got == [b"ask more"])

    run(case)


def test_a_connection_begun_across_a_cut_stands_after_the_heal_and_not_before() -> None:
    async def case(s: Setting) -> None:
        await s.ask("cut", links=[["n2", "n1"]])
        _, writer = await s.connect("n1")
        writer.write(b"hello")
        await _until(lambda: s.carrier.held["n2", "n1"][0] == 1)
        assert s.target.got == []
        await s.ask("cut", links=[])
        await s.target.until(lambda: s.target.got == [b"hello"])

    run(case)


def test_a_connection_given_up_across_a_cut_never_reaches_the_target() -> None:
    async def case(s: Setting) -> None:
        await s.ask("cut", links=[["n1", "n2"]])
        _, writer = await s.connect("n1")
        writer.write(b"never")
        await s.until_held("n1 n2", 5)
        writer.transport.abort()
        await _until(lambda: not s.carrier.passages)
        await s.ask("cut", links=[])
        _, second = await s.connect("n1")
        second.write(b"second")
        await s.target.until(lambda: s.target.got == [b"second"])

    run(case)


def test_the_end_of_a_connection_is_not_heard_of_across_a_cut() -> None:
    async def case(s: Setting) -> None:
        _, writer = await s.connect("n1")
        writer.write(b"x")
        await s.target.until(lambda: s.target.got == [b"x"])
        await s.ask("cut", links=[["n1", "n2"]])
        writer.write(b"y")
        await s.until_held("n1 n2", 1)
        writer.close()
        await writer.wait_closed()
        assert s.target.ended == 0
        await s.ask("cut", links=[])
        await s.target.until(lambda: s.target.ended == 1)
        assert s.target.got == [b"xy"]

    run(case)


def test_one_connection_that_was_reset_keeps_no_other_from_being_carried() -> None:
    async def case(s: Setting) -> None:
        _, first = await s.connect("n1")
        first.write(b"x")
        await s.target.until(lambda: s.target.got == [b"x"])
        [passage] = s.carrier.passages
        await s.ask("cut", links=[["n1", "n2"]])
        first.write_eof()
        await _until(lambda: len(passage.near._waiting) == 1)
        gone = OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        with mock.patch.object(passage.far.transport, "write_eof", side_effect=gone) as closing:
            assert await s.ask("cut", links=[]) == {}
        closing.assert_called_once()
        assert not s.carrier.cut

    run(case)


def test_a_connection_of_nobody_is_refused() -> None:
    async def case(s: Setting) -> None:
        reader, _ = await s.connect(None)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(1), WAIT_S) == b""
        assert s.target.got == []

    run(case)


def test_the_source_is_found_by_who_holds_the_other_end() -> None:
    async def case(s: Setting) -> None:
        await s.ask("cut", links=[["n7", "n2"]])
        _, writer = await s.connect(None)
        writer.write(b"ours")
        await s.until_held("n7 n2", 4)
        assert s.target.got == []

    run(case, roots={str(os.getpid()): "n7"})


def test_what_passes_a_late_link_comes_late_and_in_order() -> None:
    async def case(s: Setting) -> None:
        _, writer = await s.connect("n1")
        await s.ask("delay", links=[["n1", "n2", 0.2]])
        begun_s = s.carrier.loop.time()
        writer.write(b"late")
        await _until(lambda: any(p.near.waiting_bytes for p in s.carrier.passages))
        await s.ask("delay", links=[])
        writer.write(b" and in time")
        await s.target.until(lambda: s.target.got == [b"late and in time"])
        assert s.carrier.loop.time() - begun_s >= 0.19  # never early; how late is not judged

    run(case)


def test_more_than_can_be_held_makes_the_sender_wait_and_is_not_lost() -> None:
    async def case(s: Setting) -> None:
        _, writer = await s.connect("n1")
        await s.ask("cut", links=[["n1", "n2"]])
        whole = os.urandom(12 << 20)
        writer.write(whole)
        await s.until_held("n1 n2", 1 << 20)
        assert (await s.held())["n1 n2"][1] < len(whole)
        await s.ask("cut", links=[])
        await s.target.until(lambda: len(s.target.got) == 1 and len(s.target.got[0]) == len(whole))
        assert s.target.got[0] == whole

    run(case)


async def _until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - nobody tells; the carrier knows no tests
            await asyncio.sleep(0)
