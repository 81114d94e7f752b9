"""The checker ``set-full``: when each element became visible, and whether it stayed.

Elements are added while others read the whole set. After ``jepsen.checker/set-full``, by element:

- *known* from the moment when its add was acknowledged or a read that shows it was answered
- ``stable``: shown by the latest reads; ``stable-latency`` is how long after it was known a read
  still began that lacked it; more than nothing is ``stale``
- ``lost``: known, and the latest reads, begun after that, lack it
- *never read*: neither (its add may never have happened, or nobody looked after it)

and by read, as in :mod:`checkers.sets`: ``unexpected`` elements, and ``duplicated`` ones (which
Jepsen's own checker means to count, and never does).

``lost``, ``unexpected`` and ``duplicated`` are invalid; ``stale`` is if linearizability is
claimed (or the option ``linearizable`` given): a read that begins after an element is known must
show it. Cost: each read is turned into a set three times; memory for one read and the elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.calls import Call, names, short
from checkers.sets import LOST, READ, Elements
from checkers.telling import LISTED, Findings, each_key, listed
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Budget, Verdict

STALE: Final = "stale"
QUANTILES: Final = (0.0, 0.5, 0.95, 0.99, 1.0)
REALTIME: Final = frozenset(("linearizable", "strict-serializable"))


@dataclass
class Fate:
    """What became of one element. ``known_by`` is the call that proved it first."""

    element: Any
    known_by: Call | None = None
    present: Call | None = None
    absent: Call | None = None

    @property
    def is_stable(self) -> bool:
        """Whether the latest read shows it."""
        return self.present is not None and (
            self.absent is None or self.absent.start < self.present.start
        )

    @property
    def is_lost(self) -> bool:
        """Whether it was known and the latest read, begun after that, lacks it."""
        return (
            self.known_by is not None
            and self.absent is not None
            and self.known_by.end < self.absent.start
            and not self.is_stable
        )

    @property
    def is_stale(self) -> bool:
        """Whether it stayed in the end, though a read begun after it was known lacks it."""
        return (
            self.is_stable
            and self.known_by is not None
            and self.absent is not None
            and self.known_by.end < self.absent.start
        )

    def latency_ns(self) -> int:
        """How long after it was known it was last missing (stable) or last seen (lost)."""
        assert self.known_by is not None
        edge = self.absent if self.is_stable else self.present
        if edge is None:
            return 0
        return max(0, edge.invocation.time + 1 - self.known_by.last.time)


class SetFull:
    """Judges every read of a set."""

    name = "set-full"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all reads of ``record``, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        elements = Elements(record)
        if elements.unreadable:
            return Verdict(valid=UNKNOWN, why=elements.unreadable)
        findings = Findings(record)
        unexpected = elements.find_unexpected(findings, all_told=True)
        duplicated = elements.find_duplicates(findings)
        fates = _fates(elements, budget)
        lost = [fate for fate in fates if fate.is_lost]
        stale = [fate for fate in fates if fate.is_stale]
        is_certain = bool(lost or unexpected or duplicated)
        for fate in lost:
            _tell_lost(findings, elements, fate)
        if self._is_linearizable(record):
            for fate in sorted(stale, key=Fate.latency_ns, reverse=True):
                _tell_stale(findings, elements, fate)
        stats = _stats(elements, fates, duplicated)
        stats["unexpected-count"] = len(unexpected)
        unknown = "" if any(fate.is_stable for fate in fates) else "no read ever showed an element"
        return findings.verdict(
            stats=stats,
            unknown=unknown if elements.reads else "",
            empty="" if elements.reads else "the set was never read",
            not_=() if is_certain else ("linearizable",),
            also_not=() if is_certain else ("strict-serializable",),
        )

    def _is_linearizable(self, record: Record) -> bool:
        claims = self.options.get("claims") or record.header.claims
        return bool(self.options.get("linearizable") or REALTIME & set(claims))


def _fates(elements: Elements, budget: Budget) -> list[Fate]:
    """The fate of every element that may have been added."""
    fates = {
        element: Fate(element)
        for element in [*elements.adds, *elements.initial]
        if elements.began(element) is not None
    }
    _find_known(elements, fates)
    unseen, unmissed = set(fates), set(fates)
    for read in sorted(elements.reads, key=lambda call: call.start, reverse=True):
        budget.spend_check("the reads of the set")
        shown = set(names(read.answer or []))
        for element in unseen & shown:
            fates[element].present = read
        for element in unmissed - shown:
            fates[element].absent = read
        unseen -= shown
        unmissed &= shown
    return list(fates.values())


def _find_known(elements: Elements, fates: Mapping[Any, Fate]) -> None:
    for element, adds in elements.adds.items():
        done = [call for call in adds if call.ok]
        if done and element in fates:
            fates[element].known_by = min(done, key=lambda call: call.end)
    unproved = set(fates)
    for read in sorted(elements.reads, key=lambda call: call.end):
        for element in unproved & set(names(read.answer or [])):
            unproved.discard(element)
            fate = fates[element]
            if fate.known_by is None or read.end < fate.known_by.end:
                fate.known_by = read


def _tell_lost(findings: Findings, elements: Elements, fate: Fate) -> None:
    assert fate.known_by is not None
    assert fate.absent is not None
    shown = short(elements.shown.get(fate.element, fate.element))
    how = "added and acknowledged" if fate.known_by.f not in READ else "read"
    reasons = [
        f"{shown} was {how} by T1, which was over before T2 began: T1 < T2.",
        f"Nothing removes it, T2 lacks {shown}, and no read begun after T2 shows it.",
    ]
    if fate.present is not None:
        at = fate.present.invocation.index
        reasons.append(f"The last read that showed it began at index {at}.")
    findings.add(LOST, [fate.known_by, fate.absent], reasons, element=shown)


def _tell_stale(findings: Findings, elements: Elements, fate: Fate) -> None:
    assert fate.known_by is not None
    assert fate.absent is not None
    shown = short(elements.shown.get(fate.element, fate.element))
    late_ms = fate.latency_ns() / 1e6
    reasons = [
        f"T1 proves that {shown} was there, and was over before T2 began: T1 < T2.",
        f"T2 lacks {shown}, {late_ms:.1f} ms after it was known; later reads show it again,"
        " so T2 was stale: in no order that keeps to real time does T2 come after T1.",
    ]
    findings.add(STALE, [fate.known_by, fate.absent], reasons, element=shown, late_ms=late_ms)


def _stats(
    elements: Elements, fates: Sequence[Fate], duplicated: Mapping[Any, int]
) -> dict[str, Any]:
    lost = [fate for fate in fates if fate.is_lost]
    stable = [fate for fate in fates if fate.is_stable and fate.known_by is not None]
    stale = sorted((fate for fate in fates if fate.is_stale), key=Fate.latency_ns, reverse=True)
    never = [fate.element for fate in fates if not fate.is_lost and not fate.is_stable]
    return {
        "attempt-count": len(elements.adds),
        "acknowledged-count": len(elements.acknowledged()),
        "stable-count": len(stable),
        "lost-count": len(lost),
        "lost": listed(fate.element for fate in lost),
        "never-read-count": len(never),
        "never-read": listed(never),
        "stale-count": len(stale),
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
