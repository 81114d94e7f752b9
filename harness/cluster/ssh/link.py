"""The run process's end of the line to one node's keeper, over ssh.

Requests may come from any thread; one reader thread hands each answer to its caller and notes
each exit. One connection and one channel are kept: a request costs a fraction of a millisecond.

When the connection breaks, whoever asks next connects again, and requests without an answer are
sent again under their old number, which the keeper carries out once. A host that was rebooted, or
whose folder of the run is gone, is lost for good: what ran there ended without anybody's order,
and everything asked of it from then on is refused with that reason. So is a *new* keeper that
stands in for one that died; it knows its daemons, but not how they end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.cluster.ssh.connection import ANSWER_TIMEOUT_S, Connection, connect, lost
from harness.cluster.ssh.hosts import Host
from harness.errors import NodeError

if TYPE_CHECKING:
    from paramiko import Channel

T = TypeVar("T")

_RETRY_S = 0.5
_HANDS = Path(__file__).parents[1] / "hands"


class Exits:
    """How a node's daemons ended, by their pids, as far as is known."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._statuses: dict[int, int] = {}

    def note(self, pid: int, status: int) -> None:
        """It ended: its exit code, or minus the signal. The first word counts."""
        with self._condition:
            self._statuses.setdefault(pid, status)
            self._condition.notify_all()

    def of(self, pid: int) -> int | None:
        """The status, or ``None`` while it runs or if nobody can know."""
        with self._condition:
            return self._statuses.get(pid)

    def wait(self, pid: int, timeout_s: float) -> int | None:
        """Wait for the status; ``None`` at the time-out."""
        with self._condition:
            self._condition.wait_for(lambda: pid in self._statuses, timeout_s)
            return self._statuses.get(pid)


