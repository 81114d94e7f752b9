"""Cuts that several faults hold together: a link is cut while any of them cuts it.

A cluster knows one grudge at a time. So faults that overlap hand theirs in here, and what the
cluster is given is all of them together; one that is healed takes its own away, and the others stay
in force.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable
from weakref import WeakKeyDictionary

from harness.contract.node import Grudge, Partitionable, PreparesCuts
from harness.contract.shot import Aside, Shot, shoot


class Cuts:
    """The grudges in force on one cluster, each by whoever holds it."""

    def __init__(self, cluster: Partitionable) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()  # who holds what; never held while the cluster is waited for
        self._order = threading.Lock()  # of what the cluster is given; taken before the other
        self._held: dict[Hashable, Grudge] = {}

    def hold(self, holder: Hashable, grudge: Grudge) -> None:
        """Cut ``grudge`` beside what others hold. Where that fails, it must still be let go."""
        shoot(self.prepare(holder, grudge))

    def prepare(self, holder: Hashable, grudge: Grudge) -> Shot:
        """The same, made ready."""
        return _Hold(self, holder, grudge)

    def let_go(self, holder: Hashable) -> None:
        """Let those links go that nobody else holds. Safe twice, and where nothing was held."""
        with self._lock:
            self._held.pop(holder, None)
        self._apply()

    def _apply(self) -> None:
        """Give the cluster all that is held now, whoever has changed it meanwhile."""
        with self._order:
            left = self.in_force()
            if left:
                self._cluster.cut(left)
            else:
                self._cluster.heal_cuts()

    def _begin(self, hold: _Hold) -> Shot:
        """Fire what was made ready, or, where others hold other links by now, make it anew."""
        if not isinstance(self._cluster, PreparesCuts):
            with self._lock:
                self._held[hold.holder] = hold.grudge
            shot: Shot = Aside(self._apply)
            shot.fire()
            return shot
        with self._order, self._lock:
            whole = together([*self._others(hold.holder), hold.grudge])
            shot = hold.shot if whole == hold.whole else self._cluster.prepare_cut(whole)
            self._held[hold.holder] = hold.grudge
            shot.fire()
            return shot

    def _others(self, holder: Hashable) -> list[Grudge]:
        return [grudge for each, grudge in self._held.items() if each != holder]

    def in_force(self, but: Hashable = None) -> Grudge:
        """All of them together, but what ``but`` holds."""
        with self._lock:
            return together(self._others(but))


class _Hold:
    """A cut made ready; made anew when it is fired, if by then others hold other links."""

    def __init__(self, cuts: Cuts, holder: Hashable, grudge: Grudge) -> None:
        self.holder, self.grudge = holder, grudge
        self._cuts = cuts
        with cuts._lock:
            self.whole = together([*cuts._others(holder), grudge])
        self.shot: Shot = Aside(cuts._apply)
        if isinstance(cuts._cluster, PreparesCuts):
            self.shot = cuts._cluster.prepare_cut(self.whole)

    def fire(self) -> None:
        """Cut it beside what others hold now."""
        self.shot = self._cuts._begin(self)

    def settle(self) -> None:
        """Wait until it is cut."""
        self.shot.settle()


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
