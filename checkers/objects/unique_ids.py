"""The checker ``unique-ids``: no two answers of ``generate`` are equal.

After ``jepsen.checker/unique-ids``. Only acknowledged ids count: of an answer that never came
nobody knows what it was, and nil is no id. The error is ``duplicated``. What ``initial`` (a list)
names was given before the first operation. One id, or none, tests nothing; an answer that is true,
false or a map is no id, proves nothing and makes ``unknown``. Cost: one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.proof.each_key import each_key
from checkers.proof.findings import LISTED, Findings
from checkers.proof.shapes import kind_of
from harness.history.calls import Call, calls, name, names, of, short
from harness.history.operation import OK, Header, Operation
from harness.verdict.lookout import Lookout, Sighting, sighting
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

MOST_REMEMBERED: Final = 1_000_000


class UniqueIds:
    """Judges that ids are unique."""

    name = "unique-ids"
    reads = frozenset({"history"})
    operations = frozenset({"generate"})
    needs_no_times = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def lookout(self, header: Header) -> Lookout | None:
        """Over the ids that are given, where none was before and keys have none of their own."""
        is_plain = header.initial is None and not header.independent
        return IdLookout() if is_plain else None

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ids, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        attempts = of(("generate",), calls(record.history))
        answered = [call for call in attempts if call.ok and call.answer is not None]
        odd = [call for call in answered if kind_of(call.answer) in ("truth", "map")]
        given: dict[Any, list[Call]] = {}
        for call in answered:
            if kind_of(call.answer) not in ("truth", "map"):
                given.setdefault(name(call.answer), []).append(call)
        initial = record.header.initial
        before = set(names(initial)) if isinstance(initial, list | tuple) else set()
        findings = Findings(record)
        twice = {
            name_: found for name_, found in given.items() if len(found) + (name_ in before) > 1
        }
        for name_, found in twice.items():
            _report(findings, found, was_there=name_ in before)
        most = sorted(twice.values(), key=len, reverse=True)[:LISTED]
        count = sum(len(found) for found in given.values())
        stats = {
            "attempted-count": len(attempts),
            "acknowledged-count": count,
            "duplicated-count": len(twice),
            "duplicated": {short(found[0].answer): len(found) for found in most},
            "range": _range([found[0].answer for found in given.values()]),
        }
        return findings.verdict(
            stats=stats,
            unknown=_doubt(initial, odd),
            empty="" if count and count + len(before) > 1 else f"{count or 'no'} id was given",
            settle="a history in which two ids or more are given",
        )


class IdLookout:
    """Remembers ids as they are given, the first :data:`MOST_REMEMBERED` of them."""

    def __init__(self) -> None:
        self._given: dict[Any, int] = {}

    def see(self, operation: Operation) -> Sighting | None:
        """Take in the next record."""
        is_given = operation.type == OK and operation.f == "generate" and operation.is_client
        if not is_given or operation.value is None:
            return None
        if kind_of(operation.value) in ("truth", "map"):
            return None
        named = name(operation.value)
        if named in self._given:
            earlier = self._given[named]
            message = f"the id {short(operation.value)} was given by record {earlier} too"
            return sighting("duplicated", operation, message)
        if len(self._given) < MOST_REMEMBERED:
            self._given[named] = operation.index
        return None


def _doubt(initial: Any, odd: Sequence[Call]) -> str:
    """Why the absence of errors proves nothing; empty if it does."""
    if initial is not None and not isinstance(initial, list | tuple):
        return f"the initial state {short(initial)} is no list of ids"
    return f"{odd[0]} answered {short(odd[0].answer)}, which is no id" if odd else ""


def _report(findings: Findings, found: Sequence[Call], *, was_there: bool) -> None:
    shown = short(found[0].answer)
    reasons = [f"All {len(found)} of these were given the id {shown}, which is not unique."]
    if was_there:
        reasons = [f"The id {shown} had been given before the first operation, and is given here."]
    findings.add("duplicated", found[:6], reasons, id=shown, count=len(found))


def _range(ids: list[Any]) -> list[Any]:
    """The least and the greatest id; by their text where they do not compare."""
    if not ids:
        return []
    try:
        return [min(ids), max(ids)]
    except TypeError:
        return [min(ids, key=short), max(ids, key=short)]


CHECKERS = {"unique-ids": UniqueIds}
