"""What would settle it: for each reason of an ``unknown``, the next thing to do.

Whoever answers unknown says it (:mod:`harness.verdict.steps`): a checker, or a finding of
:mod:`harness.judge.health`. Here the words for a run or for a file are taken, and what a run that
was cut short lacks, it is told to get by running to its end. Each step is told once, with all the
reasons that it settles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harness.judge.health import HealthFinding
from harness.verdict.steps import ANYTHING, RUN_AGAIN, Settle, Step, words_of
from harness.verdict.verdict import UNKNOWN, Verdict
from harness.verdict.verdict_file import ToSettle

CUT_SHORT: Final = frozenset({"partial", "interrupted", "ended-early", "fail-fast"})
"""Findings of a run that did not come to its end."""

NOTHING_JUDGED: Final = Step(
    "a longer --time-limit, and a workload with a checker",
    "-m MODEL, with a history that has operations of clients (polygraph list)",
    more_of_the_run=True,
)


def steps(
    valid: Any,
    health_findings: Sequence[HealthFinding],
    answers: Mapping[str, Verdict],
    others: Sequence[str] = (),
    *,
    is_run: bool = True,
) -> list[ToSettle]:
    """``[{"about", "do"}]`` for the reasons why it is unknown; none for any other verdict.

    ``others`` are reasons of neither finding nor checker. A step that settles several reasons is
    told once, about all of them.
    """
    if valid != UNKNOWN:
        return []
    was_cut = is_run and any(finding.check in CUT_SHORT for finding in health_findings)
    found: dict[str, list[str]] = {}
    for name, about, settle in _reasons(health_findings, answers, others):
        if was_cut and isinstance(settle, Step) and settle.more_of_the_run:
            settle = RUN_AGAIN
        reasons = found.setdefault(words_of(settle, name, is_run=is_run), [])
        if about not in reasons:
            reasons.append(about)
    return [{"about": "; ".join(about), "do": todo} for todo, about in found.items()]


def _reasons(
    health_findings: Sequence[HealthFinding],
    answers: Mapping[str, Verdict],
    others: Sequence[str],
) -> Iterator[tuple[str, str, Settle]]:
    """Who says it, why it is unknown, and what would settle it."""
    for finding in health_findings:
        if finding.level == "unknown":
            yield "", finding.message, finding.settle
    for name, answer in answers.items():
        if answer.valid == UNKNOWN:
            yield name, f"{answer.why.rstrip('.')} ({name})", answer.settle or ANYTHING
    for reason in others:
        yield "", reason, NOTHING_JUDGED
