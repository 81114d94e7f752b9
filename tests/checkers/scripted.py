"""Histories as scripts; see :func:`checkers.explained.notation.scripted`."""

from __future__ import annotations

from typing import Any

from checkers.explained.notation import scripted
from harness.verdict.record import Record
from harness.verdict.verdict import Budget, Verdict

__all__ = ["judged", "kinds", "scripted"]


def judged(
    checker: Any, text: str, header: dict[str, Any] | None = None, **options: Any
) -> Verdict:
    """What ``checker`` (a factory) says of the history that ``text`` tells."""
    record = Record(history=scripted(text, **(header or {})))
    return checker(options).check(record, Budget.start(60))  # type: ignore[no-any-return]


def kinds(verdict: Verdict) -> dict[str, int]:
    """How many cases of each anomaly are told."""
    return {kind: len(cases) for kind, cases in verdict.anomalies.items()}
