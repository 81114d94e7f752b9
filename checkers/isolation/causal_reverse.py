"""The checker ``causal-reverse``: is a write visible without one that had completed before it?

Writes insert unique values, reads ask for all values at once. If a read shows a write, it must
show every write that had been acknowledged before that one was even invoked: strict
serializability demands it, and plain serializability does not. (CockroachDB's "comments" test,
and jepsen.tests.causal-reverse.)

A write is ``write`` with its value, a read ``read`` with a list; with independent keys each key
is a table of its own. Values that the declared initial state (a list, or one for each key) holds
were there before every write. Values that nobody inserted are ``thin-air``, those of failed writes
``G1a``, and those that were first sent when the read had been answered are ``G1c-realtime``: all
three are told for every value of every read.

A read that is no list was not answered, or not by something of this model; a write whose
invocation is not recorded began nobody knows when, so nothing was acknowledged before it.

Cost: for a read of n values, n steps and one binary search; that the count of acknowledged writes
shown is the count there were is looked at first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.impossible_reads import ABORTED_READ, EARLY_READ, THIN_AIR
from checkers.isolation.register_transactions import displayed
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from checkers.proof.shapes import is_pair
from harness.history.calls import name, names, short
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Budget, Checker, Verdict

REVERSED: Final = "causal-reverse"
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    REVERSED: Meaning(anomalies=("G-single-item-realtime",)),
}
_WRITES: Final = ("write", "add")
_READ: Final = "read"
AT_FIRST: Final = -1
"""Where a value began that was there from the start, or nobody knows from when."""
NEVER: Final = 1 << 62


@dataclass
class Table:
    """One set of values. ``invoked`` and ``ended`` are positions by value (``ended`` of the last
    record of its write, the first that did not fail); ``acknowledged`` the ok writes as (position
    of the completion, value), in order; ``initial`` what was there at first.
    """

    initial: frozenset[Any] = frozenset()
    invoked: dict[Any, int] = field(default_factory=dict)
    ended: dict[Any, int] = field(default_factory=dict)
    acknowledged: list[tuple[int, Any]] = field(default_factory=list)
    reads: list[tuple[int, dict[Any, None]]] = field(default_factory=list)
    sound: dict[Any, int] = field(default_factory=dict)
    """Where each value began that may be seen at all: those at first, those whose write did not
    fail."""

    def insert(self, value: Any, begun: int, end: int, kind: str) -> bool:
        """Take in a write with its last record; whether its value is new."""
        is_new = value not in self.ended and value not in self.initial
        self.invoked[value] = min(begun, self.invoked.get(value, begun))
        if is_new or kind != FAIL:
            self.ended[value] = end
        if kind == OK:
            self.acknowledged.append((end, value))
        return is_new

    def find_sound(self, record: Record) -> None:
        """Fill :attr:`sound`."""
        operations = record.history.operations
        self.sound = {
            value: self.invoked[value]
            for value, end in self.ended.items()
            if operations[end].type != FAIL
        }
        self.sound.update(dict.fromkeys(self.initial, AT_FIRST))


class CausalReverse:
    """Judges reads of sets of unique values."""

    name = REVERSED
    reads = frozenset({"history"})
    operations = frozenset((*_WRITES, _READ))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok reads of ``record``."""
        if not _is_initial(record):
            why = f"the initial state is no list of values: {short(record.header.initial)}"
            return Verdict(valid=UNKNOWN, why=why, settle="declare it as a list of values")
        tables, odd = _tables(record)
        cases = Cases()
        for table in tables.values():
            table.find_sound(record)
            for position, values in table.reads:
                budget.spend_check(self.name)
                _look_for_odd_values(record, cases, table, position, values)
                _look_for_reversal(record, cases, table, position, values)
        count = sum(len(table.reads) for table in tables.values())
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={
                "read-count": count,
                "write-count": sum(len(table.invoked) for table in tables.values()),
                "error-count": cases.counts.get(REVERSED, 0),
            },
            unknown=odd,
            tested=(REVERSED,) if count else (),
            untested="no read was answered",
        )


def _is_initial(record: Record) -> bool:
    """Whether the declared initial state is one of sets: a list, or lists by key."""
    initial = record.header.initial
    if isinstance(initial, Mapping):
        return all(isinstance(values, list | None) for values in initial.values())
    return isinstance(initial, list | None)


def _initial_of(record: Record, key: Any) -> frozenset[Any]:
    initial = record.header.initial
    if isinstance(initial, Mapping):
        initial = initial.get(key if isinstance(key, str) else displayed(key))
    return frozenset(map(name, initial or ()))


