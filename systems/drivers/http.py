"""One HTTP/1.1 connection that never does anything behind our back.

Every comfortable HTTP library repeats requests: on a reset, on a reused connection that the
server had closed, on a redirect. A repeated write that the history holds once makes a false
verdict. So this is a plain socket with h11 (a parser, no I/O) on top: :meth:`exchange` sends
one request once and reads one answer, or raises.

Idea: what became of a request is decided by *stage*. Until :meth:`exchange` is called nothing
has been sent. From its first byte on, only a whole answer tells anything. A connection whose
exchange did not end with a whole answer is closed by the exchange itself, so a late answer has
nowhere to arrive.

Keep-alive needs one more care: the server may have closed the connection while it was idle.
:attr:`reusable` peeks at the socket just before sending; an end of file or stray bytes that
have already arrived rule the connection out while nothing has been sent yet. What arrives after
that peek is an ordinary loss in flight.

Cost: about 0.2 ms of CPU an exchange (benchmarks/etcd_client.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import h11

Headers = Sequence[tuple[str, str]]
"""Names and values."""
_READ_BYTES: Final = 65536
_BODY_BYTES_MAX: Final = 64 * 1024 * 1024


class Lost(Exception):
    """The exchange broke off after its first byte may have been sent; says how."""


@dataclass(frozen=True)
class Answer:
    """A whole answer: the final status code and the body."""

    status: int
    body: bytes


class HttpConnection:
    """A connected socket for one request at a time. Not for use by two tasks at once."""

    def __init__(self, connected: socket.socket, host: str) -> None:
        import h11

        self._socket = connected
        self._host = host
        self._parser: h11.Connection = h11.Connection(h11.CLIENT)

    @classmethod
    async def connect(cls, host: str, port: int) -> HttpConnection:
        """Connect to ``host``; ``OSError`` if that fails (nothing has been sent then)."""
        family, address = await resolve(host, port)
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.setblocking(False)
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(connecting, address)
        except BaseException:
            connecting.close()
            raise
        return cls(connecting, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    @property
    def reusable(self) -> bool:
        """Whether the next request may be sent here: open, and nothing has arrived unasked."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    @property
    def closed(self) -> bool:
        """Whether it serves nothing more because the last answer said so, or it broke off."""
        return self._socket.fileno() < 0

    async def exchange(self, path: str, body: bytes, headers: Headers = ()) -> Answer:
        """POST ``body`` once, with further ``headers``, and read the whole answer.

        Raises ``Lost`` or ``OSError``. After any exception, cancellation included, and after an
        answer that ends the connection, it is closed.
        """
        try:
            request = self._request(path, body, headers)
            await asyncio.get_running_loop().sock_sendall(self._socket, request)
            answer = await self._answer()
            self._next_cycle()
        except BaseException:
            self.close()
            raise
        return answer

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """POST ``body`` once and give the parts of the answer's body as they arrive.

        Raises ``Lost`` or ``OSError``, also if the answer is no success. The connection serves
        nothing else afterwards: it is closed when this ends, however it ends.
        """
        import h11

        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, self._request(path, body))
            while True:
                event = await self._next_event()
                if isinstance(event, h11.Response) and event.status_code != 200:
                    raise Lost(f"the stream was refused with status {event.status_code}")
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    return
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection at once; not while an exchange is under way. Safe twice."""
        self._socket.close()

    def abandon(self) -> None:
        """Make an exchange that is under way end as lost (it closes the socket itself then).

        Closing the file descriptor under a waiting loop would let its number be used again while
        the loop still watches it.
        """
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _request(self, path: str, body: bytes, further: Headers = ()) -> bytes:
        import h11

        headers = [
            ("Host", self._host),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            *further,
        ]
        head = self._parser.send(h11.Request(method="POST", target=path, headers=headers))
        content = self._parser.send(h11.Data(data=body))
        self._parser.send(h11.EndOfMessage())
        return (head or b"") + (content or b"")

    async def _answer(self) -> Answer:
        import h11

        status = 0
        body = bytearray()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, bytes(body))
            elif isinstance(event, h11.ConnectionClosed):
                raise Lost("connection closed before the answer was whole")
            if len(body) > _BODY_BYTES_MAX:
                raise Lost(f"an answer of more than {_BODY_BYTES_MAX} bytes")

    async def _next_event(self) -> object:
        import h11

        loop = asyncio.get_running_loop()
        try:
            while (event := self._parser.next_event()) is h11.NEED_DATA:
                self._parser.receive_data(await loop.sock_recv(self._socket, _READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise Lost(f"not a whole HTTP answer: {error}") from error
        return event

    def _next_cycle(self) -> None:
        """Make the parser ready for the next request, or close where there cannot be one."""
        import h11

        stray, _ = self._parser.trailing_data
        done = self._parser.our_state is h11.DONE and self._parser.their_state is h11.DONE
        if done and not stray:
            self._parser.start_next_cycle()
        else:
            self.close()


async def resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    """The family and address of ``host``; a numeric one is resolved without leaving the loop."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))
