"""The checker ``long-fork``: do all readers see writes in one order?

Every key is written at most once, by a transaction of that one write; reads ask a whole *group*
of keys in one transaction. Each read then shows a set of writes as done. Under snapshot isolation
or better all states are states of one store, so of any two reads of a group one must show
everything that the other shows. Two reads of which each shows a write that the other does not
are a *long fork*: the store had two histories for a while (parallel snapshot isolation allows
that). After jepsen.tests.long-fork.

A read of a key that was written more than once makes the answer unknown. Told by the way: reads
that no store can answer so (:mod:`checkers.isolation.impossible_reads`), of every read, the second
of a key as well; a transaction of which one read is odd shows no state. Below the models that
forbid a fork (read committed) nothing is tested.

Cost: per group, sorting the distinct states by size; a chain of sets is found by comparing
neighbours only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import displayed_key, look_for_impossible_reads
from checkers.isolation.register_transactions import (
    READS,
    WRITES,
    Registers,
    Transactions,
    Writers,
    displayed,
    register_transactions,
    writers,
)
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from checkers.proof.words import shortened
from harness.history.operation import FAIL, OK
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, UNIQUE_VALUES
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict

LONG_FORK: Final = "long-fork"
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    LONG_FORK: Meaning(anomalies=("G-nonadjacent-item",), models=("prefix",)),
}

State = frozenset[Any]


class LongFork:
    """Judges reads of groups of keys that are each written once."""

    name = LONG_FORK
    reads = frozenset({"history"})
    needs_no_times = True
    micro_operations = READS | WRITES

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok reads of ``record``."""
        transactions = register_transactions(record)
        refusal = transactions.refusal(self.name)
        if refusal is not None:
            return refusal
        known = writers(transactions)
        once, twice = _writes(transactions)
        cases = Cases()
        odd = look_for_impossible_reads(record, cases, transactions, known)
        groups: dict[State, dict[State, int]] = {}
        counts = {"reads-count": 0, "early-read-count": 0, "late-read-count": 0}
        for reader in _readers(transactions):
            seen = frozenset(key for key, value in reader.reads.items() if value is not None)
            counts["reads-count"] += 1
            counts["early-read-count"] += not seen
            counts["late-read-count"] += len(seen) == len(reader.reads)
            if _shows_a_state(known, once, reader):
                group = groups.setdefault(frozenset(reader.reads), {})
                group.setdefault(seen, reader.position)
        for states in groups.values():
            budget.spend_check(self.name)
            _look_for_forks(record, cases, once, states)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={**counts, "forks": cases.counts.get(LONG_FORK, 0), "groups": len(groups)},
            unknown=transactions.odd or odd or _why_unknown(twice),
            settle=MEND_ANSWERS if transactions.odd or odd else UNIQUE_VALUES,
            tested=(LONG_FORK,) if counts["reads-count"] else (),
            untested="no read was answered",
        )


def _why_unknown(twice: set[Any]) -> str:
    if not twice:
        return ""
    keys = shortened(sorted(map(displayed, twice)))
    return f"written more than once, so that reads cannot be compared: key {keys}"


def _writes(transactions: Transactions) -> tuple[dict[Any, Registers], set[Any]]:
    """For each key written once its writer, and the other keys."""
    once: dict[Any, Registers] = {}
    twice = {key for key, _ in transactions.doubtful}
    for transaction in transactions.found:
        twice.update(key for key, _ in transaction.overwritten)
        for key, value in transaction.writes.items():
            if (
                value is None and transaction.status != FAIL
            ):  # the initial state: a read of it tells nothing
                twice.add(key)
            if once.setdefault(key, transaction) is not transaction:
                twice.add(key)
    return {key: writer for key, writer in once.items() if key not in twice}, twice


def _readers(transactions: Transactions) -> list[Registers]:
    return [each for each in transactions.found if each.status == OK and not each.writes]


def _shows_a_state(known: Writers, once: Mapping[Any, Registers], reader: Registers) -> bool:
    """Whether each of its reads shows its key's one write, which did not fail, or none."""
    if reader.disagreeing:
        return False
    for key, value in reader.reads.items():
        writer = once.get(key)
        if value is None:
            if (key, None) in known.twice:
                return False
        elif writer is None or writer.status == FAIL or writer.writes[key] != value:
            return False
    return True


def _look_for_forks(
    record: Record,
    cases: Cases,
    writes: Mapping[Any, Registers],
    states: Mapping[State, int],
) -> None:
    """Sorted by size, the states of one store are a chain: each holds the one before."""
    chain = sorted(states, key=len)
    for smaller, larger in pairwise(chain):
        if not smaller <= larger and cases.wants(LONG_FORK):
            one, other = min(smaller - larger, key=str), min(larger - smaller, key=str)
            reads = (states[smaller], states[larger])
            cases.keep(LONG_FORK, _fork(record, writes, reads, one, other))


def _fork(
    record: Record,
    writes: Mapping[Any, Registers],
    reads: tuple[int, int],
    one: Any,
    other: Any,
) -> Anomaly:
    writer, later = writes[one].position, writes[other].position
    named = {"T1": writer, "T2": later, "T3": reads[0], "T4": reads[1]}
    x, y = displayed(one), displayed(other)
    steps = [
        f"T1 < T3, because T3 observed T1's write of key {x}",
        f"T3 < T2, because T3 did not observe T2's write of key {y}",
        f"T2 < T4, because T4 observed T2's write of key {y}",
        f"T4 < T1, because T4 did not observe T1's write of key {x}",
    ]
    return proof(record, named, steps, key=[displayed_key(one), displayed_key(other)])


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {LongFork.name: LongFork}
