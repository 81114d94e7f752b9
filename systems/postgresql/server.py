"""One server on its node: its data folder made, copied from the primary, and its command line.

PostgreSQL refuses to be root, so everything is done as a user that is not. The data lies in ``pg``
below the node's data folder and survives a restart. Nothing is tuned for the test but sizes: a
small buffer, and no Unix socket, since nodes may share a file system.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.contract.node import UNPRIVILEGED, Node, Port, split_address
from harness.errors import NodeError, NotReady

PORT: Final = 5432
PORTS: Final = (Port(PORT, clients=True, peers=True),)
SUPERUSER: Final = "postgres"
DATABASE: Final = "postgres"
_INITDB_TIMEOUT_S: Final = 120.0
_COPY_TIMEOUT_S: Final = 120.0
_COPY_RETRY_S: Final = 0.3

ACCESS: Final = "host all all all trust\nhost replication all all trust\n"
"""Everybody who reaches the server may do everything: it lives in a run's own network, or on
loopback, and for as long as the run."""


def data_of(node: Node) -> str:
    """The data folder of the server on ``node``."""
    return f"{node.data_dir}/pg"


def is_made(node: Node) -> bool:
    """Whether there is a data folder already."""
    made = ["test", "-e", f"{data_of(node)}/PG_VERSION"]
    return node.run(made, check=False, user=UNPRIVILEGED).exit_code == 0


def make(node: Node, programs: Path) -> None:
    """An empty database, by ``initdb``."""
    initdb = [
        *(str(programs / "initdb"), "-D", data_of(node), "-U", SUPERUSER, "-A", "trust"),
        *("--no-sync", "--locale=C", "--encoding=UTF8"),
    ]
    node.run(initdb, timeout_s=_INITDB_TIMEOUT_S, user=UNPRIVILEGED)
    write = ["sh", "-c", 'printf %s "$1" > "$2"', "sh", ACCESS, f"{data_of(node)}/pg_hba.conf"]
    node.run(write, user=UNPRIVILEGED)


def copy(node: Node, primary: Node, programs: Path) -> None:
    """A copy of the primary's, by ``pg_basebackup``, set up to follow it."""
    backup = [
        *(str(programs / "pg_basebackup"), "-D", data_of(node), "-R", "-X", "stream"),
        *("-c", "fast", "--no-sync", "-d", conninfo(node, primary)),
    ]
    deadline = time.monotonic() + _COPY_TIMEOUT_S
    while True:
        try:
            node.run(backup, timeout_s=_COPY_TIMEOUT_S, user=UNPRIVILEGED)
            return
        except NodeError as error:  # the primary may not listen yet; a failed copy is taken away
            if time.monotonic() > deadline:
                raise NotReady(f"{node.name} cannot copy {primary.name}: {error}") from error
            time.sleep(_COPY_RETRY_S)


def is_standby(node: Node) -> bool:
    """Whether the server on ``node`` would start as one that follows."""
    signal = ["test", "-e", f"{data_of(node)}/standby.signal"]
    return node.run(signal, check=False, user=UNPRIVILEGED).exit_code == 0


def forget(node: Node) -> None:
    """Take the data folder away: what is in it is another history than the primary's."""
    node.run(["rm", "-rf", data_of(node)], user=UNPRIVILEGED)


def conninfo(node: Node, primary: Node) -> str:
    """How the server on ``node`` reaches the primary, and by which name it is known there."""
    host, port = split_address(primary.reach(PORT, "peer"))
    return f"host={host} port={port} user={SUPERUSER} application_name={node.name}"


def argv(node: Node, programs: Path, settings: Mapping[str, Any]) -> Sequence[str]:
    """The command line of the server on ``node``."""
    host, port = split_address(node.listen(PORT))
    given = {
        "listen_addresses": host,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "shared_buffers": "16MB",
        "log_line_prefix": "%m [%p] ",
        **settings,
    }
    flags = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", data_of(node), *flags]
