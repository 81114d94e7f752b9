"""Every serial order of a small closed universe of :mod:`checkers.isolation.predicates.checker`.

One after the other, each transaction is done at once on the rows as they are by then, and what it
was told must be what it finds. A transaction of unknown outcome may be done or not, and what it
read is not known. All orders that keep to the recorded one (of each process, of time, or neither)
are tried, each state of things once. Cost: exponential, hence the limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from checkers.isolation.predicates.groups import ABSENT, Group, Txn, fulfils
from harness.history.operation import FAIL, OK

MOST_TRANSACTIONS: Final = 24
MOST_STEPS: Final = 20_000
MOST_STEPS_IN_ALL: Final = 400_000

State = tuple[tuple[str, Any], ...]


@dataclass
class Limit:
    """How many steps are left for all groups of a history together."""

    steps: int = MOST_STEPS_IN_ALL


class _TooMany(Exception):
    """More steps than are tried."""


def has_order(group: Group, kept: str, limit: Limit) -> bool | None:
    """Whether some serial order explains all reads and keeps the order of ``process`` or of
    ``realtime`` (or none, if ``kept`` is empty); ``None`` if that was not found out.
    """
    txns = [txn for txn in group.txns if txn.status != FAIL]
    if len(txns) > MOST_TRANSACTIONS:
        return None
    before = [
        {b for b, other in enumerate(txns) if b != a and _precedes(other, txn, kept, b < a)}
        for a, txn in enumerate(txns)
    ]
    start = {row: value for row, value in group.initial.items() if value is not ABSENT}
    search = _Search(txns, before, min(MOST_STEPS, limit.steps))
    try:
        return search.completes(frozenset(), start)
    except _TooMany:
        return None
    finally:
        limit.steps -= search.steps


def _precedes(a: Txn, b: Txn, kept: str, is_earlier: bool) -> bool:
    if a.status != OK or not kept:
        return False
    if kept == "process":
        return a.process == b.process and is_earlier
    return a.answered < b.begun


class _Search:
    def __init__(self, txns: list[Txn], before: list[set[int]], most: int) -> None:
        self.txns = txns
        self.before = before
        self.sure = frozenset(n for n, txn in enumerate(txns) if txn.status == OK)
        self.tried: set[tuple[frozenset[int], State]] = set()
        self.steps, self.most = 0, most

    def completes(self, done: frozenset[int], rows: Mapping[str, Any]) -> bool:
        """Whether the rest can be done after ``done``, which left ``rows``."""
        if self.sure <= done:
            return True
        state = (done, tuple(sorted(rows.items(), key=lambda item: item[0])))
        if state in self.tried:
            return False
        self.tried.add(state)
        for number, txn in enumerate(self.txns):
            if number in done or not self.before[number] <= done:
                continue
            self.steps += 1
            if self.steps > self.most:
                raise _TooMany
            after = _done(txn, rows)
            if after is not None and self.completes(done | {number}, after):
                return True
        return False


def _done(txn: Txn, rows: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rows after the transaction; ``None`` if it was told something else than they hold."""
    now = dict(rows)
    for step in txn.steps:
        if step.is_change:
            now[step.about] = step.answer
            if step.answer is ABSENT:
                del now[step.about]
        elif txn.status == OK and not _is_so(step.f, step.about, step.answer, now):
            return None
    return now


def _is_so(f: str, about: Any, answer: Any, rows: Mapping[str, Any]) -> bool:
    if f == "r":
        return bool(rows.get(about, ABSENT) == answer)
    for row, value in rows.items():
        found = fulfils(about, value)
        if found is not None and found is not (row in answer):
            return False
    return all(rows.get(row, ABSENT) == value for row, value in answer.items())
