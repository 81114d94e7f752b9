"""Dependencies of transactions over registers, from what is known of the order of versions.

A write replaces a value blindly and a read tells one value, so the order of a key's versions has
to be put together (:mod:`checkers.elle.registers.versions`). From a partial order follow the
dependencies:

- wr: who wrote a version, to who read it;
- ww: who wrote a version, to who wrote one that comes after it;
- rw: who read a version, to who wrote one that comes after it.

Cost: sorting micro-operations, and edges from the readers of a version to the next ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from checkers.elle.analysis import Inference
from checkers.elle.commit_numbers import commit_numbers
from checkers.elle.explain import show
from checkers.elle.graph import RW, WR, WW, Graph
from checkers.elle.registers.anomalies import direct_anomalies
from checkers.elle.registers.reasons import RegisterReasons
from checkers.elle.registers.versions import (
    Edges,
    Order,
    Versions,
    commit_order,
    linearizable_keys,
    sequential_keys,
    writes_follow_reads,
)
from checkers.elle.transactions import Int64s, Transactions
from harness.verdict.record import Record

WRITES: Final = frozenset(("w", "write"))
MOST_PAIRS: Final = 20_000_000
"""Edges from readers of versions to the writers of the next; more are not drawn."""


def sources(known: Versions, options: Mapping[str, Any], record: Record) -> list[Edges]:
    """What the options say of the order of versions.

    A key that is sequential or linearizable is so inside a transaction, too: there, too, what was
    written last follows what was read first.
    """
    found: list[Edges] = []
    if options.get("commit_order"):
        numbers = commit_numbers(known.found, options["commit_order"], record)
        found.append(commit_order(known, numbers))
    if any(options.get(name) for name in ("wfr_keys", "sequential_keys", "linearizable_keys")):
        found.append(writes_follow_reads(known))
    if options.get("sequential_keys"):
        found.append(sequential_keys(known))
    if options.get("linearizable_keys"):
        found.append(linearizable_keys(known))
    return found


def infer(known: Versions, order: Order, record: Record) -> Inference:
    """Dependencies and anomalies of a history with unique writes."""
    found = known.found
    graph = Graph(found)
    reader, read = found.txn[known.external], known.of[known.external]
    graph.add(WR, known.writer[read], reader)
    before, after = order.joined()
    graph.add(WW, known.writer[before], known.writer[after])
    before, after = _with_initial(known, before, after)
    pairs = _readers_and_next(known, before, after)
    if pairs is not None:
        graph.add(RW, *pairs)
    doubts = {}
    if pairs is None:
        doubts["too-many-edges"] = "more readers and next writers than can be drawn as edges"
    if len(known.reads.overwritten):
        doubts["own-write-overwritten"] = (
            "a transaction read another one's value over what it had written itself: if both wrote"
            " it at once, below read committed that may be"
        )
    return Inference(
        graph=graph,
        reasons=RegisterReasons(known, order),
        anomalies=direct_anomalies(known, order, record),
        doubts=doubts,
        stats={
            "transactions": len(found),
            "micro_operations": len(found.f),
            "keys": len(found.keys),
            "version_order_sources": [part.source for part in order.agreed],
        },
    )


def _with_initial(known: Versions, before: Int64s, after: Int64s) -> tuple[Int64s, Int64s]:
    """The edges, and those from nil to the versions of which no other is known to come before.

    The others follow from these by ww, except where the version between has no writer.
    """
    is_least = np.asarray(known.writer >= 0)
    is_least[after[known.writer[before] >= 0]] = False
    least = np.flatnonzero(is_least)
    return (
        np.concatenate((before, known.nil[known.key[least]])),
        np.concatenate((after, least)),
    )


def _readers_and_next(
    known: Versions, before: Int64s, after: Int64s
) -> tuple[Int64s, Int64s] | None:
    """Each reader of a version with each writer of a next one; ``None`` if they are too many."""
    written = known.writer[after] >= 0
    before, after = before[written], after[written]
    after = after[np.argsort(before, kind="stable")]
    nexts = np.bincount(before, minlength=len(known))
    read = known.of[known.external]
    count = nexts[read]
    low = (np.cumsum(nexts) - nexts)[read]
    total = int(count.sum())
    if total > MOST_PAIRS:
        return None
    within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    reader = np.repeat(known.found.txn[known.external], count)
    writer = known.writer[after[np.repeat(low, count) + within]]
    return reader.astype(np.int64), writer.astype(np.int64)


def duplicate_writes(known: Versions) -> str:
    """Why a value that was written twice (or a nil) leaves the history undecided."""
    version = int(known.written_twice[0])
    key = show(known.found.keys[int(known.key[version])])
    rows = np.flatnonzero(known.of == version)[:5]
    indices = ", ".join(str(known.found.index(int(txn))) for txn in known.found.txn[rows])
    if known.value[version] < 0:
        what = "null" if known.name(version) is None else show(known.name(version))
        means = "absent" if known.name(version) is None else "the declared initial state"
        return (
            f"nil-writes: {what} was written to key {key} (indices {indices}), which means {means}"
        )
    return (
        f"duplicate-writes: {show(known.name(version))} was written to key {key} more than once"
        f" (touched at indices {indices}), so no read tells which write it saw; values must be"
        " unique by key"
    )


def unexpected(found: Transactions) -> str:
    """Why other micro-operations leave the history undecided."""
    return (
        "unexpected-txn-micro-op-types: a register history has w and r alone, and this one has "
        + ", ".join(found.unexpected)
    )
