"""The checker ``set``: everything that was added and acknowledged is there at the end.

Elements are added, and read all at once, at least at the end. After ``jepsen.checker/set``. The
errors, by element:

- ``lost``: its add was acknowledged before the last read began, and the last read lacks it
- ``unexpected``: a read shows it, and it was never added, or only after that read was over, or
  its add failed, which means that it certainly did not happen
- ``duplicated``: one read shows it twice

An element whose add had no answer may be there or not; if it is, it is ``recovered``. Elements
that ``initial`` in the header names are there from the start. Cost: one look at every element
of every read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.calls import BEFORE_ALL, Call, calls, name, names, of, short
from checkers.telling import Findings, each_key, intervals
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Budget, Verdict

ADD: Final = ("add", "write", "insert")
READ: Final = ("read",)
LOST: Final = "lost"
UNEXPECTED: Final = "unexpected"
DUPLICATED: Final = "duplicated"


class Elements:
    """The adds of a history by element, and what its reads show that cannot be."""

    def __init__(self, record: Record) -> None:
        found = calls(record.history)
        self.reads = [call for call in of(READ, found) if call.ok]
        self.adds: dict[Any, list[Call]] = {}
        self.shown: dict[Any, Any] = {}
        for call in of(ADD, found):
            self.adds.setdefault(name(call.value), []).append(call)
            self.shown[name(call.value)] = call.value
        initial = record.header.initial
        self.initial = frozenset(names(initial)) if isinstance(initial, list) else frozenset()

    @property
    def unreadable(self) -> str:
        """Why the reads cannot be judged; empty if they can."""
        odd = [call for call in self.reads if not isinstance(call.answer or [], list)]
        return f"{odd[0]} answered {short(odd[0].answer)}, not a list of elements" if odd else ""

    def attempted(self) -> list[Any]:
        """Every element that somebody tried to add."""
        return list(self.adds)

    def acknowledged(self, before: int | None = None) -> list[Any]:
        """Elements with an acknowledged add (that was over before position ``before``)."""
        return [
            element
            for element, adds in self.adds.items()
            if any(call.ok and (before is None or call.end < before) for call in adds)
        ]

    def began(self, element: Any) -> int | None:
        """Where the first add of ``element`` that may have happened began; ``None`` if none."""
        if element in self.initial:
            return BEFORE_ALL
        starts = [call.start for call in self.adds.get(element, ()) if not call.failed]
        return min(starts) if starts else None

    def find_unexpected(self, findings: Findings, *, all_told: bool) -> set[Any]:
        """Tell of elements that a read shows though nothing put them there by then."""
        began = {element: self.began(element) for element in self.adds}
        began.update(dict.fromkeys(self.initial, BEFORE_ALL))
        known = {element for element, start in began.items() if start == BEFORE_ALL}
        odd: set[Any] = set()
        begun = [(start, element) for element, start in began.items() if start is not None]
        ordered = sorted(begun, key=lambda pair: pair[0])
        upto = 0
        for read in sorted(self.reads, key=lambda call: call.end):
            while upto < len(ordered) and ordered[upto][0] < read.end:
                known.add(ordered[upto][1])
                upto += 1
            for element in set(names(read.answer or [])) - known:
                if element in odd or not (all_told or element in self.adds):
                    continue
                odd.add(element)
                self._tell_unexpected(findings, read, element)
        return odd

    def _tell_unexpected(self, findings: Findings, read: Call, element: Any) -> None:
        shown = short(self.shown.get(element, element))
        adds = self.adds.get(element, [])[:1]
        if not adds:
            reason = f"Nobody ever tried to add {shown}, and it was not there at the start."
        elif adds[0].failed:
            reason = f"T2, the add of {shown}, failed: it certainly did not happen."
        else:
            reason = f"T2, the first add of {shown}, began only after T1 was over."
        told = f"T1 shows {shown}."
        findings.add(UNEXPECTED, [read, *adds], [told, reason, "A contradiction."], element=shown)

    def find_duplicates(self, findings: Findings) -> dict[Any, int]:
        """Tell of elements that one read shows several times; the most of each."""
        most: dict[Any, int] = {}
        for read in self.reads:
            found = names(read.answer or [])
            if len(found) == len(set(found)):
                continue
            for element, count in Counter(found).items():
                if count > max(1, most.get(element, 1)):
                    if element not in most:
                        shown = short(self.shown.get(element, element))
                        told = f"T1 shows {shown} {count} times, and a set holds it once."
                        findings.add(DUPLICATED, [read], [told], element=shown, count=count)
                    most[element] = count
        return most


class Set:
    """Judges the last read of a set."""

    name = "set"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on the last read of ``record``, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        elements = Elements(record)
        if elements.unreadable:
            return Verdict(valid=UNKNOWN, why=elements.unreadable)
        findings = Findings(record)
        unexpected = elements.find_unexpected(findings, all_told=True)
        duplicated = elements.find_duplicates(findings)
        if not elements.reads:
            return findings.verdict(stats={}, empty="the set was never read")
        last = max(elements.reads, key=lambda call: call.end)
        final = set(names(last.answer or []))
        lost = [e for e in elements.acknowledged(before=last.start) if e not in final]
        lost += [e for e in elements.initial if e not in final and e not in elements.adds]
        for element in lost:
            _tell_lost(findings, elements, last, element)
        stats = _stats(elements, final, lost, unexpected, duplicated)
        return findings.verdict(stats=stats, why=f"the last read is index {last.last.index}")


def _tell_lost(findings: Findings, elements: Elements, last: Call, element: Any) -> None:
    shown = short(elements.shown.get(element, element))
    added = next((call for call in elements.adds.get(element, ()) if call.precedes(last)), None)
    if added is None:
        reasons = [f"{shown} was there at the start, nothing removes it, and T1 lacks it."]
        findings.add(LOST, [last], reasons, element=shown)
        return
    reasons = [
        f"T1, the add of {shown}, was acknowledged before T2, the last read, began: T1 < T2.",
        f"Nothing removes it, and T2 lacks {shown}: a contradiction.",
    ]
    findings.add(LOST, [added, last], reasons, element=shown)


def _stats(
    elements: Elements,
    final: set[Any],
    lost: Sequence[Any],
    unexpected: set[Any],
    duplicated: Mapping[Any, int],
) -> dict[str, Any]:
    acknowledged = set(elements.acknowledged())
    ok = final & (set(elements.adds) | elements.initial)
    recovered = (ok - acknowledged) - elements.initial
    return {
        "attempt-count": len(elements.adds),
        "acknowledged-count": len(acknowledged),
        "ok-count": len(ok),
        "lost-count": len(lost),
        "recovered-count": len(recovered),
        "unexpected-count": len(unexpected),
        "duplicated-count": len(duplicated),
        "ok": intervals(ok),
        "lost": intervals(lost),
        "unexpected": intervals(unexpected),
        "recovered": intervals(recovered),
        "duplicated": intervals(duplicated),
    }


CHECKERS = {"set": Set}
