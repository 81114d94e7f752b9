"""An address is told once somebody listens there, and an impossible one is one clear line."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from harness.errors import SetupError
from harness.serve.listening import listening

pytestmark = pytest.mark.slow


Polygraph = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def polygraph(tmp_path: Path) -> Iterator[Polygraph]:
    """Start ``polygraph serve``; it is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.cli.main", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def test_the_address_that_is_told_answers(polygraph: Polygraph, store: Path) -> None:
    process = polygraph("--store", str(store), "--port", "0")
    assert process.stdout is not None
    address = process.stdout.readline().split(" at ")[1].strip()
    assert not address.endswith(":0/")
    with urlopen(address, timeout=10) as answer:
        assert answer.status == 200
    written = process.stdout.readline()
    assert "nothing is written into the store" in written
    assert "index is kept in" in written


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--port", "70000"], 4, "no port 70000"),
        (["--port", "-1"], 4, "no port -1"),
        (["--host", "no such host"], 4, "no address for the host"),
        (["--host", "a..b"], 4, "no address for the host"),
        (["--host", ""], 4, "no address for the host"),
        (["--host", "192.0.2.1"], 4, "does not have the address 192.0.2.1"),
        (["--token", ""], 4, "let everybody in"),
        (["--token", " "], 4, "let everybody in"),
        (["--store", "nowhere"], 4, "no store at nowhere"),
        (["--store", "\x1b[31m"], 4, "no store at \\x1b[31m"),
    ],
)
def test_what_is_impossible_is_one_clear_line(
    polygraph: Polygraph, store: Path, arguments: list[str], code: int, said: str
) -> None:
    process = polygraph("--store", str(store), "--port", "0", *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    first, *hints = err.splitlines()
    assert said in first
    assert all(hint.startswith("  try: ") for hint in hints)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_told(polygraph: Polygraph, store: Path, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = polygraph("--store", str(store), "--host", host, "--port", str(port))
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert out == ""
    assert f"port {port} of {host} is taken" in err.splitlines()[0]


def test_a_port_for_others_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(_: socket.socket, at: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(SetupError, match="is not for this user"):
        listening("127.0.0.1", 80)


def test_a_free_port_is_the_same_for_every_address_of_a_host() -> None:
    sockets = listening("localhost", 0)
    assert len({each.getsockname()[1] for each in sockets}) == 1
    for each in sockets:
        each.close()
