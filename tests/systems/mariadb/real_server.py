"""A real MariaDB on this machine's loopback, in a folder of its own, for tests of its client."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from harness.contract.client import Target
from systems.drivers.sql.client import SqlClient
from systems.drivers.sql.mysql import MARIADB
from systems.drivers.sql.tables import Tables
from systems.mariadb import Mariadb
from systems.mariadb.install import find_programs
from systems.mariadb.server import ACCOUNTS, DATABASE, ROOT
from tests.systems.postgresql.real_server import NOBODY, PATIENCE_S, free_port, somebody


class RealServer:
    """One server; a context manager that ends it and takes its folder away."""

    def __init__(self, **settings: str) -> None:
        self.programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="polygraph-mdb-"))
        self.data = self.folder / "data"
        self.settings = settings
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RealServer:
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        subprocess.run(
            [
                *(self.programs.maker, "--no-defaults", f"--datadir={self.data}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **somebody(),
        )
        (self.folder / "accounts.sql").write_text(ACCOUNTS)
        self.start()
        for statement in Tables(MARIADB).creations():
            self.ask(statement)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, **settings: str) -> None:
        """Start it with the data that it has."""
        given = {
            "datadir": str(self.data),
            "bind-address": "127.0.0.1",
            "port": str(self.port),
            "socket": "server.sock",
            "init-file": str(self.folder / "accounts.sql"),
            "innodb-buffer-pool-size": "32M",
            "skip-name-resolve": "ON",
            **self.settings,
            **settings,
        }
        flags = [f"--{name}={value}" for name, value in given.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs.server, "--no-defaults", *flags],
                stdout=log,
                stderr=log,
                cwd=self.folder,
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
        """SIGKILL, and wait."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, sql: str) -> Any:
        """One statement by a connection of its own, as root."""
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=ROOT,
            database=DATABASE,
            autocommit=True,
            ssl_disabled=True,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def do(
        self,
        work: Callable[..., Awaitable[Any]],
        clients: int = 1,
        op_timeout_s: float = 20.0,
        isolation: str = "serializable",
    ) -> Any:
        """What ``work`` gives with some open clients."""

        async def opened() -> Any:
            system = Mariadb({"isolation": isolation})
            made = [system.client(op_timeout_s) for _ in range(clients)]
            for client in made:
                assert isinstance(client, SqlClient)
                await client.open(Target(f"127.0.0.1:{self.port}"))
            try:
                return await work(*made)
            finally:
                for client in made:
                    await client.close()

        return asyncio.run(opened())
