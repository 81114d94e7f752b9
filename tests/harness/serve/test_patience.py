"""Connections that keep a server waiting are let go, and keep nobody from being served."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import uvicorn

from harness.serve import patience
from harness.serve.app import application
from harness.serve.patience import patient_protocol
from tests.disturbance import ATTEMPTS

pytestmark = pytest.mark.slow


HEAD = b"GET /runs.json HTTP/1.1\r\nHost: here\r\n"
BODY = b"GET /runs.json HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n"
PATIENCE_S = 0.6
HALVES = {
    "nothing": b"",
    "half a line": b"GET /ru",
    "half a head": HEAD + b"X-Half: ",
    "half a body": BODY + b"x",
    "half a second request": HEAD + b"\r\n" + HEAD,
}
Serve = Callable[..., int]


@pytest.fixture
def running() -> dict[int, uvicorn.Server]:
    """The servers of the test by their ports."""
    return {}


@pytest.fixture
def serve(store: Path, running: dict[int, uvicorn.Server]) -> Iterator[Serve]:
    """Start a server with the bounds that are given; its port."""
    with contextlib.ExitStack() as undo:

        def start(**bounds: float) -> int:
            listener = undo.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
            config = uvicorn.Config(
                application(store, None),
                http=patient_protocol(**bounds),  # type: ignore[arg-type]
                log_level="error",
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()

            def end() -> None:
                server.should_exit = True
                thread.join()

            undo.callback(end)
            port: int = listener.getsockname()[1]
            running[port] = server
            return port

        yield start


def connected(port: int, sent: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=15)
    made.sendall(sent)
    return made


def end_of(connection: socket.socket) -> float:
    """Seconds until the other side has ended the connection."""
    begin = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass
    return time.monotonic() - begin


def asked(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/runs.json")
        return connection.getresponse().status


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_half_a_request_is_dropped(serve: Serve, sent: bytes) -> None:
    with connected(serve(request_timeout_s=PATIENCE_S), sent) as half:
        assert end_of(half) < 10


@pytest.mark.parametrize("sent", [b"GET /ru", HEAD, BODY])
def test_a_byte_now_and_then_buys_no_time(serve: Serve, sent: bytes) -> None:
    begin = time.monotonic()
    with connected(serve(request_timeout_s=PATIENCE_S), sent) as half:
        half.settimeout(PATIENCE_S / 5)
        while time.monotonic() - begin < 10:
            try:
                half.sendall(b"x")
                if not half.recv(1 << 16):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert time.monotonic() - begin < 8


def test_whole_requests_one_after_the_other_are_answered(serve: Serve) -> None:
    port = serve(request_timeout_s=PATIENCE_S)
    for _ in range(ATTEMPTS):
        turns_s = [time.monotonic()]
        connection = http.client.HTTPConnection("127.0.0.1", port)
        with contextlib.closing(connection):
            try:
                for _ in range(3):
                    connection.request("GET", "/runs.json")
                    assert connection.getresponse().read() == b"[]"
                    # Longer in all than one request may take.
                    threading.Event().wait(PATIENCE_S / 2)
                    turns_s.append(time.monotonic())
                return
            except ConnectionError:
                turns_s.append(time.monotonic())
                # Rightly dropped, where the machine held us up for as long as that between two.
                if all(after - before < PATIENCE_S for before, after in pairwise(turns_s)):
                    raise
    raise AssertionError("the machine never let three requests follow each other")


def test_many_half_requests_keep_nobody_from_being_served(serve: Serve) -> None:
    port = serve(most_waiting=20)
    with contextlib.ExitStack() as stack:
        halves = [stack.enter_context(connected(port, HEAD)) for _ in range(60)]
        assert asked(port) == 200
        assert end_of(halves[0]) < 5  # the eldest went, long before its time


@pytest.mark.slow
def test_who_does_not_read_is_let_go(
    serve: Serve, store: Path, running: dict[int, uvicorn.Server]
) -> None:
    run = store / "etcd" / "register" / "20261120T100000-aaaaaa"
    run.mkdir(parents=True)
    (run / "scenario.toml").write_text("")
    (run / "large.bin").write_bytes(os.urandom(32 << 20))
    request = b"GET /zip/etcd/register/20261120T100000-aaaaaa HTTP/1.1\r\nHost: here\r\n\r\n"
    port = serve(stall_timeout_s=PATIENCE_S)
    with connected(port, request) as lazy:
        lazy.recv(1)
        assert running[port].server_state.connections
        deadline = time.monotonic() + 30
        while running[port].server_state.connections and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        assert not running[port].server_state.connections
    assert asked(port) == 200


def test_the_bound_is_ten_seconds() -> None:
    assert patience.REQUEST_TIMEOUT_S == 10
