"""``verdict.json`` by its keys (``docs/history.md`` explains them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from harness.verdict.evidence import OtherClaim

Outcomes = dict[str, int]
"""How many were ``ok``, ``fail`` and ``info``."""


class _FaultCounts(TypedDict):
    injected: int
    bit: int
    healed: int


class FaultCounts(_FaultCounts, total=False):
    """What became of the injections of one fault; of an action, what became of it."""

    done: int
    refused: int


def told_counts(counts: Mapping[str, Any]) -> dict[str, Any]:
    """What of these counts is worth telling: of an action that it was done or refused alone."""
    shown = ("done", "refused") if "done" in counts else ("injected", "bit", "healed")
    return {word: counts[word] for word in shown if word in counts}


class Health(TypedDict):
    """One weakness of the run, and what would settle it."""

    check: str
    level: Literal["unknown", "warning"]
    message: str
    settle: str


class ToSettle(TypedDict):
    """Reasons of an unknown, and the step that settles them."""

    about: str
    do: str


class _Case(TypedDict):
    message: str
    witness: list[int]


class Case(_Case, total=False):
    """One anomaly: its proof in words, the indices of the operations that prove it, and figures."""

    key: Any
    data: dict[str, Any]


Answer = TypedDict(
    "Answer",
    {
        "valid": bool | Literal["unknown"],
        "why": str,
        "anomaly_types": list[str],
        "anomalies": dict[str, list[Case]],
        "not": list[str],
        "also_not": list[str],
        "stats": dict[str, Any],
    },
)
"""What one checker answered."""


class PlacedAnswer(Answer, total=False):
    """With how many cases had no fault in force, of those that can be placed in time, by type."""

    no_fault: dict[str, list[int]]


class _VerdictFile(TypedDict):
    valid: bool | Literal["unknown"]
    why: str
    claims: list[str]
    schema: int
    seed: int | None
    reproduce: str | None
    operations: dict[str, Outcomes]
    faults: dict[str, FaultCounts]
    health: list[Health]
    settle: list[ToSettle]
    checkers: dict[str, PlacedAnswer]


class VerdictFile(_VerdictFile, total=False):
    """``verdict.json``. The keys that may be missing are those of a verdict that was composed."""

    claims_of: list[str]
    claims_by: str
    other_claim: OtherClaim | None
    not_durable: str | None
    notices: list[str]
    partial: bool
    left_out: list[str]
    milestones: dict[str, int]
    provider: str