def _tables(record: Record) -> tuple[dict[Any, Table], str]:
    """The tables by key, and what makes them unfit for a verdict."""
    tables: dict[Any, Table] = {}
    odd = ""
    history = record.history
    for position, operation in enumerate(history.operations):
        other = history.pairs[position]
        if not operation.is_client or (operation.type == INVOKE and other >= 0):
            continue
        asked = history.operations[other] if other >= 0 else operation
        keyed = _keyed(record, asked, operation)
        if keyed is None:
            odd = odd or f"operation {asked.index} names no key: {short(asked.value)}"
            continue
        key, value, answer = keyed
        if key not in tables:
            tables[key] = Table(_initial_of(record, key))
        if operation.f in _WRITES:
            begun = position if operation.type == INVOKE else max(other, AT_FIRST)
            if not tables[key].insert(name(value), begun, position, operation.type):
                odd = f"value {short(value)} is written twice (index {asked.index})"
        elif operation.f == _READ and operation.type == OK:
            if isinstance(answer, list | tuple):
                tables[key].reads.append((position, dict.fromkeys(names(answer))))
            elif answer is not None:
                odd = f"read {operation.index} is no list of values: {short(answer)}"
    return tables, odd


def _keyed(record: Record, asked: Operation, answered: Operation) -> tuple[Any, Any, Any] | None:
    """Key, what was asked and what was answered; ``None`` if no key is named."""
    if not record.header.independent:
        return None, asked.value, answered.value
    both = [each.value for each in (asked, answered) if is_pair(each.value)]
    if not both:
        return None
    answer = answered.value[1] if is_pair(answered.value) else answered.value
    return name(both[0][0]), both[0][1], answer


def _look_for_odd_values(
    record: Record, cases: Cases, table: Table, position: int, values: Mapping[Any, None]
) -> None:
    operations = record.history.operations
    for value in [value for value in values if value not in table.sound]:
        shown = displayed(value)
        if value not in table.ended:
            if cases.wants(THIN_AIR):
                step = f"T1 observed {shown}, which nobody ever inserted"
                cases.keep(THIN_AIR, proof(record, {"T1": position}, [step]))
        elif cases.wants(ABORTED_READ):
            step = f"T2 observed {shown}, which T1 inserted, and T1 failed"
            named = {"T1": table.ended[value], "T2": position}
            cases.keep(ABORTED_READ, proof(record, named, [step]))
    for value in [value for value in values if table.sound.get(value, AT_FIRST) > position]:
        if cases.wants(EARLY_READ):
            step = (
                f"T2 observed {displayed(value)}, which T1 inserted, so T1 < T2; but T2 had been"
                f" answered at index {operations[position].index} before T1 was invoked at index"
                f" {operations[table.invoked[value]].index}, so T2 < T1"
            )
            named = {"T1": table.ended[value], "T2": position}
            cases.keep(EARLY_READ, proof(record, named, [step]))


def _look_for_reversal(
    record: Record, cases: Cases, table: Table, position: int, values: Mapping[Any, None]
) -> None:
    """Only the visible write that was invoked last need be looked at: it has most before it."""
    written = values.keys() - table.initial if table.initial else values
    begun = {at: value for value in written if (at := table.sound.get(value, NEVER)) < position}
    if not begun:
        return
    latest = max(begun)
    before = bisect_left(table.acknowledged, (latest,))
    missing = [value for value in table.initial if value not in values]
    missing += [value for _, value in table.acknowledged[:before] if value not in values]
    if missing and cases.wants(REVERSED):
        cases.keep(REVERSED, _reversal(record, table, position, missing, begun[latest]))


def _reversal(record: Record, table: Table, position: int, missing: list[Any], latest: Any) -> Any:
    first = missing[0]
    operations = record.history.operations
    named = {"T2": table.ended[latest], "T3": position}
    if first in table.initial:
        reason = f"{displayed(first)} was there at first, before T2"
    else:
        done = operations[table.ended[first]].index
        begun = operations[table.invoked[latest]].index
        named = {"T1": table.ended[first], **named}
        reason = (
            f"T1 < T2, because T1 had completed at index {done} before T2 was invoked at index"
            f" {begun}"
        )
    lacks = f"T3 did not observe {displayed(first)}"
    steps = [
        reason,
        f"T2 < T3, because T3 observed {displayed(latest)}, which T2 inserted",
        lacks if first in table.initial else f"T3 < T1, because {lacks}, which T1 inserted",
    ]
    shown = [displayed(value) if isinstance(value, tuple) else value for value in missing[:100]]
    return proof(record, named, steps, missing=shown, missing_count=len(missing))


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    CausalReverse.name: CausalReverse,
}
