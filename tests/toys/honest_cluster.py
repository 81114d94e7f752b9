"""A cluster in memory that models links, drop counters and processes honestly.

Honest means: it gives the measurements that the kernel would give. A probe on a cut link is
dropped and *counted*, like any packet; a stopped process can be killed; a restart is another
process; nothing bites unless it was really done.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from itertools import count, permutations
from pathlib import Path
from typing import Any

from harness.contract.node import Grudge, Link
from harness.contract.roles import Role, waves
from harness.contract.system import Stage
from harness.errors import SetupError
from harness.linux.identity import ProcessIdentity


class HonestDaemon:
    """A process that obeys SIGKILL, SIGSTOP and SIGCONT as the kernel would make it.

    SIGTERM ends it with ``term_status``, and does nothing where that is ``None``.
    """

    def __init__(self, node: str, pid: int, name: str = "") -> None:
        self.name = name or f"database-{node}"
        self.term_status: int | None = -15
        self.identity = ProcessIdentity(
            pid=pid, start_ticks=1000 + pid, boot_id="a machine of dreams", pid_namespace=1
        )
        self._status: int | None = None
        self._state = "S"

    def alive(self) -> bool:
        return self._status is None

    def exit_status(self) -> int | None:
        return self._status

    def state(self) -> str:
        return self._state

    def signal(self, number: int) -> None:
        if self._status is not None:
            raise ProcessLookupError(self.identity.pid)
        if number == signal.SIGKILL:
            self.end(-9)
        elif number == signal.SIGTERM and self.term_status is not None:
            self.end(self.term_status)
        elif number == signal.SIGSTOP:
            self._state = "T"
        elif number == signal.SIGCONT:
            self._state = "S"

    def wait(self, timeout_s: float) -> int | None:
        return self._status

    def end(self, status: int) -> None:
        """End by itself (or by a signal, if negative)."""
        self._status, self._state = status, "gone"


class HonestNode:
    def __init__(self, name: str) -> None:
        self.name = self.client_address = name
        self.data_dir = "/data"
        self.log_dir = Path("nowhere") / name


class HonestCluster:
    """Nodes n1 … whose links drop what they are told to; ``talk`` is the database's traffic."""

    provider = "memory"

    def __init__(self, nodes: int) -> None:
        self.nodes = [HonestNode(f"n{i}") for i in range(1, nodes + 1)]
        self.grudge: dict[str, frozenset[str]] = {}
        self._dropped: dict[Link, int] = {}

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]

    def node(self, name: str) -> HonestNode:
        return next(node for node in self.nodes if node.name == name)

    def up(self) -> None: ...

    def down(self) -> None: ...

    def cut(self, grudge: Grudge) -> None:
        self.grudge, self._dropped = dict(grudge), {}

    def heal_cuts(self) -> None:
        self.grudge, self._dropped = {}, {}

    def dropped(self) -> Mapping[Link, int]:
        return dict(self._dropped)

    def reachable(self) -> frozenset[Link]:
        return frozenset(link for link in permutations(self.names, 2) if self._send(link))

    def talk(self) -> None:
        """One packet of the database on every directed link."""
        for link in permutations(self.names, 2):
            self._send(link)

    def _send(self, link: Link) -> bool:
        passes = link[0] not in self.grudge.get(link[1], frozenset())
        if not passes:
            self._dropped[link] = self._dropped.get(link, 0) + 1
        return passes


class HonestSystem:
    """Starts one daemon a node; ``leaders`` lead; nodes in ``broken`` cannot be started."""

    name = "honest"

    def __init__(self) -> None:
        self.leaders: list[str] = []
        self.broken: set[str] = set()
        self.started: list[str] = []
        self._pids = count(101)

    def start(self, stage: Any, node: Any) -> Sequence[HonestDaemon]:
        if node.name in self.broken:
            raise SetupError(f"{node.name}: the address is in use")
        self.started.append(node.name)
        return [HonestDaemon(node.name, next(self._pids))]

    def primaries(self, stage: Any) -> Sequence[str]:
        return self.leaders


class HonestRoles(HonestSystem):
    """Zeros on the first three nodes, and, after those, alphas on all but the first.

    ``started`` and ``stopped`` are the roles in order, as ``alpha on n2``; ``formed`` counts.
    """

    name = "roles"

    def __init__(self) -> None:
        super().__init__()
        self.stopped: list[str] = []
        self.formed = 0

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        return [
            Role(name="alpha", nodes=nodes[1:], after=["zero"]),
            Role(name="zero", nodes=nodes[:3], serves_clients=False),
        ]

    def install(self, node: Any, role: str) -> None: ...

    def start(self, stage: Any, node: Any, role: str) -> Sequence[HonestDaemon]:  # type: ignore[override]
        if node.name in self.broken:
            raise SetupError(f"{node.name}: the address is in use")
        self.started.append(f"{role} on {node.name}")
        return [HonestDaemon(node.name, next(self._pids), role)]

    def form(self, stage: Any, timeout_s: float) -> None:
        self.formed += 1

    def stop(self, stage: Any, node: Any, role: str) -> None:
        self.stopped.append(f"{role} on {node.name}")
        stage.terminate(node.name, 0.0, role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        return (0,) if role == "zero" else (-signal.SIGTERM,)

    def primaries(self, stage: Any, role: str) -> Sequence[str]:  # type: ignore[override]
        return {"zero": ["n1"], "alpha": ["n3", "n4"]}[role]


def roles(nodes: int = 5) -> Stage:
    """A stage of that many nodes on which the system with roles runs."""
    system: Any = HonestRoles()
    return started(HonestCluster(nodes), system)


def stage(nodes: int = 5) -> Stage:
    """A stage of that many nodes on which the honest system runs."""
    system: Any = HonestSystem()
    return started(HonestCluster(nodes), system)


def started(cluster: Any, system: Any) -> Stage:
    """A stage on which every role of ``system`` was started, in order."""
    made = Stage(cluster, system)
    for role in (role for wave in waves(made.roles) for role in wave):
        for node in role.nodes:
            made.start(node, role.name)
    return made
