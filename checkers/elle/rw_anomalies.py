"""Anomalies of registers that are no cycle of transactions.

=================  ==============================================================================
internal           a transaction's read disagrees with its own read or write of the key before
G1a                an ok read of what a transaction wrote that failed
G1b                an ok read of what another transaction wrote and itself overwrote
thin-air           an ok read of a value that nobody wrote; Elle lets it pass
lost-update        several ok transactions read one version of a key and wrote the key
cyclic-versions    what is known or assumed of the order of a key's versions is no order
=================  ==============================================================================

Each is found by array passes over all micro-operations; only the cases told become objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np

from checkers.elle.explain import Teller, show
from checkers.elle.rw_versions import (
    COMMIT,
    INITIAL,
    LINEARIZABLE,
    SEQUENTIAL,
    WFR,
    Contradiction,
    Edges,
    Order,
    Versions,
)
from checkers.elle.transactions import FAIL, OK, READ, WRITE, Int64s
from harness.history.record import Record
from harness.history.verdict import Anomaly

TOLD: Final = 8
"""Cases of one anomaly that are told."""


@dataclass(frozen=True)
class Evidence:
    """What the rules look at."""

    known: Versions
    order: Order
    teller: Teller

    def key(self, version: int) -> str:
        """The key of a version, to print."""
        return show(self.known.found.keys[int(self.known.key[version])])

    def value(self, version: int) -> str:
        """A version's value, to print."""
        return show(self.known.name(version))

    def plain_key(self, version: int) -> Any:
        """The key of a version as it was."""
        return self.known.found.keys[int(self.known.key[version])]

    def reads(self) -> Int64s:
        """Reads of ok transactions, external and not."""
        found = self.known.found
        return np.flatnonzero((found.f == READ) & (found.status[found.txn] == OK))

    def txn(self, row: int) -> int:
        """The transaction of a micro-operation."""
        return int(self.known.found.txn[row])


def direct_anomalies(known: Versions, order: Order, record: Record) -> dict[str, list[Anomaly]]:
    """Cases by type, at most :data:`TOLD` of each."""
    seen = Evidence(known, order, Teller(known.found, record))
    return {kind: list(islice(rule(seen), TOLD)) for kind, rule in ANOMALIES.items()}


def internal(seen: Evidence) -> Iterator[Anomaly]:
    """A read that disagrees with the transaction's own last touch of the key."""
    known = seen.known
    rows = seen.reads()
    rows = rows[known.chains.previous[rows] >= 0]
    before = known.chains.previous[rows]
    wrong = known.of[rows] != known.of[before]
    for row, own in zip(rows[wrong].tolist(), before[wrong].tolist(), strict=True):
        version, expected = int(known.of[row]), int(known.of[own])
        verb = "read" if known.found.f[own] == READ else "written"
        text = (
            f"T1 read key {seen.key(version)} = {seen.value(version)}, and itself had {verb}"
            f" {seen.value(expected)} before, with no write of its own between: a contradiction!"
        )
        yield seen.teller.anomaly(
            [seen.txn(row)], text, key=seen.plain_key(version), expected=known.name(expected)
        )


def _first_write(known: Versions, of_rows: Any) -> Int64s:
    """For each version one of the micro-operations ``of_rows`` that write it, or -1."""
    found = np.full(len(known), -1, dtype=np.int64)
    found[known.of[of_rows]] = of_rows
    return found


def g1a(seen: Evidence) -> Iterator[Anomaly]:
    """A read of what failed."""
    known, found = seen.known, seen.known.found
    failed = np.flatnonzero((found.f == WRITE) & (found.status[found.txn] == FAIL))
    if not len(failed):
        return
    writer = _first_write(known, failed)
    rows = seen.reads()
    for row in rows[writer[known.of[rows]] >= 0].tolist():
        version = int(known.of[row])
        text = (
            f"T2 read key {seen.key(version)} = {seen.value(version)}, which T1 wrote; but T1"
            " failed, so nobody may see it (aborted read): a contradiction!"
        )
        transactions = [seen.txn(int(writer[version])), seen.txn(row)]
        yield seen.teller.anomaly(transactions, text, key=seen.plain_key(version))


def g1b(seen: Evidence) -> Iterator[Anomaly]:
    """A read of what another transaction itself overwrote."""
    known, found = seen.known, seen.known.found
    possible = found.status[found.txn] != FAIL
    passing = np.flatnonzero((found.f == WRITE) & possible & ~known.chains.is_final)
    if not len(passing):
        return
    writer = _first_write(known, passing)
    rows = seen.reads()
    rows = rows[writer[known.of[rows]] >= 0]
    rows = rows[found.txn[writer[known.of[rows]]] != found.txn[rows]]
    for row in rows.tolist():
        version = int(known.of[row])
        text = (
            f"T2 read key {seen.key(version)} = {seen.value(version)}, which T1 wrote; but T1 then"
            " wrote that key again, so T2 saw T1 half done (intermediate read): a contradiction!"
        )
        transactions = [seen.txn(int(writer[version])), seen.txn(row)]
        yield seen.teller.anomaly(transactions, text, key=seen.plain_key(version))


