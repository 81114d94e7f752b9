"""The text protocol of Nun-db over TCP: a command a line, its answers, then ``ok`` or ``error``.

The server reads a line as far as it has come and forgets the beginning of one that comes in two
pieces, so a command is sent in one, and the next only after the answer to the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from systems.drivers.http import Lost
from systems.drivers.sockets import connected, is_open_and_silent

_READ_BYTES: Final = 65536
_ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Said:
    """A whole answer: the lines before the last, and the error if the last is one."""

    lines: tuple[str, ...]
    error: str | None = None


class LineConnection:
    """A connected socket for one command at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._rest = b""

    @classmethod
    async def connect(cls, host: str, port: int) -> LineConnection:
        """Connect; ``OSError`` if that fails (nothing has been sent then)."""
        return cls(await connected(host, port))

    @property
    def reusable(self) -> bool:
        """Whether the next command may be sent here: open, and nothing has arrived unasked."""
        return not self._rest and is_open_and_silent(self._socket)

    async def exchange(self, command: str) -> Said:
        """Send one command once, and read all of its answer; ``Lost`` or ``OSError``.

        After any exception, cancellation included, and after an error it is closed: more lines may
        follow an error than one.
        """
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, command.encode() + b"\n")
            said = await self._answer()
        except BaseException:
            self.close()
            raise
        if said.error is not None:
            self.close()
        return said

    def close(self) -> None:
        """Drop the connection at once; not while an exchange is under way. Safe twice."""
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Whether it serves nothing more."""
        return self._socket.fileno() < 0

    def abandon(self) -> None:
        """Make an exchange that is under way end as lost (it closes the socket itself then)."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def _answer(self) -> Said:
        lines: list[str] = []
        while True:
            line = await self._line()
            if line == "ok":
                return Said(tuple(lines))
            if line == "error" or line.startswith("error "):
                return Said(tuple(lines), line.removeprefix("error").strip())
            if line:
                lines.append(line)

    async def _line(self) -> str:
        while b"\n" not in self._rest:
            got = await asyncio.get_running_loop().sock_recv(self._socket, _READ_BYTES)
            if not got:
                raise Lost("connection closed before the answer was whole")
            self._rest += got
            if len(self._rest) > _ANSWER_BYTES_MAX:
                raise Lost(f"an answer of more than {_ANSWER_BYTES_MAX} bytes")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace").strip()
