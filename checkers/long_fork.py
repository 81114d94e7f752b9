"""The checker ``long-fork``: do all readers see writes in one order?

Every key is written at most once, by a transaction of that one write; reads ask a whole *group*
of keys in one transaction. Each read then shows a set of writes as done. Under snapshot isolation
or better all states are states of one store, so of any two reads of a group one must show
everything that the other shows. Two reads of which each shows a write that the other does not
are a *long fork*: the store had two histories for a while (parallel snapshot isolation allows
that). After jepsen.tests.long-fork.

A read of a key that was written more than once makes the answer unknown; a value that nobody
wrote is ``thin-air``, one of a failed write ``G1a``.

Cost: per group, sorting the distinct states by size; a chain of sets is found by comparing
neighbours only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged, listed
from checkers.proof import proof, shown
from harness.history.operation import FAIL, INVOKE, OK, is_transaction
from harness.history.record import Record
from harness.history.verdict import Budget, Checker, Verdict

LONG_FORK: Final = "long-fork"
THIN_AIR: Final = "thin-air"
ABORTED_READ: Final = "G1a"
MEANINGS: Final = {
    LONG_FORK: Meaning(anomalies=("G-nonadjacent-item",), models=("prefix",)),
    THIN_AIR: Meaning(anomalies=(THIN_AIR,)),
    ABORTED_READ: Meaning(anomalies=(ABORTED_READ,)),
}
_READS: Final = ("r", "read")
_WRITES: Final = ("w", "write")

State = frozenset[Any]


class LongFork:
    """Judges reads of groups of keys that are each written once."""

    name = LONG_FORK
    reads = frozenset({"history"})
    micro_operations = frozenset((*_READS, *_WRITES))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok reads of ``record``."""
        writes, twice = _writes(record)
        cases = Cases()
        groups: dict[State, dict[State, int]] = {}
        counts = {"reads-count": 0, "early-read-count": 0, "late-read-count": 0}
        for position, read in _reads(record):
            found = {key: value for _, key, value in read}
            seen = frozenset(key for key, value in found.items() if value is not None)
            counts["reads-count"] += 1
            counts["early-read-count"] += not seen
            counts["late-read-count"] += len(seen) == len(found)
            once = {key: value for key, value in found.items() if key not in twice}
            _look_for_odd_values(record, cases, writes, position, once)
            if not twice & found.keys():
                groups.setdefault(frozenset(found), {}).setdefault(seen, position)
        for states in groups.values():
            budget.spend_check(self.name)
            _look_for_forks(record, cases, writes, states)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={**counts, "forks": cases.counts.get(LONG_FORK, 0), "groups": len(groups)},
            unknown=_why_unknown(twice, counts["reads-count"]),
        )


def _why_unknown(twice: set[Any], reads: int) -> str:
    if twice:
        keys = listed(sorted(twice, key=str))
        return f"written more than once, so that reads cannot be compared: key {keys}"
    return "" if reads else "no read was answered, so nothing is known"


def _writes(record: Record) -> tuple[dict[Any, tuple[int, Any]], set[Any]]:
    """For each key written once its write (position of the last record, value), and the others."""
    writes: dict[Any, tuple[int, Any]] = {}
    twice: set[Any] = set()
    history = record.history
    for position, operation in enumerate(history.operations):
        if not operation.is_client or operation.type != INVOKE:
            continue
        if not is_transaction(operation.value):
            continue
        end = history.pairs[position] if history.pairs[position] >= 0 else position
        for f, key, value in operation.value:
            if f in _WRITES:
                if key in writes:
                    twice.add(key)
                writes[key] = (end, value)
    return {key: write for key, write in writes.items() if key not in twice}, twice


def _reads(record: Record) -> list[tuple[int, Any]]:
    return [
        (position, operation.value)
        for position, operation in enumerate(record.history.operations)
        if operation.is_client
        and operation.type == OK
        and is_transaction(operation.value)
        and all(step[0] in _READS for step in operation.value)
    ]


def _look_for_odd_values(
    record: Record,
    cases: Cases,
    writes: Mapping[Any, tuple[int, Any]],
    position: int,
    found: Mapping[Any, Any],
) -> None:
    for key, value in found.items():
        if value is None:
            continue
        writer, written = writes.get(key, (-1, None))
        if writer < 0 or written != value:
            if cases.wants(THIN_AIR):
                step = f"T1 read key {shown(key)} = {shown(value)}, which nobody ever wrote"
                cases.keep(THIN_AIR, proof(record, {"T1": position}, [step], key=key))
        elif record.history.operations[writer].type == FAIL and cases.wants(ABORTED_READ):
            step = f"T2 read key {shown(key)} = {shown(value)}, which T1 wrote, and T1 failed"
            cases.keep(ABORTED_READ, proof(record, {"T1": writer, "T2": position}, [step], key=key))


def _look_for_forks(
    record: Record,
    cases: Cases,
    writes: Mapping[Any, tuple[int, Any]],
    states: Mapping[State, int],
) -> None:
    """Sorted by size, the states of one store are a chain: each holds the one before."""
    chain = sorted(states, key=len)
    for smaller, larger in pairwise(chain):
        if not smaller <= larger and cases.wants(LONG_FORK):
            one, other = min(smaller - larger, key=str), min(larger - smaller, key=str)
            reads = (states[smaller], states[larger])
            if one in writes and other in writes:
                cases.keep(LONG_FORK, _fork(record, writes, reads, one, other))


def _fork(
    record: Record,
    writes: Mapping[Any, tuple[int, Any]],
    reads: tuple[int, int],
    one: Any,
    other: Any,
) -> Any:
    named = {"T1": writes[one][0], "T2": writes[other][0], "T3": reads[0], "T4": reads[1]}
    x, y = shown(one), shown(other)
    steps = [
        f"T1 < T3, because T3 observed T1's write of key {x}",
        f"T3 < T2, because T3 did not observe T2's write of key {y}",
        f"T2 < T4, because T4 observed T2's write of key {y}",
        f"T4 < T1, because T4 did not observe T1's write of key {x}",
    ]
    return proof(record, named, steps, key=[one, other])


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {LongFork.name: LongFork}
