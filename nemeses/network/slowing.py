"""Shapes of links that several faults hold together, as cuts are (:mod:`nemeses.network.cuts`).

On a link that two of them hold both are in force, as far as they are about different things; of two
delays the later one's. A cluster is given all of them together.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from weakref import WeakKeyDictionary

from harness.contract.node import Link, LinkShape, Shapeable


class Shapes:
    """The shapes in force on one cluster, each by whoever holds it."""

    def __init__(self, cluster: Shapeable) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()  # who holds what
        self._order = threading.Lock()  # of what the cluster is given; taken before the other
        self._held: dict[Hashable, Mapping[Link, LinkShape]] = {}

    def hold(self, holder: Hashable, shapes: Mapping[Link, LinkShape]) -> None:
        """Shape these links besides. Where that fails, they must still be let go."""
        with self._lock:
            self._held[holder] = shapes
        self._apply()

    def let_go(self, holder: Hashable) -> None:
        """Take that one's shapes away. Safe twice, and where nothing was held."""
        with self._lock:
            self._held.pop(holder, None)
        self._apply()

    def in_force(self, but: Hashable = None) -> dict[Link, LinkShape]:
        """All of them together, but what ``but`` holds."""
        together: dict[Link, LinkShape] = {}
        with self._lock:
            for holder, shapes in self._held.items():
                for link, shape in shapes.items() if holder != but else ():
                    together[link] = {**together.get(link, {}), **shape}
        return together

    def _apply(self) -> None:
        with self._order:
            self._cluster.shape(self.in_force())


_OF_CLUSTERS: WeakKeyDictionary[Shapeable, Shapes] = WeakKeyDictionary()
_LOCK = threading.Lock()


def shapes_of(cluster: Shapeable) -> Shapes:
    """Those of this cluster, for every fault that shapes."""
    with _LOCK:
        if cluster not in _OF_CLUSTERS:
            _OF_CLUSTERS[cluster] = Shapes(cluster)
        return _OF_CLUSTERS[cluster]
