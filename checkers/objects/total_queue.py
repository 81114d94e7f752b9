"""The checker ``total-queue``: what goes in comes out, once the queue was drained.

After ``jepsen.checker/total-queue``: values are enqueued and dequeued, and at the end everything
left is drained. By value:

- ``lost``: more acknowledged enqueues than times that it came out
- ``unexpected``: it came out, and nobody had enqueued it (as in :mod:`checkers.objects.queue`)
- *duplicated*: it came out more often than it was put in; counted, and an error only with the
  option ``exactly_once`` (queues that deliver at least once may do that)
- *recovered*: it came out although its enqueue had no answer

Some things keep ``lost`` from being certain, and make the verdict ``unknown`` instead: nothing
shows that the queue was empty at the end (a drain, or a dequeue that found nothing, begun after
the last acknowledged enqueue; in a run, after recovery); dequeues without an answer, of which each
may have taken one value; and drains without an answer or with none that is a list. Jepsen's checker
calls all that lost. A dequeue *found nothing* if it was answered nil, or failed with exactly the
error ``empty`` (an ``Empty reply from server`` is none).

What is lost breaks durability whatever is claimed, unless that is disclaimed
(:mod:`checkers.proof.promises`). Nothing was tested where nothing was taken out. What else is doubt
is so in :mod:`checkers.objects.queue`. Cost: one pass, n log n.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from checkers.objects.queue import (
    DUPLICATED,
    ENQUEUE,
    TAKES,
    UNEXPECTED,
    Traffic,
    find_too_many,
    takes_by_value,
)
from checkers.proof.each_key import each_key
from checkers.proof.findings import LISTED, Findings
from checkers.proof.promises import promises
from harness.history.calls import BEFORE_ALL, Call, said_empty, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS
from harness.verdict.verdict import Budget, Verdict

LOST: Final = "lost"
DRAIN: Final = "drain the queue at the end until a drain is answered"


class TotalQueue:
    """Judges that nothing is lost."""

    name = "total-queue"
    reads = frozenset({"history"})
    operations = frozenset((*ENQUEUE, *TAKES))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all that went in and out, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        promised = promises(record, self.options)
        traffic = Traffic(record, promised)
        balance = _Balance(traffic)
        findings = Findings(record)
        repeated = 0
        for value, takes in balance.takes.items():
            begun = [c for c in traffic.attempts(value) if c.start < takes[0].call.end]
            if not begun or self.options.get("exactly_once"):
                repeated += find_too_many(findings, traffic, value, takes)
        doubt = traffic.doubt or balance.doubt()
        if not doubt and not promised.not_durable:
            for value, count in balance.lost.items():
                _report_lost(findings, traffic, balance, value, count)
        stats = balance.stats()
        stats["unexpected-count"] = findings.counts.get(UNEXPECTED, 0)
        excused = {LOST: sum(balance.lost.values()), DUPLICATED: repeated}
        return findings.verdict(
            stats=stats,
            unknown=doubt,
            empty=balance.untested(),
            mend=MEND_ANSWERS if traffic.doubt else DRAIN,
            permitted=excused if promised.not_durable else {},
            permitted_by=promised.excuse,
        )


class _Balance:
    """How often each value went in and came out."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.takes = takes_by_value(traffic)
        out = Counter({value: len(takes) for value, takes in self.takes.items()})
        attempted = Counter({value: len(traffic.attempts(value)) for value in traffic.into})
        acknowledged = Counter(
            {value: sum(c.ok for c in enqueues) for value, enqueues in traffic.into.items()}
        )
        self.attempted, self.acknowledged, self.out = attempted, acknowledged, out
        self.lost = acknowledged - out
        self.ok = out & attempted
        self.duplicated = (out - attempted) & Counter({v: out[v] for v in attempted})
        self.recovered = self.ok - acknowledged

    def doubt(self) -> str:
        """Why nobody can say that something is lost; empty if one can, or nothing is missing."""
        missing = sum(self.lost.values())
        if not missing:
            return ""
        if not self._was_emptied():
            return (
                f"{missing} acknowledged values never came out, and nothing shows that the queue"
                " was empty at the end (no drain, no dequeue that found nothing, after the last"
                " acknowledged enqueue)"
            )
        open_takes = [call for call in self.traffic.takes if not call.ok and not call.failed]
        unanswered = [call for call in self.traffic.takes if call.ok and call.answer is None]
        if any(call.f == "drain" for call in (*open_takes, *unanswered)):
            return f"{missing} acknowledged values never came out, and a drain had no answer"
        if missing <= len(open_takes):
            return (
                f"{missing} acknowledged values never came out, and {len(open_takes)} dequeues"
                " without an answer may have taken them"
            )
        return ""

    def _was_emptied(self) -> bool:
        last = max((c.end for c in self.traffic.enqueues if c.ok), default=-1)
        return any(
            call.start > last and _found_nothing(call) and self._counts(call)
            for call in self.traffic.takes
        )

    def _counts(self, call: Call) -> bool:
        """Whether what ``call`` found shows the end: in a run, after recovery."""
        promised = self.traffic.promised
        if not promised.is_run:
            return True
        since = promised.recovered_ns
        return since is not None and call.invocation.time >= since

    def untested(self) -> str:
        """What was missing for anything to be tested; empty if nothing was."""
        if not self.traffic.enqueues:
            return "nothing was ever enqueued"
        is_tested = self.traffic.taken or self.lost
        return "" if is_tested else "nothing was ever taken out of the queue"

    def stats(self) -> dict[str, Any]:
        """Counts and multisets, as Jepsen's."""
        parts = {
            "attempt": self.attempted,
            "acknowledged": self.acknowledged,
            "ok": self.ok,
            "duplicated": self.duplicated,
            "lost": self.lost,
            "recovered": self.recovered,
        }
        counts: dict[str, Any] = {
            f"{part}-count": sum(values.values()) for part, values in parts.items()
        }
        for part in ("duplicated", "lost", "recovered"):
            shown = sorted(parts[part].items(), key=lambda pair: short(pair[0]))
            counts[part] = {short(value): count for value, count in shown[:LISTED]}
        return counts


def _found_nothing(call: Call) -> bool:
    """Whether the queue was empty when ``call`` ended: it drained it, or found nothing."""
    if call.f == "drain":
        return call.ok and isinstance(call.answer, list | tuple)
    if call.failed:
        return said_empty(call.last.error)
    return call.ok and call.answer is None


def _report_lost(
    findings: Findings, traffic: Traffic, balance: _Balance, value: Any, count: int
) -> None:
    done = [call for call in traffic.into[value] if call.ok]
    told = [call for call in done if call.end != BEFORE_ALL]
    shown = short(done[0].value)
    out = balance.out[value]
    empty = next(c for c in reversed(traffic.takes) if _found_nothing(c))
    reasons = [
        f"{len(done)} enqueues of {shown} were acknowledged"
        f"{' (or there at the start)' if len(told) < len(done) else ''}, and it came out"
        f" {out} times.",
        "The last call above found the queue empty after them; nothing else takes values out,"
        f" so {count} of {shown} must be lost.",
    ]
    doubtful = sum(not call.ok and not call.failed for call in traffic.takes)
    if doubtful:
        reasons.append(
            f"{doubtful} dequeues had no answer, fewer than the"
            f" {sum(balance.lost.values())} values missing in all: they cannot have taken all."
        )
    findings.add(LOST, [*told[:3], empty], reasons, value=shown, count=count)


CHECKERS = {"total-queue": TotalQueue}
