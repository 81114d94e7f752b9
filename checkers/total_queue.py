"""The checker ``total-queue``: what goes in comes out, once the queue was drained.

After ``jepsen.checker/total-queue``: values are enqueued and dequeued, and at the end everything
left is drained. By value:

- ``lost``: more acknowledged enqueues than times that it came out
- ``unexpected``: it came out, and nobody had enqueued it (as in :mod:`checkers.queue`)
- *duplicated*: it came out more often than it was put in; counted, and an error only with the
  option ``exactly_once`` (queues that deliver at least once may do that)
- *recovered*: it came out although its enqueue had no answer

Two things keep ``lost`` from being certain, and make the verdict ``unknown`` instead: nothing
shows that the queue was empty at the end (a drain, or a dequeue that found nothing, begun after
the last acknowledged enqueue); and dequeues without an answer, of which each may have taken one
value. Jepsen's checker calls both lost. Cost: one pass, n log n.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from checkers.calls import Call, name, short
from checkers.queue import UNEXPECTED, Taken, Traffic, find_too_many
from checkers.telling import LISTED, Findings, each_key
from harness.history.record import Record
from harness.history.verdict import Budget, Verdict

LOST: Final = "lost"


class TotalQueue:
    """Judges that nothing is lost."""

    name = "total-queue"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all that went in and out, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        traffic = Traffic(record.history)
        balance = _Balance(traffic)
        findings = Findings(record)
        for value, takes in balance.takes.items():
            begun = [c for c in traffic.attempts(value) if c.start < takes[0].call.end]
            if not begun or self.options.get("exactly_once"):
                find_too_many(findings, traffic, value, takes)
        doubt = balance.doubt()
        if not doubt:
            for value, count in balance.lost.items():
                _tell_lost(findings, traffic, balance, value, count)
        stats = balance.stats()
        stats["unexpected-count"] = findings.counts.get(UNEXPECTED, 0)
        return findings.verdict(stats=stats, unknown=doubt)


class _Balance:
    """How often each value went in and came out."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.takes: dict[Any, list[Taken]] = {}
        for taken in sorted(traffic.taken, key=lambda each: each.call.end):
            self.takes.setdefault(name(taken.value), []).append(taken)
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
            return "" if self.traffic.enqueues else "nothing was ever enqueued"
        if not self._was_emptied():
            return (
                f"{missing} acknowledged values never came out, and nothing shows that the queue"
                " was empty at the end (no drain, no dequeue that found nothing, after the last"
                " acknowledged enqueue)"
            )
        open_takes = [call for call in self.traffic.takes if not call.ok and not call.failed]
        if any(call.f == "drain" for call in open_takes):
            return f"{missing} acknowledged values never came out, and a drain had no answer"
        if missing <= len(open_takes):
            return (
                f"{missing} acknowledged values never came out, and {len(open_takes)} dequeues"
                " without an answer may have taken them"
            )
        return ""

    def _was_emptied(self) -> bool:
        last = max((c.end for c in self.traffic.enqueues if c.ok), default=-1)
        return any(call.start > last and _found_nothing(call) for call in self.traffic.takes)

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
        return call.ok
    told = call.failed and "empty" in short(call.last.error).lower()
    return told or (call.ok and call.answer is None)


def _tell_lost(
    findings: Findings, traffic: Traffic, balance: _Balance, value: Any, count: int
) -> None:
    done = [call for call in traffic.into[value] if call.ok]
    shown = short(done[0].value)
    out = balance.out[value]
    empty = next(c for c in reversed(traffic.takes) if _found_nothing(c))
    reasons = [
        f"{len(done)} enqueues of {shown} were acknowledged, and it came out {out} times.",
        "The last call above found the queue empty after them; nothing else takes values out,"
        f" so {count} of {shown} must be lost.",
    ]
    open_takes = sum(not call.ok and not call.failed for call in traffic.takes)
    if open_takes:
        reasons.append(
            f"{open_takes} dequeues had no answer, fewer than the"
            f" {sum(balance.lost.values())} values missing in all: they cannot have taken all."
        )
    findings.add(LOST, [*done[:3], empty], reasons, value=shown, count=count)


CHECKERS = {"total-queue": TotalQueue}
