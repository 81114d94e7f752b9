"""A system whose only deeds are to talk and to tell the time, for faults on real nodes.

Its one daemon keeps a connection to every other node and sends all the time, so that a cut is
felt at once; it has threads and a child process of its own; it appends to a file and syncs that all
the time, and goes on where that fails; and it tells what its clock says.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from typing import Any

from harness.contract.node import Port, split_address
from harness.contract.system import FAITHFUL, TimeReading

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
        connection.sendall(b"%d" % time.time_ns())
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
mine, clients, *peers = sys.argv[1:]
for peer in peers:
    threading.Thread(target=talk, args=(peer,), daemon=True).start()
threading.Thread(target=serve, args=(mine, listen), daemon=True).start()
threading.Thread(target=note, daemon=True).start()
serve(clients, tell)
"""


class Gossip:
    """The system; n3 leads."""

    name = "gossip"

    def start(self, stage: Any, node: Any) -> Sequence[Any]:
        peers = [n.reach(PEER_PORT, "peer") for n in stage.cluster.nodes if n.name != node.name]
        places = [node.listen(PEER_PORT), node.listen(CLIENT_PORT), *peers]
        return [node.start(["python3", "-c", PROGRAM, *places], name="gossip")]

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
        said = b""
        place = split_address(node.reach(CLIENT_PORT, "client"))
        with socket.create_connection(place, timeout_s) as connection:
            while piece := connection.recv(64):
                said += piece
        return TimeReading(earliest_ns=int(said), latest_ns=int(said) + 1)
