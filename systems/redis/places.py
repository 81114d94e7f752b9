"""Where the servers of one run are: what a client must know to find who leads.

Servers and Sentinels tell each other the addresses at which *peers* reach them, and that is what
Sentinel answers a client. Where clients come by another way (published ports of containers), the
same server has another address for them: :meth:`Places.for_client`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.contract.node import Node

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
PRIMARY_NAME: Final = "mymaster"
"""What Sentinel calls the servers that it watches; the name of its own example."""


@dataclass(frozen=True)
class Places:
    """Addresses of servers and Sentinels, as ``host:port``; none of either if nothing is known."""

    sentinels: Mapping[str, str] = field(default_factory=dict)
    """Node to the address of its Sentinel for clients."""
    servers: Mapping[str, str] = field(default_factory=dict)
    """Node to the address of its server for clients."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Address of a server for its peers to its node."""

    @classmethod
    def of(cls, servers: Sequence[Node], sentinels: Sequence[Node]) -> Places:
        """Those of a cluster."""
        return cls(
            {node.name: node.reach(SENTINEL_PORT, "client") for node in sentinels},
            {node.name: node.reach(PORT, "client") for node in servers},
            {node.reach(PORT, "peer"): node.name for node in servers},
        )

    def sentinels_from(self, node: str | None) -> list[str]:
        """Every Sentinel in the order in which a client on ``node`` asks: its own first."""
        own = [address for name, address in self.sentinels.items() if name == node]
        return own + [address for name, address in self.sentinels.items() if name != node]

    def for_client(self, peer: str) -> tuple[str, str | None]:
        """The address for clients of the server that peers know as ``peer``, and its node."""
        node = self.peers.get(peer)
        return (peer, None) if node is None else (self.servers[node], node)
