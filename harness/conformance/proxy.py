"""A proxy that knows bytes alone, and spoils one request of a conversation that it cannot read.

It stands between a client and a real server. What a client sends until the server says something
is one *request*, whatever the protocol; requests are counted over all connections from
:meth:`Proxy.arm` on, handshakes included, and one of them is treated as :class:`Spoil` says. All
others pass. Whatever the client sends is kept, so that a repetition is seen.

It runs in threads of its own (two a connection, blocking sockets), like the scripted server, and
late answers are sent when they are asked for: nothing here sleeps.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

_END_S: Final = 5.0
_CONNECT_S: Final = 5.0
_CHUNK: Final = 65536


class Spoil(enum.Enum):
    """What becomes of the request; the value says it in words."""

    NOTHING = "answers honestly"
    REFUSE = "refuses the connection"
    CLOSE_BEFORE = "closes before the request reaches the server"
    CLOSE_AFTER = "closes after the server has done it, before the answer"
    STALL_BEFORE = "stalls, and the request never reaches the server"
    STALL_AFTER = "stalls after the server has done it"
    HALF_CLOSE = "closes in the middle of the answer"
    HALF_STALL = "stalls in the middle of the answer"
    LATE = "answers after the time-out"

    @property
    def stalls(self) -> bool:
        """Whether only a time-out ends the operation."""
        return self in (Spoil.STALL_BEFORE, Spoil.STALL_AFTER, Spoil.HALF_STALL, Spoil.LATE)

    @property
    def reaches(self) -> bool:
        """Whether the server gets the request."""
        return self not in (Spoil.REFUSE, Spoil.CLOSE_BEFORE, Spoil.STALL_BEFORE)


@dataclass(eq=False)
class Line:
    """One connection: the client's end, and ours to the server."""

    client: socket.socket
    server: socket.socket
    request: Request | None = None  # the last one
    is_answered: bool = True  # whether the server has said something since
    fate: Spoil = Spoil.NOTHING
    closed: bool = False  # the client has closed, or we have
    kept_back: list[bytes] = field(default_factory=list)


@dataclass(eq=False)
class Request:
    """What the client sent until the server said something."""

    line: Line
    content: bytes = b""
    answered: bool = False  # the server began to answer, whether or not the client got it


class Proxy:
    """Listens on a free loopback port while it is entered, before the server at ``upstream``.

    ``wait_s`` is the longest wait for what a client must have done already.
    """

    def __init__(self, upstream: tuple[str, int], *, wait_s: float = 5.0) -> None:
        self._upstream = upstream
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._spoil, self._at = Spoil.NOTHING, -1
        self._requests: list[Request] = []
        self._struck: Request | None = None
        self._lines: list[Line] = []
        self._threads: list[threading.Thread] = []
        self._is_ending = False
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def __enter__(self) -> Proxy:
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_ending = True
            ends = [end for line in self._lines for end in (line.client, line.server)]
        _shut(self._listener, *ends)
        for thread in self._threads:
            thread.join(_END_S)
        for each in (self._listener, *ends):
            each.close()

    @property
    def address(self) -> str:
        """``host:port``."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def arm(self, spoil: Spoil, at: int = 0) -> None:
        """Spoil the ``at``-th request from now on, counted from 0."""
        with self._changed:
            self._spoil, self._at = spoil, at
            self._requests, self._struck = [], None
            if spoil is Spoil.REFUSE:
                lines = list(self._lines)
        if spoil is Spoil.REFUSE:
            _shut(self._listener, *(end for line in lines for end in (line.client, line.server)))
            self._listener.close()

    @property
    def requests(self) -> list[bytes]:
        """What was sent since it was armed, request by request."""
        with self._changed:
            return [request.content for request in self._requests]

    @property
    def struck(self) -> bool:
        """Whether the request that was to be spoilt has come."""
        return self._struck is not None

    @property
    def after_struck(self) -> list[bytes]:
        """What was sent after the request that was spoilt."""
        with self._changed:
            if self._struck is None:
                return []
            at = self._requests.index(self._struck)
            return [request.content for request in self._requests[at + 1 :]]

    def wait_until_done(self) -> bool:
        """Wait until the server has answered what was spoilt; ``False`` if it does not."""
        struck = self._struck
        if struck is None:
            return False
        with self._changed:
            return self._changed.wait_for(lambda: struck.answered, self._wait_s)

    def wait_until_closed(self) -> bool:
        """Wait until the client has closed the line that was spoilt; ``False`` if it does not."""
        struck = self._struck
        if struck is None:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: struck.line.closed, self._wait_s)

    def release(self) -> None:
        """Send what was kept back, where the connection still takes it; from now on all passes."""
        with self._changed:
            lines = list(self._lines)
            self._spoil = Spoil.NOTHING
        for line in lines:
            if line.fate is Spoil.LATE:
                for content in line.kept_back:
                    _send(line.client, content)
                line.fate = Spoil.NOTHING

    # -- threads -------------------------------------------------------------------------------

    def _spawn(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._upstream, _CONNECT_S)
                server.settimeout(None)
            except OSError:  # as if nobody listened here either
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Line(client, server)
            with self._changed:
                if self._is_ending:
                    client.close()
                    server.close()
                    return
                self._lines.append(line)
            self._spawn(self._upward, line)
            self._spawn(self._downward, line)

    def _upward(self, line: Line) -> None:
        """From the client to the server."""
        while content := _received(line.client):
            fate = self._note_request(line, content)
            if fate is Spoil.CLOSE_BEFORE:
                break
            if fate is not Spoil.STALL_BEFORE:
                _send(line.server, content)
        self._end(line)

    def _note_request(self, line: Line, content: bytes) -> Spoil:
        """What becomes of ``content``; a request's further parts go the way of its first."""
        with self._changed:
            if line.is_answered or line.request is None:
                line.request = Request(line)
                line.is_answered = False
                if len(self._requests) == self._at and self._struck is None:
                    self._struck, line.fate = line.request, self._spoil
                self._requests.append(line.request)
            line.request.content += content
            self._changed.notify_all()
            return line.fate

    def _downward(self, line: Line) -> None:
        """From the server to the client."""
        while content := _received(line.server):
            with self._changed:
                line.is_answered = True
                if line.request is not None:
                    line.request.answered = True
                fate = line.fate
                if fate is Spoil.LATE:
                    line.kept_back.append(content)
                self._changed.notify_all()
            if fate in (Spoil.HALF_CLOSE, Spoil.HALF_STALL):
                _send(line.client, content[: len(content) // 2])
                line.fate = Spoil.STALL_AFTER  # the rest is swallowed
            if fate in (Spoil.CLOSE_AFTER, Spoil.HALF_CLOSE):
                break
            if fate is Spoil.NOTHING:
                _send(line.client, content)
        self._end(line)

    def _end(self, line: Line) -> None:
        _shut(line.client, line.server)
        with self._changed:
            line.closed = True
            self._changed.notify_all()


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(_CHUNK)
    except OSError:
        return b""


def _send(end: socket.socket, content: bytes) -> None:
    if content:
        with contextlib.suppress(OSError):
            end.sendall(content)


def _shut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