def thin_air(seen: Evidence) -> Iterator[Anomaly]:
    """A read of what nobody wrote."""
    known, found = seen.known, seen.known.found
    written = _first_write(known, np.flatnonzero(found.f == WRITE))
    rows = seen.reads()
    version = known.of[rows]
    for row in rows[(written[version] < 0) & ~known.is_nil(version)].tolist():
        of = int(known.of[row])
        text = (
            f"T1 read key {seen.key(of)} = {seen.value(of)}, which no transaction of the history"
            " wrote, not even one that failed: a contradiction!"
        )
        yield seen.teller.anomaly([seen.txn(row)], text, key=seen.plain_key(of))


def lost_update(seen: Evidence) -> Iterator[Anomaly]:
    """Several ok transactions that read one version of a key and wrote the key."""
    known, found = seen.known, seen.known.found
    rows = known.final[found.status[found.txn[known.final]] == OK]
    root = known.chains.root[rows]
    is_update = found.f[root] == READ
    rows, root = rows[is_update], root[is_update]
    read = known.of[root]
    counts = np.bincount(read, minlength=len(known))
    for version in np.flatnonzero(counts > 1).tolist():
        updates = rows[read == version][:5].tolist()
        names = [f"T{n}" for n in range(1, len(updates) + 1)]
        wrote = ", ".join(
            f"{name} wrote {seen.value(int(known.of[row]))}"
            for name, row in zip(names, updates, strict=True)
        )
        text = (
            f"Each of {', '.join(names)} read key {seen.key(version)} = {seen.value(version)} and"
            f" then wrote the key: {wrote}. Whichever of them came first, the others had to read"
            " what it wrote (lost update): a contradiction!"
        )
        transactions = [seen.txn(row) for row in updates]
        yield seen.teller.anomaly(
            transactions, text, key=seen.plain_key(version), count=int(counts[version])
        )


def cyclic_versions(seen: Evidence) -> Iterator[Anomaly]:
    """What sources say of the order of versions contradicts itself."""
    for cycle in seen.order.contradictions:
        yield _told_contradiction(seen, cycle)


def _told_contradiction(seen: Evidence, cycle: Contradiction) -> Anomaly:
    transactions: list[int] = []
    lines: list[str] = []
    for place, (edges, row) in enumerate(cycle.steps):
        names = []
        for txn in (int(edges.one[row]), int(edges.other[row])):
            if txn >= 0 and txn not in transactions:
                transactions.append(txn)
            names.append(f"T{transactions.index(txn) + 1}" if txn >= 0 else "")
        before, after = int(edges.before[row]), int(edges.after[row])
        why = because(seen.known, edges, row).format(a=names[0], b=names[1])
        step = f"{seen.value(before)} < {seen.value(after)}, because {why}"
        last = place == len(cycle.steps) - 1
        lines.append(f"  - However, {step}: a contradiction!" if last else f"  - {step}.")
    key = seen.known.found.keys[cycle.key]
    lines.insert(0, f"Then of the versions of key {show(key)}:")
    values = [seen.known.name(int(edges.before[row])) for edges, row in cycle.steps]
    return seen.teller.anomaly(
        transactions, "\n".join(lines), key=key, versions=values, sources=list(cycle.sources)
    )


def because(known: Versions, edges: Edges, row: int) -> str:
    """Why one version comes before the other, with ``{a}`` and ``{b}`` for the transactions."""
    found = known.found
    one, other = int(edges.one[row]), int(edges.other[row])
    if edges.source == INITIAL:
        return "every version follows the initial (nil) state"
    if edges.source == WFR:
        return "{a} read the one and then wrote the other (wfr-keys)"
    if edges.source == SEQUENTIAL:
        process = int(found.process[one])
        return (
            f"process {process} last saw the one in {{a}} and then the other in {{b}}"
            " (sequential-keys)"
        )
    if edges.source == LINEARIZABLE:
        done = int(found.columns.index[found.complete[one]])
        begun = int(found.columns.index[found.invoke[other]])
        return (
            f"{{a}} last saw the one and had completed, at index {done}, before {{b}}, which first"
            f" saw the other, was invoked, at index {begun} (linearizable-keys)"
        )
    assert edges.source == COMMIT
    return "the system committed {a}, which wrote the one, before {b}, which wrote the other"


ANOMALIES: Final[Mapping[str, Callable[[Evidence], Iterator[Anomaly]]]] = {
    "internal": internal,
    "G1a": g1a,
    "G1b": g1b,
    "thin-air": thin_air,
    "lost-update": lost_update,
    "cyclic-versions": cyclic_versions,
}
