"""A small transactional service over lines of JSON: its server, a blocking driver, a speaker.

For tests of blocking clients with transactions and of the conformance kit. The same ``put`` is
sent inside and outside of a transaction: only the connection's state tells what it does. It is a
plug-in too, with the system ``line``, whose daemon is this file run as a program.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.contract.blocking import BlockingClient
from harness.contract.client import (
    Counters,
    Failed,
    Indeterminate,
    Predicates,
    Registers,
    Sets,
    Transactions,
)
from harness.contract.node import Daemon, Node, Port, split_address
from harness.contract.option import Option
from harness.contract.speaker import Kind, Misanswer
from harness.contract.system import Stage
from harness.errors import NotReady

PORT = 7070

DEFINITE = ("conflict", "busy")


class LineServer:
    """Serves on a free loopback port while it is entered; serializable, in memory."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._place = (host, port)
        self.rows: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._lines: list[socket.socket] = []

    def __enter__(self) -> LineServer:
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(self._place)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._lines):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self._lines.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        session = _Session(self.rows)
        with contextlib.suppress(OSError, ValueError), line, line.makefile("rb") as received:
            for text in received:
                request = json.loads(text)
                with self._lock:
                    answer = session.do(**request)
                line.sendall(json.dumps(answer).encode() + b"\n")


class _Session:
    """One connection: at most one transaction, which sees a snapshot and is checked at commit."""

    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = rows
        self.snapshot: dict[str, Any] | None = None
        self.puts: dict[str, Any] = {}
        self.seen: list[str] = []  # prefixes of all keys that were read

    def do(self, f: str, **fields: Any) -> dict[str, Any]:
        done: dict[str, Any] = getattr(self, f"do_{f}")(**fields)
        return done

    def do_hello(self) -> dict[str, Any]:
        return {"value": "hello"}

    def do_begin(self, read_only: bool) -> dict[str, Any]:
        self.snapshot, self.puts, self.seen = dict(self.rows), {}, []
        return {"value": None}

    def do_get(self, key: str) -> dict[str, Any]:
        self.seen.append(key)
        return {"value": self._view().get(key)}

    def do_scan(self, prefix: str) -> dict[str, Any]:
        self.seen.append(prefix)
        found = {key: value for key, value in self._view().items() if key.startswith(prefix)}
        return {"value": {key: value for key, value in found.items() if value is not None}}

    def do_put(self, key: str, value: Any) -> dict[str, Any]:
        (self.rows if self.snapshot is None else self.puts)[key] = value
        return {"value": None}

    def do_append(self, key: str, element: Any) -> dict[str, Any]:
        return self.do_put(key, [*(self.do_get(key)["value"] or ()), element])

    def do_add(self, key: str, delta: int) -> dict[str, Any]:
        return self.do_put(key, (self._view().get(key) or 0) + delta)

    def do_cas(self, key: str, old: Any, new: Any) -> dict[str, Any]:
        if self.rows.get(key) != old:
            return {"value": False}
        self.rows[key] = new
        return {"value": True}

    def do_commit(self) -> dict[str, Any]:
        snapshot, self.snapshot = self.snapshot, None
        changed = {k for k in self.rows if self.rows[k] != (snapshot or {}).get(k)}
        if self.puts and any(k.startswith(tuple(self.seen)) for k in changed):
            return {"error": "conflict"}
        self.rows.update(self.puts)
        return {"value": None, "tag": "COMMIT"}

    def _view(self) -> Mapping[str, Any]:
        return self.rows if self.snapshot is None else {**self.snapshot, **self.puts}


