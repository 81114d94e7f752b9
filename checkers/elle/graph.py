"""The dependency graph: labelled edges between transactions, as flat arrays.

An edge ``T1 -> T2`` says that T1 must come before T2: because T2 overwrote what T1 wrote (ww),
read what T1 wrote (wr), overwrote what T1 read (rw), came later in the same process, or began
after T1 had completed (realtime) - Adya 1999, section 3.1; Elle, section 4.

Realtime order relates nearly every pair of transactions. It is kept in O(n) edges by a chain of
*barriers*, one after each group of completions that an invocation follows:

    T1 --completed--> b1 --> b2 --> b3
                       \\-invoked-> T4      T4 began after T1 had completed

Barriers are nodes after the transactions' own. They never lie on a cycle that had not existed
between transactions, so components are the same as with all edges drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.transactions import FAIL, OK, Int8s, Int32s, Transactions

WW: Final = 1
WR: Final = 2
RW: Final = 4
PROCESS: Final = 8
REALTIME: Final = 16
"""One bit a label, so that a set of labels is a number."""

LABELS: Final = {WW: "ww", WR: "wr", RW: "rw", PROCESS: "process", REALTIME: "realtime"}


@dataclass(eq=False)
class Graph:
    """Edges ``source[i] -> target[i]`` with one label each; parallel edges are allowed.

    ``size`` transactions are nodes ``0 .. size - 1``; ``barriers`` more nodes may follow.
    Use :meth:`add`, :meth:`add_process_order` and :meth:`add_realtime_order`, then read
    :meth:`edges` or :attr:`parts`.
    """

    transactions: Transactions
    barriers: int = 0
    labels: int = 0
    parts: list[tuple[int, Int32s, Int32s]] = field(default_factory=list)
    """Label, sources and targets of edges that were added together."""
    barrier_places: Int32s = field(default_factory=lambda: np.zeros(0, dtype=np.int32))

    @property
    def size(self) -> int:
        """The number of transactions."""
        return len(self.transactions)

    @property
    def nodes(self) -> int:
        """Transactions and barriers together."""
        return self.size + self.barriers

    @property
    def places(self) -> Int32s:
        """A place in time for each node: realtime edges go from lower to higher ones.

        That of a transaction is its completion's, and of one without, its invocation's.
        """
        found = self.transactions
        record = np.where(found.complete < found.never, found.complete, found.invoke)
        return np.concatenate(((2 * record).astype(np.int32), self.barrier_places))

    def add(self, label: int, source: NDArray[np.integer], target: NDArray[np.integer]) -> None:
        """Add edges with one label. Loops are left out; so are ends below 0 (nobody) and ends at
        transactions that failed, which come neither before nor after anything.
        """
        if not len(source):
            return
        failed = self.transactions.status == FAIL
        keep = (source != target) & (source >= 0) & (target >= 0)
        if failed.any():
            keep &= ~(failed[source] | failed[target])
        self._append(label, source[keep].astype(np.int32), target[keep].astype(np.int32))

    def add_process_order(self) -> None:
        """Each ok transaction before the next possible one of its process."""
        found = self.transactions
        possible = np.flatnonzero(found.status != FAIL)
        process = found.process[possible]
        order = np.argsort(process, kind="stable")
        possible, process = possible[order], process[order]
        same = (process[1:] == process[:-1]) & (found.status[possible[:-1]] == OK)
        self.add(PROCESS, possible[:-1][same], possible[1:][same])

    def add_realtime_order(self) -> None:
        """Each ok transaction before every possible one invoked after its completion."""
        if self.barriers:
            return
        found = self.transactions
        ok = np.flatnonzero((found.complete < found.never) & (found.status != FAIL))
        begun = np.flatnonzero((found.invoke >= 0) & (found.status != FAIL))
        is_end = np.zeros(found.never + 1, dtype=np.int32)
        is_end[found.complete[ok]] = 1
        ends = np.cumsum(is_end, dtype=np.int32)  # completions up to and with each record
        before = ends[found.invoke[begun]]  # never falls, as transactions are in that order
        is_cut = np.zeros(len(ok) + 2, dtype=np.int32)
        is_cut[before] = 1
        is_cut[0] = 0
        cuts = np.cumsum(is_cut, dtype=np.int32)  # barriers that need at most so many completions
        self.barriers = int(cuts[-1])
        self.barrier_places = _barrier_places(is_end, is_cut, len(ok))
        rank = ends[found.complete[ok]]
        after = cuts[rank - 1]  # the first barrier after each completion
        reaching = after < self.barriers
        barrier = np.arange(self.barriers) + self.size
        follows = before > 0
        self._append(REALTIME, ok[reaching], after[reaching] + self.size)
        self._append(REALTIME, barrier[:-1], barrier[1:])
        self._append(REALTIME, cuts[before[follows]] - 1 + self.size, begun[follows])

    def _append(self, label: int, source: NDArray[np.integer], target: NDArray[np.integer]) -> None:
        if len(source):
            self.labels |= label
            self.parts.append((label, source.astype(np.int32), target.astype(np.int32)))

    def with_edges(self, label: int, source: Int32s, target: Int32s) -> Graph:
        """This graph with more edges, itself unchanged."""
        more = replace(self, parts=list(self.parts))
        more.add(label, source, target)
        return more

    def edges(self, labels: int = ~0) -> tuple[Int32s, Int32s, Int8s]:
        """Sources, targets and labels of all edges whose label is in the set ``labels``."""
        parts = [part for part in self.parts if part[0] & labels]
        if not parts:
            nothing = np.zeros(0, dtype=np.int32)
            return nothing, nothing, np.zeros(0, dtype=np.int8)
        label = [np.full(len(part[1]), part[0], dtype=np.int8) for part in parts]
        return (
            np.concatenate([part[1] for part in parts]),
            np.concatenate([part[2] for part in parts]),
            np.concatenate(label),
        )

    def completed_before(self, first: int, second: int) -> bool:
        """Whether ``first`` had completed when ``second`` was invoked."""
        found = self.transactions
        return bool(found.status[first] == OK and found.complete[first] < found.invoke[second])


def _barrier_places(is_end: Int32s, is_cut: Int32s, completions: int) -> Int32s:
    """The place of each barrier: just after the last completion that it stands for."""
    at = np.flatnonzero(is_end)  # the record of each completion, in order
    count = np.flatnonzero(is_cut[: completions + 1])  # how many completions come before each
    return (2 * at[count - 1] + 1).astype(np.int32)
