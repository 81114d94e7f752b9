"""Anomalies of registers that are no cycle of transactions.

=====================  ==========================================================================
internal               a transaction's read disagrees with its own read or write of the key before
future-read            a read of what its own transaction writes only later
own-write-unread       a read after an own write that shows the initial state or an older own one
own-write-overwritten  a read after an own write that shows what another transaction wrote
non-repeatable-read    a transaction read two versions of a key, both of others or the initial one
G1a                    a read of what a transaction wrote that failed, or cannot have committed
G1b                    a read of what another transaction wrote and itself overwrote
thin-air               a read of a value that nobody wrote; Elle lets it pass
lost-update            several ok transactions read one version of a key and wrote the key
cyclic-versions        what is known or assumed of the order of a key's versions is no order
=====================  ==========================================================================

A reader is any committed transaction (:mod:`checkers.elle.registers.reads`), and every read of it
counts. Each is found by array passes over all micro-operations; only the cases told become objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np

from checkers.elle.explain import Explainer, show
from checkers.elle.registers.versions import (
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
from checkers.proof.cases import SHOWN_CASES
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly


@dataclass(frozen=True)
class Evidence:
    """What the rules look at."""

    known: Versions
    order: Order
    explainer: Explainer

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
        """Reads of committed transactions, external and not."""
        return self.known.reads.rows

    def txn(self, row: int) -> int:
        """The transaction of a micro-operation."""
        return int(self.known.found.txn[row])

    def is_ok(self, row: int) -> bool:
        """Whether the transaction of a micro-operation certainly committed, at every level."""
        return bool(self.known.found.status[self.txn(row)] == OK)

    def source(self, version: int, row: int) -> str:
        """What a version is that no other transaction wrote: words for the reader at ``row``."""
        if int(self.known.value[version]) < 0:
            return "the initial state"
        if int(self.known.written_at[version]) >= 0:
            return "what it had written there earlier"
        return "what nobody wrote"

    def at_every_level(self, row: int, text: str) -> Iterator[Anomaly]:
        """A case of what no committed transaction can read, if it is an ok one that did.

        An info may have failed, so of that it is told as an aborted read; see :func:`g1a`.
        """
        if self.is_ok(row):
            key = self.plain_key(int(self.known.of[row]))
            yield self.explainer.anomaly([self.txn(row)], text, key=key)


def direct_anomalies(known: Versions, order: Order, record: Record) -> dict[str, list[Anomaly]]:
    """Cases by type, at most :data:`SHOWN_CASES` of each."""
    seen = Evidence(known, order, Explainer(known.found, record))
    return {kind: list(islice(rule(seen), SHOWN_CASES)) for kind, rule in ANOMALIES.items()}


def internal(seen: Evidence) -> Iterator[Anomaly]:
    """A read that disagrees with the transaction's own last touch of the key."""
    known = seen.known
    rows = seen.reads()
    rows = rows[known.chains.previous[rows] >= 0]
    before = known.chains.previous[rows]
    wrong = known.of[rows] != known.of[before]
    wrong &= (known.found.f[before] == WRITE) | (known.found.status[known.found.txn[rows]] == OK)
    for row, own in zip(rows[wrong].tolist(), before[wrong].tolist(), strict=True):
        version, expected = int(known.of[row]), int(known.of[own])
        verb = "read" if known.found.f[own] == READ else "written"
        text = (
            f"T1 read key {seen.key(version)} = {seen.value(version)}, and itself had {verb}"
            f" {seen.value(expected)} before, with no write of its own between: a contradiction!"
        )
        yield seen.explainer.anomaly(
            [seen.txn(row)], text, key=seen.plain_key(version), expected=known.name(expected)
        )


def future_read(seen: Evidence) -> Iterator[Anomaly]:
    """A read of what its own transaction writes only later."""
    for row in seen.known.reads.future.tolist():
        version = int(seen.known.of[row])
        text = (
            f"T1 read key {seen.key(version)} = {seen.value(version)} before it wrote that itself,"
            " and nobody else wrote it (a read of its own future): a contradiction!"
        )
        yield from seen.at_every_level(row, text)


def own_write_unread(seen: Evidence) -> Iterator[Anomaly]:
    """A read after an own write that shows the initial state or an older write of its own."""
    for row in seen.known.reads.unread.tolist():
        version = int(seen.known.of[row])
        text = (
            f"T1 wrote key {seen.key(version)}, and then read it as {seen.value(version)}:"
            f" {seen.source(version, row)}, so its own last write was not there: a contradiction!"
        )
        yield from seen.at_every_level(row, text)


def own_write_overwritten(seen: Evidence) -> Iterator[Anomaly]:
    """A read after an own write that shows what another transaction wrote."""
    known = seen.known
    for row in known.reads.overwritten.tolist():
        version = int(known.of[row])
        text = (
            f"T2 wrote key {seen.key(version)}, and then read it as {seen.value(version)}, which"
            " T1 wrote: until T2 had ended nobody might write over what it had written (own write"
            " overwritten): a contradiction!"
        )
        writer = seen.txn(int(known.written_at[version]))
        yield seen.explainer.anomaly([writer, seen.txn(row)], text, key=seen.plain_key(version))


