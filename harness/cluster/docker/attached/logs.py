"""What the engine keeps of a container's outputs, fetched into the run's folder as it grows.

The engine tells of each line when it came; it is asked again from the whole second of the last
known one on, and what is known already is passed over by its time. Lines of before the run are
nobody's concern here. One container has one log through all its lives.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.cluster.docker import engine
from harness.cluster.docker.attached.lives import time_ns
from harness.cluster.docker.attached.node import AttachedNode
from harness.errors import PolygraphError, cannot_write

_NS = 10**9


class EngineLog:
    """The outputs of container ``id`` from ``since_ns`` on, by the engine's clock, in ``path``."""

    def __init__(self, client: Any, id: str, path: Path, since_ns: int) -> None:
        self.path = path
        self._client = client
        self._id = id
        self._last_ns = since_ns
        self._of_last = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Make the file; ``SetupError`` if the engine does not let it be read."""
        with engine.complaints(f"the log of {self.path.stem}"):
            self._client.logs(self._id, tail=0)
        _append(self.path, b"")

    def fetch(self) -> None:
        """Append what is new. ``PolygraphError`` if the engine does not give it. Any thread."""
        with self._lock:
            with engine.complaints(f"the log of {self.path.stem}"):
                since_s = self._last_ns // _NS
                said: bytes = self._client.logs(self._id, timestamps=True, since=since_s)
            new = self._new(said.splitlines(keepends=True))
            if new:
                _append(self.path, b"".join(new))

    def _new(self, lines: list[bytes]) -> list[bytes]:
        """Those that are not known yet, without their times."""
        new, passed, is_new = [], 0, False
        for line in lines:
            stamp, _, text = line.partition(b" ")
            try:
                at_ns = time_ns(stamp.decode("ascii"))
            except ValueError:  # the rest of a long line
                if is_new:
                    new.append(line)
                continue
            if at_ns == self._last_ns:
                passed += 1
            is_new = at_ns > self._last_ns or (at_ns == self._last_ns and passed > self._of_last)
            if not is_new:
                continue
            if at_ns > self._last_ns:
                self._last_ns, self._of_last, passed = at_ns, 0, 1
            self._of_last = passed
            new.append(text)
        return new


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise cannot_write(f"cannot write {path}", error) from error


class EngineLogs:
    """Those of several containers, by node. The ones that cannot be read are told each time."""

    def __init__(self) -> None:
        self._logs: dict[str, EngineLog] = {}
        self._unread: list[str] = []

    def __len__(self) -> int:
        return len(self._logs)

    def begin(self, client: Any, nodes: Iterable[AttachedNode], since_ns: int) -> None:
        """Begin to read the log of each node, from that time of the engine's clock on."""
        for node in nodes:
            path = node.log_dir / f"{node.member.name}.log"
            log = EngineLog(client, node.id, path, since_ns)
            try:
                log.begin()
                self._logs[node.name] = log
            except PolygraphError as error:
                self._unread.append(f"{node.name}: its log is not read: {error.message}")

    def fetch(self) -> list[str]:
        """Fetch what is new; a sentence for each that did not come."""
        trouble = list(self._unread)
        for name, log in self._logs.items():
            try:
                log.fetch()
            except PolygraphError as error:
                trouble.append(f"{name}: its log is not here: {error.message}")
        return trouble
