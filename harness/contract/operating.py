"""What an operator does to a cluster while it serves, where a system says how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from harness.contract.node import Node
from harness.contract.system import Stage

VOTER: Final = "voter"
"""A member that counts for majorities; another word tells what else one may be."""


@runtime_checkable
class Members(Protocol):
    """A system whose nodes can leave the cluster for good, and join it anew with nothing kept."""

    def member_ways(self) -> Sequence[str]:
        """How a node can join: ``voter`` at once, or as something else first, ``learner``."""
        ...

    def members(self, stage: Stage, timeout_s: float) -> Mapping[str, str]:
        """Node to what it is, of all members by the cluster's own word; raises if none answers."""
        ...

    def remove_member(self, stage: Stage, node: Node, timeout_s: float) -> None:
        """Have the others take it out; raises where nobody knows that they did.

        Its processes may end by that, as they do when they are stopped, or be stopped afterwards.
        """
        ...

    def add_member(self, stage: Stage, node: Node, way: str, timeout_s: float) -> None:
        """Have it join, its processes having ended: data removed, told of, started; a voter then.

        Started by :meth:`Stage.start`. Raises where it is none in time. Safe where it failed
        before, or is a member already.
        """
        ...


@runtime_checkable
class Builds(Protocol):
    """A system of which each node may run one of two builds, for upgrades and mixed versions."""

    def builds(self) -> Mapping[str, str]:
        """Name of a build (``a``, and ``b`` where there is another) to its version."""
        ...

    def build_of(self, node: str) -> str:
        """Which one the node has from its next start on."""
        ...

    def use_build(self, node: str, build: str) -> None:
        """Have it be that one."""
        ...

    def running_version(self, node: Node, timeout_s: float) -> str:
        """The version that the node's process says it is; raises where it does not answer."""
        ...
