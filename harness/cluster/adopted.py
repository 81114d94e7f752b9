"""What is the same wherever somebody else runs the nodes: nothing is brought there, keys are apart.

A node is what clients are given, or what is attached to; no command is run there and no file of
ours comes. What the run writes lies under a name of its own, which is the system's to keep
(``Adopts``), and is removed again at the end.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from harness.cluster.provider import Request
from harness.contract.node import Cluster, Completed, Daemon, Node, User, split_address
from harness.contract.system import Adopts, System
from harness.errors import NodeError, PolygraphError, SetupError, UsageError

_CONNECT_TIMEOUT_S = 5.0


class Theirs:
    """A node of somebody else's, for its class to inherit (``Node``)."""

    name: str

    @property
    def client_address(self) -> str:
        """Where a client is led."""
        raise AssertionError("whoever makes such a node knows")

    @property
    def data_dir(self) -> str:
        """Nobody knows where."""
        return self.refuse("has no folder of ours")

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        user: User | None = None,
    ) -> Completed:
        """Refused."""
        self.refuse("no command is run there")

    def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
    ) -> Daemon:
        """Refused."""
        self.refuse("no process is started there")

    def bring(self, program: Path) -> str:
        """Refused."""
        self.refuse("no file is brought there")

    def upload(self, source: Path, destination: str) -> None:
        """Refused."""
        self.refuse("no file is brought there")

    def download(self, source: str, destination: Path) -> None:
        """Refused."""
        self.refuse("no file comes from there")

    def refuse(self, why: str) -> NoReturn:
        """``NodeError`` that says so."""
        raise NodeError(f"{self.name} ({self.client_address}) runs already: {why}")


class OwnKeys:
    """What a run writes on ``cluster``: all of it under one name, by ``system``."""

    def __init__(self, run_dir: Path, cluster: Cluster, system: System) -> None:
        self.namespace = namespace_of(run_dir)
        self._cluster = cluster
        self._system = system
        self._is_adopted = False

    def adopt(self) -> Mapping[str, str]:
        """Have the system write under the run's own name from now on; what is under test."""
        assert isinstance(self._system, Adopts)
        self._is_adopted = True
        return self._system.adopt(self._cluster, self.namespace)

    def clear(self, hint: str, *, also_of_others: bool = False) -> None:
        """Remove what this process wrote, or, if ``also_of_others``, another one of this run.

        ``NodeError``, with what to try, where something may be left. Safe twice.
        """
        if not (self._is_adopted or also_of_others):
            return
        assert isinstance(self._system, Adopts)
        try:
            self._system.clear(self._cluster, self.namespace)
        except (PolygraphError, OSError) as error:
            why = error.message if isinstance(error, PolygraphError) else str(error)
            places = ",".join(node.client_address for node in self._cluster.nodes)
            raise NodeError(
                f"what the run wrote at {places} under {self.namespace} may still be there: {why}",
                hint.format(places=places),
            ) from error


def namespace_of(run_dir: Path) -> str:
    """The name under which a run's keys lie: of its folder, and of no other."""
    place = f"{socket.gethostname()}:{run_dir.resolve()}"
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
    return f"polygraph-{digest[:16]}/"


def refuse_unless_it_adopts(request: Request) -> None:
    """``UsageError`` for a system that cannot keep a run's keys apart."""
    if not isinstance(request.system, Adopts):
        raise UsageError(
            f"{request.system.name} cannot keep what a run writes apart from what others have"
            " there (Adopts), so it is not tested where somebody else runs it",
            "another --provider, which starts a cluster of its own",
        )


def refuse_silent(nodes: Sequence[Node], hint: str) -> None:
    """``SetupError`` names the nodes at which nobody takes a client's connection."""
    with ThreadPoolExecutor(len(nodes)) as pool:
        trouble = [why for why in pool.map(_silent, nodes) if why]
    if trouble:
        raise SetupError("; ".join(trouble), hint)


def _silent(node: Node) -> str:
    """Why a node does not answer; empty if it does."""
    try:
        address = split_address(node.client_address)
        socket.create_connection(address, _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        why = error.strerror or str(error) or "time-out"
        return f"{node.name}: nobody answers at {node.client_address}: {why}"
    return ""
