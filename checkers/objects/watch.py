"""The checker ``watch``: every watcher sees every change of a key, once, in the one order.

``write v`` is answered ``[v, revision]`` (or ``v`` alone where the revision is not told).
``watch`` asks for all changes after a revision and is answered ``{"after": a, "to": b,
"events": [[revision, value], …]}``: everything in ``(a, b]``. After jepsen.etcd's watch test and
the guarantees of etcd's robustness tests (ordered, unique, reliable, resumable). The errors:

- ``out-of-order``: the revisions of one watch do not rise, or lie outside of ``(a, b]``
- ``duplicated``: one watch shows a revision twice
- ``divergent``: a revision has two values, by two watches or by a watch and a write
- ``missed``: a watch lacks a change in its range that another one, or a write's answer, proves
- ``unexpected``: an event nobody wrote, whose write failed, or began after the watch was over
- ``write-order``: a write was acknowledged before another began, and has the higher revision

Values are unique within a key; of one that is written twice no revision is inferred. A write's
answer tells its revision only if it is the value that was asked, with a number; what else it may
be is ignored. ``initial`` is a value that was written before the first operation. A watch whose
answer is nothing of the above, and values of another kind than any that was written
(:mod:`checkers.proof.shapes`), prove nothing and make ``unknown``. Nothing was tested where no
watch saw a change. Cost: n log n.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from checkers.proof.each_key import each_key
from checkers.proof.findings import Findings
from checkers.proof.shapes import Known, is_pair
from harness.history.calls import Call, calls, name, of, short
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

WATCHES: Final = ("watch", "final-watch")
OUT_OF_ORDER: Final = "out-of-order"
DUPLICATED: Final = "duplicated"
DIVERGENT: Final = "divergent"
MISSED: Final = "missed"
UNEXPECTED: Final = "unexpected"
WRITE_ORDER: Final = "write-order"


class Unreadable(Exception):
    """An answer is not one of a watch; the message names it."""


@dataclass(frozen=True)
class Watched:
    """One answered watch: the changes in ``(after, to]``."""

    call: Call
    after: int
    to: int
    events: Sequence[tuple[int, Any]]


@dataclass(frozen=True)
class Written:
    """One write that may have happened. ``revision`` is ``None`` where nothing tells it."""

    call: Call
    value: Any
    revision: int | None


class Watch:
    """Judges watches against each other and against the writes."""

    name = "watch"
    reads = frozenset({"history"})
    operations = frozenset({"write", *WATCHES})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all answered watches, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        found = calls(record.history)
        writes = [_written(call) for call in of(("write",), found)]
        initial = record.header.initial
        known_values = [write.value for write in writes]
        known_values += [] if initial is None else [initial]
        watches, doubt = _readable([c for c in of(WATCHES, found) if c.ok], Known(known_values))
        unnamed = [w.call for w in writes if w.value is None and not w.call.failed]
        if unnamed:
            doubt = doubt or f"{unnamed[0]}: nobody knows what it wrote"
        findings = Findings(record)
        for watch in watches:
            _find_disorder(findings, watch)
        known = _find_divergent(findings, watches, writes)
        revisions = sorted(known)
        missed = sum(_find_missed(findings, watch, known, revisions) for watch in watches)
        if not unnamed:
            _find_unexpected(findings, watches, writes, initial)
        _find_write_order(findings, writes, known)
        events = sum(len(watch.events) for watch in watches)
        stats = {
            "watch-count": len(watches),
            "event-count": events,
            "revision-count": len(known),
            "acknowledged-count": sum(write.call.ok for write in writes),
            "missed-count": missed,
            "error-counts": dict(sorted(findings.counts.items())),
        }
        empty = "" if events else "no watch saw any change"
        return findings.verdict(stats=stats, unknown=doubt, empty=empty)


def _readable(answered: Sequence[Call], known: Known) -> tuple[list[Watched], str]:
    """The watches whose answers can be judged, and why others cannot."""
    watches: list[Watched] = []
    doubt = ""
    for call in answered:
        try:
            watch = _watched(call)
            if known.are_foreign(value for _, value in watch.events):
                raise Unreadable(
                    f"{call} answered {short(call.answer)}: not values like those written"
                )
        except Unreadable as error:
            doubt = doubt or str(error)
        else:
            watches.append(watch)
    return watches, doubt


def _watched(call: Call) -> Watched:
    answer = call.answer
    if not isinstance(answer, Mapping) or not isinstance(answer.get("events"), list | tuple):
        raise Unreadable(f"{call} answered {short(answer)}, not after, to and events")
    events = [(pair[0], pair[1]) for pair in answer["events"] if _is_event(call, pair)]
    bounds = [answer.get("after", 0), answer.get("to")]
    if bounds[1] is None:
        bounds[1] = max((revision for revision, _ in events), default=bounds[0])
    if not all(type(bound) is int for bound in bounds):
        raise Unreadable(f"{call}: {short(bounds)} are no revisions")
    return Watched(call, bounds[0], bounds[1], events)


def _is_event(call: Call, pair: Any) -> bool:
    if is_pair(pair) and type(pair[0]) is int:
        return True
    raise Unreadable(f"{call}: {short(pair)} is not [revision, value]")


def _written(call: Call) -> Written:
    answer, asked = call.answer, call.asked
    is_told = call.ok and is_pair(answer) and type(answer[1]) is int
    if is_told and (asked is None or (answer != asked and name(answer[0]) == name(asked))):
        return Written(call, answer[0], answer[1])
    return Written(call, call.value, None)


def _find_disorder(findings: Findings, watch: Watched) -> None:
    for (before, _), (after, value) in pairwise(watch.events):
        if after == before:
            reasons = [f"T1 shows revision {after} ({short(value)}) twice."]
            findings.add(DUPLICATED, [watch.call], reasons, revision=after)
        elif after < before:
            reasons = [f"T1 shows revision {before} before revision {after}."]
            findings.add(OUT_OF_ORDER, [watch.call], reasons, revision=after)
    for revision, value in watch.events:
        if not watch.after < revision <= watch.to:
            reasons = [
                f"T1 shows revision {revision} ({short(value)}), and it was to show those after"
                f" {watch.after} up to {watch.to}."
            ]
            findings.add(OUT_OF_ORDER, [watch.call], reasons, revision=revision)


def _find_divergent(
    findings: Findings, watches: Sequence[Watched], writes: Sequence[Written]
) -> dict[int, tuple[Call, Any]]:
    """The value of each revision with the first call that tells it; tells of disagreements."""
    known: dict[int, tuple[Call, Any]] = {}
    told = [(w.revision, w.call, w.value) for w in writes if w.revision is not None]
    told += [(revision, w.call, value) for w in watches for revision, value in w.events]
    disputed = set()
    for revision, call, value in told:
        first, expected = known.setdefault(revision, (call, value))
        if name(value) != name(expected) and revision not in disputed:
            disputed.add(revision)
            reasons = [
                f"At revision {revision} there is {short(expected)} by T1 and {short(value)} by"
                " T2: every revision is one change."
            ]
            findings.add(DIVERGENT, [first, call], reasons, revision=revision)
    return known


def _find_missed(
    findings: Findings,
    watch: Watched,
    known: Mapping[int, tuple[Call, Any]],
    revisions: Sequence[int],
) -> int:
    """Tell of what ``watch`` lacks; how many changes."""
    shown = {revision for revision, _ in watch.events}
    first, last = bisect_right(revisions, watch.after), bisect_right(revisions, watch.to)
    missing = [revision for revision in revisions[first:last] if revision not in shown]
    if missing:
        call, value = known[missing[0]]
        reasons = [
            f"T1 proves that revision {missing[0]} set the key to {short(value)}.",
            f"T2 was answered with all changes after {watch.after} up to {watch.to}, and lacks it"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}.",
        ]
        findings.add(MISSED, [call, watch.call], reasons, revisions=missing[:8])
    return len(missing)


def _find_unexpected(
    findings: Findings, watches: Sequence[Watched], writes: Sequence[Written], initial: Any
) -> None:
    written: dict[Any, list[Call]] = {}
    for write in writes:
        written.setdefault(name(write.value), []).append(write.call)
    odd = set()
    for watch in watches:
        for revision, value in watch.events:
            sources = written.get(name(value), [])
            if initial is not None and name(value) == name(initial):
                continue
            if revision in odd or any(
                not call.failed and call.start < watch.call.end for call in sources
            ):
                continue
            odd.add(revision)
            reason = "nobody ever tried to write that"
            if sources:
                reason = "T2 failed" if sources[0].failed else "T2 began after T1 was over"
            reasons = [f"T1 shows {short(value)} at revision {revision}, and {reason}."]
            findings.add(UNEXPECTED, [watch.call, *sources[:1]], reasons, revision=revision)


def _find_write_order(
    findings: Findings, writes: Sequence[Written], known: Mapping[int, tuple[Call, Any]]
) -> None:
    """Tell of each write whose revision is below one that was acknowledged before it began."""
    revision_of = {name(value): revision for revision, (_, value) in known.items()}
    times = Counter(name(write.value) for write in writes)
    times.update(name(value) for _, value in known.values())
    placed = []
    for write in writes:
        is_unique = times[name(write.value)] <= 2  # once written, once seen
        inferred = revision_of.get(name(write.value)) if is_unique else None
        revision = inferred if write.revision is None else write.revision
        if revision is not None and not write.call.failed:
            placed.append((write, revision))
    ended = sorted((each for each in placed if each[0].call.ok), key=lambda each: each[0].call.end)
    ends = [write.call.end for write, _ in ended]
    highest = running_highest([revision for _, revision in ended])
    for write, revision in placed:
        before = bisect_right(ends, write.call.start)
        if before and ended[highest[before - 1]][1] > revision:
            other, higher = ended[highest[before - 1]]
            reasons = [
                f"T1 was acknowledged before T2 began: T1 < T2. But T1 has revision {higher} and"
                f" T2 has revision {revision}, so T2 < T1: a contradiction."
            ]
            findings.add(WRITE_ORDER, [other.call, write.call], reasons, revision=revision)


def running_highest(numbers: Sequence[Any]) -> list[int]:
    """For each position, where the highest of the numbers up to it is."""
    best: list[int] = []
    for position, number in enumerate(numbers):
        keeps = bool(best) and numbers[best[-1]] >= number
        best.append(best[-1] if keeps else position)
    return best


CHECKERS = {"watch": Watch}
