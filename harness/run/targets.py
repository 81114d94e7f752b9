"""What clients are given to connect to: one target a node that serves them."""

from __future__ import annotations

from harness.cluster.places import client_addresses, ports_of
from harness.contract.client import Target
from harness.contract.node import Cluster
from harness.contract.system import System


def targets_of(cluster: Cluster, system: System) -> list[Target]:
    """The targets of clients, in the order of the nodes, with every port that they may need."""
    ports = ports_of(system)
    return [
        Target(node.client_address, node=node.name, addresses=client_addresses(node, ports))
        for node in cluster.nodes
    ]
