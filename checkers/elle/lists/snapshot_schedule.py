"""A schedule of begins and commits, to guess in which order versions that nobody read came.

Under snapshot isolation two transactions that write one key cannot overlap. Where the order of
two writes shows in no read, one has to be found. A greedy schedule does it: every edge found is
a constraint on events,

    ww, wr, process, realtime   commit(a) before begin(b)
    rw                          begin(a) before commit(b)

and a transaction begins only when no open one writes a key of its own, if that can be. A guess
proves nothing until it is checked; whoever asks does that.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

from checkers.elle.graph import RW, Graph

LARGEST: Final = 1_000_000
"""Edges up to which a schedule is worth making."""


def commit_places(graph: Graph, writes: Mapping[int, frozenset[int]]) -> dict[int, int] | None:
    """The place of each transaction's commit in a schedule; ``None`` if the graph is too large.

    ``writes`` are the keys of each transaction that others must not write while it is open.
    """
    source, target, label = graph.edges()
    if len(source) > LARGEST:
        return None
    return _Schedule(graph, writes).run(source.tolist(), target.tolist(), label.tolist())


class _Schedule:
    """Events are twice the node for its begin, one more for its commit."""

    def __init__(self, graph: Graph, writes: Mapping[int, frozenset[int]]) -> None:
        self.writes = writes
        self.complete = [*graph.transactions.complete.tolist(), *[-1] * graph.barriers]
        self.waits = [0] * (2 * graph.nodes)
        self.next: list[list[int]] = [[] for _ in self.waits]
        self.ready: list[tuple[int, int, int]] = []
        self.open: dict[int, int] = {}

    def run(self, source: list[int], target: list[int], label: list[int]) -> dict[int, int]:
        """Carry out all events that can be, and number the commits."""
        for node in range(len(self.complete)):
            self._edge(2 * node, 2 * node + 1)
        for a, b, kind in zip(source, target, label, strict=True):
            self._edge(*((2 * a, 2 * b + 1) if kind == RW else (2 * a + 1, 2 * b)))
        for event, waits in enumerate(self.waits):
            if not waits:
                self._push(event)
        places: dict[int, int] = {}
        deferred: list[tuple[int, int, int]] = []
        while self.ready or deferred:
            if not self.ready:
                self.ready, deferred = [deferred[0]], deferred[1:]
                forced = True
            else:
                forced = False
            item = heapq.heappop(self.ready)
            node, is_commit = item[2] >> 1, item[2] & 1
            if not is_commit and not forced and self._clashes(node):
                deferred.append(item)
                continue
            self._happens(node, is_commit)
            if is_commit:
                places[node] = len(places)
                for waiting in deferred:
                    heapq.heappush(self.ready, waiting)
                deferred = []
        return places

    def _edge(self, before: int, after: int) -> None:
        self.next[before].append(after)
        self.waits[after] += 1

    def _push(self, event: int) -> None:
        heapq.heappush(self.ready, (1 - (event & 1), self.complete[event >> 1], event))

    def _clashes(self, node: int) -> bool:
        return any(self.open.get(key, 0) for key in self.writes.get(node, ()))

    def _happens(self, node: int, is_commit: int) -> None:
        for key in self.writes.get(node, ()):
            self.open[key] = self.open.get(key, 0) + (-1 if is_commit else 1)
        for event in self.next[2 * node + is_commit]:
            self.waits[event] -= 1
            if not self.waits[event]:
                self._push(event)
