"""What clients are given to connect to: one target a node that serves them."""

from __future__ import annotations

from harness.contract.client import Target
from harness.contract.node import Cluster


def targets_of(cluster: Cluster) -> list[Target]:
    """The targets of clients, in the order of the nodes."""
    return [Target(node.client_address, node=node.name) for node in cluster.nodes]
