"""The checker ``lock``: no two hold a lock at once, and fence tokens rise.

``acquire`` is answered with a fence token (or nil where the lock gives none), or fails where
another holds the lock; ``release`` gives it back. From the answer of its acquire until it
*begins* to release, a process certainly holds the lock (a release that failed gave nothing
back), and for ever if it never does. With the option ``lease_s`` each holder has a lease of its
own, and holds for that long after it *began* to acquire at most (an operation's own ``lease_s``
beside its value comes first); without times that proves nothing. The errors:

- ``overlap``: two certain holds overlap: at one moment two hold the lock
- ``fence-fell``: an acquire was answered before another began, and had the higher token
- ``fence-repeated``: two acquires were given the same token
- ``not-held``: a release was acknowledged of a process that did not hold the lock

An acquire that answers what it asked was given no token. Nothing was tested unless the lock was
granted twice. Acquires that ask for different things may be of different locks (``--independent``
says so), and a lock whose initial state is declared is none that this checker knows: unknown.

Sound for every mutex; the models ``mutex`` are complete as well, and slower. Cost: n log n.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final

from checkers.objects.watch import running_highest
from checkers.proof.each_key import each_key
from checkers.proof.findings import Findings
from checkers.proof.shapes import HINT, is_pair
from harness.history.calls import BEFORE_ALL, NEVER, Call, calls, is_measured, name, of, short
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

OVERLAP: Final = "overlap"
FENCE_FELL: Final = "fence-fell"
FENCE_REPEATED: Final = "fence-repeated"
NOT_HELD: Final = "not-held"
PLAIN: Final = (
    "a history of one lock that nobody holds at first, or of keys declared as independent"
)


@dataclass(frozen=True)
class Hold:
    """A process certainly holds the lock from the end of ``acquire`` to ``end`` (a position)."""

    acquire: Call
    release: Call | None
    end: int

    def __str__(self) -> str:
        """From which record to which."""
        since = self.acquire.last.index
        if self.release is None:
            return f"holds it from index {since} on, for it never released it"
        return f"holds it from index {since} until it began to release it"


class Lock:
    """Judges acquires and releases of a lock."""

    name = "lock"
    reads = frozenset({"history"})
    operations = frozenset({"acquire", "release"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all acquires, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        found = of(("acquire", "release"), calls(record.history))
        findings = Findings(record)
        doubt = _doubt(record.header.initial, found)
        if doubt:
            return findings.verdict(stats={}, unknown=doubt, mend=PLAIN)
        holds = _holds(findings, found)
        lease_s = self.options.get("lease_s", record.header.options.get("lease_s"))
        _find_overlaps(findings, holds, lease_s)
        fenced = [hold.acquire for hold in holds if _has_token(hold.acquire)]
        _find_repeated(findings, fenced)
        _find_fallen(findings, fenced)
        stats = {
            "acquire-count": sum(call.f == "acquire" for call in found),
            "held-count": len(holds),
            "fenced-count": len(fenced),
            "release-count": sum(call.f == "release" and call.ok for call in found),
            "error-counts": dict(sorted(findings.counts.items())),
        }
        granted = "nobody ever got the lock" if not holds else "the lock was granted only once"
        timeless = [h for h in holds if _lease_s(h, lease_s) is not None and not _has_times(h)]
        return findings.verdict(
            stats=stats,
            unknown="leases are judged by time, and there are no times" if timeless else "",
            empty="" if len(holds) > 1 else granted,
            settle="a lock that is granted twice or more",
            mend="times with the records",
        )


def _doubt(initial: Any, found: Sequence[Call]) -> str:
    """Why nothing can be judged; empty if it can."""
    if initial is not None:
        return f"the initial state {short(initial)} of a lock is nothing that this checker knows"
    acquires = [call for call in found if call.f == "acquire" and call.asked is not None]
    asked = {name(call.asked): call for call in acquires}
    keys = {
        name(call.asked[0]) if is_pair(call.asked) else key: call for key, call in asked.items()
    }
    if len(keys) > 1:
        first, second = list(keys.values())[:2]
        return f"{first} and {second} may be of two locks ({HINT})"
    return ""


def _has_token(acquire: Call) -> bool:
    answer = acquire.answer
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return False
    return acquire.asked is None or name(answer) != name(acquire.asked)


def _holds(findings: Findings, found: Sequence[Call]) -> list[Hold]:
    """Every certain hold, in order of its beginning; tells of releases of what was not held."""
    by_process: dict[Any, list[Call]] = {}
    for call in found:
        by_process.setdefault(call.process, []).append(call)
    holds: list[Hold] = []
    for done in by_process.values():
        may_hold = False
        for call, release in zip(done, _releases_after(done), strict=True):
            if call.f == "acquire":
                may_hold = may_hold or not call.failed
                if call.ok:
                    end = NEVER if release is None else release.start
                    holds.append(Hold(call, release, end))
            elif call.ok:
                if not may_hold:
                    reasons = ["T1 was acknowledged, and this process had not got the lock."]
                    findings.add(NOT_HELD, [call], reasons)
                may_hold = False
    return sorted(holds, key=lambda hold: hold.acquire.end)


def _releases_after(done: Sequence[Call]) -> list[Call | None]:
    """For each call, the next release that may have happened (a failed one gave nothing back)."""
    found: list[Call | None] = []
    following: Call | None = None
    for call in reversed(done):
        found.append(following)
        if call.f == "release" and not call.failed:
            following = call
    return found[::-1]


def _find_overlaps(findings: Findings, holds: Sequence[Hold], lease_s: float | None) -> None:
    """``holds`` are in order of their beginning, so what was over once stays over."""
    by_end: list[tuple[int, int]] = []
    by_expiry: list[tuple[float, int]] = []
    live: dict[int, None] = {}
    for number, hold in enumerate(holds):
        while by_end and by_end[0][0] < hold.acquire.end:
            live.pop(heappop(by_end)[1], None)
        while by_expiry and by_expiry[0][0] <= hold.acquire.last.time:
            live.pop(heappop(by_expiry)[1], None)
        if live:
            _report_overlap(findings, holds[next(iter(live))], hold)
        own_s = _lease_s(hold, lease_s)
        if own_s is None or _has_times(hold):
            live[number] = None
            heappush(by_end, (hold.end, number))
            if own_s is not None:
                heappush(by_expiry, (hold.acquire.invocation.time + own_s * 1e9, number))


def _lease_s(hold: Hold, lease_s: float | None) -> float | None:
    """How long ``hold`` lasts at most; ``None`` where nothing ends it."""
    for told in (hold.acquire.last.extra, hold.acquire.invocation.extra):
        own = (told or {}).get("lease_s")
        if isinstance(own, int | float) and not isinstance(own, bool):
            return own
    return lease_s


def _has_times(hold: Hold) -> bool:
    """Whether it is known when it was asked for: without times no lease ever seems to end."""
    granted = hold.acquire.last
    return is_measured(granted.time, granted.index) and hold.acquire.start != BEFORE_ALL


def _report_overlap(findings: Findings, earlier: Hold, later: Hold) -> None:
    involved = [earlier.acquire, later.acquire]
    involved += [earlier.release] if earlier.release is not None else []
    moment = later.acquire.last.index
    reasons = [
        f"Process {earlier.acquire.process} {earlier}.",
        f"T2 was answered at index {moment}, in the midst of that: then two held the lock.",
    ]
    findings.add(OVERLAP, involved, reasons)


def _find_repeated(findings: Findings, fenced: Sequence[Call]) -> None:
    given: dict[Any, Call] = {}
    for call in fenced:
        other = given.setdefault(name(call.answer), call)
        if other is not call:
            reasons = [f"Both were given the token {short(call.answer)}: it fences nobody off."]
            findings.add(FENCE_REPEATED, [other, call], reasons, token=call.answer)


def _find_fallen(findings: Findings, fenced: Sequence[Call]) -> None:
    """``fenced`` is in order of ends."""
    ends = [call.end for call in fenced]
    highest = running_highest([call.answer for call in fenced])
    for call in fenced:
        before = bisect_right(ends, call.start)
        other = fenced[highest[before - 1]] if before else None
        if other is not None and other.answer > call.answer:
            reasons = [
                f"T1 was answered before T2 began: T1 < T2. But T1 got token {other.answer} and"
                f" T2 token {call.answer}: the later holder is fenced off by the earlier."
            ]
            findings.add(FENCE_FELL, [other, call], reasons, token=call.answer)


CHECKERS = {"lock": Lock}
