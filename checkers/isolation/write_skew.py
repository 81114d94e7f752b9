"""The checker ``write-skew``: two transactions that each overwrote what the other had read.

T1 reads x and y and writes x; T2 reads both, sees the same, and writes y. Each overwrote what the
other saw, so each must come before the other: serializability forbids it, snapshot isolation
allows it (Berenson et al., "A Critique of ANSI SQL Isolation Levels", 1995). If it is one and the
same key, it is ``lost-update``, which snapshot isolation forbids.

That T2 comes after T1 is taken as proved only where T1 read some version of a key and T2 read the
*same version* of that key and then wrote it, or where T1 read the key's initial state (nil) and
T2 wrote it; and every read counts, not only the first of a key. Values are unique, so no order of
versions is needed. Longer cycles are left to :mod:`checkers.elle`. Told by the way: reads that no
store can answer so (:mod:`checkers.isolation.impossible_reads`).

Nothing is tested where nothing was read, nor against a model that forbids neither (read
committed).

Cost: for each version, the readers times the transactions that overwrote it; these are one,
unless something is wrong already, and for nil all writers of the key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import displayed_key, look_for_impossible_reads
from checkers.isolation.register_transactions import (
    READS,
    WRITES,
    Registers,
    Version,
    Writers,
    displayed,
    register_transactions,
    writers,
    written_twice_over,
)
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, UNIQUE_VALUES
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict

WRITE_SKEW: Final = "write-skew"
LOST_UPDATE: Final = "lost-update"
MAIN: Final = (WRITE_SKEW, LOST_UPDATE)
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    WRITE_SKEW: Meaning(anomalies=("G2-item",)),
    LOST_UPDATE: Meaning(anomalies=(LOST_UPDATE,)),
}

Before = tuple[Registers, Registers]


class WriteSkew:
    """Judges transactions over registers with unique values."""

    name = WRITE_SKEW
    reads = frozenset({"history"})
    needs_no_times = True
    micro_operations = READS | WRITES

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok transactions of ``record``."""
        transactions = register_transactions(record)
        refusal = transactions.refusal(self.name)
        if refusal is not None:
            return refusal
        found, known = transactions.found, writers(transactions)
        before: dict[tuple[int, int], tuple[Any, Any]] = {}
        cases = Cases()
        odd = look_for_impossible_reads(record, cases, transactions, known)
        reported: set[frozenset[Registers]] = set()
        done = [transaction for transaction in found if transaction.is_committed]
        for (first, second), version in _overwrites(done, known):
            budget.spend_check(self.name)
            before.setdefault((first.position, second.position), version)
            back = before.get((second.position, first.position))
            if back is not None and frozenset((first, second)) not in reported:
                reported.add(frozenset((first, second)))
                kind = LOST_UPDATE if back[0] == version[0] else WRITE_SKEW
                if cases.wants(kind):
                    cases.keep(kind, _cycle(record, second, first, back, version))
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"transaction-count": len(found), "anti-dependencies": len(before)},
            unknown=transactions.odd or odd or written_twice_over(known),
            settle=MEND_ANSWERS if transactions.odd or odd else UNIQUE_VALUES,
            tested=MAIN if any(transaction.seen for transaction in done) else (),
            untested="no transaction read anything",
        )


def _overwrites(found: list[Registers], known: Writers) -> Iterator[tuple[Before, tuple[Any, Any]]]:
    """(reader of a version, who overwrote it) with that version."""
    readers: dict[Version, list[Registers]] = defaultdict(list)
    overwriters: dict[Version, list[Registers]] = defaultdict(list)
    for transaction in found:
        for version in transaction.seen:
            if known.installed(version) and known.source(version) is not transaction:
                readers[version].append(transaction)
        over = {(key, None): None for key in transaction.writes}
        over.update(
            (version, None)
            for version in transaction.before_own
            if version[0] in transaction.writes and version in readers
        )
        for version in over:
            overwriters[version].append(transaction)
    for version, of_version in readers.items():
        for reader in of_version:
            for writer in overwriters.get(version, ()):
                if writer is not reader:
                    yield (reader, writer), version


def _cycle(
    record: Record, one: Registers, other: Registers, first: tuple[Any, Any], back: tuple[Any, Any]
) -> Anomaly:
    """``one`` read the version ``first``, which ``other`` overwrote; and back."""
    steps = [
        f"T1 < T2, because T1 read {_version(first)}, which T2 overwrote with"
        f" {displayed(other.writes[first[0]])}",
        f"T2 < T1, because T2 read {_version(back)}, which T1 overwrote with"
        f" {displayed(one.writes[back[0]])}",
    ]
    named = {"T1": one.position, "T2": other.position}
    keys = [displayed_key(key) for key in dict.fromkeys((first[0], back[0]))]
    return proof(record, named, steps, key=keys)


def _version(version: tuple[Any, Any]) -> str:
    key, value = version
    if value is None:
        return f"the initial (nil) state of key {displayed(key)}"
    return f"key {displayed(key)} = {displayed(value)}"


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {WriteSkew.name: WriteSkew}
