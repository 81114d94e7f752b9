"""What tests of plain nodes do below their reaper: ``plain_inside.py CASE RUN_DIR SETTINGS``."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.harness.cluster.inside import Inside, other_processes, python, wait_until

SERVE = """
import socket, sys
host, port = sys.argv[1].split(":")
with socket.create_server((host, int(port))) as server:
    connection, _ = server.accept()
connection.sendall(b"welcome")
for line in connection.makefile():
    print(line.strip(), flush=True)
    connection.sendall(b"thanks")
"""
SPEAK = """
import os, socket, sys, time
host, port = sys.argv[1].split(":")
while True:
    try:
        connection = socket.create_connection((host, int(port)))
        if connection.recv(7):
            break
    except OSError:
        time.sleep(0.01)
for word in ("first", "second", "third"):
    while not os.path.exists(word):
        time.sleep(0.01)
    connection.sendall(word.encode() + bytes([10]))
    print(word, flush=True)
time.sleep(600)
"""


def holds_bytes_of_a_cut_link(inside: Inside) -> dict[str, Any]:
    """Between plain nodes: a connection of daemons through a proxy, cut one way and healed."""
    with inside.up(("n1", "n2")) as cluster:
        n1, n2 = cluster.nodes
        n2.start([*python(SERVE), n2.listen(7000)], name="server")
        n1.start([*python(SPEAK), n2.reach(7000, "peer")], name="speaker")
        log, said = n2.log_dir / "server.log", n1.log_dir / "speaker.log"
        found: dict[str, Any] = {}

        def have_said(word: str) -> bool:
            Path(n1.data_dir, word).touch()
            return wait_until(lambda: word in said.read_text())

        have_said("first")
        wait_until(lambda: log.read_text() == "first\n")
        found["before"] = log.read_text().split()
        cluster.cut({"n2": frozenset({"n1"})})
        have_said("second")
        have_said("third")
        found["held"] = wait_until(lambda: cluster.dropped()["n1", "n2"] >= 1)
        found["during"] = log.read_text().split()
        found["other_way_is_open"] = cluster.reachable() == {("n2", "n1")}
        cluster.heal_cuts()
        wait_until(lambda: "third" in log.read_text())
        found["after"] = log.read_text().split()
        return found


def keeps_its_ports(inside: Inside) -> str:
    """Up with the ports that are wanted first; tell which they became, and keep them for a while.

    No daemon listens on any of them.
    """
    with inside.up(("n1", "n2"), ports=iter(inside.options["ports"])) as cluster:
        addresses = [node.listen(port) for port in (7001, 7000) for node in cluster.nodes]
        inside.say(" ".join(address.split(":")[1] for address in addresses))
        sys.stdin.read()
    return "ended"


def probes_while_links_stand_still(inside: Inside) -> list[Any]:
    """Probe while the process that carries the links does not run, for longer than all rounds."""
    with inside.up(("n1", "n2")) as cluster:
        (carrier,) = [pid for pid in other_processes() if b"plain.links" in command_of(pid)]
        os.kill(carrier, signal.SIGSTOP)
        wakes = threading.Timer(1.0, os.kill, (carrier, signal.SIGCONT))
        wakes.start()
        found = cluster.reachable()
        wakes.join()
        return sorted(found)


def command_of(pid: int) -> bytes:
    """How a process was called; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def main() -> None:
    """Run one case of this file."""
    case, run_dir, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    result = globals()[case](Inside(run_dir, settings))
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
