"""The checker ``causal-reverse``: is a write visible without one that had completed before it?

Writes insert unique values, reads ask for all values at once. If a read shows a write, it must
show every write that had been acknowledged before that one was even invoked: strict
serializability demands it, and plain serializability does not. (CockroachDB's "comments" test,
and jepsen.tests.causal-reverse.)

A write is ``write`` with its value, a read ``read`` with a list; with independent keys each key
is a table of its own. Values that nobody inserted are ``thin-air``, those of failed writes
``G1a``.

Cost: for a read of n values, n steps and one binary search; that the count of acknowledged writes
shown is the count there were is looked at first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged
from checkers.proof import proof, shown
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.history.record import Record
from harness.history.verdict import Budget, Checker, Verdict

REVERSED: Final = "causal-reverse"
THIN_AIR: Final = "thin-air"
ABORTED_READ: Final = "G1a"
MEANINGS: Final = {
    REVERSED: Meaning(anomalies=("G-single-item-realtime",)),
    THIN_AIR: Meaning(anomalies=(THIN_AIR,)),
    ABORTED_READ: Meaning(anomalies=(ABORTED_READ,)),
}
_WRITES: Final = ("write", "add")
_READ: Final = "read"


@dataclass
class Table:
    """One set of values. ``invoked`` and ``ended`` are positions by value; ``acknowledged`` the
    ok writes as (position of the completion, value), in order.
    """

    invoked: dict[Any, int] = field(default_factory=dict)
    ended: dict[Any, int] = field(default_factory=dict)
    acknowledged: list[tuple[int, Any]] = field(default_factory=list)
    reads: list[tuple[int, Sequence[Any]]] = field(default_factory=list)


class CausalReverse:
    """Judges reads of sets of unique values."""

    name = REVERSED
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok reads of ``record``."""
        tables, odd = _tables(record)
        cases = Cases()
        for table in tables.values():
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
            unknown=odd or ("" if count else "no read was answered, so nothing is known"),
        )


def _tables(record: Record) -> tuple[dict[Any, Table], str]:
    """The tables by key, and what makes them unfit for a verdict."""
    tables: dict[Any, Table] = {}
    odd = ""
    history = record.history
    for position, operation in enumerate(history.operations):
        if not operation.is_client:
            continue
        key, value = _split(operation, record.header.independent)
        table = tables.setdefault(key, Table())
        if operation.f in _WRITES and operation.type == INVOKE:
            if value in table.invoked:
                odd = f"value {shown(value)} is written twice (index {operation.index})"
            table.invoked.setdefault(value, position)
            end = history.pairs[position] if history.pairs[position] >= 0 else position
            if history.operations[table.ended.setdefault(value, end)].type == FAIL:
                table.ended[value] = end
        elif operation.f in _WRITES and operation.type == OK:
            table.acknowledged.append((position, value))
        elif operation.f == _READ and operation.type == OK:
            if isinstance(value, list | tuple):
                table.reads.append((position, value))
            elif value is not None:
                odd = f"read {operation.index} is no list of values: {shown(value)}"
    return tables, odd


def _split(operation: Operation, independent: bool) -> tuple[Any, Any]:
    value = operation.value
    if independent and isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    return None, value


def _look_for_odd_values(
    record: Record, cases: Cases, table: Table, position: int, values: Sequence[Any]
) -> None:
    for value in values:
        if value not in table.invoked:
            if cases.wants(THIN_AIR):
                step = f"T1 observed {shown(value)}, which nobody ever inserted"
                cases.keep(THIN_AIR, proof(record, {"T1": position}, [step]))
            continue
        writer = table.ended[value]
        if record.history.operations[writer].type == FAIL and cases.wants(ABORTED_READ):
            step = f"T2 observed {shown(value)}, which T1 inserted, and T1 failed"
            cases.keep(ABORTED_READ, proof(record, {"T1": writer, "T2": position}, [step]))


def _look_for_reversal(
    record: Record, cases: Cases, table: Table, position: int, values: Sequence[Any]
) -> None:
    """Only the visible write that was invoked last need be looked at: it has most before it."""
    seen = {value for value in values if value in table.invoked}
    if not seen:
        return
    latest = max(seen, key=table.invoked.__getitem__)
    before = bisect_left(table.acknowledged, (table.invoked[latest],))
    missing = [value for _, value in table.acknowledged[:before] if value not in seen]
    if missing and cases.wants(REVERSED):
        cases.keep(REVERSED, _reversal(record, table, position, missing, latest))


def _reversal(
    record: Record, table: Table, position: int, missing: Sequence[Any], latest: Any
) -> Any:
    first = missing[0]
    operations = record.history.operations
    done = operations[table.ended[first]].index
    begun = operations[table.invoked[latest]].index
    named = {"T1": table.ended[first], "T2": table.ended[latest], "T3": position}
    steps = [
        f"T1 < T2, because T1 had completed at index {done} before T2 was invoked at index {begun}",
        f"T2 < T3, because T3 observed {shown(latest)}, which T2 inserted",
        f"T3 < T1, because T3 did not observe {shown(first)}, which T1 inserted",
    ]
    return proof(record, named, steps, missing=list(missing[:100]), missing_count=len(missing))


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    CausalReverse.name: CausalReverse,
    "comments": CausalReverse,
}
