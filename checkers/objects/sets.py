"""The checker ``set``: everything that was added and acknowledged is there at the end.

Elements are added, and read all at once, at least at the end. After ``jepsen.checker/set``. The
errors, by element:

- ``lost``: its add was acknowledged before the last read began, and the last read lacks it
- ``reappeared``: its remove was acknowledged before the last read began, and that shows it
- ``unexpected``: a read shows it, and it was never added, or only after that read was over, or
  its add failed, which means that it certainly did not happen
- ``duplicated``: one read shows it twice
- ``stale`` (in runs): the last read of some node lacks it, and another's shows it

An element whose add had no answer may be there or not; if it is, it is ``recovered``. One whose
remove may have taken effect may be gone: it is not missed, and not accused of being there, unless
all adds (or all removes) that may have happened were over before an acknowledged remove (or add)
began. Elements that ``initial`` names are there from the start.

What is lost breaks durability, whatever else is claimed (:mod:`checkers.proof.promises`); what is
stale only a claim that forbids it. ``true`` needs a read, and something that it could show: without
an element that may have been there nothing was tested. A read that answered nil answered nothing;
one that answered no list, or elements of another kind than any that was added, is no proof of
anything and makes ``unknown``. Cost: one look at every element of every read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

from checkers.proof.each_key import each_key
from checkers.proof.findings import Findings, intervals
from checkers.proof.promises import STALE_ALSO_NOT, STALE_NOT, Promises, are_all_stale, promises
from checkers.proof.shapes import HINT, Known, is_pair, looks_keyed
from harness.history.calls import BEFORE_ALL, Call, calls, name, names, of, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, STRONGER_CLAIM
from harness.verdict.verdict import Budget, Verdict

ADD: Final = ("add", "write", "insert")
REMOVE: Final = ("remove", "delete")
READ: Final = ("read",)
OPERATIONS: Final = frozenset((*ADD, *REMOVE, *READ))
LOST: Final = "lost"
REAPPEARED: Final = "reappeared"
UNEXPECTED: Final = "unexpected"
DUPLICATED: Final = "duplicated"
STALE: Final = "stale"
FROM_THE_START: Final = BEFORE_ALL - 1
"""The end of the add of an element that was there before the first operation."""


class Elements:
    """The adds and removes of a history by element, and what its reads show that cannot be."""

    def __init__(self, record: Record, promised: Promises | None = None) -> None:
        found = calls(record.history)
        self.promised = promised or promises(record, {})
        self.shown: dict[Any, Any] = {}
        self.adds, self.unnamed_adds = self._by_element(of(ADD, found))
        self.removes, self.unnamed_removes = self._by_element(of(REMOVE, found))
        initial = record.header.initial
        listed = initial if isinstance(initial, list | tuple) else []
        self.refused = "" if initial in (None, {}) or listed is initial else short(initial)
        self.initial = frozenset(names(listed))
        self.shown.update(zip(names(listed), listed, strict=True))
        answered = [call for call in of(READ, found) if call.ok and call.answer is not None]
        self.odd = self._unlike_the_adds(answered)
        odd = set(map(id, self.odd))
        self.reads = [call for call in answered if id(call) not in odd]
        self._known_since = {
            element: min((call.end for call in adds if call.ok), default=None)
            for element, adds in self.adds.items()
        }

    def _by_element(self, found: list[Call]) -> tuple[dict[Any, list[Call]], list[Call]]:
        """The calls by element, and those that may have happened and do not tell to which."""
        by_element: dict[Any, list[Call]] = {}
        unnamed: list[Call] = []
        for call in found:
            if call.value is None:
                unnamed += [] if call.failed else [call]
            else:
                by_element.setdefault(name(call.value), []).append(call)
                self.shown[name(call.value)] = call.value
        return by_element, unnamed

    def _unlike_the_adds(self, answered: list[Call]) -> list[Call]:
        """The reads that answered no list, or elements of another shape than those added."""
        put = [self.shown[each] for each in (*self.adds, *self.initial)]
        known = Known(put)
        pairs = put if all(map(is_pair, put)) else []
        return [
            call
            for call in answered
            if not isinstance(call.answer, list | tuple)
            or looks_keyed(call, pairs)
            or known.are_foreign(call.answer)
        ]

    @property
    def doubt(self) -> str:
        """Why the absence of errors proves nothing; empty if it does."""
        if self.refused:
            return f"the initial state {self.refused} is no list of elements"
        if self.odd:
            odd = self.odd[0]
            hint = f" ({HINT})" if is_pair(odd.asked) or is_pair(odd.answer) else ""
            told = f"{odd} answered {short(odd.answer)}"
            return f"{told}: no list of elements like those added{hint}"
        if self.unnamed_adds:
            return f"{self.unnamed_adds[0]}: nobody knows what it added"
        return ""

    @property
    def unreadable(self) -> str:
        """Why the reads cannot be judged; empty if they can."""
        return self.doubt if self.refused or self.odd else ""

    def untested(self) -> str:
        """What was missing for anything to be tested; empty if nothing was."""
        if not self.reads:
            return "the set was never read"
        starts = [self.began(element) for element in (*self.adds, *self.initial)]
        last = max(call.end for call in self.reads)
        if not any(start is not None and start < last for start in starts):
            return "no read could show an element, for none was added before it was over"
        return ""

    def acknowledged(self) -> list[Any]:
        """Elements with an acknowledged add."""
        return [element for element, since in self._known_since.items() if since is not None]

    def began(self, element: Any) -> int | None:
        """Where the first add of ``element`` that may have happened began; ``None`` if none."""
        if element in self.initial:
            return BEFORE_ALL
        adds = self.adds.get(element, ())
        starts = [call.start for call in adds if self.promised.may_have_happened(call)]
        return min(starts) if starts else None

    def known_since(self, element: Any) -> int | None:
        """Where the first acknowledged add of ``element`` was over; ``None`` if none is known."""
        return FROM_THE_START if element in self.initial else self._known_since.get(element)

    def is_removable(self, element: Any) -> bool:
        """Whether a remove of ``element`` may have happened."""
        return bool(self.unnamed_removes) or any(
            not call.failed for call in self.removes.get(element, ())
        )

    def must_be_there(self, element: Any, read: Call) -> bool:
        """Whether ``read`` has to show ``element``, if it is not stale."""
        since = self.known_since(element)
        if since is None or since >= read.start:
            return False
        removes = [*self.removes.get(element, ()), *self.unnamed_removes]
        possible = [c for c in removes if not c.failed and c.start < read.end]
        if not possible:
            return True
        adds = [c for c in self.adds.get(element, ()) if c.ok and c.end < read.start]
        last = max((call.start for call in adds), default=FROM_THE_START)
        return all(call.end < last for call in possible)

    def must_be_gone(self, element: Any, read: Call) -> bool:
        """Whether ``read`` must not show ``element``, for it was removed, if it is not stale."""
        done = [c for c in self.removes.get(element, ()) if c.ok and c.end < read.start]
        if not done or self.unnamed_adds:
            return False
        last = max(call.start for call in done)
        possible = [
            call
            for call in self.adds.get(element, ())
            if self.promised.may_have_happened(call) and call.start < read.end
        ]
        return all(call.end < last for call in possible)

    def find_unexpected(self, findings: Findings, *, all_told: bool = True) -> set[Any]:
        """Tell of elements that a read shows though nothing put them there by then.

        Unless ``all_told``, somebody else may have added those that nobody here tried to add.
        """
        odd: set[Any] = set()
        if self.unnamed_adds or self.refused:
            return odd
        began = {element: self.began(element) for element in self.adds}
        began.update(dict.fromkeys(self.initial, BEFORE_ALL))
        known = {element for element, start in began.items() if start == BEFORE_ALL}
        begun = [(start, element) for element, start in began.items() if start is not None]
        ordered = sorted(begun, key=lambda pair: pair[0])
        upto = 0
        for read in sorted(self.reads, key=lambda call: call.end):
            while upto < len(ordered) and ordered[upto][0] < read.end:
                known.add(ordered[upto][1])
                upto += 1
            for element in set(names(read.answer)) - known - odd:
                if not (all_told or element in self.adds):
                    continue
                odd.add(element)
                self._report_unexpected(findings, read, element)
        return odd

    def _report_unexpected(self, findings: Findings, read: Call, element: Any) -> None:
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
            found = names(read.answer)
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
    """Judges the last reads of a set."""

    name = "set"
    reads = frozenset({"history"})
    operations = OPERATIONS

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on the last reads of ``record``, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        promised = promises(record, self.options)
        elements = Elements(record, promised)
        findings = Findings(record)
        unexpected = elements.find_unexpected(findings)
        duplicated = elements.find_duplicates(findings)
        if elements.refused or not elements.reads:
            empty = "" if elements.doubt else elements.untested()
            return findings.verdict(stats={}, unknown=elements.doubt, empty=empty)
        end = _End(elements)
        if not promised.not_durable:
            end.report_lost(findings)
        if promised.forbid_stale:
            end.report_stale(findings)
        is_stale = are_all_stale(findings.counts, [STALE])
        stats = _stats(elements, end, unexpected, duplicated)
        return findings.verdict(
            stats=stats,
            why=f"the last read is index {end.last.last.index}",
            unknown=elements.doubt or end.doubt(promised),
            mend=MEND_ANSWERS if elements.doubt else STRONGER_CLAIM,
            empty=elements.untested(),
            not_=STALE_NOT if is_stale else (),
            also_not=STALE_ALSO_NOT if is_stale else (),
            permitted={
                LOST: len(end.lost) if promised.not_durable else 0,
                REAPPEARED: len(end.reappeared) if promised.not_durable else 0,
                STALE: 0 if promised.forbid_stale else len(end.stale),
            },
            permitted_by=promised.excuse,
        )


class _End:
    """What the last reads lack, and what they show that was removed.

    ``lost`` and ``reappeared`` by all of them, ``stale`` by some; where elements could not be
    read (``odd``), nobody can say what is missing.
    """

    def __init__(self, elements: Elements) -> None:
        self.elements = elements
        self.last = max(elements.reads, key=lambda call: call.end)
        self.lasts = elements.promised.last_reads(elements.reads)
        judged = self.lasts or [self.last]
        shown = [set(names(read.answer)) for read in judged]
        self.missing: dict[Any, Call] = {}
        self.shown: dict[Any, Call] = {}
        self.lost: list[Any] = []
        self.reappeared: list[Any] = []
        for element in [] if elements.odd else (*elements.adds, *elements.initial):
            there = [element in each for each in shown]
            pairs = list(zip(judged, there, strict=True))
            lacking = [r for r, is_in in pairs if not is_in and elements.must_be_there(element, r)]
            wrong = [r for r, is_in in pairs if is_in and elements.must_be_gone(element, r)]
            if lacking:
                self.missing[element] = lacking[-1]
            if wrong:
                self.shown[element] = wrong[-1]
            if self.lasts and len(lacking) == len(judged):
                self.lost.append(element)
            if self.lasts and len(wrong) == len(judged):
                self.reappeared.append(element)
        gone = {*self.lost, *self.reappeared}
        self.stale = [e for e in {**self.missing, **self.shown} if e not in gone]

    def doubt(self, promised: Promises) -> str:
        """Why ``true`` would say too much of a claim that this checker does not decide."""
        if self.stale and promised.are_of_sessions:
            return (
                f"{len(self.stale)} elements were stale in a last read: whether"
                f" {', '.join(promised.claimed)} forbids that is not decided by this checker"
            )
        return ""

    def report_lost(self, findings: Findings) -> None:
        """Tell of what every last read lacks, or shows though it was removed."""
        for element in self.lost:
            _report_lost(findings, self.elements, self.missing[element], element, self.lasts)
        for element in self.reappeared:
            _report_reappeared(findings, self.elements, self.shown[element], element)

    def report_stale(self, findings: Findings) -> None:
        """Tell of what some last read lacks, or shows though it was removed."""
        for element in self.stale:
            shown = short(self.elements.shown.get(element, element))
            read = self.missing.get(element) or self.shown[element]
            does = "lacks" if element in self.missing else "shows"
            was = "added" if element in self.missing else "removed"
            reasons = [
                f"T1 began after {shown} was {was} and acknowledged, and {does} it:"
                " in no order that keeps to real time is that so.",
            ]
            findings.add(STALE, [read], reasons, element=shown)


def _report_lost(
    findings: Findings, elements: Elements, last: Call, element: Any, lasts: list[Call]
) -> None:
    shown = short(elements.shown.get(element, element))
    adds = [call for call in elements.adds.get(element, ()) if call.ok and call.precedes(last)]
    all_ = f" So do all {len(lasts)} last reads after recovery." if len(lasts) > 1 else ""
    if not adds:
        reasons = [f"{shown} was there at the start, nothing removes it, and T1 lacks it.{all_}"]
        findings.add(LOST, [last], reasons, element=shown)
        return
    reasons = [
        f"T1, the add of {shown}, was acknowledged before T2, the last read, began: T1 < T2.",
        f"Nothing removes it after that, and T2 lacks {shown}: a contradiction.{all_}",
    ]
    findings.add(LOST, [adds[-1], last], reasons, element=shown)


def _report_reappeared(findings: Findings, elements: Elements, last: Call, element: Any) -> None:
    shown = short(elements.shown.get(element, element))
    removed = next(c for c in reversed(elements.removes[element]) if c.ok and c.precedes(last))
    reasons = [
        f"T1, the remove of {shown}, was acknowledged before T2, the last read, began: T1 < T2.",
        f"Nothing adds it after that, and T2 shows {shown}: a contradiction.",
    ]
    findings.add(REAPPEARED, [removed, last], reasons, element=shown)


def _stats(
    elements: Elements,
    end: _End,
    unexpected: Collection[Any],
    duplicated: Mapping[Any, int],
) -> dict[str, Any]:
    acknowledged = set(elements.acknowledged())
    ok = set(names(end.last.answer)) & (set(elements.adds) | elements.initial)
    recovered = (ok - acknowledged) - elements.initial
    return {
        "attempt-count": len(elements.adds),
        "acknowledged-count": len(acknowledged),
        "ok-count": len(ok),
        "lost-count": len(end.lost),
        "recovered-count": len(recovered),
        "unexpected-count": len(unexpected),
        "duplicated-count": len(duplicated),
        "stale-count": len(end.stale),
        "reappeared-count": len(end.reappeared),
        "ok": intervals(ok),
        "lost": intervals(end.lost),
        "unexpected": intervals(unexpected),
        "recovered": intervals(recovered),
        "duplicated": intervals(duplicated),
        "stale": intervals(end.stale),
        "reappeared": intervals(end.reappeared),
    }


CHECKERS = {"set": Set}
