"""The parser of RESP 2, and the connection that does nothing behind our back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from systems.drivers.http import Lost
from systems.drivers.resp import Answer, Refusal, RespConnection, Status, ask, packed, parsing

ANSWERS: list[tuple[bytes, Answer]] = [
    (b"+OK\r\n", Status("OK")),
    (b"-READONLY no\r\n", Refusal("READONLY no")),
    (b":-7\r\n", -7),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"$0\r\n\r\n", b""),
    (b"$5\r\na\r\nb:\r\n", b"a\r\nb:"),
    (b"*0\r\n", []),
    (b"*3\r\n:1\r\n*2\r\n$1\r\nx\r\n-ERR a\r\n$-1\r\n", [1, [b"x", Refusal("ERR a")], None]),
]


def parsed(*parts: bytes) -> tuple[Answer, bytes]:
    """What arrives in ``parts`` as an answer, and what is left; ``EOFError`` if it is not whole."""
    buffer = bytearray()
    reading = parsing(buffer)
    for part in parts:
        buffer += part
        try:
            next(reading)
        except StopIteration as done:
            return done.value, bytes(buffer)
    raise EOFError


def against(work: Callable[[RespConnection, socket.socket], Awaitable[Any]]) -> Any:
    """What ``work`` gives with a connection and the server's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def connected() -> Any:
            connection = await RespConnection.connect(*listener.getsockname())
            peer, _ = listener.accept()
            with peer:
                try:
                    return await work(connection, peer)
                finally:
                    connection.close()

        return asyncio.run(connected())


async def arrival(connection: RespConnection) -> None:
    """Return once something, or the end, has come in."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection._socket, arrived.set)
    await asyncio.wait_for(arrived.wait(), 30)
    loop.remove_reader(connection._socket)


@pytest.mark.parametrize(("content", "answer"), ANSWERS, ids=[repr(a) for _, a in ANSWERS])
def test_an_answer_is_read_however_it_is_cut(content: bytes, answer: Answer) -> None:
    for at in range(1, len(content)):
        found, rest = parsed(content[:at], content[at:] + b"+next")
        assert (found, type(found), rest) == (answer, type(answer), b"+next")
        with pytest.raises(EOFError):
            parsed(content[:at])
    bytewise = [bytes([each]) for each in content]
    assert parsed(*bytewise) == (answer, b"")


def test_a_word_of_success_and_an_error_are_told_apart() -> None:
    said, refused = parsed(b"+OK\r\n")[0], parsed(b"-OK\r\n")[0]
    assert (type(said), said) == (Status, "OK")
    assert isinstance(refused, Refusal)
    assert refused.code == "OK"


@pytest.mark.parametrize(
    "content",
    [
        b"HTTP/1.1 400\r\n",
        b"\x00\xff",
        b":one\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"*-2\r\n",
        b"$3\r\nabcde",
        b"$99999999999\r\n",
        b"*1\r\n" * 20,
        b"\r\n",
    ],
)
def test_what_is_no_resp_is_lost(content: bytes) -> None:
    with pytest.raises(Lost):
        parsed(content)


def test_a_command_is_packed_by_bytes() -> None:
    packed_set = packed(("SET", b"\xff\r\n", 12, "ä"))
    assert packed_set == b"*4\r\n$3\r\nSET\r\n$3\r\n\xff\r\n\r\n$2\r\n12\r\n$2\r\n\xc3\xa4\r\n"


def test_several_commands_are_sent_at_once_and_answered_one_by_one() -> None:
    async def work(connection: RespConnection, peer: socket.socket) -> Any:
        peer.sendall(b"+OK\r\n-ERR no\r\n")
        answers = await connection.exchange(("A",), ("B",))
        return answers, peer.recv(999), connection.reusable

    answers, sent, reusable = against(work)
    assert answers == ["OK", "ERR no"]
    assert sent == packed(("A",)) + packed(("B",))
    assert reusable


def test_an_answer_too_many_rules_the_connection_out() -> None:
    async def work(connection: RespConnection, peer: socket.socket) -> Any:
        peer.sendall(b"+OK\r\n+OK\r\n")
        await connection.exchange(("A",))
        return connection.reusable

    assert against(work) is False


def test_an_end_while_idle_rules_the_connection_out() -> None:
    async def work(connection: RespConnection, peer: socket.socket) -> Any:
        before = connection.reusable
        peer.shutdown(socket.SHUT_RDWR)
        await arrival(connection)
        return before, connection.reusable

    assert against(work) == (True, False)


@pytest.mark.parametrize("sent", [b"", b"$5\r\nab", b"nonsense\r\n"])
def test_a_broken_exchange_closes_the_connection(sent: bytes) -> None:
    async def work(connection: RespConnection, peer: socket.socket) -> Any:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(Lost):
            await connection.exchange(("A",))
        peer.recv(999)
        return peer.recv(1), connection.reusable

    assert against(work) == (b"", False)


def test_to_ask_once_gives_up_in_time_and_tells_of_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with pytest.raises(TimeoutError):
            ask(address, ("PING",), timeout_s=0.05)
    with pytest.raises(ConnectionRefusedError):
        ask(address, ("PING",), timeout_s=1.0)
