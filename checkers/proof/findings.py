"""What single-object checkers found, and the verdict on it.

A proof is a list of sentences. It names the calls that it needs T1, T2, …, each with its times
and indices, says which order they force and what contradicts it, and ends with the faults that
were in force meanwhile. Only the first few cases of a kind are kept, those before others during
which no fault was in force; all are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from checkers.proof.cases import Cases
from checkers.proof.faults_active import was_disturbed, while_they_ran
from checkers.proof.words import counted, operation_line
from harness.history.calls import Call, short
from harness.history.operation import Operation
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, READ_MORE, Settle
from harness.verdict.verdict import UNKNOWN, Anomaly, Verdict, untested

NOTHING_JUDGED: Final = "nothing-judged"
LISTED: Final = 48
"""Values listed in ``stats``."""


@dataclass
class Findings:
    """Collects the anomalies of one history, each with its proof.

    All are counted; a case with no fault in force takes the place of the last kept one that had
    one.
    """

    record: Record
    cases: Cases = field(default_factory=Cases)
    _disturbed: dict[str, list[bool]] = field(default_factory=dict)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of each kind."""
        return self.cases.counts

    def add(self, kind: str, involved: Sequence[Call], reasons: Iterable[str], **data: Any) -> None:
        """One case of ``kind``: ``involved`` are T1, T2, … of ``reasons``; ``data`` are figures."""
        is_wanted = self.cases.wants(kind)
        kept = self.cases.shown.setdefault(kind, [])
        disturbed = self._disturbed.setdefault(kind, [])
        records = [record for call in involved for record in (call.invocation, call.last)]
        is_disturbed = self._was_disturbed(records)
        if not is_wanted:
            if is_disturbed or not any(disturbed):
                return
            place = len(kept) - 1 - disturbed[::-1].index(True)
            del kept[place], disturbed[place]
        disturbed.append(is_disturbed)
        lines = [
            f"T{number} = {operation_line(call.what, call.invocation, call.completion)}"
            for number, call in enumerate(involved, 1)
        ]
        faults = while_they_ran(self.record.faults, records)
        kept.append(
            Anomaly(
                message="\n".join([*lines, *reasons, *([faults] if faults else [])]),
                witness=tuple(sorted({record.index for record in records})),
                data=data,
            )
        )

    def _was_disturbed(self, records: Sequence[Operation]) -> bool:
        """Whether a fault was in force meanwhile, or nobody knows when that was."""
        if not self.record.faults:
            return False
        times = [record.time for record in records]
        return not times or was_disturbed(self.record.faults, min(times), max(times))

    def verdict(
        self,
        *,
        stats: dict[str, Any],
        why: str = "",
        unknown: str = "",
        empty: str = "",
        settle: Settle = READ_MORE,
        mend: Settle = MEND_ANSWERS,
        not_: Sequence[str] = (),
        also_not: Sequence[str] = (),
        permitted: Mapping[str, int] | None = None,
        permitted_by: str = "",
    ) -> Verdict:
        """Invalid if anything was found, else unknown if ``unknown`` says why, else valid.

        ``mend`` settles what is ``unknown`` (as a rule an answer in a form of its own).
        ``empty`` says what was missing for anything to be tested, which is unknown for a whole
        history, and ``settle`` where to get it; a key of many that came to nothing is left out.
        ``permitted`` counts what was found and breaks no promise, as ``permitted_by`` says.
        """
        excused = {kind: count for kind, count in (permitted or {}).items() if count}
        if excused:
            stats = {**stats, "permitted": excused, "permitted-by": permitted_by}
        if self.cases.counts:
            return Verdict(
                valid=False,
                why=f"{self.cases}{why and f': {why}'}",
                anomalies=self.cases.shown,
                not_=tuple(not_),
                also_not=tuple(also_not),
                stats=stats,
            )
        if empty and not unknown:
            return untested(empty, settle=settle, stats={**stats, NOTHING_JUDGED: True})
        if unknown:
            return Verdict(valid=UNKNOWN, why=unknown, settle=mend, stats=stats)
        excuse = f"{counted(excused)}, which breaks no promise: {permitted_by}" if excused else ""
        return Verdict(valid=True, why=excuse, stats=stats)


def listed(values: Iterable[Any]) -> list[Any]:
    """The first :data:`LISTED` of ``values``, in order where they have one."""
    found = list(values)
    try:
        found.sort()
    except TypeError:
        found.sort(key=short)
    return found[:LISTED]


def intervals(values: Iterable[Any]) -> str:
    """Integers as Jepsen prints them, ``#{1..3 5}``; other values listed as JSON."""
    found = list(values)
    if not all(type(value) is int for value in found):
        return "#{" + " ".join(map(short, listed(found))) + "}"
    parts: list[list[int]] = []
    for value in sorted(found):
        if parts and value <= parts[-1][1] + 1:
            parts[-1][1] = max(value, parts[-1][1])
        else:
            parts.append([value, value])
    return "#{" + " ".join(f"{a}..{b}" if b > a else str(a) for a, b in parts) + "}"
