"""A server that misbehaves exactly as its script says, and counts what it is sent.

The script is a sequence of *acts*, one for each request of the operations (handshakes aside), in
the order in which they arrive, over all connections: a client that sends a request again is
answered by the next act, and counted. After the script it answers honestly.

A server that "closes" here sends its end of file and *goes on reading*: the client cannot tell
this from a full close, but whatever it still sends is seen and counted. That is what uncovers a
driver that writes into a closed connection and then repeats the request on a new one.

Late answers are sent when the test says so, not after a time: nothing here sleeps.

It runs in threads of its own (one a connection, blocking sockets), so that it serves blocking
drivers and asynchronous clients alike, and judges none by the load of its own loop.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from harness.contract.speaker import Conversation, Kind, Speaker, SpeaksByConnection

_END_S: Final = 5.0  # longest wait for a thread whose socket has been shut down


class Then(enum.Enum):
    """What follows the bytes of an act."""

    GO_ON = "go on"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


@dataclass(frozen=True)
class Act:
    """What to do with one request: send a part of the honest answer, or ``raw``; then ``then``.

    ``part`` 1.0 is the whole honest answer (with ``value``), 0.0 none of it. ``late`` keeps the
    bytes back until :meth:`ScriptedServer.release`.
    """

    value: Any = None
    part: float = 0.0
    raw: bytes | None = None
    late: bool = False
    then: Then = Then.GO_ON

    def content(self, talk: Conversation, request: bytes) -> bytes:
        """The bytes to send in answer to ``request``."""
        if self.raw is not None:
            return self.raw
        whole = talk.answer(request, self.value) if self.part else b""
        return whole[: int(len(whole) * self.part)]


@dataclass(eq=False)
class Line:
    """One connection as the server sees it."""

    socket: socket.socket
    talk: Conversation
    mute: bool = False  # our end of file is sent: read and count, answer nothing
    closed: bool = False  # the client closed, or we reset
    kept_back: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Received:
    """One counted request: what it was, and on which connection."""

    kind: Kind
    line: Line


class ScriptedServer:
    """Listens on a free loopback port while it is entered as a context manager.

    ``refuse`` keeps the port but accepts nothing; ``hang_up`` sends the end of file on accept.
    ``after`` is the value of honest answers beyond the script. ``wait_s`` is the longest wait for
    what the client must have done already (only a client that did not do it is waited for).
    """

    def __init__(
        self,
        speaker: Speaker,
        script: Sequence[Act] = (),
        *,
        after: Any = None,
        refuse: bool = False,
        hang_up: bool = False,
        wait_s: float = 30.0,
    ) -> None:
        self._speaker = speaker
        self._script = list(script)
        self._after = Act(after, part=1.0)
        self._refuse = refuse
        self._hang_up = hang_up
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._received: list[Received] = []
        self._done = 0
        self._lines: list[Line] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def __enter__(self) -> ScriptedServer:
        self._listener.bind(("127.0.0.1", 0))
        if not self._refuse:
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
            sockets = [self._listener, *(line.socket for line in self._lines)]
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_END_S)
        for each in sockets:
            each.close()

    @property
    def address(self) -> str:
        """``host:port``."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def received(self) -> list[Received]:
        """Every request so far, handshakes aside."""
        with self._changed:
            return list(self._received)

    def wait_until_acted(self, count: int) -> bool:
        """Wait until ``count`` acts are over; ``False`` if that does not come to pass."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done >= count, self._wait_s)

    def wait_until_closed(self, line: Line) -> bool:
        """Wait until the client has closed ``line``; ``False`` if it does not."""
        with self._changed:
            return self._changed.wait_for(lambda: line.closed, self._wait_s)

    def wait_until_all_closed(self) -> int:
        """Wait until the client has closed every connection; how many it does not close."""
        with self._changed:
            self._changed.wait_for(lambda: all(line.closed for line in self._lines), self._wait_s)
            return sum(not line.closed for line in self._lines)

    def release(self) -> None:
        """Send every answer that was kept back, where the connection still takes it."""
        with self._changed:
            lines = [line for line in self._lines if line.kept_back]
        for line in lines:
            for content in line.kept_back:
                self._send(line, content)
            line.kept_back.clear()

    def _spawn(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _conversation(self) -> Conversation:
        speaker = self._speaker
        return speaker.connection() if isinstance(speaker, SpeaksByConnection) else speaker

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:  # the listener was shut down: the end
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Line(accepted, self._conversation())
            with self._changed:
                self._lines.append(line)
            self._spawn(self._serve, line)

    def _serve(self, line: Line) -> None:
        if self._hang_up:
            self._finish(line, Then.CLOSE)
        else:
            self._send(line, self._speaker.greeting)
        received = b""
        while not line.closed:
            taken = line.talk.take(received)
            if taken is not None:
                request, received = taken
                self._react(line, request)
                continue
            try:
                more = line.socket.recv(65536)
            except OSError:
                more = b""
            received += more
            if not more:
                self._mark_closed(line)

    def _react(self, line: Line, request: bytes) -> None:
        kind = line.talk.kind(request)
        if kind is Kind.HANDSHAKE:
            if not line.mute:
                self._send(line, line.talk.answer(request, None))
            return
        with self._changed:
            self._received.append(Received(kind, line))
            act = self._script.pop(0) if self._script and not line.mute else self._after
            self._changed.notify_all()
        if not line.mute:
            self._perform(line, act, request)
        with self._changed:
            self._done += 1
            self._changed.notify_all()

    def _perform(self, line: Line, act: Act, request: bytes) -> None:
        content = act.content(line.talk, request)
        if act.late:
            line.kept_back.append(content)
        else:
            self._send(line, content)
        self._finish(line, act.then)

    def _finish(self, line: Line, then: Then) -> None:
        if then is Then.CLOSE:
            line.mute = True
            with contextlib.suppress(OSError):
                line.socket.shutdown(socket.SHUT_WR)
        elif then is Then.STALL:
            line.mute = True
        elif then is Then.RESET:
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.socket.close()
            self._mark_closed(line)

    def _send(self, line: Line, content: bytes) -> None:
        if content:
            with contextlib.suppress(OSError):
                line.socket.sendall(content)

    def _mark_closed(self, line: Line) -> None:
        with self._changed:
            line.closed = True
            self._changed.notify_all()
