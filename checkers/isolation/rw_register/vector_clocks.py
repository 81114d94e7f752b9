"""Who can be reached from whom: vector clocks over chains.

A *chain* is a row of transactions each of which must have committed before the next one begins.
Where sessions count, a session is one; but processes are renumbered after each info, so a chain
goes on with whoever comes after its last one, and where sessions do not count, the reads make the
chains. A node's clock has, for each chain, the last place from which it can be reached: an
int32 for each node and chain. Transactions beyond the most chains that memory allows have none;
nothing is concluded from them (and nothing wrong: a clock only ever misses something).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.kernels import kernel
from checkers.isolation.rw_register.begin_commit_graph import Turns
from checkers.isolation.rw_register.problem import Int32s, Int64s
from checkers.isolation.rw_register.saturation_kernels import cover, spread

MOST_BYTES: Final = 400_000_000
FEWEST_CHAINS: Final = 64
EVERY_CHAIN: Final = np.int64((1 << 32) - 1)
_STEPS_EACH: Final = 60
"""Steps of a loop for each edge, as a guess."""


@dataclass(eq=False)
class Clocks:
    """``chain`` (-1: none) and ``place`` of each transaction, and ``clock[node, chain]``.

    ``changed`` tells, by bits of chains (modulo 32), of what each node's clock has changed since it
    was last cleared.
    ``is_circular``: the graph has a circle; ``left`` marks the nodes in one or behind one.
    """

    graph: Turns
    chain: Int32s
    place: Int32s
    clock: Int32s
    changed: Int64s
    left: NDArray[np.bool_]

    @property
    def is_circular(self) -> bool:
        """Whether some turns wait for each other."""
        return bool(self.left.any())

    def spread(self, fresh: Any) -> None:
        """Carry on what edges tell that are new in the graph; ``fresh`` are their sources."""
        graph = self.graph
        first, to = graph.slices()
        waits = np.bincount(graph.edges.target, minlength=graph.nodes)
        marks = np.zeros(graph.nodes, dtype=np.int8)
        marks[fresh] = 1
        more = graph.nodes - len(self.clock)
        if more:
            extra = np.full((more, self.clock.shape[1]), -1, dtype=np.int32)
            self.clock = np.concatenate((self.clock, extra))
            self.changed = np.concatenate((self.changed, np.full(more, EVERY_CHAIN)))
        queue = np.zeros(graph.nodes, dtype=np.int64)
        loop = kernel(spread, _STEPS_EACH * len(to))
        popped = loop(first, to, waits, marks, self.changed, self.clock, queue)
        self.left = np.asarray(waits > 0) if popped < graph.nodes else self.left


def clocks(graph: Turns) -> Clocks:
    """The clocks of a graph, over as many chains as it needs and memory allows."""
    size, nodes = len(graph.problem), graph.nodes
    most = max(FEWEST_CHAINS, MOST_BYTES // max(4 * nodes, 1))
    room = min(FEWEST_CHAINS, most)
    process = np.unique(graph.problem.process, return_inverse=True)[1]
    first, to = graph.slices()
    while True:
        chain = np.full(size, -1, dtype=np.int32)
        place = np.zeros(size, dtype=np.int32)
        clock = np.full((nodes, room), -1, dtype=np.int32)
        waits = np.bincount(graph.edges.target, minlength=nodes)
        last_of = np.full(int(process.max(initial=0)) + 1, -1, dtype=np.int64)
        tail = np.full(room, -1, dtype=np.int32)
        queue = np.zeros(nodes, dtype=np.int64)
        loop = kernel(cover, _STEPS_EACH * (nodes + len(to)))
        chains, popped = loop(
            *(graph.turns, graph.moments, first, to, waits, process),
            *(last_of, chain, place, tail, clock, queue),
        )
        left = np.asarray(waits > 0) if popped < nodes else np.zeros(nodes, dtype=bool)
        if (chain >= 0).all() or room >= most or left.any():
            break
        room = min(4 * room, most)
    kept = np.ascontiguousarray(clock[:, : max(int(chains), 1)])
    return Clocks(graph, chain, place, kept, np.full(nodes, EVERY_CHAIN), left)


def last_of_chains(clocks: Clocks, txn: Int32s, owner: Int32s, *, first: bool = False) -> Int64s:
    """Of entries with a transaction and an owner, the positions of the last one of each owner in
    each chain (or the ``first``), and of all without a chain.
    """
    chain, place = clocks.chain[txn], clocks.place[txn]
    order = np.lexsort((-place if first else place, chain, owner))
    ordered_owner, ordered_chain = owner[order], chain[order]
    is_last = np.ones(len(order), dtype=bool)
    is_last[:-1] = (ordered_owner[1:] != ordered_owner[:-1]) | (
        ordered_chain[1:] != ordered_chain[:-1]
    )
    is_last |= ordered_chain < 0
    return np.sort(order[is_last])
