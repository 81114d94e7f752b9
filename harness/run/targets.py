"""What clients are given to connect to: one target a node and role that serves them."""

from __future__ import annotations

from harness.contract.client import Target
from harness.contract.system import Stage


def targets_of(stage: Stage) -> list[Target]:
    """The targets of clients, in the order of the nodes; on each in that of its roles."""
    serving = {role.name for role in stage.roles if role.serves_clients}
    return [
        Target(node.client_address, node=node.name, role=role)
        for node in stage.cluster.nodes
        for role in stage.roles_on(node.name)
        if role in serving
    ]
