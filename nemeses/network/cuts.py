"""Cuts that several faults hold together: a link is cut while any of them cuts it.

A cluster knows one grudge at a time. So faults that overlap hand theirs in here, and what the
cluster is given is all of them together; one that is healed takes its own away, and the others stay
in force.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from weakref import WeakKeyDictionary

from harness.contract.node import Grudge, Partitionable


class Cuts:
    """The grudges in force on one cluster, each by whoever holds it."""

    def __init__(self, cluster: Partitionable) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._held: dict[Hashable, Grudge] = {}

    def hold(self, holder: Hashable, grudge: Grudge) -> None:
        """Cut ``grudge`` beside what others hold. Where that fails, it must still be let go."""
        with self._lock:
            self._held[holder] = grudge
            self._cluster.cut(together(self._held.values()))

    def let_go(self, holder: Hashable) -> None:
        """Let those links go that nobody else holds. Safe twice, and where nothing was held."""
        with self._lock:
            self._held.pop(holder, None)
            left = together(self._held.values())
            if left:
                self._cluster.cut(left)
            else:
                self._cluster.heal_cuts()

    def in_force(self, but: Hashable = None) -> Grudge:
        """All of them together, but what ``but`` holds."""
        with self._lock:
            return together(grudge for holder, grudge in self._held.items() if holder != but)


_OF_CLUSTERS: WeakKeyDictionary[Partitionable, Cuts] = WeakKeyDictionary()
_LOCK = threading.Lock()


def cuts_of(cluster: Partitionable) -> Cuts:
    """Those of this cluster, for every fault that cuts."""
    with _LOCK:
        if cluster not in _OF_CLUSTERS:
            _OF_CLUSTERS[cluster] = Cuts(cluster)
        return _OF_CLUSTERS[cluster]


def together(grudges: Iterable[Grudge]) -> Grudge:
    """Whom each node does not hear by any of these."""
    found: dict[str, frozenset[str]] = {}
    for grudge in grudges:
        for node, sources in grudge.items():
            if sources:
                found[node] = found.get(node, frozenset()) | sources
    return found
