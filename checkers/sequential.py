"""The checker ``sequential``: does a process ever see a counter fall?

Every key is a counter that only grows: ``inc`` adds one in a transaction and tells the new value,
``read`` tells the value. Where each process goes on from what it has seen (a session), the values
that one process is told of a key never fall, and those of its own ``inc`` rise. After the
Dgraph test's "sequential" workload.

Values are ``[key, value]``; a counter that is not there is null and counts as 0. An ``inc`` told a
value that another ``inc`` was told, too, is ``duplicate-value``: both counted on from the same
value (a lost update).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged
from checkers.proof import proof, shown
from harness.history.operation import OK
from harness.history.record import Record
from harness.history.verdict import Budget, Checker, Verdict

FALLING: Final = "falling-value"
DUPLICATE: Final = "duplicate-value"
MEANINGS: Final = {
    FALLING: Meaning(anomalies=("G-single-item-process",), models=("monotonic-reads",)),
    DUPLICATE: Meaning(anomalies=("lost-update",)),
}


class Sequential:
    """Judges counters that only grow."""

    name = "sequential"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok operations of ``record``."""
        cases = Cases()
        seen: dict[tuple[Any, Any], int] = {}
        made: dict[tuple[Any, int], int] = {}
        count, odd = 0, ""
        for position, operation in enumerate(record.history.operations):
            if not operation.is_client or operation.type != OK:
                continue
            if operation.f not in ("inc", "read"):
                continue
            key, value = operation.value
            value = 0 if value is None else value
            if not isinstance(value, int):
                odd = f"operation {operation.index} tells no number: {shown(operation.value)}"
                continue
            count += 1
            before = seen.get((operation.process, key))
            if before is not None:
                _look_for_fall(record, cases, (before, position), key)
            seen[operation.process, key] = position
            if operation.f == "inc":
                other = made.setdefault((key, value), position)
                if other != position and cases.wants(DUPLICATE):
                    cases.keep(DUPLICATE, _duplicate(record, other, position))
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={"operation-count": count, "error-count": cases.counts.get(FALLING, 0)},
            unknown=odd or ("" if count else "no operation was ok, so nothing is known"),
        )


def _look_for_fall(record: Record, cases: Cases, pair: tuple[int, int], key: Any) -> None:
    """``pair`` are positions of two successive answers of one process on ``key``."""
    operations = record.history.operations
    first, second = (operations[at].value[1] or 0 for at in pair)
    rises = operations[pair[1]].f == "inc"
    if (second > first if rises else second >= first) or not cases.wants(FALLING):
        return
    verb = "made" if rises else "found"
    steps = [
        f"T1 < T2, because the same process did T1 before T2, and T1 told it that key"
        f" {shown(key)} was {first}",
        f"T2 {verb} it {second}, and the key only ever grows, so T2 did not see what T1 saw",
    ]
    named = {"T1": pair[0], "T2": pair[1]}
    cases.keep(FALLING, proof(record, named, steps, key=key, before=first, after=second))


def _duplicate(record: Record, first: int, second: int) -> Any:
    key, value = record.history.operations[first].value
    steps = [
        f"T1 found key {shown(key)} at {value - 1} and made it {value}",
        f"T2 found it at {value - 1} after T1, or T1 found it so after T2, and the key only grows",
    ]
    return proof(record, {"T1": first, "T2": second}, steps, key=key)


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    Sequential.name: Sequential
}
