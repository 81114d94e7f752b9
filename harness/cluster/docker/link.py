"""The run process's end of the channel to one node's side-car.

The engine carries it: the standard streams of a ``docker exec``, as one connection on which the
engine marks which output each piece is of. So it works with every engine, also one in another
virtual machine. Requests may come from any thread and are answered in any order; one reader
thread hands each answer to its caller and what the logs gained to a function.

Cost: 1 ms a request, against 100 ms for a ``docker exec`` each.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.cluster.docker.engine import complaints
from harness.cluster.docker.layout import LOG_DIR, TOOLS_DIR
from harness.errors import NodeError
from harness.linux.identity import boot_id

_ANSWER_TIMEOUT_S = 30.0
_HEADER = struct.Struct(">BxxxL")
_STDOUT = 1
_START = "import sys; sys.path.insert(0, sys.argv[1]); from hands import sidecar; sidecar.main()"

GONE = "its side-car is gone, or the Docker engine"

TakeLog = Callable[[str, bytes], None]
"""Called with the log's file name and what it gained."""


class SidecarLink:
    """Asks one side-car. Made by ``connect``.

    ``log_delay_s`` is by how much later than it was written a line of a log has come, at most.
    """

    def __init__(self, node: str, stream: Any, take_log: TakeLog) -> None:
        self.node = node
        self._stream = stream
        self._socket: socket.socket = getattr(stream, "_sock", stream)
        self._take_log = take_log
        self._condition = threading.Condition()
        self._write_lock = threading.Lock()
        self._next_id = 0
        self._answers: dict[int, dict[str, Any] | None] = {}
        self._closed = False
        self._last_words = b""
        self._boot_id = boot_id()
        self._longest_answer_s = 0.0
        self.log_delay_s = 0.0
        self._socket.settimeout(None)
        threading.Thread(target=self._read, name=f"side-car-{node}", daemon=True).start()

    def ask(
        self, op: str, *, timeout_s: float = _ANSWER_TIMEOUT_S, **arguments: Any
    ) -> dict[str, Any]:
        """Send a request and wait for its answer; ``NodeError`` where it is refused or lost."""
        with self._condition:
            self._next_id += 1
            number = self._next_id
            self._answers[number] = None
        asked_ns = time.monotonic_ns()
        try:
            with self._write_lock:
                line = json.dumps({"op": op, "id": number, **arguments}) + "\n"
                self._socket.sendall(line.encode())
        except OSError as error:
            raise NodeError(f"{self.node}: {GONE}: {error}") from error
        with self._condition:
            self._condition.wait_for(
                lambda: self._closed or self._answers[number] is not None, timeout_s
            )
            answer = self._answers.pop(number)
            took_s = (time.monotonic_ns() - asked_ns) / 1e9
            self._longest_answer_s = max(self._longest_answer_s, took_s)
        if answer is None:
            raise NodeError(f"{self.node}: {self._why_none(timeout_s)} ({op})")
        if "refused" in answer:
            raise NodeError(f"{self.node}: {answer['refused']}")
        return answer

    @property
    def is_lost(self) -> bool:
        """Whether the other end is gone: nothing more can be asked, nor is it made again."""
        return self._closed

    def close(self) -> None:
        """Let go of the channel. Safe twice."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._stream.close()

    def _why_none(self, timeout_s: float) -> str:
        if not self._closed:
            return f"its side-car did not answer in {timeout_s:g} s"
        said = self._last_words.decode(errors="replace").strip()[-300:]
        return f"{GONE}{': ' if said else ''}{said}"

    def _read(self) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):
                for line in self._lines():
                    self._take(json.loads(line))
        finally:  # whatever ended it: nobody shall wait for an answer that nobody reads
            with self._condition:
                self._closed = True
                self._condition.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        if "log" in message:
            # A log that finds no room must not be the end of the channel; the run's own history
            # finds none either, and says so.
            self.log_delay_s = max(self.log_delay_s, self._delay_s(message))
            with contextlib.suppress(OSError):
                self._take_log(message["log"], base64.b64decode(message["data"]))
            return
        with self._condition:
            if message["id"] in self._answers:
                self._answers[message["id"]] = message
            self._condition.notify_all()

    def _delay_s(self, message: dict[str, Any]) -> float:
        """By how much earlier the first line of a piece of a log may have been written."""
        if message["boot_id"] == self._boot_id:
            return (time.monotonic_ns() - int(message["since_ns"])) / 1e9
        # The engine is on another machine: its own figure, and the longest way there and back.
        return int(message["age_ns"]) / 1e9 + self._longest_answer_s

    def _lines(self) -> Iterator[bytes]:
        buffer = b""
        while (header := self._exactly(_HEADER.size)) is not None:
            kind, size = _HEADER.unpack(header)
            piece = self._exactly(size)
            if piece is None:
                return
            if kind != _STDOUT:
                self._last_words = (self._last_words + piece)[-2000:]
                continue
            *lines, buffer = (buffer + piece).split(b"\n")
            yield from lines

    def _exactly(self, size: int) -> bytes | None:
        """That many bytes; ``None`` at the end."""
        parts = []
        while size > 0:
            part = self._socket.recv(min(size, 1 << 20))
            if not part:
                return None
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


_ARGV = ("python3", "-c", _START, TOOLS_DIR, LOG_DIR)


def connect(
    client: Any, container: str, node: str, take_log: TakeLog, argv: Sequence[str] = _ARGV
) -> SidecarLink:
    """Start the side-car's program, which lies in :data:`TOOLS_DIR`, and connect to it."""
    with complaints(f"{node}: its side-car's program"):
        started = client.exec_create(container, list(argv), stdin=True)
        return SidecarLink(node, client.exec_start(started["Id"], socket=True), take_log)
