#!/usr/bin/env python3
"""A toy of Dgraph: Zeros and Alphas that speak its HTTP, sound or broken in one of its known ways.

It is started as ``dgraph`` is (``dgraph_toy.py zero --my=…``), understands what Polygraph's client
sends, and answers in the shapes that a real Dgraph 25.4.0 answered in (``tests/data/dgraph``). The
first Zero holds timestamps, all versions of all records, and who serves which tablet; Alphas pass
on to it what they are asked, with the number of their group.

``DGRAPH_TOY`` says how it is broken:

* ``snapshot-cache``: a record that was deleted is gone for readers with older timestamps, too
  (25.4.0).
* ``old-owner``: for two seconds after a tablet moved, its old group serves it as it was then
  (1.1.1).
* ``old-timestamp``: every fifth commit is decided by a Zero that loses its leadership just then,
  and proposed again half a second later, with the timestamp that it had before: who read and wrote
  meanwhile did so without it (1.0.10).
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BROKEN = os.environ.get("DGRAPH_TOY", "")
ABORTED = "rpc error: code = Aborted desc = Transaction has been aborted. Please retry"
EQ = re.compile(r'(q\d+)\(func: eq\((\w+), \[("(?:[^"\\]|\\.)*"(?:, "(?:[^"\\]|\\.)*")*)\]\)\)')
GE = re.compile(r'(q\d+)\(func: ge\((\w+), ("(?:[^"\\]|\\.)*")\)\)')
UID = re.compile(r"(q\d+)\(func: uid\(([^)]*)\)\) @filter\(has\((\w+)\)\)")
STALE_S, LATE_S = 2.0, 0.5


class Refused(Exception):
    """An answer with ``errors``."""


class Store:
    """What the first Zero holds. One lock around everything."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clock = 0
        self.uids = 0
        self.commits = 0
        # (uid, predicate) to [(commit timestamp, value or None)], in order of timestamps
        self.versions: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.written: dict[str, list[int]] = {}
        self.pending: dict[int, dict[tuple[str, str], Any]] = {}
        self.tablets: dict[str, str] = {}
        self.moved: dict[str, tuple[str, int, float]] = {}
        self.zeros: dict[str, str] = {}
        self.alphas: dict[str, str] = {}
        self.replicas = 3

    def tick(self) -> int:
        """The next timestamp."""
        self.clock += 1
        return self.clock

    # -- members -----------------------------------------------------------------------------------

    def join(self, role: str, number: str, address: str) -> dict[str, Any]:
        """A member comes, or comes again; its group, if it is an Alpha."""
        with self.lock:
            if role == "zero":
                self.zeros[number] = address
                return {}
            self.alphas.setdefault(address, str(1 + len(self.alphas) // self.replicas))
            return {"group": self.alphas[address]}

    def state(self) -> dict[str, Any]:
        """``/state``."""
        groups: dict[str, Any] = {}
        for number, (address, group) in enumerate(self.alphas.items()):
            of = groups.setdefault(group, {"members": {}, "tablets": {}})
            leads = {} if of["members"] else {"leader": True}
            of["members"][str(number)] = {"addr": address, "groupId": int(group), **leads}
        for predicate, group in self.tablets.items():
            groups[group]["tablets"][f"0-{predicate}"] = {"groupId": int(group)}
        zeros = {
            number: {"id": number, "addr": address, **({"leader": True} if number == "1" else {})}
            for number, address in self.zeros.items()
        }
        return {"counter": str(self.clock), "groups": groups, "zeros": zeros}

    def move(self, predicate: str, group: str) -> str:
        """``/moveTablet``."""
        with self.lock:
            was = self.tablets.get(predicate)
            if was is None or group not in set(self.alphas.values()):
                raise Refused(f"Unable to move tablet {predicate}")
            self.moved[predicate] = (was, self.clock, time.monotonic() + STALE_S)
            self.tablets[predicate] = group
            return f"Predicate: [{predicate}] moved from group [{was}] to [{group}]"

    # -- transactions ------------------------------------------------------------------------------

    def alter(self, schema: str) -> None:
        """Give every new predicate to the first group."""
        with self.lock:
            for line in schema.splitlines():
                self.tablets.setdefault(line.partition(":")[0], "1")

    def value(self, at: int, uid: str, predicate: str, group: str) -> Any:
        """What the Alpha of ``group`` shows of one edge at a start timestamp."""
        own = self.pending.get(at, {})
        if (uid, predicate) in own:
            return own[uid, predicate]
        found = self.versions.get((uid, predicate), [])
        was, moved_at, until = self.moved.get(predicate, ("", 0, 0.0))
        if BROKEN == "old-owner" and group == was and time.monotonic() < until:
            at = min(at, moved_at)
        elif BROKEN == "snapshot-cache" and found and found[-1][1] is None:
            return None
        return next((value for ts, value in reversed(found) if ts <= at), None)

    def query(self, start: int, text: str, group: str) -> tuple[int, dict[str, Any]]:
        """The blocks of a query."""
        with self.lock:
            start = start or self.tick()
            return start, dict(self.blocks(start, text, group))

    def blocks(self, at: int, text: str, group: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Each block with its rows."""
        for block, predicate, names in EQ.findall(text):
            wanted = set(json.loads(f"[{names}]"))
            yield block, self.rows(at, predicate, lambda key, w=wanted: key in w, group)
        for block, predicate, start in GE.findall(text):
            first = json.loads(start)
            yield block, self.rows(at, predicate, lambda key, f=first: key.startswith(f), group)
        for block, uids, predicate in UID.findall(text):
            rows = ((uid, self.value(at, uid, predicate, group)) for uid in uids.split(", "))
            yield block, [{"uid": u, "value": value} for u, value in rows if value is not None]

    def rows(self, at: int, predicate: str, wants: Any, group: str) -> list[dict[str, Any]]:
        """The records whose key, as seen now, is wanted."""
        edges = {*self.versions, *self.pending.get(at, {})}
        found = []
        for uid in sorted(uid for uid, name in edges if name == predicate):
            key = self.value(at, uid, predicate, group)
            if key is not None and wants(key):
                value = self.value(at, uid, predicate.replace("_key_", "_value_"), group)
                row = {"uid": uid, "key": key}
                found.append(row if value is None else {**row, "value": value})
        return found

    def mutate(self, start: int, change: dict[str, Any]) -> tuple[int, dict[str, str], list[str]]:
        """Keep the change for the commit; the timestamp, new uids, keys that may conflict."""
        with self.lock:
            start = start or self.tick()
            own, made, keys = self.pending.setdefault(start, {}), {}, []
            for record in [*change.get("set", ()), *change.get("delete", ())]:
                uid = record.pop("uid", "_:new")
                if uid.startswith("_:"):
                    self.uids += 1
                    made[uid[2:]] = uid = f"{self.uids:#x}"
                for name, value in record.items():
                    own[uid, name] = value
                    is_key = "_key_" in name and value is not None
                    keys.append(f"{name}={value}" if is_key else f"{uid}.{name}")
            return start, made, keys

    def commit(self, start: int, keys: list[str]) -> int:
        """Decide, and apply; the commit timestamp."""
        with self.lock:
            own = self.pending.pop(start, {})
            if any(ts > start for key in keys for ts in self.written.get(key, ())):
                raise Refused(ABORTED)
            commit_ts = self.tick()
            self.commits += 1
            is_late = BROKEN == "old-timestamp" and self.commits % 5 == 0
            if not is_late:
                self.apply(commit_ts, own, keys)
        if is_late:
            time.sleep(LATE_S)
            with self.lock:
                self.apply(commit_ts, own, keys)
        return commit_ts

    def apply(self, commit_ts: int, own: dict[tuple[str, str], Any], keys: list[str]) -> None:
        """Make the changes at ``commit_ts``."""
        for key in keys:
            self.written.setdefault(key, []).append(commit_ts)
        for edge, value in own.items():
            of = self.versions.setdefault(edge, [])
            of.append((commit_ts, value))
            of.sort(key=lambda version: version[0])

    def do(self, path: str, body: bytes, group: str) -> dict[str, Any]:
        """What an Alpha of ``group`` was asked."""
        asked = urlsplit(path)
        words = {name: values[0] for name, values in parse_qs(asked.query).items()}
        start = int(words.get("startTs", 0))
        done: dict[str, Any] = {"code": "Success", "message": "Done"}
        if asked.path == "/alter":
            self.alter(body.decode())
            return {"data": done}
        if asked.path == "/query":
            start, rows = self.query(start, json.loads(body)["query"], group)
            return {"data": rows, "extensions": {"txn": {"start_ts": start}}}
        if asked.path == "/mutate":
            start, made, keys = self.mutate(start, json.loads(body))
            txn = {"start_ts": start, "keys": keys, "preds": ["1-0-polygraph"]}
            if words.get("commitNow") == "true":
                txn = {"start_ts": start, "commit_ts": self.commit(start, keys)}
            return {"data": {**done, "queries": None, "uids": made}, "extensions": {"txn": txn}}
        if words.get("abort") == "true":
            self.pending.pop(start, None)
            return {"data": done}
        txn = {"start_ts": start, "commit_ts": self.commit(start, json.loads(body)["keys"])}
        return {"data": done, "extensions": {"txn": txn}}


class Handler(BaseHTTPRequestHandler):
    """Answers as ``self.server.answers`` says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.respond(b"")

    def do_POST(self) -> None:
        self.respond(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def respond(self, body: bytes) -> None:
        try:
            status, told = self.server.answers(self.path, body)  # type: ignore[attr-defined]
        except Refused as refusal:
            code = {"code": "Error"}
            status, told = 200, {"errors": [{"message": str(refusal), "extensions": code}]}
        text = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def serve(address: str, answers: Any) -> None:
    """In a thread of its own."""
    host, _, port = address.rpartition(":")
    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.answers = answers  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(address: str, path: str, body: Any) -> Any:
    """A question to another member, until it answers."""
    while True:
        try:
            data = json.dumps(body).encode()
            with urllib.request.urlopen(f"http://{address}{path}", data, timeout=60) as answer:
                return json.loads(answer.read())
        except OSError:
            time.sleep(0.05)


def zero(flags: dict[str, str]) -> None:
    """The first holds the store; the others pass on to it what they are asked."""
    me, number = flags["my"], dict(p.split("=") for p in [flags["raft"]])["idx"]
    host, store = me.rpartition(":")[0], Store()
    store.replicas = int(flags["replicas"])

    def inner(path: str, body: bytes) -> Any:
        asked = json.loads(body)
        if path == "/join":
            return 200, store.join(**asked)
        if path == "/state":
            return 200, store.state()
        return 200, store.do(asked["path"], asked["body"].encode(), asked["group"])

    def outer(path: str, body: bytes) -> Any:
        if path == "/state":
            return 200, store.state() if number == "1" else ask(flags["peer"], "/state", {})
        words = parse_qs(urlsplit(path).query)
        return 200, store.move(words["tablet"][0], words["group"][0])

    serve(me, inner)
    serve(f"{host}:6080", outer)
    member = {"role": "zero", "number": number, "address": me}
    ask(flags.get("peer", me), "/join", member)


def alpha(flags: dict[str, str]) -> None:
    """Passes on to the first Zero what it is asked."""
    me, first = flags["my"], flags["zero"].split(",")[0]
    group = ask(first, "/join", {"role": "alpha", "number": "", "address": me})["group"]

    def outer(path: str, body: bytes) -> Any:
        if path == "/health":
            return 200, [{"instance": "alpha", "status": "healthy", "version": "toy"}]
        return 200, ask(first, "/do", {"path": path, "body": body.decode(), "group": group})

    serve(f"{me.rpartition(':')[0]}:8080", outer)


def main() -> None:
    """``version``, ``zero`` or ``alpha``, as ``dgraph``."""
    role, *words = sys.argv[1:]
    if role == "version":
        print("Dgraph version   : toy")
        return
    flags = dict(word.removeprefix("--").split("=", 1) for word in words)
    {"zero": zero, "alpha": alpha}[role](flags)
    print(f"I1201 10:00:00.000000       1 toy.go:1] {role} serves", file=sys.stderr, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
