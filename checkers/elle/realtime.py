"""Realtime order in O(n) edges: who had completed before who began.

It relates nearly every pair of transactions, so it goes through a chain of *barriers*, one after
each group of completions that an invocation follows:

    T1 --completed--> b1 --> b2 --> b3
                       \\-invoked-> T4      T4 began after T1 had completed

Barriers are nodes after the transactions' own. They never lie on a cycle that had not existed
between transactions, so components are the same as with all edges drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from checkers.elle.slices import collected, mapped, places, slices
from checkers.elle.transactions import FAIL, Bools, Int32s, Transactions


@dataclass(frozen=True, eq=False)
class Barriers:
    """The place in time of each barrier, as :attr:`checkers.elle.graph.Graph.places` has it, and
    sources and targets of all edges from, to and among them.
    """

    places: Int32s
    edges: Sequence[tuple[Int32s, Int32s]]


def is_ordered(found: Transactions) -> bool:
    """Whether any transaction had completed before another one began."""
    first, last = found.never, -1
    for some in slices(len(found)):
        done, begun = _completed(found, some), _begun(found, some)
        first = min(first, int(found.complete[some][done].min(initial=first)))
        last = max(last, int(found.invoke[some][begun].max(initial=last)))
    return first < last


def barriers(found: Transactions) -> Barriers:
    """The realtime order of ``found``."""
    ends = _completions(found)
    total = int(ends[-1])
    cuts = np.zeros(total + 2, dtype=np.int32)
    for some in slices(len(found)):
        cuts[ends[found.invoke[some][_begun(found, some)]]] = 1
    cuts[0] = 0
    needed = places(total + 1, lambda some: cuts[some] > 0)  # completions before each barrier
    # its place is just after the last completion that it stands for
    place = mapped(len(needed), np.int32, lambda some: 2 * np.searchsorted(ends, needed[some]) + 1)
    count, size = len(needed), len(found)
    np.cumsum(cuts, out=cuts)  # barriers that need at most so many completions

    def completed(some: slice) -> tuple[Int32s, Int32s]:
        done = np.flatnonzero(_completed(found, some))
        after = cuts[ends[found.complete[some][done]] - 1]  # the first one after each completion
        reaching = after < count
        return done[reaching] + some.start, after[reaching] + size

    def invoked(some: slice) -> tuple[Int32s, Int32s]:
        begun = np.flatnonzero(_begun(found, some))
        before = ends[found.invoke[some][begun]]  # never falls, as transactions are in that order
        follows = before > 0
        return cuts[before[follows]] - 1 + size, begun[follows] + some.start

    chain = np.arange(size, size + count, dtype=np.int32)
    edges = [collected(size, 2, completed), (chain[:-1], chain[1:]), collected(size, 2, invoked)]
    return Barriers(place, [(source, target) for source, target in edges if len(source)])


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
