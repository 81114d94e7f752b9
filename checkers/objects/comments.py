"""The checker ``comments``: whoever sees a comment sees all that were finished before it began.

From the comments test of CockroachDB. ``write`` inserts an id of its own, ``read`` answers the
set of all ids there are. If the write of A was acknowledged before the write of B began, then a
read that shows B must show A: else B came before A in the order that the read saw, and after it
in real time (``missing``, an effect before its cause: strict serializability forbids it,
serializability does not).

Ids that nobody wrote in this history are counted as ``unwritten`` and are an error
(``unexpected``) only where the header's ``initial`` says what was there at the start; a write
that failed never happened, and one that began after the read was over had not, so a read that
shows it is ``unexpected`` in any case. Nothing is tested unless a read was answered, nor against a
model that has no order of time.

Cost: for each read, one look at each id in it and at each write that was over by then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.objects.sets import ADD, READ, Elements
from checkers.proof.claim import claims
from checkers.proof.each_key import each_key
from checkers.proof.findings import Findings
from checkers.proof.models import canonical, friendly
from harness.history.calls import Call, name, names, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

MISSING: Final = "missing"
BROKEN: Final = ("strict-serializable", "linearizable")
"""What a missing write contradicts."""


class Comments:
    """Judges that a read that shows a write shows all writes that ended before that one began."""

    name = "comments"
    reads = frozenset({"history"})
    operations = frozenset((*ADD, *READ))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all reads, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        elements = Elements(record)
        if elements.unreadable:
            return Verdict(valid=UNKNOWN, why=elements.unreadable, settle=MEND_ANSWERS)
        initial = record.header.initial
        if initial not in (None, {}) and not isinstance(initial, list):
            why = f"the initial state is no list of ids: {short(initial)}"
            return Verdict(valid=UNKNOWN, why=why, settle=MEND_ANSWERS)
        findings = Findings(record)
        is_initial_known = isinstance(initial, list)
        elements.find_unexpected(findings, all_told=is_initial_known)
        bad = self._find_missing(findings, elements, budget)
        shown = {e for read in elements.reads for e in names(read.answer or [])}
        stats = {
            "read-count": len(elements.reads),
            "bad-read-count": bad,
            "unwritten-count": len(shown - set(elements.adds) - elements.initial),
        }
        only_order = set(findings.counts) <= {MISSING}
        return findings.verdict(
            stats=stats,
            empty=_untested(claims(record, self.options), elements.reads),
            not_=BROKEN if only_order else (),
        )

    def _find_missing(self, findings: Findings, elements: Elements, budget: Budget) -> int:
        """Tell of each read that lacks a write; how many reads do."""
        writes = [call for adds in elements.adds.values() for call in adds]
        begun: dict[Any, Call] = {}
        for call in sorted(writes, key=lambda call: call.start, reverse=True):
            if not call.failed:
                begun[name(call.value)] = call  # the first write of an id, where there are more
        ended = sorted((call for call in writes if call.ok), key=lambda call: call.end)
        ends = [call.end for call in ended]
        bad = 0
        for read in elements.reads:
            budget.spend_check("the reads of comments")
            shown = set(names(read.answer or []))
            seen = [begun[element] for element in shown if element in begun]
            latest = max(seen, key=lambda call: call.start, default=None)
            if latest is None:
                continue
            due = ended[: bisect_left(ends, latest.start)]
            missing = [call for call in due if name(call.value) not in shown]
            at_first = sorted(map(str, elements.initial - shown))
            bad += bool(missing or at_first)
            if missing:
                _report(findings, read, latest, missing)
            elif at_first:
                _report_at_first(findings, read, latest, at_first)
        return bad


def _untested(claimed: Sequence[str], reads: Sequence[Call]) -> str:
    """Why no answer could have been wrong; empty if one could."""
    if not any(isinstance(read.answer, list | tuple) for read in reads):
        return "there is no answered read"
    if claimed and not any(friendly(canonical(model)) in BROKEN for model in claimed):
        return f"{' nor '.join(claimed)} does not forbid it"
    return ""


def _report(findings: Findings, read: Call, seen: Call, missing: Sequence[Call]) -> None:
    lacked, shown = short(missing[0].value), short(seen.value)
    reasons = [
        f"T1, the write of {lacked}, was acknowledged before T2, the write of {shown}, began:"
        " T1 < T2.",
        f"T3 shows {shown}, so T2 < T3; it lacks {lacked}, and nothing removes that, so T3 < T1:"
        " a contradiction.",
    ]
    if len(missing) > 1:
        reasons.append(f"T3 lacks {len(missing) - 1} more writes that were over before T2 began.")
    data = {"missing": [call.value for call in missing[:8]], "seen": seen.value}
    findings.add(MISSING, [missing[0], seen, read], reasons, **data)


def _report_at_first(findings: Findings, read: Call, seen: Call, lacked: Sequence[str]) -> None:
    reasons = [
        f"{lacked[0]} was there at the start, before T1, the write of {short(seen.value)}, began.",
        f"T2 shows {short(seen.value)}; it lacks {lacked[0]}, and nothing removes that: a"
        " contradiction.",
    ]
    findings.add(MISSING, [seen, read], reasons, missing=list(lacked[:8]), seen=seen.value)


CHECKERS = {"comments": Comments}
