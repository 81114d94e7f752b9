"""Slow and lossy links between containers: asked of the side-cars, which own the network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from harness.cluster.docker.layout import Layout
from harness.cluster.docker.trying import tried
from harness.cluster.links import shapes_into
from harness.contract.node import Link, LinkShape, Measured

_PROBE = "from hands import links; links.main()"
_SLACK_S = 20.0


class Ask(Protocol):
    """Asks the side-car of a node."""

    def __call__(self, name: str, op: str, **request: Any) -> Mapping[str, Any]:
        """``NodeError`` where it is refused or lost."""
        ...


OnAll = Callable[[Callable[[str], Any]], Mapping[str, Any]]
"""Does something for every node at once."""


def refusal(client: Any, layout: Layout) -> str | None:
    """Why packets cannot be held back in containers here, or ``None``. Cost: 1 s."""
    return tried(client, layout, _PROBE, "NET_ADMIN")


class Shaping:
    """The links into each node of ``addresses``. ``seed`` draws what is lost."""

    def __init__(self, addresses: Mapping[str, str], ask: Ask, on_all: OnAll, seed: int) -> None:
        self._addresses = addresses
        self._names = {address: name for name, address in addresses.items()}
        self._ask, self._on_all = ask, on_all
        self._seed = seed

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        """Shape these links and no others."""

        def of_node(name: str) -> None:
            told = shapes_into(name, shapes, self._addresses)
            self._ask(name, "shape", shapes=told, seed=self._seed)

        self._on_all(of_node)

    def shaped(self) -> dict[Link, Mapping[str, int]]:
        """Per shaped link what was done, and how many of it were the database's (``packets``)."""
        found = self._on_all(lambda name: self._ask(name, "shaped")["shaped"])
        return {
            (self._names[source], name): counts
            for name, of_node in found.items()
            for source, counts in of_node.items()
        }

    def measure(
        self, links: Collection[Link], count: int, wait_s: float, number: int
    ) -> dict[Link, Measured]:
        """Have every node send the datagrams of a round and see what comes, all at once."""

        def of_node(name: str) -> Mapping[str, Any]:
            told: Mapping[str, Any] = self._ask(
                name,
                "meter",
                address=self._addresses[name],
                round=number,
                count=count,
                to=[self._addresses[b] for a, b in links if a == name],
                sources=[self._addresses[a] for a, b in links if b == name],
                wait_s=wait_s,
                timeout_s=wait_s + _SLACK_S,
            )["seen"]
            return told

        seen = self._on_all(of_node)
        return {(a, b): Measured(**seen[b][self._addresses[a]]) for a, b in links}
