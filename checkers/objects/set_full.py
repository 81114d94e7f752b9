"""The checker ``set-full``: when each element became visible, and whether it stayed.

Elements are added while others read the whole set. After ``jepsen.checker/set-full``, by element:

- *known* from the moment when its add was acknowledged or a read that shows it was answered
- ``stable``: shown by the latest reads; ``stable-latency`` is how long after it was known a read
  still began that lacked it; more than nothing is ``stale``
- ``lost``: known, and the latest reads, begun after that, lack it; in a run, every last read after
  recovery (:mod:`checkers.proof.promises`), and what lacks it otherwise is ``stale``
- *never read*: neither (its add may never have happened, or nobody looked after it)

and by read, as in :mod:`checkers.objects.sets`: ``unexpected`` elements, and ``duplicated`` ones
(which Jepsen's own checker means to count, and never does). An element whose remove may have taken
effect has no fate: each read must show it, or must not, where adds and removes leave no doubt; the
last reads decide whether it is ``lost`` or ``reappeared``, all others are ``stale``.

``lost``, ``reappeared``, ``unexpected`` and ``duplicated`` are invalid (what is lost not where
durability is disclaimed); ``stale`` is if a claim forbids it (or the option ``linearizable`` is
given): a read that begins after an element is known must show it. ``true`` needs an element that a
read shows, or a read after an acknowledged remove. What else is doubt is so in
:mod:`checkers.objects.sets`. Cost: each read is turned into a set three times; memory for one read
and the elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.objects.sets import (
    FROM_THE_START,
    LOST,
    OPERATIONS,
    READ,
    REAPPEARED,
    STALE,
    Elements,
)
from checkers.proof.each_key import each_key
from checkers.proof.findings import LISTED, Findings, listed
from checkers.proof.promises import STALE_ALSO_NOT, STALE_NOT, Promises, are_all_stale, promises
from harness.history.calls import NEVER, Call, is_measured, names, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, STRONGER_CLAIM
from harness.verdict.verdict import Budget, Verdict

QUANTILES: Final = (0.0, 0.5, 0.95, 0.99, 1.0)


@dataclass
class Fate:
    """What became of one element: known from ``since`` on (a position), by ``known_by``.

    ``known_by`` is the call that proved it first, none for an element of the start. In a run the
    last reads decide what is lost: whether one shows it, and where the first of them began.
    """

    element: Any
    since: int = NEVER
    known_by: Call | None = None
    present: Call | None = None
    absent: Call | None = None
    is_in_lasts: bool | None = None
    lasts_start: int = FROM_THE_START

    @property
    def is_stable(self) -> bool:
        """Whether the latest read shows it."""
        return self.present is not None and (
            self.absent is None or self.absent.start <= self.present.start
        )

    @property
    def _is_missed(self) -> bool:
        """Whether a read that began after it was known lacks it."""
        return self.absent is not None and self.since < self.absent.start

    @property
    def is_lost(self) -> bool:
        """Whether it was known and the latest reads, begun after that, lack it."""
        if self.is_in_lasts is None:
            return self._is_missed and not self.is_stable
        return self.since < self.lasts_start and not self.is_in_lasts

    @property
    def is_stale(self) -> bool:
        """Whether it is not lost, though a read begun after it was known lacks it."""
        return self._is_missed and not self.is_lost

    def latency_ns(self) -> int:
        """How long after it was known it was last missing (stable) or last seen (lost)."""
        edge = self.present if self.is_lost else self.absent
        if edge is None or self.known_by is None:
            return 0
        return max(0, edge.invocation.time + 1 - self.known_by.last.time)


class SetFull:
    """Judges every read of a set."""

    name = "set-full"
    reads = frozenset({"history"})
    operations = OPERATIONS

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all reads of ``record``, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        promised = promises(record, self.options)
        elements = Elements(record, promised)
        findings = Findings(record)
        unexpected = elements.find_unexpected(findings)
        duplicated = elements.find_duplicates(findings)
        judged = _Judged(elements, budget)
        if not promised.not_durable:
            judged.report_lost(findings)
        is_fresh = promised.forbid_stale or bool(self.options.get("linearizable"))
        if is_fresh:
            judged.report_stale(findings)
        is_stale = are_all_stale(findings.counts, [STALE])
        stats = _stats(elements, judged, duplicated)
        stats["unexpected-count"] = len(unexpected)
        losses = len(judged.lost) + len(judged.lost_again) if promised.not_durable else 0
        stale = 0 if is_fresh else len(judged.stale) + len(judged.stale_again)
        return findings.verdict(
            stats=stats,
            unknown=elements.doubt or judged.doubt(promised, stale),
            mend=MEND_ANSWERS if elements.doubt else STRONGER_CLAIM,
            empty=judged.untested(),
            not_=STALE_NOT if is_stale else (),
            also_not=STALE_ALSO_NOT if is_stale else (),
            permitted={
                LOST: losses,
                REAPPEARED: len(judged.reappeared) if promised.not_durable else 0,
                STALE: stale,
            },
            permitted_by=promised.excuse,
        )


class _Judged:
    """The fates of all elements, and what is wrong with those that may have been removed.

    Where some reads are no lists of elements, nobody can say what is lost.
    """

    def __init__(self, elements: Elements, budget: Budget) -> None:
        self.elements = elements
        self.lasts = elements.promised.last_reads(elements.reads)
        is_run = elements.promised.is_run
        possible = [e for e in _all(elements) if elements.began(e) is not None]
        removable = {e for e in possible if elements.is_removable(e)}
        self.fates = _fates(elements, [e for e in possible if e not in removable], budget)
        if is_run:
            in_lasts = {element for read in self.lasts for element in names(read.answer)}
            for fate in self.fates:
                fate.is_in_lasts = fate.element in in_lasts
                fate.lasts_start = min((read.start for read in self.lasts), default=FROM_THE_START)
        gone = [fate for fate in self.fates if fate.is_lost]
        self.lost = [] if elements.odd else gone
        self.stale = [fate for fate in self.fates if fate.is_stale]
        if elements.odd and not elements.promised.not_durable:
            self.stale += gone  # later reads may show it, so it is late at least
        self.lost_again: list[tuple[Any, Call]] = []
        self.reappeared: list[tuple[Any, Call]] = []
        self.stale_again: list[tuple[Any, Call]] = []
        for element in removable:
            self._judge_removable(element, is_run)

    def _judge_removable(self, element: Any, is_run: bool) -> None:
        """By the last reads (in a file, the latest) an element is lost or back, else stale."""
        elements = self.elements
        reads = sorted(elements.reads, key=lambda call: call.start)
        lasts = self.lasts if is_run else [read for read in reads if read.start == reads[-1].start]
        shows = {id(read): element in set(names(read.answer)) for read in reads}
        lacking = {
            id(read): read
            for read in reads
            if not shows[id(read)] and elements.must_be_there(element, read)
        }
        wrong = {
            id(read): read
            for read in reads
            if shows[id(read)] and elements.must_be_gone(element, read)
        }
        for found, into in ((lacking, self.lost_again), (wrong, self.reappeared)):
            if found and lasts and not elements.odd and all(id(read) in found for read in lasts):
                into.append((element, lasts[-1]))
            elif found:
                self.stale_again.append((element, list(found.values())[-1]))

    def untested(self) -> str:
        """What was missing for anything to be tested; empty if nothing was."""
        if not self.elements.reads:
            return "the set was never read"
        if any(fate.present is not None for fate in self.fates):
            return ""
        last = max(call.start for call in self.elements.reads)
        removes = [c for calls in self.elements.removes.values() for c in calls if c.ok]
        if any(call.end < last for call in removes):
            return ""
        return "no read ever showed an element"

    def doubt(self, promised: Promises, stale: int) -> str:
        """Why ``true`` would say too much of a claim that this checker does not decide."""
        if stale and promised.are_of_sessions:
            return (
                f"{stale} elements were stale: whether {', '.join(promised.claimed)} forbids"
                " that is not decided by this checker"
            )
        return ""

    def report_lost(self, findings: Findings) -> None:
        """Tell of what is lost, or back for good."""
        for fate in self.lost:
            _report_lost(findings, self.elements, fate)
        for element, read in self.lost_again:
            self._report(findings, LOST, element, read, "added again")
        for element, read in self.reappeared:
            self._report(findings, REAPPEARED, element, read, "removed")

    def report_stale(self, findings: Findings) -> None:
        """Tell of what single reads lack, or show though it was removed."""
        for fate in sorted(self.stale, key=Fate.latency_ns, reverse=True):
            _report_stale(findings, self.elements, fate, was_read_again=bool(self.lasts))
        for element, read in self.stale_again:
            self._report(findings, STALE, element, read, "added or removed")

    def _report(self, findings: Findings, kind: str, element: Any, read: Call, what: str) -> None:
        elements, shown = self.elements, short(self.elements.shown.get(element, element))
        done = [*elements.adds.get(element, ()), *elements.removes.get(element, ())]
        before = [call for call in done if call.ok and call.precedes(read)][-3:]
        does = "shows" if element in set(names(read.answer)) else "lacks"
        reasons = [
            f"T{len(before) + 1} began after {shown} was {what} and acknowledged, with nothing"
            f" under way that could undo it, and {does} it.",
        ]
        findings.add(kind, [*before, read], reasons, element=shown)


def _all(elements: Elements) -> list[Any]:
    return list(dict.fromkeys([*elements.adds, *elements.initial]))


def _fates(elements: Elements, judged: Sequence[Any], budget: Budget) -> list[Fate]:
    """The fate of each element that may have been added, and was never removed."""
    fates = {element: Fate(element) for element in judged}
    _find_known(elements, fates)
    unseen, unmissed = set(fates), set(fates)
    for read in sorted(elements.reads, key=lambda call: call.start, reverse=True):
        budget.spend_check("the reads of the set")
        shown = set(names(read.answer))
        for element in unseen & shown:
            fates[element].present = read
        for element in unmissed - shown:
            fates[element].absent = read
        unseen -= shown
        unmissed &= shown
    return list(fates.values())


def _find_known(elements: Elements, fates: Mapping[Any, Fate]) -> None:
    for element, fate in fates.items():
        done = [call for call in elements.adds.get(element, ()) if call.ok]
        if element in elements.initial:
            fate.since = FROM_THE_START
        elif done:
            fate.known_by = min(done, key=lambda call: call.end)
            fate.since = fate.known_by.end
    if elements.promised.allow_dirty:  # a read may show what is rolled back in the end
        return
    unproved = set(fates)
    for read in sorted(elements.reads, key=lambda call: call.end):
        for element in unproved & set(names(read.answer)):
            unproved.discard(element)
            fate = fates[element]
            if read.end < fate.since:
                fate.known_by, fate.since = read, read.end


def _report_lost(findings: Findings, elements: Elements, fate: Fate) -> None:
    assert fate.absent is not None
    shown = short(elements.shown.get(fate.element, fate.element))
    gone = f"no read begun after it shows {shown}"
    if fate.is_in_lasts is not None:
        gone = "so does the last read of every node after recovery"
    if fate.known_by is None:
        reasons = [f"{shown} was there at the start.", f"T1 lacks it, and {gone}."]
        findings.add(LOST, [fate.absent], reasons, element=shown)
        return
    how = "added and acknowledged" if fate.known_by.f not in READ else "read"
    reasons = [
        f"{shown} was {how} by T1, which was over before T2 began: T1 < T2.",
        f"Nothing removes it, T2 lacks {shown}, and {gone}.",
    ]
    if fate.present is not None:
        at = fate.present.invocation.index
        reasons.append(f"The last read that showed it began at index {at}.")
    findings.add(LOST, [fate.known_by, fate.absent], reasons, element=shown)


def _report_stale(
    findings: Findings, elements: Elements, fate: Fate, *, was_read_again: bool
) -> None:
    """``was_read_again`` after recovery; if not, what is called stale may be lost as well."""
    assert fate.absent is not None
    shown = short(elements.shown.get(fate.element, fate.element))
    late_ms = fate.latency_ns() / 1e6
    known = f"T1 proves that {shown} was there, and was over before T2 began: T1 < T2."
    involved = [fate.absent] if fate.known_by is None else [fate.known_by, fate.absent]
    begun = fate.absent.invocation
    later = f", {late_ms:.1f} ms after it was known" if is_measured(begun.time, begun.index) else ""
    reasons = [
        f"{shown} was there at the start." if fate.known_by is None else known,
        f"T{len(involved)} lacks {shown}{later}; nothing shows that"
        " it is gone for good, so the read was stale: in no order that keeps to real time does it"
        " come after that.",
    ]
    if not was_read_again:
        reasons.append("This set was not read after recovery, so it may be lost as well.")
    findings.add(STALE, involved, reasons, element=shown, late_ms=late_ms)


def _stats(elements: Elements, judged: _Judged, duplicated: Mapping[Any, int]) -> dict[str, Any]:
    lost, fates = judged.lost, judged.fates
    stable = [fate for fate in fates if fate.is_stable and fate.since < NEVER]
    stale = sorted(judged.stale, key=Fate.latency_ns, reverse=True)
    never = [f.element for f in fates if not (f.is_lost or f.is_stable or f.is_stale)]
    return {
        "attempt-count": len(elements.adds),
        "acknowledged-count": len(elements.acknowledged()),
        "stable-count": len(stable),
        "lost-count": len(lost),
        "lost": listed(fate.element for fate in lost),
        "never-read-count": len(never),
        "never-read": listed(never),
        "removed-count": len(judged.lost_again) + len(judged.reappeared),
        "stale-count": len(stale) + len(judged.stale_again),
        "stale": listed(fate.element for fate in stale),
        "worst-stale": [
            {
                "element": fate.element,
                "late_ms": round(fate.latency_ns() / 1e6, 3),
                "known": fate.known_by.last.index if fate.known_by else None,
                "last-absent": fate.absent.last.index if fate.absent else None,
            }
            for fate in stale[:8]
        ],
        "stable-latencies-ms": _quantiles([fate.latency_ns() for fate in stable]),
        "lost-latencies-ms": _quantiles([fate.latency_ns() for fate in lost]),
        "duplicated-count": len(duplicated),
        "duplicated": {short(element): count for element, count in [*duplicated.items()][:LISTED]},
    }


def _quantiles(latencies_ns: Sequence[int]) -> dict[str, float]:
    """Jepsen's five quantiles, in milliseconds; empty where there is nothing."""
    ordered = sorted(latencies_ns)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {f"{q:g}": round(ordered[min(last, int(q * len(ordered)))] / 1e6, 3) for q in QUANTILES}


CHECKERS = {"set-full": SetFull}
