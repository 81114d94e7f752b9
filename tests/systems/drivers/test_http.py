"""The connection that does nothing behind our back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from systems.drivers.http import Answer, HttpConnection, Lost

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def against(
    work: Callable[[HttpConnection, socket.socket], Awaitable[Any]], host: str = "127.0.0.1"
) -> Any:
    """What ``work`` gives with a connection and the server's end of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:

        async def connected() -> Any:
            connection = await HttpConnection.connect(host, listener.getsockname()[1])
            peer, _ = listener.accept()
            with peer:
                try:
                    return await work(connection, peer)
                finally:
                    connection.close()

        return asyncio.run(connected())


async def arrival(connection: HttpConnection) -> None:
    """Return once something, or the end, has come in: what is sent here may take a moment."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection._socket, arrived.set)
    await asyncio.wait_for(arrived.wait(), 30)
    loop.remove_reader(connection._socket)


@pytest.mark.parametrize(
    "content",
    [
        OK,
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
    ],
    ids=["length", "after an interim answer", "chunked"],
)
def test_a_whole_answer_is_read_and_the_connection_kept(content: bytes) -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> Any:
        answers = []
        for _ in range(2):
            peer.sendall(content)
            answers.append(await connection.exchange("/p", b"{}"))
        return answers, connection.reusable

    assert against(work) == ([Answer(200, b"hi")] * 2, True)


def test_the_request_is_sent_once_and_whole() -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> bytes:
        peer.sendall(OK)
        await connection.exchange("/p", b'{"a":1}')
        return peer.recv(65536)

    head, _, body = against(work).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /p HTTP/1.1\r\n")
    assert b"Content-Length: 7" in head.split(b"\r\n")
    assert body == b'{"a":1}'


def test_a_connection_whose_server_has_left_is_not_reusable() -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> list[bool]:
        before = connection.reusable
        peer.shutdown(socket.SHUT_WR)
        await arrival(connection)
        return [before, connection.reusable]

    assert against(work) == [True, False]


def test_a_connection_with_stray_bytes_is_not_reusable() -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> bool:
        peer.sendall(OK)
        await arrival(connection)
        return connection.reusable

    assert against(work) is False


@pytest.mark.parametrize(
    "content",
    [OK + OK, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"],
    ids=["two answers", "connection: close"],
)
def test_a_connection_that_cannot_go_on_is_closed_after_its_answer(content: bytes) -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> Any:
        peer.sendall(content)
        return await connection.exchange("/p", b""), connection.reusable

    assert against(work) == (Answer(200, b"hi"), False)


@pytest.mark.parametrize(
    "content", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", b"SSH-2.0-x\r\n\r\n"]
)
def test_less_than_a_whole_answer_is_lost_and_closes(content: bytes) -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> bool:
        peer.sendall(content)
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(Lost):
            await connection.exchange("/p", b"")
        return connection.reusable

    assert against(work) is False


def test_a_cancelled_exchange_closes_the_connection() -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> bytes:
        exchange = asyncio.create_task(connection.exchange("/p", b"x"))
        heard = b""
        while not heard.endswith(b"\r\n\r\nx"):
            await asyncio.sleep(0)
            heard += peer.recv(65536)
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        return peer.recv(1)

    assert against(work) == b""


def test_an_address_of_version_6_is_spoken_to_in_brackets() -> None:
    async def work(connection: HttpConnection, peer: socket.socket) -> bytes:
        peer.sendall(OK)
        await connection.exchange("/p", b"")
        return peer.recv(65536)

    assert b"\r\nHost: [::1]:" in against(work, "::1")