def non_repeatable_read(seen: Evidence) -> Iterator[Anomaly]:
    """Two reads of a key in one transaction that show two committed states of others."""
    known = seen.known
    rows = known.external
    rows = rows[known.is_nil(known.of[rows]) | (known.writer[known.of[rows]] >= 0)]
    root = known.chains.root[rows]
    order = np.argsort(root, kind="stable")
    rows, root = rows[order], root[order]
    wrong = (root[1:] == root[:-1]) & (known.of[rows[1:]] != known.of[rows[:-1]])
    for row, later in zip(rows[:-1][wrong].tolist(), rows[1:][wrong].tolist(), strict=True):
        first, second = int(known.of[row]), int(known.of[later])
        text = (
            f"T1 read key {seen.key(first)} = {seen.value(first)}, and later"
            f" {seen.value(second)}. Whichever came later in the version order, T1 ran before the"
            " one that overwrote the older and after the one that wrote the newer"
            " (non-repeatable read): a contradiction!"
        )
        writers = [int(known.writer[version]) for version in (first, second)]
        yield seen.explainer.anomaly(
            [seen.txn(row), *(txn for txn in writers if txn >= 0)],
            text,
            key=seen.plain_key(first),
        )


def _first_write(known: Versions, of_rows: Any) -> Int64s:
    """For each version one of the micro-operations ``of_rows`` that write it, or -1."""
    found = np.full(len(known), -1, dtype=np.int64)
    found[known.of[of_rows]] = of_rows
    return found


def g1a(seen: Evidence) -> Iterator[Anomaly]:
    """A read of what failed, or of what cannot have committed."""
    known, found = seen.known, seen.known.found
    yield from _of_infos(seen)
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
        yield seen.explainer.anomaly(transactions, text, key=seen.plain_key(version))


def _of_infos(seen: Evidence) -> Iterator[Anomaly]:
    """Reads of an info that read what no committed transaction can have read."""
    known, found = seen.known, seen.known.found
    kinds = (
        (known.reads.future, "which it wrote itself only later"),
        (known.reads.unread, "though it had itself written the key last"),
        (_from_nowhere(known), "which no transaction of the history wrote"),
    )
    for rows, why in kinds:
        for row in rows[found.status[found.txn[rows]] != OK].tolist():
            version, txn = int(known.of[row]), seen.txn(row)
            readers = known.reads.rows
            at = known.written_at[known.of[readers]]
            readers = readers[(at >= 0) & (found.txn[np.maximum(at, 0)] == txn)]
            readers = readers[found.txn[readers] != txn]
            text = (
                f"T2 read what T1 wrote, whose outcome is not known. T1 had read key"
                f" {seen.key(version)} = {seen.value(version)}, {why}: it cannot have committed,"
                " so nobody may see what it wrote (aborted read): a contradiction!"
            )
            yield seen.explainer.anomaly(
                [txn, seen.txn(int(readers[0]))], text, key=seen.plain_key(version)
            )


def _from_nowhere(known: Versions) -> Int64s:
    """Reads of what nobody wrote, not even one that failed."""
    rows = known.reads.rows
    version = known.of[rows]
    return rows[(known.written_at[version] < 0) & ~known.is_nil(version)]


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
        yield seen.explainer.anomaly(transactions, text, key=seen.plain_key(version))


def thin_air(seen: Evidence) -> Iterator[Anomaly]:
    """A read of what nobody wrote."""
    for row in _from_nowhere(seen.known).tolist():
        of = int(seen.known.of[row])
        text = (
            f"T1 read key {seen.key(of)} = {seen.value(of)}, which no transaction of the history"
            " wrote, not even one that failed: a contradiction!"
        )
        yield from seen.at_every_level(row, text)


def lost_update(seen: Evidence) -> Iterator[Anomaly]:
    """Several ok transactions that read one version of a key (last, if it was not the only one)
    and wrote the key.
    """
    known, found = seen.known, seen.known.found
    rows = known.final[found.status[found.txn[known.final]] == OK]
    latest = np.full(len(found.txn), -1, dtype=np.int64)
    latest[known.chains.root[known.external]] = known.external  # the last one of each stays
    latest = latest[known.chains.root[rows]]
    rows, latest = rows[latest >= 0], latest[latest >= 0]
    read = known.of[latest]
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
        yield seen.explainer.anomaly(
            transactions, text, key=seen.plain_key(version), count=int(counts[version])
        )


def cyclic_versions(seen: Evidence) -> Iterator[Anomaly]:
    """What sources say of the order of versions contradicts itself."""
    for cycle in seen.order.contradictions:
        yield _contradiction(seen, cycle)


def _contradiction(seen: Evidence, cycle: Contradiction) -> Anomaly:
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
    return seen.explainer.anomaly(
        transactions, "\n".join(lines), key=key, versions=values, sources=list(cycle.sources)
    )


def because(known: Versions, edges: Edges, row: int) -> str:
    """Why one version comes before the other, with ``{a}`` and ``{b}`` for the transactions."""
    found = known.found
    one, other = int(edges.one[row]), int(edges.other[row])
    if one == other and one >= 0 and edges.source != WFR:
        return "{a} read the one and then the other"
    if edges.source == INITIAL:
        return "every version follows the initial state"
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
    "future-read": future_read,
    "own-write-unread": own_write_unread,
    "own-write-overwritten": own_write_overwritten,
    "non-repeatable-read": non_repeatable_read,
    "G1a": g1a,
    "G1b": g1b,
    "thin-air": thin_air,
    "lost-update": lost_update,
    "cyclic-versions": cyclic_versions,
}
