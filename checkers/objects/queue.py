"""The checker ``queue``: whatever comes out went in, no more often than it went in.

``enqueue`` puts a value in, ``dequeue`` takes one out and answers it, ``drain`` takes all that
is left and answers a list. After ``jepsen.checker/queue`` with its unordered queue. Judged are
the dequeues that were answered, at the moment of their answer:

- ``unexpected``: nobody had begun to enqueue the value by then, or the enqueue failed
- ``duplicated``: it was taken out more often than enqueues of it had begun (and not failed);
  where durability is disclaimed that is no error, for the dequeue before may have been lost

What ``initial`` (a list) names is in the queue from the start. A dequeue that answered nil found
nothing; a drain that answered no list, and values of another kind than any that was enqueued
(:mod:`checkers.proof.shapes`), prove nothing and make ``unknown``; so do enqueues that do not say
of what. Nothing was tested where nothing was ever taken out.

Sound for every queue that delivers at most once, whatever its order; whether it *loses*
something is the business of :mod:`checkers.objects.total_queue`, its order that of the model
``fifo-queue``. Cost: one pass, n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.proof.each_key import each_key
from checkers.proof.findings import Findings, listed
from checkers.proof.promises import Promises, promises
from checkers.proof.shapes import HINT, Known, looks_keyed
from harness.history.calls import BEFORE_ALL, Call, calls, name, of, short
from harness.history.operation import OK, Operation
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

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

    def __init__(self, record: Record, promised: Promises) -> None:
        found = calls(record.history)
        self.promised = promised
        self.initial_doubt = ""
        self.enqueues = self._at_the_start(record.header.initial) + of(ENQUEUE, found)
        self.takes = of(TAKES, found)
        self.into: dict[Any, list[Call]] = {}
        self.unnamed: list[Call] = []
        for call in self.enqueues:
            if call.value is None:
                self.unnamed += [] if call.failed else [call]
            else:
                self.into.setdefault(name(call.value), []).append(call)
        self.odd = [call for call in self.takes if _is_odd(call)]
        self.taken = [taken for call in self.takes for taken in _taken(call)]
        self._leave_out_foreign()

    def _at_the_start(self, initial: Any) -> list[Call]:
        """An enqueue for each value that was there at the start, acknowledged before all."""
        if initial is None:
            return []
        if not isinstance(initial, list | tuple):
            self.initial_doubt = f"the initial state {short(initial)} is no list of values"
            return []
        told = [Operation(-1, -1, -1, OK, "enqueue", value) for value in initial]
        return [Call(each, each, BEFORE_ALL, BEFORE_ALL) for each in told]

    def _leave_out_foreign(self) -> None:
        """Set aside what was answered in another shape than it was enqueued."""
        known = Known(calls[0].value for calls in self.into.values())
        if known.are_foreign(taken.value for taken in self.taken):
            odd = [taken for taken in self.taken if known.are_foreign([taken.value])]
            left_out = {id(taken.call) for taken in odd}
            self.odd += list({id(taken.call): taken.call for taken in odd}.values())
            self.taken = [taken for taken in self.taken if id(taken.call) not in left_out]

    @property
    def doubt(self) -> str:
        """Why the absence of errors proves nothing; empty if it does."""
        if self.initial_doubt:
            return self.initial_doubt
        if self.odd:
            told = f"{self.odd[0]} answered {short(self.odd[0].answer)}"
            what = "a list of values" if self.odd[0].f == "drain" else "a value"
            hint = f" ({HINT})" if looks_keyed(self.odd[0]) else ""
            return f"{told}: not {what} like those enqueued{hint}"
        if self.unnamed:
            return f"{self.unnamed[0]}: nobody knows what it put in"
        return ""

    def attempts(self, value: Any) -> list[Call]:
        """The enqueues of ``value`` that may have happened."""
        return [call for call in self.into.get(value, ()) if self.promised.may_have_happened(call)]


def _is_odd(call: Call) -> bool:
    """Whether a drain answered no list, or a dequeue asked one of several queues."""
    if call.f == "drain":
        return call.ok and not isinstance(call.answer, list | tuple | None)
    return call.ok and looks_keyed(call)


def _taken(call: Call) -> list[Taken]:
    if not call.ok or call.answer is None or _is_odd(call):
        return []
    values = call.answer if call.f == "drain" else [call.answer]
    return [Taken(call, value) for value in values]


class Queue:
    """Judges that what comes out went in."""

    name = "queue"
    reads = frozenset({"history"})
    operations = frozenset((*ENQUEUE, *TAKES))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all answered dequeues, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        promised = promises(record, self.options)
        traffic = Traffic(record, promised)
        findings = Findings(record)
        by_value = takes_by_value(traffic)
        repeated = sum(
            find_too_many(findings, traffic, value, takes) for value, takes in by_value.items()
        )
        left = {
            value: len(traffic.attempts(value)) - len(by_value.get(value, ()))
            for value in traffic.into
        }
        remaining = [value for value, count in left.items() if count > 0]
        stats = {
            "enqueue-count": len(traffic.enqueues),
            "taken-count": len(traffic.taken),
            "unexpected-count": findings.counts.get(UNEXPECTED, 0),
            "duplicated-count": repeated,
            "final-queue-count": sum(count for count in left.values() if count > 0),
            "final-queue": listed(remaining),
        }
        empty = "" if traffic.taken else "nothing was ever taken out of the queue"
        return findings.verdict(
            stats=stats,
            unknown=traffic.doubt,
            empty=empty,
            permitted={DUPLICATED: repeated if promised.not_durable else 0},
            permitted_by=promised.excuse,
        )


def takes_by_value(traffic: Traffic) -> dict[Any, list[Taken]]:
    """What was taken out, by value, in order of the answers."""
    by_value: dict[Any, list[Taken]] = {}
    for taken in sorted(traffic.taken, key=lambda each: each.call.end):
        by_value.setdefault(name(taken.value), []).append(taken)
    return by_value


def find_too_many(findings: Findings, traffic: Traffic, value: Any, takes: Sequence[Taken]) -> bool:
    """Tell of the first of ``takes`` (in order of their answers) that had nothing to take.

    Whether it is one too many of something that there was. That is not told where durability is
    disclaimed, and nothing where anything may have been put in.
    """
    if traffic.unnamed or traffic.initial_doubt:
        return False
    attempts = sorted(traffic.attempts(value), key=lambda call: call.start)
    starts = [call.start for call in attempts]
    for count, taken in enumerate(takes, 1):
        if bisect_left(starts, taken.call.end) >= count:
            continue
        begun = attempts[: bisect_left(starts, taken.call.end)]
        shown = short(taken.value)
        if not begun:
            _report_unexpected(findings, traffic, value, taken)
        elif not traffic.promised.not_durable:
            _report_duplicated(findings, begun, takes[:count], shown)
        return bool(begun)
    return False


def _report_duplicated(
    findings: Findings, begun: Sequence[Call], takes: Sequence[Taken], shown: str
) -> None:
    told = [call for call in begun if call.end != BEFORE_ALL]
    involved = [*told[:3], *(each.call for each in takes[-4:])]
    start = " (counting those of the start)" if len(told) < len(begun) else ""
    reasons = [
        f"By the end of the last of these, {len(begun)} enqueues of {shown} had begun that did"
        f" not fail{start}, and {shown} had been taken out {len(takes)} times: once too often."
    ]
    findings.add(DUPLICATED, involved, reasons, value=shown, count=len(takes))


def _report_unexpected(findings: Findings, traffic: Traffic, value: Any, taken: Taken) -> None:
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
