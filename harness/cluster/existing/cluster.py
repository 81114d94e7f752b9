"""A cluster that runs already, of which only the addresses for its clients are known.

A node is an endpoint. Nothing is installed, started or stopped there, nothing cut or slowed, and no
log comes from there. What the run writes lies under a name of its own, which is the system's to
keep (``Adopts``), and is removed again by ``down``.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from harness.cluster import folders
from harness.contract.node import Completed, Daemon, User, Whom, split_address
from harness.contract.system import Adopts, System
from harness.errors import NodeError, PolygraphError, SetupError
from harness.store import registration

_CONNECT_TIMEOUT_S = 5.0


class Endpoint:
    """A node of which an address is all there is (``Node``)."""

    def __init__(self, name: str, address: str, log_dir: Path) -> None:
        self.name = name
        self.client_address = address
        self.log_dir = log_dir

    @property
    def data_dir(self) -> str:
        """Nobody knows where."""
        return self._refuse("has no folder of ours")

    def listen(self, port: int) -> str:
        """Nothing of ours listens there."""
        return self._refuse("nothing of ours listens there")

    def reach(self, port: int, whom: Whom) -> str:
        """The endpoint, for clients, whatever its usual port is."""
        if whom == "client":
            return self.client_address
        return self._refuse("how its nodes reach each other is not known")

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        user: User | None = None,
    ) -> Completed:
        """Refused."""
        self._refuse("no command is run there")

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
        self._refuse("no process is started there")

    def bring(self, program: Path) -> str:
        """Refused."""
        self._refuse("no file is brought there")

    def upload(self, source: Path, destination: str) -> None:
        """Refused."""
        self._refuse("no file is brought there")

    def download(self, source: str, destination: Path) -> None:
        """Refused."""
        self._refuse("no file comes from there")

    def _refuse(self, why: str) -> NoReturn:
        raise NodeError(f"{self.name} ({self.client_address}) runs already: {why}")


class ExistingCluster:
    """Endpoints as nodes (``Cluster``, ``RunsAlready``). ``system`` keeps the run's keys apart."""

    provider = "none"

    def __init__(self, run_dir: Path, endpoints: Mapping[str, str], system: System) -> None:
        self._run_dir = run_dir.resolve()
        self.nodes = [
            Endpoint(name, address, folders.of_node(self._run_dir, name))
            for name, address in endpoints.items()
        ]
        self.namespace = namespace_of(self._run_dir)
        self._system = system
        self._is_adopted = False

    def node(self, name: str) -> Endpoint:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    def up(self) -> None:
        """Have every endpoint answer a connection, or raise ``SetupError``."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            trouble = [why for why in pool.map(_silent, self.nodes) if why]
        if trouble:
            raise SetupError("; ".join(trouble), "--endpoint host:port,... of what serves clients")
        for node in self.nodes:
            node.log_dir.mkdir(parents=True, exist_ok=True)

    def adopt(self) -> Mapping[str, str]:
        """Have the system write under the run's own name from now on; what is under test."""
        assert isinstance(self._system, Adopts)
        self._is_adopted = True
        return self._system.adopt(self, self.namespace)

    def down(self) -> None:
        """Remove what the run wrote. Safe twice; ``NodeError`` where something may be left."""
        if self._is_adopted:
            clear(self, self._system, self.namespace)
        registration.remove(self._run_dir)

    def leave_running(self) -> None:
        """As :meth:`down`: what is not ours runs on anyway."""
        self.down()


def clear(cluster: ExistingCluster, system: System, namespace: str) -> None:
    """Remove all that lies under ``namespace``; ``NodeError`` where something may be left."""
    assert isinstance(system, Adopts)
    try:
        system.clear(cluster, namespace)
    except (PolygraphError, OSError) as error:
        why = error.message if isinstance(error, PolygraphError) else str(error)
        places = ",".join(node.client_address for node in cluster.nodes)
        raise NodeError(
            f"what the run wrote at {places} under {namespace} may still be there: {why}",
            f"polygraph heal --endpoint {places}, once they answer",
        ) from error


def namespace_of(run_dir: Path) -> str:
    """The name under which a run's keys lie: of its folder, and of no other."""
    place = f"{socket.gethostname()}:{run_dir.resolve()}"
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
    return f"polygraph-{digest[:16]}/"


def _silent(node: Endpoint) -> str:
    """Why an endpoint does not answer; empty if it does."""
    try:
        address = split_address(node.client_address)
        socket.create_connection(address, _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        why = error.strerror or str(error) or "time-out"
        return f"{node.name}: nobody answers at {node.client_address}: {why}"
    return ""
