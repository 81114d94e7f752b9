"""Where a node's ports are: what to bind, what to tell clients, what to tell the other nodes.

Every provider's nodes answer ``listen`` and ``reach`` from such a table. Where a node has an
address of its own, any port is found there under its own number; where a published port or a proxy
stands between, or where nodes share an address, the ports that the system declared are ``moved``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.contract.node import Node, Port, Whom
from harness.contract.system import Ports, System
from harness.errors import NodeError

_HERE = "localhost"
"""Where clients are led that need no port of a node: of a library, or a file."""


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """The addresses of a node of its own: to bind, for clients, for the other nodes.

    ``client`` is empty where clients reach published ports alone.
    """

    listen: str
    client: str
    peer: str

    @classmethod
    def same(cls, host: str) -> Hosts:
        """One address for everything."""
        return cls(listen=host, client=host, peer=host)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A port that is elsewhere: what to bind, and where clients and other nodes reach it.

    Each is a ``host:port``; empty where it cannot be had.
    """

    listen: str
    client: str = ""
    peer: str = ""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The ports of ``node``. ``hosts`` of ``None``: there are none but the ``moved`` ones."""

    node: str
    ports: Sequence[Port] = ()
    hosts: Hosts | None = None
    moved: Mapping[int, Moved] = field(default_factory=dict)

    def listen(self, port: int) -> str:
        """``Node.listen``."""
        if port in self.moved:
            return self.moved[port].listen
        return joined(self._hosts(port).listen, port)

    def reach(self, port: int, whom: Whom) -> str:
        """``Node.reach``."""
        if port in self.moved:
            moved = self.moved[port]
            address = moved.client if whom == "client" else moved.peer
            if not address:
                kind = "clients" if whom == "client" else "peers"
                raise NodeError(
                    f"{self.node}: port {port} is not declared to be for {kind}",
                    f"Port({port}, {kind}=True) in the system's ports()",
                )
            return address
        hosts = self._hosts(port, whom)
        return joined(hosts.client if whom == "client" else hosts.peer, port)

    def client_address(self) -> str:
        """``Node.client_address``."""
        for port in self.ports:
            if port.clients:
                return self.reach(port.number, "client")
        return (self.hosts and self.hosts.client) or _HERE

    def _hosts(self, port: int, whom: Whom = "peer") -> Hosts:
        if self.hosts is None or (whom == "client" and not self.hosts.client):
            raise NodeError(
                f"{self.node}: port {port} is not declared, and here only declared ones are found",
                f"Port({port}, ...) in the system's ports()",
            )
        return self.hosts


class Placed:
    """The addresses of a node, for its class to inherit (``Node``)."""

    places: Places

    def listen(self, port: int) -> str:
        """The address at which a service of it binds ``port``."""
        return self.places.listen(port)

    def reach(self, port: int, whom: Whom) -> str:
        """The address at which clients or the other nodes reach ``port``."""
        return self.places.reach(port, whom)

    @property
    def client_address(self) -> str:
        """Where a client is led first."""
        return self.places.client_address()


def ports_of(system: System) -> Sequence[Port]:
    """The ports that a system declares; none where it declares nothing."""
    return tuple(system.ports()) if isinstance(system, Ports) else ()


def joined(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def client_addresses(node: Node, ports: Sequence[Port]) -> dict[int, str]:
    """Where clients reach each port of a node that is for them (``Target.addresses``)."""
    return {port.number: node.reach(port.number, "client") for port in ports if port.clients}
