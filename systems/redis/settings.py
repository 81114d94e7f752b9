"""The configuration files of servers and Sentinels, under the vendor's own names.

Both programs rewrite their file themselves (a failover is written down there), so a file is written
once, before the first start, and never again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.contract.node import Node, split_address
from systems.redis.places import PORT, PRIMARY_NAME, SENTINEL_PORT

SERVER_FILE: Final = "redis.conf"
SENTINEL_FILE: Final = "sentinel.conf"
_NO_ALLOCATOR_THREAD: Final = "jemalloc-bg-thread no"
"""The allocator's own thread, which gives memory back and no more, would be the only one that waits
until a wall-clock time, so that the clock of these processes could not be set truly."""


def of_server(node: Node, primary: Node, options: Mapping[str, Any]) -> str:
    """``redis.conf`` of the server on ``node``, which follows ``primary`` unless it is that."""
    host, port = split_address(node.listen(PORT))
    announced, announced_port = split_address(node.reach(PORT, "peer"))
    lines = [
        f"bind {host}",
        f"port {port}",
        "protected-mode no",
        "daemonize no",
        f"dir {node.data_dir}",
        f"appendonly {options['appendonly']}",
        f"appendfsync {options['appendfsync']}",
        f"min-replicas-to-write {options['min_replicas_to_write']}",
        f"min-replicas-max-lag {options['min_replicas_max_lag']}",
        f"replica-announce-ip {announced}",
        f"replica-announce-port {announced_port}",
        "repl-diskless-sync-delay 0",  # nobody else is waited for before a replica is served
        _NO_ALLOCATOR_THREAD,
    ]
    if options["save"] is not None:
        lines.append(f'save "{options["save"]}"')
    if node.name != primary.name:
        lines.append(f"replicaof {' '.join(split_words(primary.reach(PORT, 'peer')))}")
    return "\n".join(lines) + "\n"


def of_sentinel(
    node: Node, primary: Node, sentinels: Sequence[str], options: Mapping[str, Any]
) -> str:
    """``sentinel.conf`` on ``node``: most of the Sentinels must agree that the primary is down."""
    host, port = split_address(node.listen(SENTINEL_PORT))
    announced, announced_port = split_address(node.reach(SENTINEL_PORT, "peer"))
    watched = " ".join(split_words(primary.reach(PORT, "peer")))
    quorum = options["quorum"] or len(sentinels) // 2 + 1
    return "\n".join(
        [
            f"bind {host}",
            f"port {port}",
            "protected-mode no",
            "daemonize no",
            f"dir {node.data_dir}",
            _NO_ALLOCATOR_THREAD,
            f"sentinel announce-ip {announced}",
            f"sentinel announce-port {announced_port}",
            f"sentinel monitor {PRIMARY_NAME} {watched} {quorum}",
            f"sentinel down-after-milliseconds {PRIMARY_NAME} {options['down_after_milliseconds']}",
            f"sentinel failover-timeout {PRIMARY_NAME} {options['failover_timeout']}",
            "",
        ]
    )


def split_words(address: str) -> tuple[str, str]:
    """Host and port as the two words that a configuration has of an address."""
    host, port = split_address(address)
    return host, str(port)


def put(node: Node, name: str, text: str) -> str:
    """Write a configuration file into the data folder of ``node``; its path there."""
    path = f"{node.data_dir}/{name}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / name
        source.write_text(text, "utf-8")
        node.upload(source, path)
    return path
