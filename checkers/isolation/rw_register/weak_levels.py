"""Weak models of long histories: what :mod:`checkers.elle.registers.weak_saturation` decides, by
columns and compiled loops.

The definitions and their proofs are told there (Biswas & Enea, OOPSLA 2019): whoever reads key x of
T1 and sees T2, which writes x, shows that T2 committed before T1. After AWDIT (Møldrup and
Pavlogiannis, PLDI 2025): of read committed and read atomicity the smaller of what a writer wrote
and a reader read is gone through, O(n^1.5); of causality each chain's last writer of a key that is
in the reader's past is looked up in vector clocks, O(n · chains · log n) with an int32 for each
transaction and chain. A clock that memory does not allow leaves causality undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from checkers.elle.components import strong_components
from checkers.elle.kernels import kernel
from checkers.elle.registers.versions import Versions
from checkers.elle.registers.weak_saturation import (
    CAUSAL,
    READ_ATOMIC,
    READ_COMMITTED,
    Step,
    shortest_cycle,
)
from checkers.elle.registers.weak_saturation import contradiction as by_looking
from checkers.isolation.rw_register.begin_commit_graph import Turns, turns_of
from checkers.isolation.rw_register.problem import (
    FREE,
    PROCESS,
    SERIAL,
    Int32s,
    Int64s,
    Level,
    Problem,
    firsts,
    problem,
)
from checkers.isolation.rw_register.saturation import groups_of
from checkers.isolation.rw_register.saturation_kernels import nearest
from checkers.isolation.rw_register.vector_clocks import clocks
from checkers.isolation.rw_register.weak_kernels import (
    demands_of_reads,
    demands_of_the_past,
    place_of,
)

FEW: Final = 2_000
"""Transactions up to which there is nothing to gain."""
ROOM: Final = 1 << 20
_STEPS_EACH: Final = 200


def contradiction(known: Versions, kind: str, *, sessions: bool) -> list[Step] | None:
    """As :func:`checkers.elle.registers.weak_saturation.contradiction`."""
    found = None
    if len(known.found) > FEW:
        found = contradiction_by_columns(known, kind, sessions=sessions)
    return by_looking(known, kind, sessions=sessions) if found is None else found


def contradiction_by_columns(known: Versions, kind: str, *, sessions: bool) -> list[Step] | None:
    """A cycle of what the order of commits must be, empty if there is none; ``None`` where some
    read has no place in any order of whole transactions, or there are too many chains.
    """
    stated = problem(known)
    if stated is None:
        return None
    graph = turns_of(stated, Level("", SERIAL, PROCESS if sessions else FREE))
    reads = _reads(stated)
    demands = _Demands(graph, reads)
    found = demands.causal() if kind == CAUSAL else demands.direct(kind, sessions=sessions)
    if found is None:
        return None
    source, read, target = found
    stale = np.flatnonzero(target < 0)
    teller = _Teller(graph, reads)
    if len(stale):
        return teller.stale(int(source[stale[0]]), int(read[stale[0]]))
    return teller.cycle(source, read, target)


@dataclass(frozen=True, eq=False)
class _Reads:
    """Every read that counts, in order: who read which key, of whom (-1 the initial state)."""

    txn: Int32s
    key: Int32s
    writer: Int32s


def _reads(stated: Problem) -> _Reads:
    known, found = stated.known, stated.found
    number = np.full(len(found), -1, dtype=np.int32)
    number[stated.txns] = np.arange(len(stated), dtype=np.int32)
    rows = known.reads.foreign
    of = known.of[rows]
    writer = np.where(known.is_nil(of), -1, number[known.writer[of]]).astype(np.int32)
    return _Reads(number[found.txn[rows]], found.key[rows].astype(np.int32), writer)


@dataclass(frozen=True, eq=False)
class _Demands:
    """Demands by columns: who is seen, by which read, and who thus came later (-1: nobody may)."""

    graph: Turns
    reads: _Reads

    def direct(self, kind: str, *, sessions: bool) -> tuple[Int32s, ...]:
        """Those of what a transaction reads from, and of its session."""
        assert kind in (READ_COMMITTED, READ_ATOMIC)
        stated, reads = self.graph.problem, self.reads
        by_key = np.lexsort((reads.key, reads.txn))
        writes = np.lexsort((stated.write_key, stated.write_txn))
        out = _filled(
            demands_of_reads,
            (place_of,),
            len(reads.txn),
            kind == READ_COMMITTED,
            *(firsts(reads.txn, len(stated)), reads.writer, reads.key, by_key, reads.key[by_key]),
            *(stated.first_write, stated.write_key[writes]),
            *(lambda: np.full(len(stated), -1, dtype=np.int64),),
        )
        if kind == READ_ATOMIC and sessions:
            return tuple(map(np.concatenate, zip(out, self._of_sessions(), strict=True)))
        return out

    def _of_sessions(self) -> tuple[Int32s, ...]:
        """Each read with the last writer of its key before it in its session."""
        stated, reads = self.graph.problem, self.reads
        kept = np.flatnonzero(stated.is_ok[stated.write_txn])
        txn = np.concatenate((stated.write_txn[kept], reads.txn))
        key = np.concatenate((stated.write_key[kept], reads.key)).astype(np.int64)
        is_read = np.arange(len(txn)) >= len(kept)
        process = np.unique(stated.process, return_inverse=True)[1]
        code = process[txn] * np.int64(stated.keys) + key
        order = np.lexsort((~is_read, txn, code))  # what one reads itself comes before its write
        here = np.arange(len(order))
        latest = np.maximum.accumulate(np.where(is_read[order], -1, here))
        at = np.flatnonzero(is_read[order] & (latest >= 0))
        at = at[code[order[at]] == code[order[latest[at]]]]
        seen = txn[order[latest[at]]].astype(np.int32)
        read = (order[at] - len(kept)).astype(np.int32)
        apart = seen != reads.writer[read]
        return seen[apart], read[apart], reads.writer[read[apart]]

    def causal(self) -> tuple[Int32s, ...] | None:
        """Those of all that a transaction saw."""
        now, reads = clocks(self.graph), self.reads
        if now.is_circular:
            nothing = np.zeros(0, dtype=np.int32)
            return nothing, nothing, nothing
        if (now.chain < 0).any():
            return None
        groups = groups_of(now)
        member = self.graph.problem.write_txn[groups.members]
        by_key = np.argsort(reads.key, kind="stable")
        return _filled(
            demands_of_the_past,
            (),
            len(by_key) * 4,
            *(by_key, reads.txn, reads.writer, reads.key),
            *(groups.key_groups, groups.group_chain, groups.group_first, member, groups.begins),
            *(now.chain, now.place, now.clock),
            *(lambda: np.zeros(max(groups.widest, 1), dtype=np.int64),),
        )


def _filled(loop: Any, parts: tuple[Any, ...], size: int, *columns: Any) -> tuple[Int32s, ...]:
    """The rows that a loop fills, with as much room as it turns out to need; of the columns the
    last one is made anew for each try.
    """
    made = kernel(loop, _STEPS_EACH * size, *parts)
    room = ROOM
    while True:
        out = np.empty((3, room), dtype=np.int32)
        count = made(*columns[:-1], columns[-1](), out)
        if count <= room:
            return tuple(column[:count].copy() for column in out)
        room = count


class _Teller:
    """Tells of demands as steps."""

    def __init__(self, graph: Turns, reads: _Reads) -> None:
        self.graph, self.reads, self.stated = graph, reads, graph.problem
        self.rows = np.argsort(graph.edges.source, kind="stable")
        self.first = firsts(graph.edges.source, graph.nodes)

    def cycle(self, source: Int32s, read: Int32s, target: Int32s) -> list[Step]:
        """A short cycle, if there is one."""
        edges = self.graph.edges
        known = len(edges)
        sources = np.concatenate((edges.source, source))
        targets = np.concatenate((edges.target, target))
        component = strong_components(self.graph.nodes, sources, targets)
        inside = np.flatnonzero(component[sources] == component[targets])
        if not len(inside):
            return []
        sizes = np.bincount(component)[component[sources[inside]]]
        least = component[sources[inside[sizes.argmin()]]]
        inside = inside[component[sources[inside]] == least]
        steps = [
            self._seen(at)
            if at < known
            else self._demand(int(source[at - known]), int(read[at - known]))
            for at in inside.tolist()
        ]
        return shortest_cycle(steps)

    def stale(self, seen: int, read: int) -> list[Step]:
        """A reader of the initial state that saw a write of it."""
        reader, key = int(self.reads.txn[read]), int(self.reads.key[read])
        text = (
            f"{{a}} read the initial (nil) state of key {self.stated.key(key)}, which {{b}} had set"
            f" to {self._value(seen, key)}"
        )
        return [*self._way(seen, reader), Step(self._of(reader), self._of(seen), text)]

    def _of(self, txn: int) -> int:
        return int(self.stated.txns[txn])

    def _value(self, txn: int, key: int) -> str:
        stated = self.stated
        first, last = int(stated.first_write[txn]), int(stated.first_write[txn + 1])
        write = next(at for at in range(first, last) if stated.write_key[at] == key)
        return stated.value(write, key)

    def _seen(self, edge: int) -> Step:
        """That of an edge of the graph."""
        edges, stated = self.graph.edges, self.stated
        one, other, what = int(edges.source[edge]), int(edges.target[edge]), int(edges.what[edge])
        if what < 0:
            text = f"process {int(stated.process[one])} executed {{a}} before {{b}}"
        else:
            key = int(stated.read_key[what])
            text = f"{{b}} read key {stated.key(key)} = {self._value(one, key)}, which {{a}} wrote"
        return Step(self._of(one), self._of(other), text)

    def _demand(self, seen: int, read: int) -> Step:
        reads, stated = self.reads, self.stated
        reader, key, writer = (int(column[read]) for column in (reads.txn, reads.key, reads.writer))
        way = self._way(seen, reader)
        how = "through others that {c} saw"
        if len(way) == 1 and stated.process[seen] == stated.process[reader]:
            how = "which is earlier in {c}'s process"
        elif len(way) == 1:
            how = "from which {c} read, too"
        text = (
            f"{{c}} saw {{a}} ({how}), which wrote key {stated.key(key)}, and yet read"
            f" {self._value(writer, key)} there, which {{b}} wrote: if {{b}} had committed first,"
            " {a} would have overwritten that before {c} saw it"
        )
        return Step(self._of(seen), self._of(writer), text, self._of(reader))

    def _way(self, first: int, last: int) -> list[Step]:
        """How the one is seen by the other."""
        edges = self.graph.edges
        came: Int64s = np.full(self.graph.nodes, -1, dtype=np.int64)
        loop = kernel(nearest, 30 * len(edges))
        past = np.zeros(len(edges), dtype=np.int32)
        to = edges.target[self.rows]
        if not loop(first, last, 1, self.first, self.rows, to, past, came):
            process = int(self.stated.process[first])
            text = f"process {process} executed {{a}} before {{b}}"
            return [Step(self._of(first), self._of(last), text)]
        found: list[Step] = []
        node = last
        while not found or node != first:
            edge = int(came[node])
            found.append(self._seen(edge))
            node = int(edges.source[edge])
        return found[::-1]
