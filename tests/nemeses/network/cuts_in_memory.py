"""An honest cluster whose links can be cut at a port, and whose nodes can lose their clients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from harness.contract.node import Link, Port
from harness.contract.system import Stage
from tests.toys import honest_cluster

CLIENTS = "*@2379"


class Served(honest_cluster.HonestSystem):
    """Clients connect at 2379, the others at 2380."""

    def ports(self) -> Sequence[Port]:
        return (Port(2379, clients=True), Port(2380, peers=True))


class Ported(honest_cluster.HonestCluster):
    """``ask`` is what clients do: a packet to every node."""

    def ask(self) -> None:
        for name in self.names:
            self._send((CLIENTS, name))

    def answering(self, port: int) -> frozenset[Link]:
        def passes(a: str, b: str) -> bool:
            return not {a, f"{a}@{port}"} & self.grudge.get(b, frozenset())

        return frozenset(
            (a, b) for a, b in permutations(self.names, 2) if passes(a, b) and passes(b, a)
        )

    def answering_clients(self, port: int) -> frozenset[str]:
        return frozenset(name for name in self.names if self._send((f"*@{port}", name)))

    def talk(self) -> None:
        """Packets on every link, at 2380."""
        for a, b in permutations(self.names, 2):
            if self._send((a, b)):
                self._send((f"{a}@2380", b))


def stage(nodes: int = 5, *leaders: str) -> Stage:
    system: Any = Served()
    system.leaders = list(leaders)
    return honest_cluster.started(Ported(nodes), system)