class KeeperLink:
    """Asks one keeper. ``folder`` names the node's folder on the host, ``base`` where it is.

    ``run`` is written into that folder when it is made; one in which another stands is refused.
    """

    def __init__(self, host: Host, folder: str, base: str = "", run: str = "") -> None:
        self.host = host
        self.exits = Exits()
        self.boot_id = ""
        self.root = ""
        self.gone: str | None = None
        """Why the node is lost for good, once it is."""
        self._folder = folder
        self._base = base
        self._run = run
        self._connecting = threading.Lock()
        self._condition = threading.Condition()
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._next_id = 0
        self._session = f"{time.time_ns():x}"
        self._answers: dict[str, dict[str, Any]] = {}
        self._retry_at = 0.0
        self._trouble: NodeError | None = None

    def open(self, *, must_exist: bool = False, any_boot: bool = False) -> bool:
        """Connect and meet the keeper, making it if there is none.

        With ``must_exist`` nothing is made: whether there was a folder of this node. ``any_boot``
        is for whoever only cleans up. ``NodeError`` if the host cannot be reached or used.
        """
        with self._connecting:
            return self._open(must_exist=must_exist, boot_id="" if any_boot else self.boot_id)

    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._channel is not None

    def close(self) -> None:
        """Let go of the connection; the keeper and its daemons stay."""
        with self._condition:
            connection, self._connection, self._channel = self._connection, None, None
            self._condition.notify_all()
        if connection is not None:
            connection.close()

    def await_end(self, timeout_s: float) -> bool:
        """Wait until the other end has closed the connection; whether it has in time."""
        with self._condition:
            return self._condition.wait_for(lambda: self._channel is None, timeout_s)

    def ask(self, op: str, timeout_s: float = ANSWER_TIMEOUT_S, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; ``NodeError`` where it is refused or lost."""
        with self._condition:
            self._next_id += 1
            id = f"{self._session}-{self._next_id}"
        line = json.dumps({"id": id, "op": op, **request}).encode() + b"\n"
        deadline = time.monotonic() + timeout_s
        while True:
            channel = self._ready_channel()
            answer = self._exchange(channel, id, line, deadline)
            if answer is not None:
                break
            if time.monotonic() >= deadline:
                self._drop(channel)
                raise NodeError(
                    f"{self.host.node}: {self.host} did not answer in {timeout_s:g} s ({op})"
                )
        if "refused" in answer:
            raise NodeError(f"{self.host.node}: {answer['refused']}")
        return answer

    def execute(self, program: str, settings: dict[str, Any], timeout_s: float) -> Channel:
        """Run one of the programs of ``hands`` on a channel of its own."""
        self._ready_channel()
        return self._connected().execute(program, settings, timeout_s)

    def answer(self, channel: Channel) -> tuple[dict[str, Any], bytes]:
        """The first line of such a program, and what came behind it."""
        return self._connected().answer(channel)

    # -- the exchange --------------------------------------------------------------------------

    def _connected(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise lost(self.host, ConnectionError("closed"))
        return connection

    def _ready_channel(self) -> Channel:
        """The channel to the keeper, connected again if need be; ``NodeError`` if it cannot be."""
        channel = self._channel
        if channel is not None:
            return channel
        with self._connecting:
            if self._channel is None:
                self._reconnect()
            assert self._channel is not None
            return self._channel

    def _reconnect(self) -> None:
        if self.gone is not None:
            raise NodeError(f"{self.host.node}: {self.gone}")
        if self._trouble is not None and time.monotonic() < self._retry_at:
            raise self._trouble
        try:
            if not self._open(must_exist=True, boot_id=self.boot_id):
                self.gone = f"the run's folder on {self.host} is gone"
                raise NodeError(f"{self.host.node}: {self.gone}")
        except NodeError as error:
            self._trouble = error
            self._retry_at = time.monotonic() + _RETRY_S
            raise

    def _exchange(
        self, channel: Channel, id: str, line: bytes, deadline: float
    ) -> dict[str, Any] | None:
        """The answer, or ``None`` if the connection broke before it came, or at the deadline."""
        try:
            channel.sendall(line)
        except (OSError, EOFError):
            self._drop(channel)
            return None
        with self._condition:
            self._condition.wait_for(
                lambda: id in self._answers or self._channel is not channel,
                max(0.0, deadline - time.monotonic()),
            )
            return self._answers.pop(id, None)

    def _drop(self, channel: Channel) -> None:
        """This channel is of no use any longer; the next request connects again."""
        with self._condition:
            if self._channel is not channel:
                return
            connection, self._connection, self._channel = self._connection, None, None
            self._condition.notify_all()
        if connection is not None:
            connection.close()

    def _read(self, channel: Channel, received: bytes) -> None:
        """Hand out what the keeper says on this channel, until it ends."""
        while True:
            *lines, received = received.split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            try:
                data = channel.recv(1 << 16)
            except (OSError, EOFError):
                data = b""
            if not data:
                self._drop(channel)
                return
            received += data

    def _take(self, body: Mapping[str, Any]) -> None:
        if "exited" in body:
            self.exits.note(body["exited"], body["status"])
        if "id" in body:
            with self._condition:
                # Answers to those who gave up are forgotten with the link; they are few.
                self._answers[body["id"]] = dict(body)
                self._condition.notify_all()

    # -- the connection ------------------------------------------------------------------------

    def _open(self, *, must_exist: bool, boot_id: str) -> bool:
        connection = connect(self.host)
        try:
            channel = connection.execute(
                "arrival.py", self._settings(must_exist, boot_id), ANSWER_TIMEOUT_S
            )
            said, rest = connection.answer(channel)
            if "met" not in said:
                connection.close()
                return self._not_met(said)
            hello, rest = _first_line(connection, channel, rest)
            self._greet(hello)
        except BaseException:
            connection.close()
            raise
        channel.settimeout(None)
        self.root = said["met"]
        with self._condition:
            self._connection, self._channel, self._trouble = connection, channel, None
        threading.Thread(
            target=self._read, args=(channel, rest), name=f"keeper-{self.host.node}", daemon=True
        ).start()
        return True

    def _settings(self, must_exist: bool, boot_id: str) -> dict[str, Any]:
        files = {path.name: path.read_text("utf-8") for path in sorted(_HANDS.glob("*.py"))}
        return {
            "base": self._base,
            "name": self._folder,
            "run": self._run,
            "files": files,
            "boot_id": boot_id,
            "must_exist": must_exist,
        }

    def _not_met(self, said: Mapping[str, Any]) -> bool:
        if "rebooted" in said:
            self.gone = (
                f"{self.host} was rebooted during the run (boot {self.boot_id[:8]} became "
                f"{said['rebooted'][:8]}): everything that ran there is gone"
            )
            raise NodeError(f"{self.host.node}: {self.gone}")
        if "refused" in said:
            raise NodeError(f"{self.host.node}: {self.host}: {said['refused']}")
        return False

    def _greet(self, hello: Mapping[str, Any]) -> None:
        self.boot_id = hello["boot_id"]
        for told in hello["exits"]:
            self.exits.note(told["exited"], told["status"])


def _first_line(
    connection: Connection, channel: Channel, received: bytes
) -> tuple[dict[str, Any], bytes]:
    """The keeper's greeting, which comes of itself."""
    while b"\n" not in received:
        try:
            data = channel.recv(1 << 16)
        except (OSError, EOFError) as error:
            raise lost(connection.host, error) from error
        if not data:
            raise lost(connection.host, ConnectionError("the keeper ended"))
        received += data
    line, _, rest = received.partition(b"\n")
    return json.loads(line), rest


def on_all(
    links: Mapping[str, KeeperLink], work: Callable[[str, KeeperLink], T]
) -> tuple[dict[str, T], dict[str, NodeError]]:
    """``work`` for each node, all at once: what it gave by node, and what went wrong by node."""
    from concurrent.futures import ThreadPoolExecutor

    given: dict[str, T] = {}
    trouble: dict[str, NodeError] = {}

    def attempt(name: str, link: KeeperLink) -> None:
        try:
            given[name] = work(name, link)
        except NodeError as error:
            trouble[name] = error

    with ThreadPoolExecutor(max(1, len(links))) as pool:
        list(pool.map(attempt, links.keys(), links.values()))
    return given, trouble
