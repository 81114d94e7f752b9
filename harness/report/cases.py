"""The anomalies as the page shows them: by type, the first case of each in full, others folded.

A verdict may hold hundreds of cases of one type, which a reader wants to know of and not to scroll
past: what one case of each type says is what there is to understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.history.operation import TYPES
from harness.report.bands import Band
from harness.report.display import visible
from harness.report.findings import MOST_DRAWN, Finding
from harness.report.intervals import Calls
from harness.report.lanes import Drawing, draw
from harness.report.meanings import Meaning, meanings
from harness.report.model import Run
from harness.report.wording import WHOLE, Wording

_NAME = re.compile(r"\bT\d{1,3}\b")
MOST_ROW_LETTERS = 240
"""Of an operation in a table; what is longer is unfolded."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One anomaly; ``calls`` are its witness, ``rows`` and ``drawing`` are there if it is drawn."""

    finding: Finding
    calls: list[int]
    start_ns: int
    end_ns: int
    faults: list[Band]
    rows: list[dict[str, Any]]
    drawing: Drawing | None
    is_drawn: bool


@dataclass(frozen=True, kw_only=True)
class Group:
    """All cases of one type that one checker found; ``meaning`` is ``None`` for unknown types."""

    kind: str
    checker: str
    first: Case
    folded: list[Case]
    brief: list[Case]
    meaning: Meaning | None


def cases_of(run: Run, found: Iterable[Finding], wording: Wording) -> list[Case]:
    """Every finding with its operations and, of the first ones, its picture."""
    return [_case(run, finding, wording) for finding in found]


def grouped(cases: Sequence[Case]) -> list[Group]:
    """The cases by checker and type, in the order of the first of each."""
    by_type: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        by_type.setdefault((case.finding.checker, case.finding.kind), []).append(case)
    meaning_of = meanings(kind for _, kind in by_type)
    return [
        Group(
            kind=kind,
            checker=checker,
            first=members[0],
            folded=[case for case in members[1:] if case.is_drawn],
            brief=[case for case in members[1:] if not case.is_drawn],
            meaning=meaning_of.get(kind),
        )
        for (checker, kind), members in by_type.items()
    ]


def cast_of(
    text: str, cases: Sequence[Case], calls: Calls, wording: Wording
) -> list[dict[str, Any]]:
    """The operations that ``text`` names by T1, T2, …, as the proof that it was taken from does.

    None where no proof is known to begin with these words: a name of another proof would lie.
    """
    wanted = list(dict.fromkeys(_NAME.findall(text)))
    if not wanted:
        return []
    for case in cases:
        named = {name: index for index, name in case.finding.names.items()}
        is_source = case.finding.headline.rstrip(".") in text
        if is_source and set(wanted) <= set(named):
            return [
                {
                    "name": name,
                    "index": named[name],
                    "phrase": wording.phrase(calls.by_index[named[name]], with_key=True, limit=200),
                    "process": int(calls.process[calls.by_index[named[name]]]),
                    "node": wording.node(calls.by_index[named[name]]),
                    "number": case.finding.number,
                }
                for name in sorted(wanted, key=lambda name: int(name[1:]))
                if named[name] in calls.by_index
            ]
    return []


def _case(run: Run, finding: Finding, wording: Wording) -> Case:
    by_index = run.calls.by_index
    known = {by_index[index] for index in finding.witness if index in by_index}
    witness = sorted(known, key=run.calls.span)
    start, end = _window(run.calls, witness)
    names = {by_index[i]: name for i, name in finding.names.items() if i in by_index}
    is_drawn = finding.number <= MOST_DRAWN
    return Case(
        finding=finding,
        calls=witness,
        start_ns=start,
        end_ns=end,
        faults=_active(run.bands, start, end) if witness else [],
        rows=[_row(run.calls, call, wording, names) for call in witness] if is_drawn else [],
        drawing=draw(run.calls, witness, run.bands, wording, names) if is_drawn else None,
        is_drawn=is_drawn,
    )


def _window(calls: Calls, witness: Sequence[int]) -> tuple[int, int]:
    """From the first invoke to the last completion; an open call counts by its beginning only."""
    starts = [int(calls.start[call]) for call in witness]
    ends = [int(calls.end[call]) for call in witness if calls.complete[call] >= 0]
    return min(starts, default=0), max([*starts, *ends], default=0)


def _active(bands: Sequence[Band], start: int, end: int) -> list[Band]:
    return [band for band in bands if band.was_injected and band.overlaps(start, end)]


def _row(calls: Calls, call: int, wording: Wording, names: Mapping[int, str]) -> dict[str, Any]:
    first, second = calls.records(call)
    record = first or second
    assert record is not None  # a call has at least one record
    phrase = wording.phrase(call, with_key=True, limit=WHOLE)
    return {
        "name": names.get(call, ""),
        "index": record.index,
        "done": second.index if first is not None and second is not None else None,
        "process": int(calls.process[call]),
        "node": wording.node(call),
        "start": int(calls.start[call]),
        "end": int(calls.end[call]) if second is not None else None,
        "phrase": phrase,
        "begins": visible(phrase[:MOST_ROW_LETTERS]) if len(phrase) > MOST_ROW_LETTERS else "",
        "type": TYPES[int(calls.type[call])],
        "error": wording.error(call),
        "beside": wording.beside(call),
    }
