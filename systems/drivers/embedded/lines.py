"""A connection of lines of JSON that never does anything behind our back.

One line is sent once, one whole line is read, or it raises: what became of the request is decided
by the stage (:mod:`systems.drivers.embedded.asks`). After any exception, cancellation included, the
connection is closed, so that a late answer has nowhere to arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from harness.contract.node import split_address

_READ_BYTES: Final = 65536
_LONGEST: Final = 64 << 20


class Lost(Exception):
    """The exchange broke off after its first byte may have been sent; says how."""


class LineConnection:
    """A connected socket for one request at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = bytearray()

    @classmethod
    async def connect(cls, address: str) -> LineConnection:
        """Connect to ``host:port``, a numeric host; ``OSError`` if that fails."""
        loop = asyncio.get_running_loop()
        host, port = split_address(address)
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        connecting = socket.socket(found[0][0], socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connecting, found[0][4])
        except BaseException:
            connecting.close()
            raise
        return cls(connecting)

    @property
    def reusable(self) -> bool:
        """Whether the next request may be sent here: open, and nothing has arrived unasked."""
        if self._received:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def exchange(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send one line and read the answer's; ``Lost`` or ``OSError`` if it does not come."""
        try:
            line = json.dumps(request).encode() + b"\n"
            await asyncio.get_running_loop().sock_sendall(self._socket, line)
            return await self._answer()
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

    async def _answer(self) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        while (end := self._received.find(b"\n")) < 0:
            part = await loop.sock_recv(self._socket, _READ_BYTES)
            if not part:
                raise Lost("connection closed before the answer was whole")
            self._received += part
            if len(self._received) > _LONGEST:
                raise Lost(f"an answer of more than {_LONGEST} bytes")
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise Lost(f"not an answer: {error}") from error
        if not isinstance(answer, dict):
            raise Lost("not an answer: no object of JSON")
        return answer
