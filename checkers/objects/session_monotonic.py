"""The checker ``session-monotonic``: no process sees a value fall that only ever rises.

After Dgraph's sequential test. ``inc`` raises a counter and answers the new value, ``read``
answers the value. Nothing lowers it, so in the order of one process its answers never fall
(``fell``), whichever copy answered: sequential consistency forbids it. Two acknowledged ``inc``
with the same answer lost one of the two (``lost-increment``). A declared initial state (a number,
or one for each key) is what every process has seen before its first answer. Nothing is tested by a
single answer, nor (but for lost increments) against a model without sessions. Cost: one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from checkers.proof.claim import claims
from checkers.proof.each_key import each_key
from checkers.proof.findings import Findings
from checkers.proof.models import canonical, friendly, stronger_models
from harness.history.calls import Call, calls, of, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, STRONGER_CLAIM
from harness.verdict.verdict import UNKNOWN, Budget, Verdict

RISES: Final = ("inc", "increment")
FELL: Final = "fell"
LOST: Final = "lost-increment"
BROKEN: Final = ("sequential", "strong-session-snapshot-isolation")
"""What a fall contradicts, with everything stronger."""


class SessionMonotonic:
    """Judges the answers of each process."""

    name = "session-monotonic"
    reads = frozenset({"history"})
    operations = frozenset((*RISES, "read"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on each process, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        found = of((*RISES, "read"), calls(record.history))
        answered = [call for call in found if call.ok and call.answer is not None]
        odd = next((call for call in answered if not _is_number(call.answer)), None)
        if odd is not None:
            why = f"{odd} answered {short(odd.answer)}, no number"
            return Verdict(valid=UNKNOWN, why=why, settle=MEND_ANSWERS)
        initial = None if record.header.initial == {} else record.header.initial
        if initial is not None and not _is_number(initial):
            why = f"the initial state is no number: {short(initial)}"
            return Verdict(valid=UNKNOWN, why=why, settle=MEND_ANSWERS)
        findings = Findings(record)
        latest: dict[Any, Call] = {}
        given: dict[Any, Call] = {}
        for call in answered:
            before = latest.get(call.process)
            if before is not None and call.answer < before.answer:
                _report_fall(findings, before, call)
            elif initial is not None and call.answer < initial:
                _report_fall_below(findings, initial, call)
            latest[call.process] = call
            if call.f in RISES:
                other = given.setdefault(call.answer, call)
                if other is not call:
                    _report_lost(findings, other, call)
        only_falls = set(findings.counts) <= {FELL}
        could_fall = len(latest) < len(answered) or (initial is not None and bool(answered))
        stronger = stronger_models(BROKEN)
        return findings.verdict(
            stats={
                "answer-count": len(answered),
                "process-count": len(latest),
                "fall-count": findings.counts.get(FELL, 0),
                "lost-increment-count": findings.counts.get(LOST, 0),
            },
            empty=_untested(claims(record, self.options), could_fall, len(given)),
            settle=STRONGER_CLAIM
            if could_fall
            else "more answers to one process, or answered increments",
            not_=BROKEN if only_falls else (),
            also_not=tuple(sorted(map(friendly, stronger - set(BROKEN)))) if only_falls else (),
        )


def _untested(claimed: tuple[str, ...], could_fall: bool, increments: int) -> str:
    """Why no answer could have been wrong; empty if one could."""
    if increments > 1:
        return ""
    if not could_fall:
        return "no process had two answers, and no two increments were answered"
    if claimed and not stronger_models(BROKEN) & set(map(canonical, claimed)):
        return f"{' nor '.join(claimed)} does not forbid a fall"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _report_fall(findings: Findings, before: Call, call: Call) -> None:
    reasons = [
        f"Process {call.process} did T1 and then T2: T1 < T2.",
        f"T1 answered {before.answer}, T2 answered {call.answer}, and nothing lowers the value,"
        " so T2 < T1: a contradiction.",
    ]
    findings.add(FELL, [before, call], reasons, before=before.answer, found=call.answer)


def _report_fall_below(findings: Findings, initial: Any, call: Call) -> None:
    reasons = [
        f"The value was {short(initial)} at the start.",
        f"T1 answered {call.answer}, and nothing lowers the value: a contradiction.",
    ]
    findings.add(FELL, [call], reasons, before=initial, found=call.answer)


def _report_lost(findings: Findings, other: Call, call: Call) -> None:
    reasons = [
        f"Both were acknowledged, and both raised the value to {call.answer}: as it only rises,"
        " one of the two was done on top of a value that lacked the other.",
    ]
    findings.add(LOST, [other, call], reasons, found=call.answer)


CHECKERS = {"session-monotonic": SessionMonotonic}
