"""A cluster that runs already, of which only the addresses for its clients are known.

A node is an endpoint. Nothing is installed, started or stopped there, nothing cut or slowed, and no
log comes from there. What the run writes is removed again by ``down`` (:mod:`..adopted`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.cluster import folders
from harness.cluster.adopted import OwnKeys, Theirs, refuse_silent
from harness.contract.node import Whom
from harness.contract.system import System
from harness.store import registration

_LATER = "polygraph heal --endpoint {places}, once they answer"


class Endpoint(Theirs):
    """A node of which an address is all there is (``Node``)."""

    def __init__(self, name: str, address: str, log_dir: Path) -> None:
        self.name = name
        self.log_dir = log_dir
        self._address = address

    @property
    def client_address(self) -> str:
        """The endpoint."""
        return self._address

    def listen(self, port: int) -> str:
        """Nothing of ours listens there."""
        return self.refuse("nothing of ours listens there")

    def reach(self, port: int, whom: Whom) -> str:
        """The endpoint, for clients, whatever its usual port is."""
        if whom == "client":
            return self._address
        return self.refuse("how its nodes reach each other is not known")


class ExistingCluster:
    """Endpoints as nodes (``Cluster``, ``RunsAlready``). ``system`` keeps the run's keys apart."""

    provider = "none"

    def __init__(
        self,
        run_dir: Path,
        endpoints: Mapping[str, str],
        system: System,
        later: str = _LATER,
    ) -> None:
        self._later = later
        self._run_dir = run_dir.resolve()
        self.nodes = [
            Endpoint(name, address, folders.of_node(self._run_dir, name))
            for name, address in endpoints.items()
        ]
        self._keys = OwnKeys(self._run_dir, self, system)

    def node(self, name: str) -> Endpoint:
        """The node of that name; ``KeyError`` if there is none."""
        return {node.name: node for node in self.nodes}[name]

    def up(self) -> None:
        """Have every endpoint answer a connection, or raise ``SetupError``."""
        refuse_silent(self.nodes, "--endpoint host:port,... of what serves clients")
        for node in self.nodes:
            node.log_dir.mkdir(parents=True, exist_ok=True)

    def adopt(self) -> Mapping[str, str]:
        """Have the system write under the run's own name from now on; what is under test."""
        return self._keys.adopt()

    def down(self) -> None:
        """Remove what the run wrote. Safe twice; ``NodeError`` where something may be left."""
        self._keys.clear(self._later)
        registration.remove(self._run_dir)

    def clear(self) -> None:
        """Remove what a run of this folder wrote that is no more; else as :meth:`down`."""
        self._keys.clear(self._later, also_of_others=True)

    def leave_running(self) -> None:
        """As :meth:`down`: what is not ours runs on anyway."""
        self.down()
