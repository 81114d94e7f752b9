"""A real PostgreSQL on this machine's loopback, in a folder of its own, for tests of its client."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from harness.contract.client import Target
from systems.drivers.sql.client import SqlClient
from systems.drivers.sql.postgresql import POSTGRESQL
from systems.drivers.sql.tables import Tables
from systems.postgresql import Postgresql
from systems.postgresql.install import find_programs

PATIENCE_S = 60.0
NOBODY = 65534


def somebody() -> dict[str, Any]:
    """Another user than root, which the server refuses to be."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


class RealServer:
    """One server; a context manager that ends it and takes its folder away."""

    def __init__(self, **settings: str) -> None:
        self.programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="polygraph-pg-"))
        self.data = self.folder / "data"
        self.settings = settings
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> Target:
        return Target(f"127.0.0.1:{self.port}")

    def __enter__(self) -> RealServer:
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        initdb = ["-D", str(self.data), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(
            [self.programs / "initdb", *initdb, "--locale=C", "--encoding=UTF8"],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **somebody(),
        )
        self.start()
        for statement in Tables(POSTGRESQL).creations():
            self.ask(statement)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, **settings: str) -> None:
        """Start it with the data that it has."""
        given = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            **self.settings,
            **settings,
        }
        flags = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", str(self.data), *flags],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **somebody(),
            )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.ask("SELECT 1")
                return
            except Exception:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to the server and to every process that it started."""
        if self.process is None:
            return
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        ).stdout.split()
        self.process.kill()
        for pid in map(int, listed):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self.process = None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """One statement by a connection of its own."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def client(self, op_timeout_s: float = 20.0, isolation: str = "serializable") -> SqlClient:
        """A client of the system's."""
        client = Postgresql({"isolation": isolation}).client(op_timeout_s)
        assert isinstance(client, SqlClient)
        return client

    def do(
        self,
        work: Callable[..., Awaitable[Any]],
        clients: int = 1,
        op_timeout_s: float = 20.0,
        isolation: str = "serializable",
    ) -> Any:
        """What ``work`` gives with some open clients."""

        async def opened() -> Any:
            made = [self.client(op_timeout_s, isolation) for _ in range(clients)]
            for client in made:
                await client.open(self.address)
            try:
                return await work(*made)
            finally:
                for client in made:
                    await client.close()

        return asyncio.run(opened())


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
