"""Directed links between nodes, and clusters on which they can be cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from harness.contract.shot import Shot

Link = tuple[str, str]
"""A directed link: (source node, destination node)."""

Grudge = Mapping[str, frozenset[str]]
"""Destination node to the source nodes whose packets it drops (inbound, directed).

On a cluster that :class:`CutsPorts` a source may also be ``n2@2380``, of whose TCP only that is
dropped which has the port at one of its ends; and where it :class:`CutsClients` ``*@2379``: whoever
is no node, when it connects to that port.
"""

CLIENTS: Final = "*"
"""The source, of ``*@PORT``, that stands for whoever is no node."""


@runtime_checkable
class Partitionable(Protocol):
    """A cluster whose directed links can be cut by dropping packets."""

    def cut(self, grudge: Grudge) -> None:
        """Drop inbound packets as ``grudge`` says, replacing any earlier cut, atomically a node."""
        ...

    def heal_cuts(self) -> None:
        """Let every packet pass again. Safe twice."""
        ...

    def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by the present cut, per directed link."""
        ...

    def reachable(self) -> frozenset[Link]:
        """The directed links that carry packets now, by probing each one."""
        ...


@runtime_checkable
class CutsPorts(Protocol):
    """A :class:`Partitionable` cluster that can cut links at a port, and clients off from nodes."""

    def answering(self, port: int) -> frozenset[Link]:
        """The directed links over which a new TCP connection to that port is answered now."""
        ...


@runtime_checkable
class CutsClients(Protocol):
    """A cluster that :class:`CutsPorts` and has no other clients than the run's."""

    def answering_clients(self, port: int) -> frozenset[str]:
        """The nodes that answer a new connection of a client to that port now."""
        ...


@runtime_checkable
class PreparesCuts(Protocol):
    """A cluster whose next cut can be made ready, to be fired within a millisecond."""

    def prepare_cut(self, grudge: Grudge) -> Shot:
        """What ``cut`` would do, made ready; nothing is done yet."""
        ...
