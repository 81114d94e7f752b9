"""Realtime order in O(n) edges: who had completed before who began.

It relates nearly every pair of transactions, so it goes through a chain of *barriers*, one after
each group of completions that an invocation follows:

    T1 --completed--> b1 --> b2 --> b3
                       \\-invoked-> T4      T4 began after T1 had completed

Barriers are nodes after the transactions' own. They never lie on a cycle that had not existed
between transactions, so components are the same as with all edges drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.elle.slices import collected, mapped, places, slices
from checkers.elle.transactions import FAIL, Bools, Int32s, Transactions


@dataclass(frozen=True, eq=False)
class Barriers:
    """The chain of barriers of ``found``.

    ``places`` are their places in time, as :class:`checkers.elle.graph.Graph` has it; ``ends``
    tells how many transactions had completed with each record and before, and ``cuts`` how many
    barriers need at most so many completions.
    """

    found: Transactions
    places: Int32s
    ends: Int32s
    cuts: Int32s

    def edges(self, stretch: Int32s | None = None) -> list[tuple[Int32s, Int32s]]:
        """Sources and targets of all edges from, to and among barriers; with ``stretch``, a
        number for each node, of those between two of one number that is not negative.
        """

        def inside(source: Int32s, target: Int32s) -> tuple[Int32s, Int32s]:
            if stretch is None:
                return source, target
            kept = (stretch[source] >= 0) & (stretch[source] == stretch[target])
            return source[kept], target[kept]

        size, count = len(self.found), len(self.places)
        parts = [
            collected(size, 2, lambda some: inside(*self._completed(some))),
            collected(max(count - 1, 0), 2, lambda some: inside(*self._chained(some))),
            collected(size, 2, lambda some: inside(*self._invoked(some))),
        ]
        return [(source, target) for source, target in parts if len(source)]

    def _completed(self, some: slice) -> tuple[Int32s, Int32s]:
        """Each ok transaction and the first barrier after its completion."""
        done = np.flatnonzero(_completed(self.found, some))
        after = self.cuts[self.ends[self.found.complete[some][done]] - 1]
        reaching = after < len(self.places)
        return done[reaching] + some.start, after[reaching] + len(self.found)

    def _chained(self, some: slice) -> tuple[Int32s, Int32s]:
        barrier = np.arange(some.start, some.stop, dtype=np.int32) + len(self.found)
        return barrier, barrier + 1

    def _invoked(self, some: slice) -> tuple[Int32s, Int32s]:
        """The last barrier before the invocation of each possible transaction."""
        begun = np.flatnonzero(_begun(self.found, some))
        before = self.ends[self.found.invoke[some][begun]]
        follows = before > 0
        barrier = self.cuts[before[follows]] - 1 + len(self.found)
        return barrier, begun[follows] + some.start


def is_ordered(found: Transactions) -> bool:
    """Whether any transaction had completed before another one began."""
    first, last = found.never, -1
    for some in slices(len(found)):
        done, begun = _completed(found, some), _begun(found, some)
        first = min(first, int(found.complete[some][done].min(initial=first)))
        last = max(last, int(found.invoke[some][begun].max(initial=last)))
    return first < last


def barriers(found: Transactions) -> Barriers:
    """The chain for the realtime order of ``found``."""
    ends = _completions(found)
    total = int(ends[-1])
    cuts = np.zeros(total + 2, dtype=np.int32)
    for some in slices(len(found)):
        cuts[ends[found.invoke[some][_begun(found, some)]]] = 1
    cuts[0] = 0
    needed = places(total + 1, lambda some: cuts[some] > 0)  # completions before each barrier
    # its place is just after the last completion that it stands for
    place = mapped(len(needed), np.int32, lambda some: 2 * np.searchsorted(ends, needed[some]) + 1)
    return Barriers(found, place, ends, np.cumsum(cuts, out=cuts))


def _completions(found: Transactions) -> Int32s:
    """How many transactions had completed with each record and before."""
    ends = np.zeros(found.never + 1, dtype=np.int32)
    for some in slices(len(found)):
        ends[found.complete[some][_completed(found, some)]] = 1
    return np.cumsum(ends, out=ends)


def _completed(found: Transactions, some: slice) -> Bools:
    return np.asarray((found.complete[some] < found.never) & (found.status[some] != FAIL))


def _begun(found: Transactions, some: slice) -> Bools:
    return np.asarray((found.invoke[some] >= 0) & (found.status[some] != FAIL))
