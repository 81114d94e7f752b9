"""One connection to a server of the Redis protocol (RESP 2), which never does anything by itself.

A comfortable client repeats a command on a connection that broke, connects again in the middle of
an operation, or follows to another server. So this is a plain socket and a parser:
:meth:`RespConnection.exchange` sends some commands in one piece, once, and reads as many answers,
or raises. What became of a command is decided by *stage*, as :mod:`systems.drivers.http` does:
until ``exchange`` is called nothing has been sent; from its first byte on, only a whole answer
tells anything. A connection whose exchange did not end with whole answers is closed by it.

No ``HELLO`` is sent: RESP 2 is what a server speaks unasked, has fewer shapes, and pushes nothing
unasked on a connection that subscribed to nothing. So what arrives between two exchanges is no
answer to anything, and rules the connection out (:attr:`RespConnection.reusable`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Generator, Sequence
from typing import Final

from harness.wording import shown
from systems.drivers.http import Lost
from systems.drivers.sockets import connected, is_open_and_silent

Word = str | bytes | int
"""One word of a command."""
_READ_BYTES: Final = 65536
_ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
_DEPTH_MAX: Final = 8


class Status(str):
    """A short word of success: ``OK``, ``QUEUED``."""

    __slots__ = ()


class Refusal(str):
    """A whole answer that is an error; :attr:`code` is its first word, ``READONLY``."""

    __slots__ = ()

    @property
    def code(self) -> str:
        """The word that tells which error it is."""
        return self.partition(" ")[0]


Answer = Status | Refusal | int | bytes | None | list["Answer"]
"""What a server may say to one command."""


def packed(command: Sequence[Word]) -> bytes:
    """One command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        text = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)


class RespConnection:
    """A connected socket for one exchange at a time. Not for use by two tasks at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()

    @classmethod
    async def connect(cls, host: str, port: int) -> RespConnection:
        """Connect to ``host``; ``OSError`` if that fails (nothing has been sent then)."""
        return cls(await connected(host, port))

    @property
    def reusable(self) -> bool:
        """Whether the next command may be sent here: open, and nothing has arrived unasked."""
        return not self._buffer and is_open_and_silent(self._socket)

    async def exchange(self, *commands: Sequence[Word]) -> list[Answer]:
        """Send ``commands`` in one piece, once; an answer to each.

        Raises ``Lost`` or ``OSError``. After any exception, cancellation included, it is closed.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._socket, b"".join(packed(each) for each in commands))
            return [await self._answer() for _ in commands]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection at once; not while an exchange is under way. Safe twice."""
        self._socket.close()

    def abandon(self) -> None:
        """Make an exchange that is under way end as lost (it closes the socket itself then)."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def _answer(self) -> Answer:
        loop, reading = asyncio.get_running_loop(), parsing(self._buffer)
        while True:
            try:
                next(reading)
            except StopIteration as done:
                answer: Answer = done.value
                return answer
            received = await loop.sock_recv(self._socket, _READ_BYTES)
            if not received:
                raise Lost("connection closed before the answer was whole")
            self._buffer += received
            if len(self._buffer) > _ANSWER_BYTES_MAX:
                raise Lost(f"an answer of more than {_ANSWER_BYTES_MAX} bytes")


def parsing(buffer: bytearray, depth: int = 0) -> Generator[None, None, Answer]:
    """Take one answer out of ``buffer``, yielding wherever more must come first; ``Lost``.

    It never looks twice at what it has taken, so a long answer costs as much as its bytes.
    """
    kind, text = yield from _line(buffer)
    if kind == b"+":
        return Status(text.decode("utf-8", "replace"))
    if kind == b"-":
        return Refusal(text.decode("utf-8", "replace"))
    if kind == b":":
        return _number(text)
    if kind == b"$":
        return (yield from _bulk(buffer, _number(text)))
    if kind == b"*" and depth < _DEPTH_MAX:
        count = _number(text)
        if count == -1:
            return None
        if count < 0:
            raise Lost(f"not RESP: an array of {count}")
        answers: list[Answer] = []
        for _ in range(count):
            answers.append((yield from parsing(buffer, depth + 1)))
        return answers
    raise Lost(f"not RESP: an answer that begins with {shown(kind + text[:40])}")


def _line(buffer: bytearray) -> Generator[None, None, tuple[bytes, bytes]]:
    while (end := buffer.find(b"\r\n")) < 0:
        if buffer and buffer[:1] not in b"+-:$*":
            raise Lost(f"not RESP: an answer that begins with {shown(bytes(buffer[:40]))}")
        yield
    kind, text = bytes(buffer[:1]), bytes(buffer[1:end])
    del buffer[: end + 2]
    return kind, text


def _bulk(buffer: bytearray, size: int) -> Generator[None, None, bytes | None]:
    if size == -1:
        return None
    if not 0 <= size <= _ANSWER_BYTES_MAX:
        raise Lost(f"not RESP: a text of {size} bytes")
    while len(buffer) < size + 2:
        yield
    found, end = bytes(buffer[:size]), bytes(buffer[size : size + 2])
    if end != b"\r\n":
        raise Lost("not RESP: a text that does not end where it says")
    del buffer[: size + 2]
    return found


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Lost(f"not RESP: {shown(text[:40])} is no number") from error


def ask(address: tuple[str, int], *commands: Sequence[Word], timeout_s: float) -> list[Answer]:
    """An answer to each of ``commands``, blocking, over a connection of their own.

    For set-up, recovery and faults, never for an operation. Raises ``Lost`` or ``OSError``, also
    (``TimeoutError``) where all of it takes longer than ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    with socket.create_connection(address, timeout_s) as connected:
        connected.sendall(b"".join(packed(each) for each in commands))
        buffer = bytearray()
        return [_received(connected, buffer, deadline) for _ in commands]


def _received(connected: socket.socket, buffer: bytearray, deadline: float) -> Answer:
    reading = parsing(buffer)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            answer: Answer = done.value
            return answer
        if (left_s := deadline - time.monotonic()) <= 0:
            raise TimeoutError("timed out")
        connected.settimeout(left_s)
        received = connected.recv(_READ_BYTES)
        if not received:
            raise Lost("connection closed before the answer was whole")
        buffer += received
