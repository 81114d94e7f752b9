"""One verdict out of many: the worst of the parts wins, and a sentence says which it was.

A verdict is against a claim: an anomaly that none of the claimed models forbids is told, but makes
``unknown``, not invalid. What is no matter of consistency is never named so: losses are judged
against durability, recovery as availability after the faults, and what trouble of this machine may
have caused is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from harness.judge.annotations import with_annotations
from harness.judge.claims import ASSUMED, DOCUMENTED, NO_MODEL
from harness.judge.counting import count_faults
from harness.judge.fault_free import FaultFree, fault_free_first
from harness.judge.health import INTERRUPTED, HealthFinding
from harness.judge.infrastructure import excused
from harness.judge.settling import steps
from harness.judge.witnesses import witnesses
from harness.verdict.record import Record
from harness.verdict.steps import DECIDES_THE_CLAIM, RUN_AGAIN
from harness.verdict.verdict import UNKNOWN, Valid, Verdict, worst
from harness.verdict.verdict_file import PlacedAnswer, VerdictFile

PROMISES: Final = {
    "no-recovery": "availability after the faults",
    "crash": "that no process ends by itself",
    "logs": "what the logs must never say",
    "agreement": "that all nodes come to hold the same",
    "metrics": "what the system says of its own figures",
}
"""What the checkers of runs judge: no model of consistency, so never named as the one claimed."""
OF_RUNS: Final = frozenset((*PROMISES, "stats", "unhandled-exceptions"))
"""Checkers of no model, which judge also where no model is claimed."""
SCHEMA: Final = 1
LOSSES: Final = frozenset({"lost", "lost-write"})
"""Anomalies that are the loss of what was acknowledged: no matter of isolation."""
DURABILITY: Final = "durability of what was acknowledged"
JUDGE_THE_ASSUMED: Final = "run it without --claims documented, against what is taken for granted"


def compose(
    record: Record,
    verdicts: Mapping[str, Verdict],
    *,
    claims: Sequence[str],
    health_findings: Sequence[HealthFinding],
    requested_faults: Sequence[str],
    anomalies: Sequence[str] = (),
) -> VerdictFile:
    """``verdict.json``: the worst part wins, and ``why`` says in a sentence which it was.

    With ``anomalies`` that were asked for by name, an invalid verdict is against these, too.
    """
    not_durable = record.header.not_durable
    run = record.run or {}
    by = str(run.get("claims_by") or ASSUMED)
    none_promised = by == DOCUMENTED and not claims
    found = witnesses(record.history, verdicts.values())
    ordered, fault_free = fault_free_first(record, verdicts, found)
    answers = {
        name: verdict
        if anomalies
        else against_claims(
            verdict, claims, not_durable, none_promised=none_promised and name not in OF_RUNS
        )
        for name, verdict in ordered.items()
    }
    answers = {name: excused(name, answer, run) for name, answer in answers.items()}
    answers = {name: with_annotations(answer, found) for name, answer in answers.items()}
    of = [str(ability) for ability in run.get("claims_of") or ()]
    reasons = _without_what_follows(answers, health_findings)
    parts = [
        _part(name, answer, claims, fault_free.get(name, {})) for name, answer in reasons.items()
    ]
    parts += [Part(UNKNOWN, each.message) for each in health_findings if each.level == "unknown"]
    operations = record.history.outcomes
    bare = [] if verdicts else ["no checker could be applied"]
    bare += [] if operations else ["the history has no client operation"]
    parts += [Part(UNKNOWN, reason) for reason in bare]
    valid = worst(part.valid for part in parts)
    answer: VerdictFile = {
        "valid": valid,
        "why": _why(valid, parts, _claim_in_words(claims, of, by))
        + _so_far(valid, answers, health_findings, operations),
        "claims": list(claims),
        "claims_of": of,
        "claims_by": by,
        "other_claim": run.get("other_claim"),
        "not_durable": not_durable,
        "schema": SCHEMA,
        "seed": record.header.seed,
        "reproduce": None,
        "operations": operations,
        "faults": count_faults(record.faults or (), requested_faults),
        "health": [finding.as_json() for finding in health_findings],
        "settle": steps(valid, health_findings, reasons, bare, is_run=_is_run(record)),
        "checkers": {
            name: _placed(answer, fault_free.get(name, {})) for name, answer in answers.items()
        },
        "notices": list(record.history.notices),
        "partial": record.history.partial,
    }
    if reached := run.get("milestones"):
        answer["milestones"] = dict(reached)
    return answer


def _without_what_follows(
    answers: Mapping[str, Verdict], health_findings: Sequence[HealthFinding]
) -> dict[str, Verdict]:
    """``answers`` without those that lack only the rest of a run that was interrupted.

    That it was is told already.
    """
    was_interrupted = any(finding.check == INTERRUPTED for finding in health_findings)
    return {
        name: answer
        for name, answer in answers.items()
        if not (was_interrupted and answer.valid == UNKNOWN and answer.settle == RUN_AGAIN)
    }


def _so_far(
    valid: Valid,
    answers: Mapping[str, Verdict],
    health_findings: Sequence[HealthFinding],
    operations: Mapping[str, Mapping[str, int]],
) -> str:
    """Of a run that was interrupted: that nothing was found until then, if that is so."""
    was_interrupted = any(finding.check == INTERRUPTED for finding in health_findings)
    count = sum(sum(by_type.values()) for by_type in operations.values())
    found = any(answer.anomalies for answer in answers.values())
    if valid != UNKNOWN or not was_interrupted or found or not count:
        return ""
    return f"; nothing was found in {count:,} operations"


def against_claims(
    verdict: Verdict,
    claims: Sequence[str],
    not_durable: str | None = None,
    *,
    none_promised: bool = False,
) -> Verdict:
    """``verdict`` as it stands against ``claims``.

    An invalid one whose anomalies rule out models, none of which is claimed, is no broken
    promise: it becomes ``unknown``, because this checker cannot decide the claimed model either.
    :data:`LOSSES` are judged by durability, whatever the models: what was acknowledged must be
    there, unless ``not_durable`` says why it need not. ``none_promised``: no model is, on purpose.
    """
    if verdict.valid is not False:
        return verdict
    if none_promised and not (LOSSES & verdict.anomalies.keys() and not_durable is None):
        return replace(
            verdict,
            valid=UNKNOWN,
            why=f"{verdict.why} (no model of consistency is documented, so nothing forbids that)",
            settle=JUDGE_THE_ASSUMED,
        )
    losses = LOSSES & verdict.anomalies.keys()
    if losses and not_durable is None:
        return verdict
    if losses and losses == verdict.anomalies.keys():
        return replace(
            verdict,
            valid=UNKNOWN,
            why=f"{verdict.why} (with {not_durable} what was acknowledged may be lost)",
            settle=f"run it without {not_durable}, where nothing acknowledged may be lost",
        )
    if _breaks(verdict, claims):
        return verdict
    return replace(
        verdict,
        valid=UNKNOWN,
        why=f"{verdict.why} (that breaks {', '.join(verdict.not_)}, which is not claimed;"
        f" whether {', '.join(claims)} holds is not decided by this checker)",
        settle=DECIDES_THE_CLAIM,
    )


def _breaks(verdict: Verdict, claims: Sequence[str]) -> bool:
    """Whether the models that an invalid ``verdict`` rules out are among ``claims``."""
    ruled_out = {*verdict.not_, *verdict.also_not}
    return not ruled_out or not claims or bool(ruled_out & set(claims))


@dataclass(frozen=True)
class Part:
    """One reason for the verdict; ``promise`` is what it is about, if not the models claimed."""

    valid: Valid
    why: str
    promise: str = ""


def _part(
    name: str, answer: Verdict, claims: Sequence[str], fault_free: Mapping[str, FaultFree]
) -> Part:
    count = FaultFree(
        sum(each.count for each in fault_free.values()),
        sum(each.of for each in fault_free.values()),
    )
    placed = f", {count}" if count.of else ""
    promise = PROMISES.get(name, "")
    if not promise and LOSSES & answer.anomalies.keys():
        is_all = answer.anomalies.keys() <= LOSSES
        promise = DURABILITY if is_all or not _breaks(answer, claims) else ""
    return Part(answer.valid, f"{answer.why.rstrip('.')} ({name}{placed})", promise)


def _placed(answer: Verdict, fault_free: Mapping[str, FaultFree]) -> PlacedAnswer:
    """The answer with ``{"no_fault": {TYPE: [cases with no fault in force, cases placed]}}``."""
    placed = cast(PlacedAnswer, answer.as_json())  # which may have that key as well
    if fault_free:
        placed["no_fault"] = {kind: [each.count, each.of] for kind, each in fault_free.items()}
    return placed


def _is_run(record: Record) -> bool:
    """Whether this is a run, of which there is more than a history."""
    return record.parts != {"history"}


def _claim_in_words(claims: Sequence[str], of: Sequence[str], by: str) -> str:
    """What the verdict is against; empty if nothing is claimed."""
    promised = f" (of {', '.join(of)})" if of else ""
    if by == DOCUMENTED:
        return f"the documented claim {', '.join(claims) or NO_MODEL}{promised}"
    return f"the claim {', '.join(claims)}{promised}" if claims else ""


def _why(valid: Valid, parts: Sequence[Part], claim: str) -> str:
    if valid is True:
        return f"No anomaly was found against {claim}" if claim else "No anomaly was found"
    bad = [part for part in parts if part.valid == valid]
    if valid is UNKNOWN:
        reasons = "; ".join(part.why for part in bad)
        return f"{_sentence(claim or 'the history')} is not decided: {reasons}"
    broken: dict[str, list[str]] = {}
    for part in bad:
        broken.setdefault(part.promise or claim, []).append(part.why)
    told = (
        f"{promise} is broken: {'; '.join(reasons)}" if promise else "; ".join(reasons)
        for promise, reasons in broken.items()
    )
    return _sentence("; ".join(told))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
