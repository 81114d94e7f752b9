"""The logs of what runs on hosts already, where the user says where they are.

``--server-logs`` names them: ``file:/var/log/etcd.log`` or ``journal:etcd`` (a unit of systemd);
with several roles ``ROLE=`` before each. ``{node}`` and ``{role}`` in it stand for their names.
They are read from the moment on in which the run attaches, as the login, and fetched as they grow.
A file that was rotated is read from the beginning of the new one: what came into the old one since
the last look (half a second, where milestones are looked for) is not seen, and that is told.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from harness.contract.roles import Role
from harness.errors import NodeError, PolygraphError, UsageError, cannot_write, unknown_name

KINDS: Final = ("file", "journal")
_HINT: Final = "--server-logs file:/var/log/etcd.log or journal:etcd"
_CURSOR: Final = b"-- cursor: "


class Fetches(Protocol):
    """A node whose files can be got (:class:`harness.cluster.ssh.node.SshNode`)."""

    name: str
    log_dir: Path

    def fetch(self, settings: dict[str, Any], write: Any) -> Mapping[str, Any]:
        """Have what the settings say written; what was said about it."""
        ...


def meant(text: str | None, roles: Sequence[Role]) -> dict[str, tuple[str, str]]:
    """Where each role's log is, and of which kind; ``UsageError`` where that is unclear."""
    names = [role.name for role in roles]
    found: dict[str, tuple[str, str]] = {}
    for word in (each.strip() for each in (text or "").split(",") if each.strip()):
        before, between, after = word.partition("=")
        role, place = (before, after) if between and before in names else (names[0], word)
        if len(names) > 1 and place == word:
            raise UsageError(f"--server-logs {word}: it says no role, of {', '.join(names)}", _HINT)
        if role in found:
            raise UsageError(f"--server-logs says twice where the log of {role} is", _HINT)
        kind, _, what = place.partition(":")
        if kind not in KINDS or not what:
            why = unknown_name("kind of log", kind, KINDS)
            raise UsageError(f"--server-logs {place}: {why}", _HINT)
        if kind == "file" and not what.startswith("/"):
            raise UsageError(f"--server-logs {place}: a path that begins at / is needed", _HINT)
        found[role] = (kind, what)
    return found


@dataclass
class HostLog:
    """The log of one role on one node. Any thread."""

    node: Fetches
    role: str
    kind: str
    what: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _at: dict[str, Any] = field(default_factory=dict)
    _cursor: str | None = None

    def begin(self) -> None:
        """What is there by now is passed over. ``NodeError`` if it cannot be read."""
        if self.kind == "file":
            answer = self.node.fetch({"path": self.what, "get": -1}, lambda data: None)
            self._at = {"get": answer["start"], "inode": answer["inode"]}
        else:
            self._journal("--lines=0")
        self._append(b"")

    def fetch(self) -> str:
        """Append what is new; what may be missing, in words. ``PolygraphError`` if none comes."""
        with self._lock:
            if self.kind == "file":
                return self._file()
            after = [f"--after-cursor={self._cursor}"] if self._cursor else []
            self._append(self._journal(*after))
            return ""

    def _file(self) -> str:
        read: list[bytes] = []
        answer = self.node.fetch({"path": self.what, **self._at}, read.append)
        rotated = (answer["start"], answer["inode"]) != (self._at["get"], self._at["inode"])
        self._append(b"".join(read))
        self._at = {"get": answer["start"] + answer["size"], "inode": answer["inode"]}
        return f"{self.what} is a new one: the end of the old one may be missing" if rotated else ""

    def _journal(self, *more: str) -> bytes:
        """The messages of the unit alone; where they end is remembered."""
        words = ["journalctl", f"--unit={self.what}", "--output=cat", "--no-pager", "--quiet"]
        read: list[bytes] = []
        self.node.fetch({"argv": [*words, "--show-cursor", *more]}, read.append)
        lines = b"".join(read).splitlines(keepends=True)
        cursors = [line for line in lines if line.startswith(_CURSOR)]
        if cursors:
            self._cursor = cursors[-1].removeprefix(_CURSOR).decode().strip()
        return b"".join(line for line in lines if not line.startswith(_CURSOR))

    def _append(self, data: bytes) -> None:
        path = self.node.log_dir / f"{self.role}.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise cannot_write(f"cannot write {path}", error) from error


def begun(
    places: Mapping[str, tuple[str, str]], roles: Sequence[Role], nodes: Mapping[str, Fetches]
) -> list[HostLog]:
    """The logs that are named, each begun; ``NodeError`` tells all that cannot be read."""
    logs = [
        HostLog(nodes[name], role.name, kind, _filled(what, name, role.name))
        for role in roles
        if role.name in places
        for kind, what in (places[role.name],)
        for name in role.nodes
    ]
    trouble = []
    for log in logs:
        try:
            log.begin()
        except PolygraphError as error:
            trouble.append(error.message)
    if trouble:
        raise NodeError(
            "; ".join(trouble), f"{_HINT}, which the login may read; or no --server-logs"
        )
    return logs


def fetched(logs: Sequence[HostLog]) -> list[str]:
    """Fetch what is new of all; a sentence for each that did not come whole."""
    told = []
    for log in logs:
        try:
            missing = log.fetch()
        except PolygraphError as error:
            missing = f"its log is not here: {error.message}"
        if missing:
            told.append(f"{log.node.name}: {missing}")
    return told


def _filled(what: str, node: str, role: str) -> str:
    return what.replace("{node}", node).replace("{role}", role)
