"""What a checker answers, and how answers are merged: the worst part wins.

Order: invalid (``False``) > ``"unknown"`` > valid (``True``), as Jepsen's ``merge-valid``
(jepsen/checker.clj).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from harness.verdict.steps import READ_MORE, Settle, of_more
from harness.verdict.verdict_file import Answer, Case

if TYPE_CHECKING:
    from harness.verdict.record import Record

Valid = bool | Literal["unknown"]
UNKNOWN: Literal["unknown"] = "unknown"


def worst(parts: Iterable[Valid]) -> Valid:
    """The worst of the parts: ``False``, else ``"unknown"``, else ``True`` (also of nothing)."""
    answers = list(parts)
    if any(answer is False for answer in answers):
        return False
    return True if all(answer is True for answer in answers) else UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """One broken promise with its proof.

    ``message`` is the whole proof in prose, readable without any other page; ``witness`` holds
    the indices of the operations that prove it; ``key`` names the object where there is one;
    ``data`` holds figures for machines (expected, found, ...), JSON only.
    """

    message: str
    witness: tuple[int, ...] = ()
    key: Any = None
    data: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> Case:
        """The shape of one case in ``verdict.json``."""
        case = Case(message=self.message, witness=list(self.witness))
        if self.key is not None:
            case["key"] = self.key
        if self.data:
            case["data"] = self.data
        return case


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of one checker.

    ``why`` is one sentence and is required unless ``valid`` is ``True``. ``anomalies`` maps an
    anomaly type to its cases, the first of each type being the one to show first. ``not_`` are
    the weakest consistency models ruled out, ``also_not`` the stronger ones that follow.
    ``settle`` says what would decide an unknown (:mod:`harness.verdict.steps`): a checker knows,
    and where it does not say, only what may help with anything is told. ``warnings`` are worth a
    look and change no verdict; they are told with the health of the run.
    """

    valid: Valid
    why: str = ""
    anomalies: dict[str, list[Anomaly]] = field(default_factory=dict)
    not_: tuple[str, ...] = ()
    also_not: tuple[str, ...] = ()
    stats: dict[str, Any] = field(default_factory=dict)
    settle: Settle = ""
    warnings: tuple[str, ...] = ()

    def as_json(self) -> Answer:
        """The shape of one entry of ``checkers`` in ``verdict.json`` (design, section 6)."""
        return {
            "valid": self.valid,
            "why": self.why,
            "anomaly_types": sorted(self.anomalies),
            "anomalies": {
                kind: [case.as_json() for case in cases] for kind, cases in self.anomalies.items()
            },
            "not": list(self.not_),
            "also_not": list(self.also_not),
            "stats": self.stats,
        }


def untested(
    why: str, *, settle: Settle = READ_MORE, stats: Mapping[str, Any] | None = None
) -> Verdict:
    """Unknown, because no answer in the history could have been wrong.

    One rule for all checkers: ``True`` needs some ``ok`` answer that, had it been another, would
    have made this checker say ``False`` against this claim. Without one nothing was tested, and
    ``why`` says what was missing, and ``settle`` where to get it.
    """
    told = f"nothing of this was tested: {why}"
    return Verdict(valid=UNKNOWN, why=told, settle=of_more(settle), stats=dict(stats or {}))


class BudgetExceeded(Exception):
    """Raised by :meth:`Budget.spend_check`; the message says what ran out."""


@dataclass(frozen=True)
class Budget:
    """How much a checker may use; when it is spent the checker answers ``unknown`` with why.

    ``seconds`` of wall time from :meth:`start`, ``bytes`` of memory for its search state, and
    the resulting absolute ``deadline`` on the monotonic clock (seconds).
    """

    seconds: float
    bytes: int
    deadline: float

    @classmethod
    def start(cls, seconds: float = 300.0, bytes: int = 2 << 30) -> Budget:
        """A budget whose time begins now."""
        return cls(seconds, bytes, time.monotonic() + seconds)

    def expired(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() >= self.deadline

    def spend_check(self, what: str) -> None:
        """Raise :class:`BudgetExceeded` naming ``what`` if the time is used up."""
        if self.expired():
            raise BudgetExceeded(f"{what}: {self.seconds:g} s of checker time were not enough")


class Checker(Protocol):
    """Judges a record. Pure: no clock but the budget's, no network, no store.

    ``reads`` names the parts of the record needed, out of
    ``history faults logs run states metrics``; a part
    that is missing (``polygraph check FILE`` has the history alone) leaves the checker out.

    A checker may also have ``operations: frozenset[str]``, the names (``f``) of the operations that
    its model knows. Client operations of other names that may have happened make the answer
    unknown, as nobody knows what they did; a history without any of its own is no history for it.
    A checker without that attribute takes every name, or sees to it by itself. One that names
    foreign operations itself, key by key, also has ``names_foreign = True``. One of transactions,
    whose names are free, has ``micro_operations: frozenset[str]``, the names of their steps.

    Histories of sessions and of completions alone know no times. They are shown only to checkers
    with ``needs_no_times = True``, which conclude nothing from the order of two processes.
    """

    name: str
    reads: frozenset[str]

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on ``record``. May raise; the caller turns that into ``unknown``."""
        ...
