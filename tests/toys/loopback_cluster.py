"""A cluster of real processes on loopback addresses of their own: no provider, no namespaces.

For tests of a system and its client against the real program. Nodes can be started, ended and
paused; they cannot be cut off from each other.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contract.node import Completed
from harness.contract.system import Stage
from harness.linux.identity import identify

OP_TIMEOUT_S = 10.0


class LoopbackDaemon:
    """A process group of this machine."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.identity = identify(process.pid)
        self._process = process

    def alive(self) -> bool:
        return self._process.poll() is None

    def exit_status(self) -> int | None:
        return self._process.poll()

    def signal(self, number: int) -> None:
        if self.alive():
            os.killpg(self._process.pid, number)

    def pause(self) -> None:
        """Stop it, and return once it stands: SIGSTOP takes effect some time after ``kill``."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def wait(self, timeout_s: float) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None


@dataclass
class LoopbackNode:
    """A loopback address and a folder."""

    name: str
    address: str
    folder: Path
    daemons: list[LoopbackDaemon] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client_address = self.address
        self.data_dir = str(self.folder / "data")
        self.log_dir = self.folder / "log"
        Path(self.data_dir).mkdir(parents=True)
        self.log_dir.mkdir()

    def listen(self, port: int) -> str:
        return f"{self.address}:{port}"

    def reach(self, port: int, whom: str) -> str:
        return f"{self.address}:{port}"

    def bring(self, program: Path) -> str:
        return str(program)

    def run(self, argv: Sequence[str], *, timeout_s: float = 30.0, check: bool = True) -> Completed:
        done = subprocess.run(argv, capture_output=True, timeout=timeout_s, check=check)
        return Completed(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> LoopbackDaemon:
        with (self.log_dir / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv, stdout=log, stderr=log, env=env, cwd=cwd, start_new_session=True
            )
        self.daemons.append(LoopbackDaemon(name, process))
        return self.daemons[-1]


class LoopbackCluster:
    """Nodes on one machine, which cannot be cut off from each other."""

    provider = "test"

    def __init__(self, nodes: Sequence[LoopbackNode]) -> None:
        self.nodes = nodes

    def node(self, name: str) -> LoopbackNode:
        return next(node for node in self.nodes if node.name == name)


@dataclass
class Running:
    """A system with its cluster."""

    system: Any
    cluster: Any

    def __post_init__(self) -> None:
        self.stage = Stage(self.cluster, self.system)

    def do(
        self, work: Callable[[Any], Awaitable[Any]], node: int = 0, op_timeout_s: float = 10.0
    ) -> Any:
        """What ``work`` gives with a client that is open on one of the nodes."""

        async def opened() -> Any:
            client = self.system.client(OP_TIMEOUT_S)
            await client.open(self.cluster.nodes[node].client_address)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(opened())


def bring_up(system: Any, folder: Path, count: int) -> Running:
    network = ".".join(str(random.randrange(2, 250)) for _ in range(2))
    nodes = [
        LoopbackNode(f"n{i}", f"127.{network}.{i}", folder / f"n{i}") for i in range(1, count + 1)
    ]
    running = Running(system, LoopbackCluster(nodes))
    try:
        for node in nodes:
            running.system.install(node)
            running.stage.start(node.name, system.name)
        running.system.ready(running.stage, 120.0)
    except BaseException:
        tear_down(running)
        raise
    return running


def tear_down(running: Running) -> None:
    for node in running.cluster.nodes:
        for daemon in node.daemons:
            daemon.signal(signal.SIGKILL)
            daemon.wait(60.0)
