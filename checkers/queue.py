"""The checker ``queue``: whatever comes out went in, no more often than it went in.

``enqueue`` puts a value in, ``dequeue`` takes one out and answers it, ``drain`` takes all that
is left and answers a list. After ``jepsen.checker/queue`` with its unordered queue. Judged are
the dequeues that were answered, at the moment of their answer:

- ``unexpected``: nobody had begun to enqueue the value by then, or the enqueue failed
- ``duplicated``: it was taken out more often than enqueues of it had begun (and not failed)

Sound for every queue that delivers at most once, whatever its order; whether it *loses*
something is the business of :mod:`checkers.total_queue`, its order that of the model
``fifo-queue``. Cost: one pass, n log n.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.calls import Call, calls, name, of, short
from checkers.telling import Findings, each_key, listed
from harness.history.history import History
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict

ENQUEUE: Final = ("enqueue",)
TAKES: Final = ("dequeue", "drain")
UNEXPECTED: Final = "unexpected"
DUPLICATED: Final = "duplicated"


@dataclass(frozen=True)
class Taken:
    """One value that ``call`` took out and answered."""

    call: Call
    value: Any


class Traffic:
    """What went into a queue and what came out, by value."""

    def __init__(self, history: History) -> None:
        found = calls(history)
        self.enqueues = of(ENQUEUE, found)
        self.takes = of(TAKES, found)
        self.taken = [taken for call in self.takes for taken in _taken(call)]
        self.into: dict[Any, list[Call]] = {}
        for call in self.enqueues:
            self.into.setdefault(name(call.value), []).append(call)

    def attempts(self, value: Any) -> list[Call]:
        """The enqueues of ``value`` (by :func:`checkers.calls.name`) that may have happened."""
        return [call for call in self.into.get(value, ()) if not call.failed]


def _taken(call: Call) -> Iterable[Taken]:
    if not call.ok:
        return ()
    if call.f == "drain":
        return [Taken(call, value) for value in (call.answer or [])]
    return () if call.answer is None else (Taken(call, call.answer),)


class Queue:
    """Judges that what comes out went in."""

    name = "queue"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all answered dequeues, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        traffic = Traffic(record.history)
        findings = Findings(record)
        by_value: dict[Any, list[Taken]] = {}
        for taken in sorted(traffic.taken, key=lambda each: each.call.end):
            by_value.setdefault(name(taken.value), []).append(taken)
        for value, takes in by_value.items():
            find_too_many(findings, traffic, value, takes)
        left = {
            value: len(traffic.attempts(value)) - len(by_value.get(value, ()))
            for value in traffic.into
        }
        remaining = [value for value, count in left.items() if count > 0]
        stats = {
            "enqueue-count": len(traffic.enqueues),
            "taken-count": len(traffic.taken),
            "unexpected-count": findings.counts.get(UNEXPECTED, 0),
            "duplicated-count": findings.counts.get(DUPLICATED, 0),
            "final-queue-count": sum(count for count in left.values() if count > 0),
            "final-queue": listed(remaining),
        }
        empty = "" if traffic.taken else "nothing was ever taken out of the queue"
        return findings.verdict(stats=stats, empty=empty)


def find_too_many(findings: Findings, traffic: Traffic, value: Any, takes: Sequence[Taken]) -> None:
    """Tell of the first of ``takes`` (in order of their answers) that had nothing to take."""
    attempts = sorted(traffic.attempts(value), key=lambda call: call.start)
    for count, taken in enumerate(takes, 1):
        begun = [call for call in attempts if call.start < taken.call.end]
        if len(begun) >= count:
            continue
        shown = short(taken.value)
        if begun:
            _tell_duplicated(findings, begun, takes[:count], shown)
        else:
            _tell_unexpected(findings, traffic, value, taken)
        return


def _tell_duplicated(
    findings: Findings, begun: Sequence[Call], takes: Sequence[Taken], shown: str
) -> None:
    involved = [*begun[:3], *(each.call for each in takes[-4:])]
    reasons = [
        f"By the end of the last of these, {len(begun)} enqueues of {shown} had begun that did"
        f" not fail, and {shown} had been taken out {len(takes)} times: once too often."
    ]
    findings.add(DUPLICATED, involved, reasons, value=shown, count=len(takes))


def _tell_unexpected(findings: Findings, traffic: Traffic, value: Any, taken: Taken) -> None:
    shown = short(taken.value)
    enqueues = traffic.into.get(value, [])[:1]
    if not enqueues:
        reason = f"Nobody ever tried to enqueue {shown}."
    elif enqueues[0].failed:
        reason = f"T2, the enqueue of {shown}, failed: it certainly did not happen."
    else:
        reason = f"T2, the first enqueue of {shown}, began only after T1 was over."
    reasons = [f"T1 took {shown} out.", reason, "A contradiction."]
    findings.add(UNEXPECTED, [taken.call, *enqueues], reasons, value=shown)


CHECKERS = {"queue": Queue}
