"""The head of the page in plain words: what is known, and why it is not more.

A verdict of ``unknown`` has reasons, which a reader wants one by one, each with what would settle
it, and said once; a run without a verdict has an end, and operations that nobody judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.report.display import duration, shown, visible
from harness.report.findings import Issue, issues, mapping, steps_beside, texts, word_of
from harness.report.model import Run
from harness.store.ended import why_no_verdict

_INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class Head:
    """``lead`` is the sentence under the word; ``reasons`` are why it is unknown.

    ``remarks`` are health findings that leave the verdict as it is.
    """

    lead: str
    reasons: list[Issue]
    remarks: list[Issue]


def head_of(run: Run) -> Head:
    """What stands under the verdict's word."""
    verdict = run.verdict
    word = word_of(verdict.get("valid"))
    health = issues(verdict.get("health"))
    why = shown(verdict.get("why") or "", 4000)
    if word == "unjudged":
        return Head(lead=_unjudged(run), reasons=[], remarks=health)
    if word != "unknown":
        return Head(lead=why, reasons=[], remarks=health)
    reasons = [issue for issue in health if issue.level == "unknown"]
    reasons += _beside(verdict, health)
    remarks = [issue for issue in health if issue.level != "unknown"]
    if not reasons:
        return Head(lead=why, reasons=[], remarks=remarks)
    if _has_anomalies(verdict):
        lead = f"What was found does not decide {_whether(run)}:"
        return Head(lead=lead, reasons=reasons, remarks=remarks)
    lead = _unknown(run, reasons)
    told = [issue for issue in reasons if issue.check != _INTERRUPTED]
    return Head(lead=lead, reasons=told, remarks=remarks)


def _unknown(run: Run, reasons: list[Issue]) -> str:
    found = f"nothing was found in {len(run.calls):,} operations"
    cut = next((reason for reason in reasons if reason.check == _INTERRUPTED), None)
    if cut is not None:
        step = f" To settle it: {cut.settle}." if cut.settle else ""
        return f"Interrupted{_at(run)}; {found}.{step}"
    if not run.calls:
        return "The history has no operation of a client, so nothing could be judged."
    return f"{found[:1].upper()}{found[1:]}, but that does not decide {_whether(run)}:"


def _whether(run: Run) -> str:
    claims = texts(run.verdict.get("claims"))
    return f"whether {visible(', '.join(claims), 200)} holds" if claims else "the verdict"


def _unjudged(run: Run) -> str:
    why = shown(why_no_verdict(run.folder) or "the run ended before it was judged", 2000)
    lead = f"There is no verdict in this folder: {why}."
    if len(run.calls):
        verb = "was" if len(run.calls) == 1 else "were"
        lead += f" {len(run.calls):,} operations{_until(run)} {verb} kept and not judged."
    check = "polygraph check"
    return lead if check in lead else f"{lead} {check} on the folder judges what there is."


def _at(run: Run) -> str:
    """`` at 9 s of 20 s``; empty where the history has no times."""
    limit_s = run.scenario.get("time_limit")
    is_known = isinstance(limit_s, int | float) and not isinstance(limit_s, bool) and limit_s > 0
    if not run.last_ns:
        return ""
    return f" at {duration(run.last_ns)}" + (f" of {limit_s:g} s" if is_known else "")


def _until(run: Run) -> str:
    return _at(run).replace(" at ", " up to ", 1)


def _beside(verdict: Mapping[str, Any], health: list[Issue]) -> list[Issue]:
    """Reasons that no health finding tells, without those told in the same breath."""
    known = {issue.message for issue in health}
    found = []
    for step in steps_beside(verdict.get("settle"), verdict.get("health")):
        rest = "; ".join(part for part in step.message.split("; ") if part not in known)
        if rest or not step.message:
            found.append(
                Issue(level=step.level, check=step.check, message=rest, settle=step.settle)
            )
    return found


def _has_anomalies(verdict: Mapping[str, Any]) -> bool:
    parts = mapping(verdict.get("checkers")).values()
    return any(mapping(part).get("anomalies") for part in parts)
