"""The disks of a cluster's nodes, as faults find them."""

from __future__ import annotations

from harness.contract.fault import Stage
from harness.contract.node import Cluster, Disk, Disks
from harness.errors import NodeError


def no_disks(cluster: Cluster) -> str | None:
    """Why the nodes of a cluster can have no disks of their own, or ``None``."""
    if not isinstance(cluster, Disks):
        return (
            f"nodes of {cluster.provider} have no disk of their own; "
            "--provider local:root, local:userns and ssh give them one"
        )
    return cluster.disk_refusal()


def disk_of(stage: Stage, name: str) -> Disk:
    """A node as its disk; ``NodeError`` where it has none."""
    node = stage.cluster.node(name)
    if not isinstance(node, Disk):
        raise NodeError(f"{name}: its provider gives it no disk of its own")
    return node
