"""Set-up and recovery: the tables are made, and every server is seen to write and to read.

Blocking, each question on a connection of its own. What it writes is in a table that no workload
knows, so asking again is harmless.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from harness.contract.node import Node, split_address
from harness.contract.system import Stage
from harness.errors import NotReady
from systems.drivers.embedded.dialect import Dialect

PORT: Final = 5433
_POLL_S: Final = 0.05
_ASK_S: Final = 5.0

READY: Final = "CREATE TABLE IF NOT EXISTS ready (node TEXT PRIMARY KEY, times BIGINT NOT NULL)"
_WRITE: Final = (
    "INSERT INTO ready VALUES (?, 1) ON CONFLICT (node) DO UPDATE SET times = ready.times + 1"
)


class NotAnswered(Exception):
    """A server did not do what it was asked; says why."""


def ask(node: Node, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[list[Any]]:
    """The rows of the last of some statements, each once; ``NotAnswered`` if one is not done."""
    rows: list[list[Any]] = []
    try:
        with socket.create_connection(split_address(node.reach(PORT, "client")), _ASK_S) as line:
            received = line.makefile("rb")
            for sql, values in statements:
                line.sendall(json.dumps({"sql": sql, "values": values}).encode() + b"\n")
                answer = json.loads(received.readline() or b"{}")
                if "rows" not in answer:
                    raise NotAnswered(f"{answer.get('error')}: {answer.get('text')}")
                rows = answer["rows"]
    except (OSError, ValueError) as error:
        raise NotAnswered(str(error) or type(error).__name__) from error
    return rows


def wait_until_ready(
    stage: Stage, nodes: Sequence[Node], dialect: Dialect, timeout_s: float
) -> None:
    """Make the tables, and see a write and a read through each of ``nodes``; else ``NotReady``."""
    deadline = time.monotonic() + timeout_s
    _until(stage, nodes[0], [(sql, []) for sql in (*dialect.make, READY)], deadline)
    for node in nodes:
        read = ("SELECT times FROM ready WHERE node = ?", [node.name])
        if not _until(stage, node, [(_WRITE, [node.name]), read], deadline):
            raise NotReady(f"{node.name}: what was written is not there")


def _until(
    stage: Stage, node: Node, statements: Sequence[tuple[str, Sequence[Any]]], deadline: float
) -> list[list[Any]]:
    while True:
        try:
            return ask(node, statements)
        except NotAnswered as error:
            why = str(error)
        ended = [daemon for daemon in stage.daemons[node.name] if not daemon.alive()]
        if ended or time.monotonic() >= deadline:
            if ended:
                why = f"its server ended with status {ended[0].exit_status()}"
            raise NotReady(f"{node.name}: {why}", f"{node.log_dir}/{stage.system.name}.log")
        time.sleep(_POLL_S)
