"""One server on its node: its data folder made, and its command line.

It runs as a user that is not root, reads no configuration of the machine, and has its data in
``mariadb`` below the node's data folder. Nothing is tuned for the test but sizes. Clients are a
user that may not write where a server is read-only; root may, for replication and readiness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.contract.node import UNPRIVILEGED, Node, Port, split_address
from systems.mariadb.install import Programs

PORT: Final = 3306
PORTS: Final = (Port(PORT, clients=True, peers=True),)
USER: Final = "polygraph"
ROOT: Final = "root"
DATABASE: Final = "polygraph"
_MAKE_TIMEOUT_S: Final = 120.0

ACCOUNTS: Final = "\n".join(
    (
        "SET SESSION sql_log_bin = 0;",
        f"CREATE DATABASE IF NOT EXISTS {DATABASE};",
        f"CREATE USER IF NOT EXISTS '{ROOT}'@'%';",
        f"GRANT ALL PRIVILEGES ON *.* TO '{ROOT}'@'%' WITH GRANT OPTION;",
        f"CREATE USER IF NOT EXISTS '{USER}'@'%';",
        f"GRANT ALL PRIVILEGES ON {DATABASE}.* TO '{USER}'@'%';",
        "",
    )
)
"""What the server does each time that it starts. Nobody needs a password: it lives in a run's own
network, or on loopback, and for as long as the run."""


def data_of(node: Node) -> str:
    """The data folder of the server on ``node``."""
    return f"{node.data_dir}/mariadb"


def is_made(node: Node) -> bool:
    """Whether there is a data folder already."""
    made = ["test", "-e", f"{data_of(node)}/accounts.sql"]
    return node.run(made, check=False, user=UNPRIVILEGED).exit_code == 0


def make(node: Node, programs: Programs) -> None:
    """An empty database, and the accounts for its start."""
    install = [
        *(str(programs.maker), "--no-defaults", f"--datadir={data_of(node)}"),
        *("--auth-root-authentication-method=normal", "--skip-test-db"),
    ]
    node.run(install, timeout_s=_MAKE_TIMEOUT_S, user=UNPRIVILEGED)
    write = ["sh", "-c", 'printf %s "$1" > "$2/accounts.sql"', "sh", ACCOUNTS, data_of(node)]
    node.run(write, user=UNPRIVILEGED)


def forget(node: Node) -> None:
    """Take the data folder away: what is in it is another history than the primary's."""
    node.run(["rm", "-rf", data_of(node)], user=UNPRIVILEGED)


def argv(node: Node, programs: Programs, number: int, settings: Mapping[str, Any]) -> Sequence[str]:
    """The command line of the server on ``node``, which is the ``number``-th."""
    host, port = split_address(node.listen(PORT))
    given = {
        "datadir": data_of(node),
        "bind-address": host,
        "port": port,
        "socket": "server.sock",  # below the data folder: the whole path may be too long for one
        "pid-file": "server.pid",
        "init-file": f"{data_of(node)}/accounts.sql",
        "server-id": number,
        "skip-name-resolve": "ON",
        "max-connections": 300,
        "innodb-buffer-pool-size": "64M",
        "innodb-log-file-size": "32M",
        "performance-schema": "OFF",
        **settings,
    }
    flags = [f"--{name}={value}" for name, value in given.items()]
    return [str(programs.server), "--no-defaults", *flags]
