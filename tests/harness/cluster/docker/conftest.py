"""What the docker tests share: an engine, the node image, and a look at what the engine holds."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker import engine, images
from harness.cluster.docker.cluster import DockerCluster
from harness.cluster.docker.engine import project_of
from harness.cluster.docker.layout import Layout
from harness.contract.node import Port
from tests.engine_holdings import holdings


@pytest.fixture(scope="session")
def node_image() -> str:
    """The node image, built if it is missing."""
    return images.ensure_node_image(engine.connect(), print)


@pytest.fixture
def client() -> Iterator[Any]:
    """The engine."""
    client = engine.connect()
    yield client
    client.close()


Make = Callable[..., DockerCluster]


@pytest.fixture
def make(tmp_path: Path, node_image: str) -> Iterator[Make]:
    """Makes clusters, not yet up; all are down at the end."""
    made: list[DockerCluster] = []

    def begin(count: int = 3, **options: Any) -> DockerCluster:
        run_dir = tmp_path / f"run{len(made)}"
        run_dir.mkdir()
        names = tuple(f"n{number}" for number in range(1, count + 1))
        layout = Layout(
            project_of(run_dir),
            names,
            ports=(Port(7000, clients=True),),
            image=node_image,
            run=str(run_dir),
        )
        made.append(DockerCluster(run_dir, layout, **options))
        return made[-1]

    yield begin
    for cluster in made:
        cluster.down()


@pytest.fixture
def nothing_left(client: Any, tmp_path: Path) -> Iterator[None]:
    """The engine holds after the test what it held before."""
    before = holdings(client, tmp_path)
    yield
    assert holdings(client, tmp_path) == before


class FrontedEngine:
    """The engine behind a socket of ours, which can die and come back."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._path = path
        self._behind = engine.find().removeprefix("unix://")
        self._ends: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.live()

    def live(self) -> None:
        """Answer (again)."""
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def die(self) -> None:
        """Close every connection, and refuse new ones."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self._path.unlink(missing_ok=True)
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._behind)
                self._ends += [near, far]
                threading.Thread(target=_carry, args=(near, far), daemon=True).start()


def _carry(near: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways, half-closed ends included, until both are done."""
    other = {near: far, far: near}
    open_ends = {near, far}
    with contextlib.suppress(OSError):
        while open_ends:
            for end in select.select(list(open_ends), [], [])[0]:
                data = end.recv(65536)
                if data:
                    other[end].sendall(data)
                else:
                    open_ends.discard(end)
                    other[end].shutdown(socket.SHUT_WR)
    near.close()
    far.close()


@pytest.fixture
def fronted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontedEngine]:
    """An engine that can die, and that everything in this test talks to."""
    engine_ = FrontedEngine(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", engine_.url)
    yield engine_
    engine_.die()
