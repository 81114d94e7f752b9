#!/usr/bin/env python3
"""A toy of Nun-db: nodes that speak its text protocol over TCP, sound or with its known leak.

Started as ``nun-db`` is. The node whose address is named first is the primary; it sends each change to
the others on connections of its own, registers it as pending, and takes it off when both have
acknowledged it. ``NUNDB_TOY=late`` registers every 20th change only after it was sent, and the
acknowledgement that came before is lost: a pending operation stays for good, while all data agree.
"""

from __future__ import annotations

import os
import signal
import socketserver
import sys
import threading
from typing import Any

IS_LATE = os.environ.get("NUNDB_TOY") == "late"


class Node:
    """What one node holds."""

    def __init__(self, own: str, every: list[str]) -> None:
        self.own, self.every = own, every
        self.lock = threading.Lock()
        self.keys: dict[str, list[Any]] = {}  # value, version
        self.pending: dict[int, int] = {}
        self.changes = 0
        self.has_database = False
        self.links: dict[str, Any] = {}

    @property
    def leads(self) -> bool:
        return self.own == self.every[0]

    def do(self, words: list[str]) -> list[str]:
        """The lines of an answer, its last included."""
        match words:
            case ["auth", *_]:
                return ["valid auth", "ok "]
            case ["use-db", *_]:
                return ["ok "] if self.has_database else ["error Not a valid database name "]
            case ["create-db", *_]:
                self.has_database = True
                self.replicate(words)
                return ["create-db success", "ok "]
            case ["cluster-state"]:
                roles = [("Primary" if a == self.every[0] else "Secoundary") for a in self.every]
                told = ", ".join(f"{a}:{r}" for a, r in zip(self.every, roles, strict=True))
                return [f"cluster-state  {told},", "ok "]
            case ["metrics-state"]:
                return [f"metrics-state pending_ops: {len(self.pending)}, op_log_count: 0", "ok "]
            case ["get", key]:
                return [f"value {self.keys.get(key, ['<Empty>', 0])[0]}", "ok "]
            case ["get-safe", key]:
                value, version = self.keys.get(key, ["<Empty>", 0])
                return [f"value-version {version} {value}", "ok "]
            case ["keys"]:
                return ["keys ," + ",".join(self.keys), "ok "]
            case ["set", *_] | ["set-safe", *_] | ["increment", *_]:
                return self.change(words)
        return ["error unknown command "]

    def change(self, words: list[str]) -> list[str]:
        """One change, here and then on the others."""
        verb, key, *rest = words
        with self.lock:
            value, version = self.keys.get(key, ["0", 0])
            if verb == "set-safe" and int(rest[0]) < version:
                return ["error Invalid version! "]
            new = str(int(value) + int(rest[0])) if verb == "increment" else rest[-1]
            self.keys[key] = [new, version + 1]
            self.replicate(["set", key, new])
        return ["ok "]

    def replicate(self, words: list[str]) -> None:
        """To every other node, and wait for no answer longer than it takes."""
        if not self.leads:
            return
        self.changes += 1
        number = self.changes
        if not IS_LATE or number % 20:
            self.pending[number] = len(self.every) - 1
        for address in self.every[1:]:
            self.send(address, words)
            if number in self.pending:
                self.pending[number] -= 1
        if IS_LATE and not number % 20:
            self.pending[number] = len(self.every) - 1
        elif self.pending.get(number) == 0:
            del self.pending[number]

    def send(self, address: str, words: list[str]) -> None:
        """One command to another node, and its answer."""
        import socket

        if address not in self.links:
            host, _, port = address.rpartition(":")
            link = socket.create_connection((host, int(port)), timeout=10)
            self.links[address] = link.makefile("rw")
        link = self.links[address]
        link.write(" ".join(words) + "\n")
        link.flush()
        while not link.readline().startswith(("ok", "error")):
            pass


def main() -> None:
    """``nun-db -u USER -p PASSWORD start --tcp-address … --replicate-address …``."""
    if "--help" in sys.argv:
        print("Nun-db toy")
        return
    flags = dict(zip(sys.argv, sys.argv[1:], strict=False))
    node = Node(flags["--tcp-address"], flags["--replicate-address"].split(","))

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                answer = "".join(f"{each}\n" for each in node.do(line.decode().split()))
                self.wfile.write(answer.encode())

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer.daemon_threads = True
    host, _, port = node.own.rpartition(":")
    server = socketserver.ThreadingTCPServer((host, int(port)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