class LineDriver:
    """A blocking driver that does everything right; its time-out is a share of the operation's."""

    share = 0.6

    def __init__(self, op_timeout_s: float) -> None:
        self.timeout_s = op_timeout_s * self.share
        self.address = ""
        self.socket: socket.socket | None = None
        self.received = b""

    def open(self, target: str) -> None:
        self.address = target
        self.connect()

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def connect(self) -> None:
        host, _, port = self.address.partition(":")
        try:
            self.socket = socket.create_connection((host, int(port)), self.timeout_s)
            self.received = b""
            self.exchange({"f": "hello"}, time.monotonic() + self.timeout_s)
        except (OSError, ValueError) as error:
            self.close()
            raise Failed(["connect", str(error)]) from error

    def ask(self, request: dict[str, Any], *, effective: bool = False) -> Any:
        """The answer's value; of what is not ``effective`` a loss is no doubt."""
        if self.socket is None:
            self.connect()
        in_doubt = Indeterminate if effective else Failed
        try:
            answer = self.exchange(request, time.monotonic() + self.timeout_s)
        except (OSError, ValueError) as error:
            self.close()
            raise in_doubt([type(error).__name__, str(error)]) from error
        return self.judged(answer, in_doubt)

    def judged(self, answer: dict[str, Any], in_doubt: type[Failed | Indeterminate]) -> Any:
        if "error" in answer:
            raise (Failed if answer["error"] in DEFINITE else in_doubt)(answer["error"])
        if answer.get("tag", "COMMIT") != "COMMIT":
            raise Failed(["answer", answer["tag"]])
        return answer["value"]

    def exchange(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        assert self.socket is not None
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self.received:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionResetError("the connection ended")
            self.received += more
        line, _, self.received = self.received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    # -- registers, sets, counters, transactions

    def read(self, key: Any) -> Any:
        return self.ask({"f": "get", "key": str(key)})

    def write(self, key: Any, value: Any) -> None:
        self.ask({"f": "put", "key": str(key), "value": value}, effective=True)

    def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        request = {"f": "cas", "key": str(key), "old": old, "new": new}
        return bool(self.ask(request, effective=True))

    def add_to_set(self, name: Any, element: Any) -> None:
        self.ask({"f": "append", "key": f"set-{name}", "element": element}, effective=True)

    def read_set(self, name: Any) -> Sequence[Any]:
        found = self.ask({"f": "get", "key": f"set-{name}"})
        return found if isinstance(found, list) else [] if found is None else [found]

    def add_to_counter(self, name: Any, delta: int) -> None:
        self.ask({"f": "add", "key": f"counter-{name}", "delta": delta}, effective=True)

    def read_counter(self, name: Any) -> int:
        return self.ask({"f": "get", "key": f"counter-{name}"}) or 0

    def begin(self, *, read_only: bool = False) -> LineTransaction:
        self.ask({"f": "begin", "read_only": read_only})
        return LineTransaction(self, read_only)


class LineTransaction:
    """Up to ``commit`` nothing has happened, and whatever fails drops the connection."""

    def __init__(self, driver: LineDriver, read_only: bool) -> None:
        self.driver, self.read_only = driver, read_only

    def get(self, key: Any) -> Any:
        return self.do({"f": "get", "key": str(key)})

    def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        return {key: self.get(key) for key in keys}

    def put(self, key: Any, value: Any) -> None:
        self.do({"f": "put", "key": str(key), "value": value})

    def append(self, key: Any, element: Any) -> None:
        self.do({"f": "append", "key": str(key), "element": element})

    def scan(self, prefix: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.do({"f": "scan", "prefix": prefix})
        return found

    def delete(self, key: Any) -> None:
        self.put(key, None)

    def commit(self) -> None:
        self.driver.ask({"f": "commit"}, effective=not self.read_only)

    def abort(self) -> None:
        self.driver.close()

    def do(self, request: dict[str, Any]) -> Any:
        if self.driver.socket is None:
            raise Failed("the connection of this transaction is gone")
        try:
            return self.driver.ask(request)
        except Failed:
            self.driver.close()  # and the server forgets the transaction
            raise


class LineSpeaker:
    """The service as the conformance kit must know it, each connection with its own state."""

    greeting = b""
    requests: Mapping[str, int | Sequence[str]] = {
        "read": ("get",),
        "write": ("put",),
        "compare_and_set": ("cas",),
        "read_only_transaction": ("begin", "get", "get", "commit"),
        "transaction": ("begin", "get", "put", "commit"),
        "append": ("begin", "append", "commit"),
        "scan": ("begin", "scan", "commit"),
        "scan_and_insert": ("begin", "scan", "put", "commit"),
        "scan_and_delete": ("begin", "scan", "put", "commit"),
        "add_to_set": ("append",),
        "read_set": ("get",),
        "add_to_counter": ("add",),
        "read_counter": ("get",),
    }
    misanswers: Mapping[str, Misanswer] = {
        "busy": Misanswer(answer=b'{"error": "busy"}\n', definite=True),
        "an error": Misanswer(answer=b'{"error": "disk"}\n'),
        "a commit that was a rollback": Misanswer(
            answer=b'{"value": null, "tag": "ROLLBACK"}\n', definite=True, to=("commit",)
        ),
    }

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        line, end, rest = received.partition(b"\n")
        return (line, rest) if end else None

    def connection(self) -> LineConversation:
        return LineConversation()

    def kind(self, request: bytes) -> Kind:
        return self.connection().kind(request)

    def answer(self, request: bytes, value: Any) -> bytes:
        return self.connection().answer(request, value)


class LineConversation:
    """One connection: what is put between ``begin`` and ``commit`` does nothing yet."""

    def __init__(self) -> None:
        self.in_transaction = False
        self.reads_only = False

    def take(self, received: bytes) -> tuple[bytes, bytes] | None:
        return LineSpeaker().take(received)

    def kind(self, request: bytes) -> Kind:
        asked = json.loads(request)
        f = asked["f"]
        if f == "hello":
            return Kind.HANDSHAKE
        if f == "begin":
            self.in_transaction, self.reads_only = True, asked["read_only"]
            return Kind.HARMLESS
        if f == "commit":
            self.in_transaction = False
            return Kind.HARMLESS if self.reads_only else Kind.EFFECTIVE
        if self.in_transaction or f in ("get", "scan"):
            return Kind.HARMLESS
        return Kind.EFFECTIVE

    def answer(self, request: bytes, value: Any) -> bytes:
        f = json.loads(request)["f"]
        said = {"cas": True, "scan": {"k": value}, "hello": "hello"}.get(f, value)
        return json.dumps({"value": said}).encode() + b"\n"


class RepeatingDriver(LineDriver):
    """Sends once more, on a new connection, what had no answer."""

    def ask(self, request: dict[str, Any], *, effective: bool = False) -> Any:
        try:
            return super().ask(request, effective=effective)
        except (Failed, Indeterminate):
            return super().ask(request, effective=effective)


class LineSystem:
    """The service on one node; with ``--misbehave`` its client repeats requests."""

    name = "line"
    options = (Option(name="misbehave", kind=bool, default=False, help="repeat requests"),)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.misbehave = bool(options.get("misbehave"))

    def abilities(self) -> Sequence[type]:
        return (Registers, Transactions, Predicates, Sets, Counters)

    def claims(self) -> Sequence[str]:
        return ("strict-serializable",)

    def versions(self) -> Mapping[str, str]:
        return {"line": "1"}

    def ports(self) -> Sequence[Port]:
        return (Port(PORT, clients=True),)

    def install(self, node: Node) -> None: ...

    def start(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        program = [sys.executable, str(Path(__file__).resolve()), node.listen(PORT)]
        return [node.start(program, name="line")]

    def ready(self, stage: Stage, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            driver = LineDriver(1.0)
            try:
                driver.open(stage.cluster.nodes[0].client_address)
                return
            except Failed as error:
                if time.monotonic() > deadline:
                    raise NotReady(f"line: {error}") from error
                time.sleep(0.02)
            finally:
                driver.close()

    def client(self, op_timeout_s: float) -> Any:
        return BlockingClient((RepeatingDriver if self.misbehave else LineDriver)(op_timeout_s))

    def speaker(self) -> LineSpeaker:
        return LineSpeaker()


SYSTEMS = {"line": LineSystem}


if __name__ == "__main__":
    with LineServer(*split_address(sys.argv[1])):
        signal.pause()
