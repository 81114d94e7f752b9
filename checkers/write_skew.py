"""The checker ``write-skew``: two transactions that each overwrote what the other had read.

T1 reads x and y and writes x; T2 reads both, sees the same, and writes y. Each overwrote what the
other saw, so each must come before the other: serializability forbids it, snapshot isolation
allows it (Berenson et al., "A Critique of ANSI SQL Isolation Levels", 1995). If it is one and the
same key, it is ``lost-update``, which snapshot isolation forbids.

That T2 comes after T1 is taken as proved only where T1 read some version of a key and T2 read the
*same version* of that key and then wrote it, or where T1 read the key's initial state (nil) and
T2 wrote it. Values are unique, so no order of versions is needed. Longer cycles are left to
:mod:`checkers.elle`.

Cost: for each version, the readers times the transactions that overwrote it; these are one,
unless something is wrong already, and for nil all writers of the key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged, listed
from checkers.proof import proof, shown
from checkers.register_transactions import Registers, register_transactions, writers
from harness.history.operation import OK
from harness.history.record import Record
from harness.history.verdict import Anomaly, Budget, Checker, Verdict

WRITE_SKEW: Final = "write-skew"
LOST_UPDATE: Final = "lost-update"
MEANINGS: Final = {
    WRITE_SKEW: Meaning(anomalies=("G2-item",)),
    LOST_UPDATE: Meaning(anomalies=(LOST_UPDATE,)),
}

Before = tuple[Registers, Registers]


class WriteSkew:
    """Judges transactions over registers with unique values."""

    name = WRITE_SKEW
    reads = frozenset({"history"})
    micro_operations = frozenset(("w", "write", "r", "read"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok transactions of ``record``."""
        found = register_transactions(record)
        known = writers(found)
        before: dict[tuple[int, int], tuple[Any, Any]] = {}
        cases = Cases()
        told: set[frozenset[Registers]] = set()
        twice = set(known.twice)
        done = [transaction for transaction in found if transaction.status == OK]
        for (first, second), version in _overwrites(done, twice):
            budget.spend_check(self.name)
            before.setdefault((first.position, second.position), version)
            back = before.get((second.position, first.position))
            if back is not None and frozenset((first, second)) not in told:
                told.add(frozenset((first, second)))
                kind = LOST_UPDATE if back[0] == version[0] else WRITE_SKEW
                if cases.wants(kind):
                    cases.keep(kind, _cycle(record, second, first, back, version))
        unknown = "" if done else "no transaction was ok, so nothing is known"
        if twice:
            values = listed([f"{shown(v)} to key {shown(k)}" for k, v in known.twice])
            unknown = f"written by more than one transaction: {values}"
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"transaction-count": len(found), "anti-dependencies": len(before)},
            unknown=unknown,
        )


def _overwrites(
    found: list[Registers], twice: set[tuple[Any, Any]]
) -> Iterator[tuple[Before, tuple[Any, Any]]]:
    """(reader of a version, who overwrote it) with that version."""
    readers: dict[tuple[Any, Any], list[Registers]] = defaultdict(list)
    overwriters: dict[tuple[Any, Any], list[Registers]] = defaultdict(list)
    for transaction in found:
        for version in transaction.reads.items():
            if version not in twice:
                readers[version].append(transaction)
        for key in transaction.writes:
            over = (key, transaction.reads.get(key))
            if over[1] is None or over in twice:
                overwriters[(key, None)].append(transaction)
            else:
                overwriters[over].append(transaction)
                overwriters[(key, None)].append(transaction)
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
        f" {shown(other.writes[first[0]])}",
        f"T2 < T1, because T2 read {_version(back)}, which T1 overwrote with"
        f" {shown(one.writes[back[0]])}",
    ]
    named = {"T1": one.position, "T2": other.position}
    keys = [first[0]] if first[0] == back[0] else [first[0], back[0]]
    return proof(record, named, steps, key=keys)


def _version(version: tuple[Any, Any]) -> str:
    key, value = version
    if value is None:
        return f"the initial (nil) state of key {shown(key)}"
    return f"key {shown(key)} = {shown(value)}"


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {WriteSkew.name: WriteSkew}
