"""The run process's end of the channel to one node's agent.

Requests may come from any thread; one reader thread hands each answer to its caller and each
exit to the process that it belongs to. The agent answers in order and tells of an exit only
after it has told of the start, so the reader can tie the two together without a gap.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.cluster.namespaces import wire
from harness.cluster.remote import identity_in
from harness.errors import NodeError, SetupError
from harness.linux.identity import ProcessIdentity

_ANSWER_TIMEOUT_S = 30.0
_KILLED = -9


class Started:
    """A process that the agent started: who it is, here and inside, and its end once it came."""

    def __init__(self, identity: ProcessIdentity, inside: ProcessIdentity) -> None:
        self.identity = identity
        self.inside = inside
        self.status: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """It ended: its exit code, or minus the signal."""
        self.status = status
        self._ended.set()

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; the status, or ``None`` at the time-out."""
        self._ended.wait(timeout_s)
        return self.status


class AgentLink:
    """Asks one agent.

    ``pid`` is the agent as the run process sees it, after ``wait_until_up``; where that failed the
    process that said so, and then ends.
    """

    def __init__(self, node: str, channel: socket.socket) -> None:
        self.node = node
        self.pid = 0
        self._channel = channel
        self._condition = threading.Condition()
        self._next_id = 0
        self._answers: dict[int, wire.Message | None] = {}
        self._running: dict[int, Started] = {}
        self._closed = False

    def wait_until_up(self) -> None:
        """Wait for the agent's first word; ``SetupError`` names the step that failed."""
        self._channel.settimeout(_ANSWER_TIMEOUT_S)
        try:
            message = wire.receive(self._channel)
        except TimeoutError:
            raise SetupError(f"{self.node}: its first process said nothing") from None
        self._channel.settimeout(None)
        if message is None:
            raise SetupError(f"{self.node}: its first process ended during set-up")
        self.pid = message.pid
        if "failed" in message.body:
            raise SetupError(f"{self.node}: {message.body['failed']}: {message.body['why']}")
        threading.Thread(target=self._read, name=f"agent-{self.node}", daemon=True).start()

    def start(self, request: Mapping[str, Any], fds: Sequence[int]) -> Started:
        """Have the agent start a process; ``NodeError`` if it cannot be executed."""
        answer = self.exchange({"op": "start", **request}, fds)
        started: Started = answer.body["started"]
        return started

    def ask(self, op: str, **request: Any) -> Mapping[str, Any]:
        """Ask one of the node's hands; ``NodeError`` where it refuses."""
        return self.exchange({"op": op, **request}).body

    def prepare(self, op: str, **request: Any) -> Callable[[], Callable[[], Mapping[str, Any]]]:
        """A question to one of the node's hands, made ready.

        Called, it is sent within some ten microseconds; what that returns waits for the answer.
        """
        number = self._number()
        data = wire.encoded({"op": op, **request, "id": number})

        def send() -> Callable[[], Mapping[str, Any]]:
            with self._condition:
                self._answers[number] = None
            try:
                wire.send_at_once(self._channel, data)
            except OSError as error:
                self._answers.pop(number, None)
                raise self._unsent(error, op) from error
            return lambda: self._answer(number, op).body

        return send

    def exchange(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> wire.Message:
        """Send a request and wait for its answer; ``NodeError`` where the agent refuses."""
        return self._answer(self._post(request, fds), request["op"])

    def _post(self, request: Mapping[str, Any], fds: Sequence[int]) -> int:
        number = self._number()
        with self._condition:
            self._answers[number] = None
            self._send({**request, "id": number}, fds)
        return number

    def _number(self) -> int:
        with self._condition:
            self._next_id += 1
            return self._next_id

    def _answer(self, number: int, op: str) -> wire.Message:
        with self._condition:
            self._condition.wait_for(
                lambda: self._closed or self._answers[number] is not None, _ANSWER_TIMEOUT_S
            )
            answer = self._answers.pop(number)
        if answer is None:
            ended = "is down" if self._closed else f"did not answer in {_ANSWER_TIMEOUT_S:.0f} s"
            raise NodeError(f"{self.node}: the node {ended} ({op})")
        if "refused" in answer.body:
            raise NodeError(f"{self.node}: {answer.body['refused']}")
        return answer

    def tell_to_exit_once_up(self) -> None:
        """End the node: its every process is killed. No answer comes."""
        if self.pid == 0:
            # Its number is needed to wait for its end; a node that failed has ended by itself.
            with contextlib.suppress(SetupError):
                self.wait_until_up()
        with contextlib.suppress(OSError):
            wire.send(self._channel, {"op": "exit", "id": 0})

    def close(self) -> None:
        """Let go of the channel."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()

    def _send(self, request: Mapping[str, Any], fds: Sequence[int]) -> None:
        try:
            wire.send(self._channel, request, fds=fds)
        except OSError as error:
            raise self._unsent(error, request["op"]) from error

    def _unsent(self, error: OSError, op: str) -> NodeError:
        why = "is down" if self._closed or isinstance(error, BrokenPipeError) else str(error)
        return NodeError(f"{self.node}: the node {why} ({op})")

    def _read(self) -> None:
        while (message := self._receive()) is not None:
            with self._condition:
                self._take(message)
                self._condition.notify_all()
        with self._condition:
            self._closed = True
            # With its first process the kernel killed all of the node.
            for started in self._running.values():
                started.end(_KILLED)
            self._running.clear()
            self._condition.notify_all()

    def _receive(self) -> wire.Message | None:
        try:
            return wire.receive(self._channel)
        except OSError:
            return None

    def _take(self, message: wire.Message) -> None:
        body = message.body
        if "exited" in body:
            started = self._running.pop(body["exited"], None)
            if started is not None:
                started.end(body["status"])
            return
        if "pid" in body:
            # Without namespaces of its own the node's numbers are ours.
            is_ours = body["pid_namespace"] == os.stat("/proc/self/ns/pid").st_ino
            inside = identity_in(body)
            identity = inside if is_ours else replace(inside, pid=message.pid)
            body["started"] = self._running[body["pid"]] = Started(identity, inside)
        if body["id"] in self._answers:
            self._answers[body["id"]] = message
            return
        for fd in message.fds:
            os.close(fd)
