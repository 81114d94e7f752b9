"""Which models allow a small history, by having every turn in every order.

A store is played with all choices: which infos took part, and whose turn it is. Serial: one turn a
transaction. Snapshots: a begin, which must find all that the transaction read, and a commit, which
installs what it wrote; of two that write one key, one commits before the other begins (but for
prefix consistency). What sessions or the clock say comes before a transaction has committed before
its begin. Nothing is shared with the checker but the reading of the history.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from harness.history.history import History
from tests.checkers.elle.registers.oracle import World, real_time, session_order, txns_of, worlds

WRONG = {"impossible", "over", "G1a", "G1b", "internal"}

SERIAL = "serial"
SNAPSHOT = "snapshot"
PREFIX = "prefix"
MODELS = {
    "prefix": (PREFIX, ""),
    "snapshot-isolation": (SNAPSHOT, ""),
    "strong-session-snapshot-isolation": (SNAPSHOT, "process"),
    "strong-snapshot-isolation": (SNAPSHOT, "realtime"),
    "serializable": (SERIAL, ""),
    "strong-session-serializable": (SERIAL, "process"),
    "strict-serializable": (SERIAL, "realtime"),
}


def allows(history: History, kind: str, keeps: str) -> bool:
    """Whether some order of turns explains the history."""
    return any(
        _has_order(world, kind, keeps)
        for world in worlds(txns_of(history))
        if not world.wrong & WRONG
    )


def _has_order(world: World, kind: str, keeps: str) -> bool:
    numbers = sorted(world.committed)
    order = {"process": session_order, "realtime": real_time, "": lambda world: set()}[keeps](world)
    needs = {n: {a for a, b, _ in order if b == n} for n in numbers}
    reads = {n: [(r.key, r.writer) for r in world.reads if r.reader == n] for n in numbers}
    writes = {n: tuple(world.txns[n].writes()) for n in numbers}

    def steps(
        begun: frozenset[int], done: frozenset[int], store: frozenset[tuple[str, int]]
    ) -> Iterator[tuple[frozenset[int], frozenset[int], frozenset[tuple[str, int]]]]:
        held = dict(store)
        for n in numbers:
            if n in done:
                continue
            if n in begun:
                after = {**held, **dict.fromkeys(writes[n], n)}
                yield begun, done | {n}, frozenset(after.items())
                continue
            if not needs[n] <= done or any(held.get(key, -1) != w for key, w in reads[n]):
                continue
            rivals = (other for other in begun - done if {*writes[other]} & {*writes[n]})
            if kind == SNAPSHOT and any(True for _ in rivals):
                continue
            if kind == SERIAL:
                after = {**held, **dict.fromkeys(writes[n], n)}
                yield begun | {n}, done | {n}, frozenset(after.items())
            else:
                yield begun | {n}, done, store

    @cache
    def ends_well(
        begun: frozenset[int], done: frozenset[int], store: frozenset[tuple[str, int]]
    ) -> bool:
        return len(done) == len(numbers) or any(
            ends_well(*after) for after in steps(begun, done, store)
        )

    return ends_well(frozenset(), frozenset(), frozenset())
