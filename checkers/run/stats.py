"""The checker ``stats``: how many operations of each kind were answered, and how late the loop was.

Always valid: it reports. Whether enough happened for a verdict to mean anything is a matter of
the health of a run, not of its history (Jepsen's ``checker/stats`` calls a kind without an ok
operation invalid; here that makes a run ``unknown``). Names of the counts are Jepsen's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from harness.history.operation import FAIL, INFO, INVOKE, OK
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Checker, Verdict

if TYPE_CHECKING:
    from harness.history.columns import Columns

_COUNTED: Final = {OK: "ok-count", FAIL: "fail-count", INFO: "info-count"}
_RUN_FACTS: Final = ("lag_ms", "stuck_threads", "suspended_ms")


class Stats:
    """Counts client operations by f; adds the loop's lag where the run's facts are at hand."""

    name = "stats"
    reads = frozenset({"history"})
    needs_no_times = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Valid, with ``count``, ``ok-count``, ``fail-count``, ``info-count`` and ``by-f``."""
        by_f = _by_f(record)
        whole: dict[str, Any] = _empty()
        for counts in by_f.values():
            for name, count in counts.items():
                whole[name] += count
        facts = {name: record.run[name] for name in _RUN_FACTS if record.run and name in record.run}
        return Verdict(valid=True, stats={**whole, "by-f": by_f, **facts})


def _by_f(record: Record) -> dict[str, dict[str, int]]:
    """Counts by f; an invocation without completion is of unknown outcome, so ``info``."""
    if record.history.prepared is not None:
        return _from_columns(record.history.prepared)
    by_f: dict[str, dict[str, int]] = {}
    pairs = record.history.pairs
    for position, operation in enumerate(record.history.operations):
        if not operation.is_client:
            continue
        if operation.type == INVOKE:
            if pairs[position] >= 0:
                continue
            kind = INFO
        else:
            kind = operation.type
        counts = by_f.setdefault(operation.f, _empty())
        counts["count"] += 1
        counts[_COUNTED[kind]] += 1
    return dict(sorted(by_f.items()))


def _from_columns(view: Columns) -> dict[str, dict[str, int]]:
    from harness.history.columns import outcomes

    found = {}
    for f, ends in outcomes(view).items():
        counts = {_COUNTED[kind]: count for kind, count in ends.items()}
        found[f] = _empty() | counts | {"count": sum(ends.values())}
    return dict(sorted(found.items()))


def _empty() -> dict[str, int]:
    return {"count": 0, **dict.fromkeys(_COUNTED.values(), 0)}


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {Stats.name: Stats}
