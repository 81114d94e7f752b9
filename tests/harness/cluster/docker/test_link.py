"""The channel to a side-car: its end is told as what it is, and a full disk is not its end."""

from __future__ import annotations

import base64
import errno
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker.cluster import DockerCluster
from harness.cluster.docker.layout import Layout
from harness.cluster.docker.link import SidecarLink, TakeLog
from harness.contract.node import Losable
from harness.errors import NodeError


class Sidecar:
    """The far end of a channel."""

    def __init__(self, take_log: TakeLog) -> None:
        near, self._far = socket.socketpair()
        self.link = SidecarLink("n1", near, take_log)

    def say(self, **body: Any) -> None:
        line = json.dumps(body).encode() + b"\n"
        self._far.sendall(struct.pack(">BxxxL", 1, len(line)) + line)

    def answer(self, **body: Any) -> None:
        """Answer the next request."""

        def work() -> None:
            self.say(**json.loads(self._far.recv(4096)), **body)

        threading.Thread(target=work, daemon=True).start()

    def die(self) -> None:
        self._far.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_log_that_finds_no_room_is_not_the_end_of_the_channel() -> None:
    def full(name: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    sidecar = Sidecar(full)
    data = base64.b64encode(b"up").decode()
    sidecar.say(log="db.log", data=data, boot_id="of another", since_ns=0, age_ns=1)
    sidecar.answer(boot_id="of this machine")
    assert sidecar.link.ask("hello")["boot_id"] == "of this machine"
    assert not sidecar.link.is_lost
    sidecar.die()


def test_a_cluster_says_which_nodes_went_with_their_side_car(tmp_path: Path) -> None:
    cluster = DockerCluster(tmp_path, Layout("p", ("n1", "n2")))
    gone, there = Sidecar(print), Sidecar(print)
    cluster._links = {"n1": gone.link, "n2": there.link}
    assert isinstance(cluster, Losable)
    assert cluster.lost() == []
    gone.die()
    until(lambda: gone.link.is_lost)
    assert cluster.lost() == ["n1: its side-car is gone, or the Docker engine"]
    with pytest.raises(NodeError, match="n1: its side-car is gone, or the Docker engine"):
        gone.link.ask("hello")
    there.die()
