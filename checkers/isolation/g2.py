"""The checker ``g2``: of two inserts that each give up if the other is there, did both succeed?

For every key two transactions try to insert, one a row into table a, the other a row into table
b. Each first asks both tables for rows of the key and gives up (``fail``) if there is any. In
every serial order the second sees the first one's row, so at most one of them is ok. Two are
Adya's G2: an anti-dependency cycle, here over what was *absent*. After jepsen.tests.adya, with
the fields of its checker.

Values are ``[key, [a id or null, b id or null]]``. The cycle counts as ``G2-item`` where rows are
asked for by their names, as the workload does on stores that only get and put, and as ``G2``
where the option ``predicates`` says that they are asked for by a condition.

Tested is what has an ok insert and another attempt on its key; keys without are neutral. An insert
that names no key or not exactly one row, or is answered with another one than was asked, is named,
and the answer is unknown; so is it where an initial state is declared, for then what was looked
for may have been there from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, judged
from checkers.proof.prose import proof
from harness.history.calls import name, short
from harness.history.operation import FAIL, INVOKE, OK, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import UNKNOWN, Anomaly, Budget, Checker, Verdict

PREDICATES: Final = "G2"
ITEMS: Final = "G2-item"
MEANINGS: Final = {kind: Meaning(anomalies=(kind,)) for kind in (PREDICATES, ITEMS)}
_SHOWN_KEYS: Final = 100


class G2:
    """Judges pairs of inserts. Option ``predicates``: rows are asked for by a condition."""

    name = "g2"
    reads = frozenset({"history"})
    operations = frozenset({"insert"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all inserts of ``record``."""
        if record.header.initial not in (None, {}):
            why = "g2 knows no rows that were there at first"
            return Verdict(valid=UNKNOWN, why=why, settle="a history of tables that begin empty")
        predicates = self.options.get("predicates") or record.header.options.get("predicates")
        kind = PREDICATES if predicates else ITEMS
        inserted, attempts, odd = _inserted(record)
        illegal = {key: found for key, found in inserted.items() if len(found) > 1}
        cases = Cases()
        for found in illegal.values():
            if cases.wants(kind):
                cases.keep(kind, _cycle(record, found))
        some = sum(1 for found in inserted.values() if found)
        return judged(
            record,
            self.options,
            cases,
            MEANINGS,
            stats={
                "key-count": len(inserted),
                "legal-count": some - len(illegal),
                "illegal-count": len(illegal),
                "illegal": [[_key(record, found[0]), len(found)] for found in illegal.values()][
                    :_SHOWN_KEYS
                ],
            },
            unknown=odd,
            tested=(kind,)
            if any(found and attempts[key] > 1 for key, found in inserted.items())
            else (),
            untested="no key had an ok insert and another one that it would exclude",
        )


def _inserted(record: Record) -> tuple[dict[Any, list[int]], dict[Any, int], str]:
    """For each key the positions of its ok inserts, and how many were tried; what is odd."""
    found: dict[Any, list[int]] = {}
    attempts: dict[Any, int] = {}
    odd = ""
    history = record.history
    for position, operation in enumerate(history.operations):
        other = history.pairs[position]
        if not operation.is_client or operation.f != "insert":
            continue
        if operation.type == INVOKE and other >= 0:
            continue
        asked = history.operations[other] if other >= 0 else operation
        if not _is_insert(asked) or (operation.type == OK and not _is_insert(operation)):
            if operation.type != FAIL:
                odd = odd or f"operation {asked.index} inserts no one row: {short(operation.value)}"
            continue
        if operation.type == OK and name(asked.value) != name(operation.value):
            odd = odd or f"the answer at index {operation.index} is not of what was asked"
            continue
        key = name(asked.value[0])
        attempts[key] = attempts.get(key, 0) + 1
        of_key = found.setdefault(key, [])
        if operation.type == OK:
            of_key.append(position)
    return found, attempts, odd


def _is_insert(operation: Operation) -> bool:
    """Whether the value is ``[key, [a id, null]]`` or ``[key, [null, b id]]``."""
    value = operation.value
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    rows = value[1]
    return (
        isinstance(rows, list | tuple) and len(rows) == 2 and (rows[0] is None) != (rows[1] is None)
    )


def _key(record: Record, position: int) -> Any:
    return record.history.operations[position].value[0]


def _cycle(record: Record, found: list[int]) -> Anomaly:
    key = _key(record, found[0])
    steps = [
        f"T1 < T2, because T1 saw no row of key {short(key)}, and T2 inserted one"
        f" ({_row(record, found[1])})",
        f"T2 < T1, because T2 saw no row of key {short(key)}, and T1 inserted one"
        f" ({_row(record, found[0])})",
    ]
    return proof(record, {"T1": found[0], "T2": found[1]}, steps, key=key, count=len(found))


def _row(record: Record, position: int) -> str:
    a, b = record.history.operations[position].value[1]
    return f"row {short(a)} in table a" if a is not None else f"row {short(b)} in table b"


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {G2.name: G2}
