"""What clients are given to connect to: one target for each role of a node that serves them."""

from __future__ import annotations

from harness.cluster.places import client_addresses, ports_of
from harness.contract.client import Target
from harness.contract.system import Stage


def targets_of(stage: Stage) -> list[Target]:
    """The targets of clients, in the order of the nodes; on each in that of its roles.

    A target's text is where the node leads clients; ``addresses`` has every port for them.
    """
    serving = {role.name for role in stage.roles if role.serves_clients}
    ports = ports_of(stage.system)
    return [
        Target(
            node.client_address, node=node.name, role=role, addresses=client_addresses(node, ports)
        )
        for node in stage.cluster.nodes
        for role in stage.roles_on(node.name)
        if role in serving
    ]
