"""Slow and lossy links of a local cluster, by the hands (:mod:`harness.cluster.hands.links`).

What the rules of a node hand over is held, dropped or changed by a process in the node's network,
so that neither the clients' loop nor the interpreter's lock has a part in it. It ends with the run
process, however that ends, and the kernel then lets everything pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from harness.cluster.hands.links import Links, why_not
from harness.cluster.hands.refused import Refused
from harness.cluster.links import shapes_into
from harness.contract.node import Link, LinkShape
from harness.errors import NodeError

Within = Callable[[str, Callable[[], Any]], Any]
"""Calls something inside the network namespace of that node."""


class Shaping:
    """The links into each node of ``addresses``. ``seed`` draws what is lost."""

    def __init__(self, addresses: Mapping[str, str], within: Within, seed: int) -> None:
        self._addresses = dict(addresses)
        self._names = {address: name for name, address in addresses.items()}
        self._within = within
        self._seed = seed
        self._links = {name: Links("") for name in addresses}

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        """Shape these links and no others. ``NodeError`` where a kernel has no queues."""
        for name, links in self._links.items():
            told = shapes_into(name, shapes, self._addresses)
            try:
                self._within(name, partial(links.shape, told, self._seed))
            except (OSError, Refused) as error:
                raise NodeError(f"{name}: its links cannot be shaped: {error}") from error

    def shaped(self) -> dict[Link, Mapping[str, int]]:
        """Per shaped link what was done, and how many of it were the database's (``packets``)."""
        try:
            return {
                (self._names[source], name): counts
                for name, links in self._links.items()
                for source, counts in links.shaped().items()
            }
        except (OSError, Refused) as error:
            raise NodeError(f"what links do cannot be told: {error}") from error

    def close(self) -> None:
        """Let everything pass. Safe twice."""
        for links in self._links.values():
            links.end()


def refusal_of_queues() -> str | None:
    """Why the kernel hands over no packets in the calling process's network namespace."""
    return why_not()
