"""A real server on loopback for one test, in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.contract.client import Failed, Indeterminate, Target
from systems.drivers.http import Lost
from systems.drivers.resp import Answer, Word, ask
from systems.redis import Redis
from systems.redis.asks import Manner
from systems.redis.client import RedisClient
from systems.redis.places import Places

PATIENCE_S = 60.0


class Server:
    """``redis-server`` with these settings; it can be killed and started again."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder, self.settings, self.port = folder, settings, free_port()
        self.address = ("127.0.0.1", self.port)
        self.start()

    def start(self) -> None:
        argv = [Redis({})._binary, "--port", str(self.port), "--bind", "127.0.0.1"]
        argv += ["--dir", str(self.folder), *self.settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, Lost):
                self.ask(("PING",))
                return
        raise RuntimeError((self.folder / "log").read_text())

    def ask(self, *commands: Sequence[Word]) -> list[Answer]:
        return ask(self.address, *commands, timeout_s=10.0)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def client(self, work: Callable[[RedisClient], Awaitable[Any]], timeout_s: float = 10.0) -> Any:
        """What ``work`` gives with a client of this server, or what became of it."""

        async def opened() -> Any:
            client = RedisClient(timeout_s, Places(), Manner())
            await client.open(Target("{}:{}".format(*self.address)))
            try:
                return await work(client)
            except Failed as error:
                return "fail", *error.error
            except Indeterminate as error:
                return "info", *error.error
            finally:
                await client.close()

        return asyncio.run(opened())


@contextlib.contextmanager
def serving(folder: Path, *settings: str) -> Iterator[Server]:
    """A server for as long as this lasts."""
    folder.mkdir(exist_ok=True)
    server = Server(folder, *settings)
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """One below those that the kernel gives for connections that are made."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
