"""Listens for spans while a run goes on, and writes ``evidence/spans.jsonl``.

A port a node, so that whoever sends is known by where it sends to, on every provider: OpenTelemetry
over HTTP (``/v1/traces``, protobuf or JSON, gzip or plain), Jaeger's thrift over HTTP
(``/api/traces``), and OpenTelemetry over gRPC where the package grpcio is installed (the extra
``traces``), which HTTP/2 is left to. What cannot be understood is refused and counted.

Times are translated as they come: the sender's wall clock is this machine's, to within
:data:`ERROR_NS`, unless a fault has shifted it.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import structs

from harness.confidential import cleared
from harness.contract.traces import OTLP_GRPC, Collector
from harness.errors import StoreError, cannot_write
from harness.evidence.otlp import spans_in_json, spans_in_protobuf, spans_in_thrift
from harness.evidence.wire import Malformed
from harness.verdict.spans import Span

NAME: Final = "spans.jsonl"
MOST_BODY: Final = 16 << 20
MOST_FILE: Final = 1 << 30
ERROR_NS: Final = 1_000_000
LINGER_S: Final = 8.0
"""Exporters send what they have every five seconds; so long the last spans are waited for."""
REST_S: Final = 0.5
"""What an exporter sends at once comes in several messages, this close to each other."""
EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
Decode = Callable[[bytes, str], Iterator[Span]]


@dataclass
class Receiver:
    """Takes spans of the nodes in ``hosts`` (node to the address at which it reaches us).

    A folder that cannot be written, or is full, is told by ``warn``.
    """

    path: Path
    hosts: Mapping[str, str]
    protocols: Collection[str]
    warn: Callable[[str], None]
    count: int = 0
    refused: int = 0
    _now: Callable[[], int] | None = None
    _last_s: float = 0.0
    _heard: set[str] = field(default_factory=set)
    _written: int = 0
    _is_broken: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closers: list[Callable[[], object]] = field(default_factory=list)

    def open(self) -> dict[str, Collector]:
        """Listen; where each node sends to. Raises ``OSError`` where an address is not ours."""
        found = {}
        try:
            for node, host in self.hosts.items():
                port = self._listen_http(node, host)
                grpc = self._listen_grpc(node, host) if OTLP_GRPC in self.protocols else ""
                found[node] = Collector(f"{host}:{port}", grpc)
        except BaseException:
            self.close(linger_s=0)
            raise
        return found

    def begin(self, now: Callable[[], int]) -> None:
        """The history's clock runs: what comes from now on is kept."""
        self._now = now

    def close(self, linger_s: float = LINGER_S) -> None:
        """Wait until each node has sent once more, then listen no more. Safe twice.

        How long nothing was heard says nothing: what was started a moment ago sends its first spans
        five seconds later. A node that does not run is waited for in vain, ``linger_s`` at most.
        """
        deadline = time.monotonic() + (linger_s if self._now is not None else 0)
        self._heard.clear()
        while self._closers and time.monotonic() < deadline:
            if self._heard >= set(self.hosts) and time.monotonic() - self._last_s > REST_S:
                break
            time.sleep(0.05)
        closers, self._closers = self._closers, []
        for close in closers:
            with contextlib.suppress(Exception):
                close()

    def take(self, data: bytes, node: str, decode: Decode) -> None:
        """Keep the spans in a message of ``node``; :class:`Malformed` if there are none."""
        try:
            spans = list(decode(data, node))
        except Malformed:
            self.refused += 1
            raise
        self._last_s = time.monotonic()
        self._heard.add(node)
        if self._now is not None:
            self._write(spans, time.time_ns() - self._now())

    def _write(self, spans: Iterable[Span], zero_ns: int) -> None:
        lines = b"".join(msgspec.json.encode(_placed(span, zero_ns)) + b"\n" for span in spans)
        with self._lock:
            if self._is_broken or not lines:
                return
            self.count += lines.count(b"\n")
            self._written += len(lines)
            try:
                self.path.parent.mkdir(exist_ok=True)
                with self.path.open("ab") as file:
                    file.write(lines)
            except OSError as error:
                self._is_broken = True
                why: StoreError = cannot_write(f"{self.path} cannot be written", error)
                self.warn(f"spans are no longer kept: {why.message}")
            if self._written > MOST_FILE:
                self._is_broken = True
                self.warn(f"spans are no longer kept: {self.path} is over {MOST_FILE >> 30} GiB")

    # -- listening -----------------------------------------------------------------------------

    def _listen_http(self, node: str, host: str) -> int:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection of an exporter."""

            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                """One message."""
                status, why = receiver.answer(self.path, self.headers, self.rfile, node)
                said = why.encode()
                if status != 200:
                    self.close_connection = True
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if why else "application/json")
                said = said or b"{}"
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: standard error is not ours to write on."""

        server = _Server((host, 0), Handler)
        name = f"spans of {node}"
        threading.Thread(target=server.serve_forever, name=name, daemon=True).start()
        self._closers += [server.shutdown, server.server_close]
        return int(server.server_address[1])

    def answer(self, path: str, headers: Any, body: Any, node: str) -> tuple[int, str]:
        """Take a message over HTTP; the status, and why it is refused."""
        decode = _decoder(path.partition("?")[0], headers.get("Content-Type", "") or "")
        if decode is None:
            return 404, "spans are taken at /v1/traces and at /api/traces"
        length = headers.get("Content-Length", "") or ""
        if not length.isdecimal() or int(length) > MOST_BODY:
            return 413, f"a message has a length, of {MOST_BODY} bytes at most"
        try:
            data = body.read(int(length))
            if (headers.get("Content-Encoding", "") or "").lower() == "gzip":
                data = _unpacked(data)
            self.take(data, node, decode)
        except Malformed as error:
            return 400, str(error)
        return 200, ""

    def _listen_grpc(self, node: str, host: str) -> str:
        import grpc

        def export(data: bytes, context: Any) -> bytes:
            try:
                self.take(data, node, spans_in_protobuf)
            except Malformed as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            return b""  # an answer without a word about what was refused

        class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
            """The one method, on messages that nobody has taken apart yet."""

            def service(self, call: Any) -> Any:
                """What carries out ``call``."""
                if call.method != EXPORT:
                    return None
                return grpc.unary_unary_rpc_method_handler(export)

        options = [("grpc.max_receive_message_length", MOST_BODY), ("grpc.so_reuseport", 0)]
        server = grpc.server(ThreadPoolExecutor(max_workers=2), [Handler()], options=options)
        port = server.add_insecure_port(f"{host}:0")
        if port == 0:
            raise OSError(f"nobody can listen at {host}")
        server.start()
        self._closers.append(lambda: server.stop(0).wait(1.0))
        return f"{host}:{port}"


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An exporter that hangs up is nobody's business."""


def _decoder(path: str, kind: str) -> Decode | None:
    if path == "/v1/traces":
        return spans_in_json if "json" in kind else spans_in_protobuf
    return spans_in_thrift if path == "/api/traces" else None


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        found = unpacking.decompress(data, MOST_BODY)
    except zlib.error as error:
        raise Malformed(f"not gzip: {error}") from error
    if unpacking.unconsumed_tail:
        raise Malformed(f"unpacked it is over {MOST_BODY} bytes")
    return found


def _placed(span: Span, zero_ns: int) -> Span:
    """``span`` on the history's clock, which began at ``zero_ns`` of the wall clock."""
    return structs.replace(
        span,
        start=span.start - zero_ns,
        end=span.end - zero_ns,
        error_ns=ERROR_NS,
        attributes=cleared(span.attributes),
        events=[
            structs.replace(each, time=each.time - zero_ns, attributes=cleared(each.attributes))
            for each in span.events
        ],
    )
