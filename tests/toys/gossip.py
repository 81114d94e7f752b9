"""A system whose only deeds are to talk and to tell the time, for faults on real nodes.

Its one daemon keeps a connection to every other node and sends all the time, so that a cut is
felt at once; it has threads and a child process of its own; it appends to a file and syncs that all
the time, and goes on where that fails; and it tells what its clock says, and which of two builds it
is. Who is a member is what it was told last.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.node import Port, split_address
from harness.contract.system import FAITHFUL, TimeReading
from harness.errors import NotReady

PEER_PORT = 7000
CLIENT_PORT = 7001
PROGRAM = """
import os, signal, socket, sys, threading, time
if os.fork() == 0:  # not by vfork, in which a parent cannot be stopped before its child goes on
    signal.pause()
def place(text):
    host, _, port = text.rpartition(":")
    return host, int(port)
def serve(where, answer):
    server = socket.create_server(place(where))
    while True:
        threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
def listen(connection):
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass
def tell(connection):
    with connection:
        connection.sendall(b"%d %s" % (time.time_ns(), build.encode()))
def talk(peer):
    while True:
        try:
            with socket.create_connection(place(peer), 1) as link:
                while True:
                    link.sendall(b"gossip")
                    time.sleep(0.01)
        except OSError:
            time.sleep(0.05)
def note():
    while True:
        try:
            with open("notes", "ab", 0) as file:
                while True:
                    file.write(bytes(4096))
                    os.fsync(file.fileno())
                    time.sleep(0.05)
        except OSError:
            time.sleep(0.05)
build, mine, clients, *peers = sys.argv[1:]
for peer in peers:
    threading.Thread(target=talk, args=(peer,), daemon=True).start()
threading.Thread(target=serve, args=(mine, listen), daemon=True).start()
threading.Thread(target=note, daemon=True).start()
serve(clients, tell)
"""


class Gossip:
    """The system; n3 leads."""

    name = "gossip"

    def __init__(self) -> None:
        self._left: set[str] = set()
        self._builds: dict[str, str] = {}

    def start(self, stage: Any, node: Any) -> Sequence[Any]:
        peers = [n.reach(PEER_PORT, "peer") for n in stage.cluster.nodes if n.name != node.name]
        places = [
            self.build_of(node.name),
            node.listen(PEER_PORT),
            node.listen(CLIENT_PORT),
            *peers,
        ]
        return [node.start(["python3", "-c", PROGRAM, *places], name="gossip")]

    def ready(self, stage: Any, timeout_s: float) -> None:
        """Each tells the time, as soon as it listens."""
        deadline = time.monotonic() + timeout_s
        for node in stage.cluster.nodes:
            while True:
                try:
                    self.reported_time(node, 1.0)
                    break
                except (OSError, ValueError) as error:
                    if time.monotonic() > deadline:
                        raise NotReady(f"{node.name} tells no time: {error}") from error
                    time.sleep(0.02)

    def primaries(self, stage: Any) -> Sequence[str]:
        return ["n3"]

    def stop(self, stage: Any, node: Any) -> None:
        stage.terminate(node.name, 10.0)

    def stop_statuses(self) -> Sequence[int]:
        return (-signal.SIGTERM,)

    def ports(self) -> Sequence[Port]:
        return (Port(CLIENT_PORT, clients=True), Port(PEER_PORT, peers=True))

    def clock_path(self) -> str:
        return FAITHFUL

    def reported_time(self, node: Any, timeout_s: float) -> TimeReading:
        said = int(self._said(node, timeout_s)[0])
        return TimeReading(earliest_ns=said, latest_ns=said + 1)

    def _said(self, node: Any, timeout_s: float) -> list[bytes]:
        said = b""
        place = split_address(node.reach(CLIENT_PORT, "client"))
        with socket.create_connection(place, timeout_s) as connection:
            while piece := connection.recv(64):
                said += piece
        return said.split() or [b""]

    def member_ways(self) -> Sequence[str]:
        return ("voter",)

    def members(self, stage: Any, timeout_s: float) -> Mapping[str, str]:
        return {n.name: "voter" for n in stage.cluster.nodes if n.name not in self._left}

    def remove_member(self, stage: Any, node: Any, timeout_s: float) -> None:
        self._left.add(node.name)

    def add_member(self, stage: Any, node: Any, way: str, timeout_s: float) -> None:
        self._left.discard(node.name)
        if not any(daemon.alive() for daemon in stage.daemons[node.name]):
            stage.start(node.name, self.name)

    def builds(self) -> Mapping[str, str]:
        return {"a": "a", "b": "b"}

    def build_of(self, node: str) -> str:
        return self._builds.get(node, "a")

    def use_build(self, node: str, build: str) -> None:
        self._builds[node] = build

    def running_version(self, node: Any, timeout_s: float) -> str:
        return self._said(node, timeout_s)[1].decode()
