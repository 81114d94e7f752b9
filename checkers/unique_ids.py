"""The checker ``unique-ids``: no two answers of ``generate`` are equal.

After ``jepsen.checker/unique-ids``. Only acknowledged ids count: of an answer that never came
nobody knows what it was. The error is ``duplicated``. Cost: one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkers.calls import Call, calls, name, of, short
from checkers.telling import LISTED, Findings, each_key
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict


class UniqueIds:
    """Judges that ids are unique."""

    name = "unique-ids"
    reads = frozenset({"history"})
    needs_no_times = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ids, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        attempts = of(("generate",), calls(record.history))
        given: dict[Any, list[Call]] = {}
        for call in attempts:
            if call.ok:
                given.setdefault(name(call.answer), []).append(call)
        findings = Findings(record)
        twice = {name_: found for name_, found in given.items() if len(found) > 1}
        for found in twice.values():
            shown = short(found[0].answer)
            reasons = [f"All {len(found)} of these were given the id {shown}, which is not unique."]
            findings.add("duplicated", found[:6], reasons, id=shown, count=len(found))
        most = sorted(twice.values(), key=len, reverse=True)[:LISTED]
        stats = {
            "attempted-count": len(attempts),
            "acknowledged-count": sum(len(found) for found in given.values()),
            "duplicated-count": len(twice),
            "duplicated": {short(found[0].answer): len(found) for found in most},
            "range": _range([found[0].answer for found in given.values()]),
        }
        return findings.verdict(stats=stats, empty="" if given else "no id was ever given")


def _range(ids: list[Any]) -> list[Any]:
    """The least and the greatest id; by their text where they do not compare."""
    if not ids:
        return []
    try:
        return [min(ids), max(ids)]
    except TypeError:
        return [min(ids, key=short), max(ids, key=short)]


CHECKERS = {"unique-ids": UniqueIds}
