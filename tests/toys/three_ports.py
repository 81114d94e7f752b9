"""A system of three ports and a user that is not root, whose daemon leaves its family behind.

One port is for clients, one for the other nodes, one for both. Whoever connects to any of them is
told who the daemon is to itself, what its clock says, and whether its folder is its own.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

from harness.contract.node import UNPRIVILEGED, Port, split_address

CLIENT, PEER, BOTH = 7101, 7102, 7103
PORTS = (Port(CLIENT, clients=True), Port(PEER, peers=True), Port(BOTH, clients=True, peers=True))
PROGRAM = """
import json, os, signal, socket, sys, threading, time
if os.fork() == 0:
    os.setsid()  # as PostgreSQL's backends do
    while True:
        signal.pause()
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(7))
data, *places = sys.argv[1:]
os.makedirs(data + "/mine", exist_ok=True)
with open(data + "/mine/starts", "a") as file:
    file.write("x")
def answer(connection):
    with connection:
        with open(data + "/mine/starts") as file:
            starts = len(file.read())
        with open("/proc/self/status") as status:
            powers = [line.split()[1] for line in status if line.startswith("CapEff:")]
        told = {"users": os.getresuid(), "groups": [*os.getresgid(), *os.getgroups()],
                "powers": int(powers[0], 16), "home": os.environ["HOME"], "starts": starts,
                "time_ns": time.time_ns()}
        connection.sendall(json.dumps(told).encode())
def serve(place):
    host, _, port = place.rpartition(":")
    server = socket.create_server((host, int(port)))
    while True:
        threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
for place in places[1:]:
    threading.Thread(target=serve, args=(place,), daemon=True).start()
serve(places[0])
"""
CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])) as connection:
    sys.stdout.write(connection.makefile().read())
"""


class ThreePorts:
    """The system."""

    name = "three-ports"

    def ports(self) -> Sequence[Port]:
        return PORTS

    def start(self, node: Any, cluster: Any) -> Sequence[Any]:
        places = [node.listen(port.number) for port in PORTS]
        argv = ["python3", "-S", "-c", PROGRAM, node.data_dir, *places]
        return [node.start(argv, name="three", user=UNPRIVILEGED)]


def ask(node: Any, port: int, timeout_s: float = 5.0) -> dict[str, Any]:
    """What a client is told at a port; ``OSError`` or ``ValueError`` if it is told nothing."""
    place = split_address(node.reach(port, "client"))
    with socket.create_connection(place, timeout_s) as connection:
        told: dict[str, Any] = json.loads(connection.makefile().read())
    return told


def call(caller: Any, node: Any, port: int, timeout_s: float = 5.0) -> bytes:
    """What another node is told at a port; nothing if it is told nothing."""
    host, number = split_address(node.reach(port, "peer"))
    argv = ["python3", "-S", "-c", CALL, host, str(number), str(timeout_s)]
    done = caller.run(argv, check=False)
    return bytes(done.stdout)
