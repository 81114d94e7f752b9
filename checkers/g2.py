"""The checker ``g2``: of two inserts that each give up if the other is there, did both succeed?

For every key two transactions try to insert, one a row into table a, the other a row into table
b. Each first asks both tables for rows of the key and gives up (``fail``) if there is any. In
every serial order the second sees the first one's row, so at most one of them is ok. Two are
Adya's G2: an anti-dependency cycle, here over what was *absent*. After jepsen.tests.adya, with
the fields of its checker.

Values are ``[key, [a id or null, b id or null]]``. The cycle counts as ``G2-item`` where rows are
asked for by their names, as the workload does on stores that only get and put, and as ``G2``
where the option ``predicates`` says that they are asked for by a condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from checkers.claim import Cases, Meaning, judged
from checkers.proof import proof, shown
from harness.history.operation import INVOKE, OK
from harness.history.record import Record
from harness.history.verdict import Anomaly, Budget, Checker, Verdict

PREDICATES: Final = "G2"
ITEMS: Final = "G2-item"
MEANINGS: Final = {kind: Meaning(anomalies=(kind,)) for kind in (PREDICATES, ITEMS)}
_SHOWN_KEYS: Final = 100


class G2:
    """Judges pairs of inserts. Option ``predicates``: rows are asked for by a condition."""

    name = "g2"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all inserts of ``record``."""
        predicates = self.options.get("predicates") or record.header.options.get("predicates")
        kind = PREDICATES if predicates else ITEMS
        inserted = _inserted(record)
        illegal = {key: found for key, found in inserted.items() if len(found) > 1}
        cases = Cases()
        for key, found in illegal.items():
            if cases.wants(kind):
                cases.keep(kind, _cycle(record, key, found))
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
                "illegal": [[key, len(found)] for key, found in illegal.items()][:_SHOWN_KEYS],
            },
            unknown="" if some else "no insert was ok, so nothing is known",
        )


def _inserted(record: Record) -> dict[Any, list[int]]:
    """For each key the positions of its ok inserts."""
    found: dict[Any, list[int]] = {}
    for position, operation in enumerate(record.history.operations):
        if not operation.is_client or operation.f != "insert":
            continue
        key = operation.value[0]
        if operation.type == INVOKE:
            found.setdefault(key, [])
        elif operation.type == OK:
            found.setdefault(key, []).append(position)
    return found


def _cycle(record: Record, key: Any, found: list[int]) -> Anomaly:
    steps = [
        f"T1 < T2, because T1 saw no row of key {shown(key)}, and T2 inserted one"
        f" ({_row(record, found[1])})",
        f"T2 < T1, because T2 saw no row of key {shown(key)}, and T1 inserted one"
        f" ({_row(record, found[0])})",
    ]
    return proof(record, {"T1": found[0], "T2": found[1]}, steps, key=key, count=len(found))


def _row(record: Record, position: int) -> str:
    a, b = record.history.operations[position].value[1]
    return f"row {shown(a)} in table a" if a is not None else f"row {shown(b)} in table b"


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {G2.name: G2}
