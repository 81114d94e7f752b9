"""The dependency graph: labelled edges between transactions, as flat arrays.

An edge ``T1 -> T2`` says that T1 must come before T2: because T2 overwrote what T1 wrote (ww),
read what T1 wrote (wr), overwrote what T1 read (rw), came later in the same process, or began
after T1 had completed (realtime) - Adya 1999, section 3.1; Elle, section 4.

Realtime order is kept in O(n) edges through *barriers* (:mod:`checkers.elle.realtime`), and drawn
only when somebody asks for it: most histories are judged without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.realtime import Barriers, barriers, is_ordered
from checkers.elle.slices import collected, mapped
from checkers.elle.transactions import FAIL, OK, Int8s, Int32s, Transactions

WW: Final = 1
WR: Final = 2
RW: Final = 4
PROCESS: Final = 8
REALTIME: Final = 16
"""One bit a label, so that a set of labels is a number."""

Edges = tuple[NDArray[np.integer], NDArray[np.integer]]
"""Sources and targets."""

LABELS: Final = {WW: "ww", WR: "wr", RW: "rw", PROCESS: "process", REALTIME: "realtime"}


@dataclass(eq=False)
class Graph:
    """Edges ``source[i] -> target[i]`` with one label each; parallel edges are allowed.

    ``size`` transactions are nodes ``0 .. size - 1``; ``barriers`` more nodes may follow.
    Use :meth:`add`, :meth:`add_process_order` and :meth:`add_realtime_order`, then read
    :meth:`edges` or :attr:`parts`.
    """

    transactions: Transactions
    labels: int = 0
    timeless: list[tuple[int, Int32s, Int32s]] = field(default_factory=list)
    """Label, sources and targets of edges that were added together, but for realtime order."""

    @property
    def size(self) -> int:
        """The number of transactions."""
        return len(self.transactions)

    @property
    def barriers(self) -> int:
        """The number of barriers."""
        return len(self.barrier_places)

    @property
    def nodes(self) -> int:
        """Transactions and barriers together."""
        return self.size + self.barriers

    @property
    def parts(self) -> list[tuple[int, Int32s, Int32s]]:
        """Label, sources and targets of edges that were added together."""
        return [*self.timeless, *((REALTIME, *edges) for edges in self.realtime_edges())]

    def realtime_edges(self, stretch: Int32s | None = None) -> list[tuple[Int32s, Int32s]]:
        """Sources and targets of realtime edges, as :meth:`Barriers.edges` gives them."""
        return self._realtime.edges(stretch) if self.labels & REALTIME else []

    @cached_property
    def _realtime(self) -> Barriers:
        return barriers(self.transactions)

    @property
    def barrier_places(self) -> Int32s:
        """A place in time for each barrier: realtime edges go from lower to higher ones."""
        if not self.labels & REALTIME:
            return np.zeros(0, dtype=np.int32)
        return self._realtime.places

    @property
    def transaction_places(self) -> Int32s:
        """The same for each transaction: its completion, and without one, its invocation."""
        found = self.transactions

        def place(some: slice) -> NDArray[np.integer]:
            complete = found.complete[some]
            return 2 * np.where(complete < found.never, complete, found.invoke[some])

        return mapped(self.size, np.int32, place)

    def add(self, label: int, source: NDArray[np.integer], target: NDArray[np.integer]) -> None:
        """Add edges with one label. Loops are left out; so are ends below 0 (nobody) and ends at
        transactions that failed, which come neither before nor after anything.
        """
        self.add_slices(label, len(source), lambda some: (source[some], target[some]))

    def add_slices(self, label: int, rows: int, edges: Callable[[slice], Edges]) -> None:
        """The same for edges that follow from ``rows``, at most one from each."""
        failed = self.transactions.status == FAIL
        has_failed = bool(failed.any())

        def kept(some: slice) -> Edges:
            source, target = edges(some)
            keep = (source != target) & (source >= 0) & (target >= 0)
            if has_failed:
                keep &= ~(failed[source] | failed[target])
            return source[keep], target[keep]

        self._append(label, *collected(rows, 2, kept))

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
        if is_ordered(self.transactions):
            self.labels |= REALTIME

    def _append(self, label: int, source: Int32s, target: Int32s) -> None:
        if len(source):
            self.labels |= label
            self.timeless.append((label, source, target))

    def with_edges(self, label: int, source: Int32s, target: Int32s) -> Graph:
        """This graph with more edges, itself unchanged."""
        more = replace(self, timeless=list(self.timeless))
        if self.labels & REALTIME:
            more._realtime = self._realtime
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
