"""The checker ``unhandled-exceptions``: what went wrong in the clients, sorted and counted.

After ``jepsen.checker/unhandled-exceptions``. Operations of unknown outcome are where a client's
error table says nothing better, so the errors of ``info`` completions are grouped by their kind
(the first word of the error), most frequent first, each with an example. Always valid: it tells
a tester what to look at, and judges nothing. Cost: one pass; of a history that is in columns only
the operations of unknown outcome are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from checkers.proof.findings import LISTED
from harness.history.calls import short
from harness.history.history import History
from harness.history.operation import INFO, TYPES, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict


class UnhandledExceptions:
    """Groups the errors of operations of unknown outcome."""

    name = "unhandled-exceptions"
    reads = frozenset({"history"})
    needs_no_times = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """Valid, with the groups in ``stats``."""
        groups: dict[str, list[Operation]] = {}
        for operation in _of_unknown_outcome(record.history):
            if _error(operation) is not None:
                groups.setdefault(_kind(_error(operation)), []).append(operation)
        ordered = sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        exceptions = [
            {
                "count": len(found),
                "class": kind,
                "example": {"index": found[0].index, "f": found[0].f, "error": _error(found[0])},
            }
            for kind, found in ordered[:LISTED]
        ]
        count = sum(len(found) for found in groups.values())
        return Verdict(valid=True, stats={"count": count, "exceptions": exceptions})


def _of_unknown_outcome(history: History) -> Iterable[Operation]:
    """The completions of clients that say ``info``."""
    found = history.prepared
    if found is None:
        return (each for each in history if each.is_client and each.type == INFO)
    places = ((found.type == TYPES.index(INFO)) & (found.process >= 0)).nonzero()[0].tolist()
    pick = getattr(history.operations, "pick", None)
    return pick(places) if pick is not None else (history.operations[n] for n in places)


def _error(operation: Operation) -> Any:
    """The error of ours, or the ``exception`` that Jepsen records."""
    if operation.error is not None:
        return operation.error
    return (operation.extra or {}).get("exception")


def _kind(error: Any) -> str:
    """What groups errors: the first two words of a list, the class of an exception, the text."""
    if isinstance(error, Mapping):
        via = error.get("via")
        first = via[0] if isinstance(via, list) and via and isinstance(via[0], Mapping) else error
        return short(first.get("type", first.get("class", "")), 80).strip('"')
    if isinstance(error, list | tuple) and error:
        return " ".join(str(part) for part in error[:2] if isinstance(part, str | int))[:80]
    return str(error).partition(":")[0][:80]


CHECKERS = {"unhandled-exceptions": UnhandledExceptions}
