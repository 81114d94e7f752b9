"""What the runs of a finding came to: how often what was expected was seen, and how soon.

A run counts as *found* if it holds one of the expected kinds of anomalies; as *other* if it is
invalid and holds none of them. Undecided runs count for nothing. The interval is that of a soak
with a number of runs set beforehand (:mod:`harness.soak.statistics`).

The time to detection is when the earliest of a run's expected anomalies that the verdict shows was
complete in the history: the last completion among its witnesses. A verdict shows some of many, so
it is an upper bound; what judging takes is not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import PolygraphError
from harness.history.reader import read_history
from harness.record.finding import Finding
from harness.soak.book import Entry, Settings
from harness.soak.statistics import estimate
from harness.soak.summary import WORST_FIRST
from harness.store.runs import read_json
from harness.store.scenario import recorded_table


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One finding's runs at one state of the code. Rates are from 0 to 1, times seconds.

    ``high`` of a control that stayed clean is the one-sided bound. ``seen_s`` holds a time for each
    run that found it, in order; ``others`` the kinds of anomalies that were not expected, with the
    number of runs that hold them.
    """

    finding: str
    commit: str
    day: str
    versions: dict[str, str]
    provider: str
    runs: int
    decided: int
    found: int
    others: dict[str, int]
    unknown: int
    infrastructure: int
    confidence: float
    low: float
    high: float
    seen_s: list[float]
    operations: int
    reproduce: str
    why: str = ""


def result_of(
    finding: Finding, settings: Settings, runs: Sequence[Entry], commit: str, day: str
) -> Result:
    """What the ended ``runs`` of a finding show."""
    decided = [run for run in runs if run.outcome in ("passed", "violation")]
    violations = [run for run in decided if run.outcome == "violation"]
    found = [run for run in violations if finding.is_control or is_expected(finding, run)]
    others = Counter(
        kind for run in violations for kind in run.signatures if kind not in finding.expect
    )
    rate = estimate(len(decided), len(found), settings.confidence, "fixed-n")
    folder = next((Path(run.run_dir) for run in (*found, *runs) if run.run_dir), None)
    versions, provider = _setting(folder)
    undecided = [run for run in runs if run not in decided]
    return Result(
        finding=finding.name,
        commit=commit,
        day=day,
        versions=versions,
        provider=provider,
        runs=len(runs),
        decided=len(decided),
        found=len(found),
        others=dict(sorted(others.items())),
        unknown=sum(run.outcome == "unknown" for run in runs),
        infrastructure=sum(run.outcome == "infrastructure" for run in runs),
        confidence=settings.confidence,
        low=round(rate.low, 4),
        high=round(rate.at_most if finding.is_control and not found else rate.high, 4),
        seen_s=_seen(finding, found),
        operations=sum(run.operations for run in decided),
        reproduce=next((run.reproduce for run in (*found, *decided)), ""),
        why=undecided[0].why if undecided else "",
    )


def is_expected(finding: Finding, run: Entry) -> bool:
    """Whether a run holds one of the expected kinds of anomalies."""
    return bool(set(finding.expect) & set(run.signatures))


def is_as_expected(finding: Finding, result: Result) -> bool | None:
    """Whether the finding was seen and nothing else, or a control stayed clean.

    ``None`` where no run was decided.
    """
    if not result.decided:
        return None
    return result.found == 0 if finding.is_control else result.found > 0


def exit_code(outcomes: Sequence[bool | None]) -> int:
    """0 if all came as expected, 1 if one did not, 2 if one was not decided."""
    codes = {{True: 0, False: 1, None: 2}[outcome] for outcome in outcomes}
    return next((code for code in WORST_FIRST if code in codes), 2)


def first_seen_s(run_dir: Path, kinds: Sequence[str]) -> float | None:
    """When the first anomaly of ``kinds`` (all, if empty) that a run's verdict shows was complete.

    ``None`` where the verdict names no witness of one, or the run is not there any more.
    """
    verdict = read_json(run_dir / "verdict.json")
    shown = [
        anomaly["witness"]
        for checker, part in _parts(verdict).items()
        for kind, anomalies in (part.get("anomalies") or {}).items()
        if not kinds or f"{checker}: {kind}" in kinds
        for anomaly in anomalies
        if anomaly.get("witness")
    ]
    if not shown:
        return None
    try:
        history = read_history(run_dir)
    except PolygraphError:
        return None
    ends: dict[int, int] = {}
    for place, operation in enumerate(history.operations):
        pair = history.pairs[place]
        last = history.operations[pair] if pair > place else operation
        ends[operation.index] = last.time
    times = [max(ends.get(int(index), 0) for index in witness) for witness in shown]
    return round(min(times) / 1e9, 1)


def _seen(finding: Finding, found: Sequence[Entry]) -> list[float]:
    times = [first_seen_s(Path(run.run_dir), finding.expect) for run in found if run.run_dir]
    return sorted(time for time in times if time is not None)


def _parts(verdict: Any) -> Mapping[str, Any]:
    parts = verdict.get("checkers") if isinstance(verdict, dict) else None
    return parts if isinstance(parts, dict) else {}


def _setting(run_dir: Path | None) -> tuple[dict[str, str], str]:
    """The versions under test, and the provider as the verdict has it."""
    if run_dir is None:
        return {}, ""
    try:
        versions = recorded_table(run_dir).get("versions") or {}
    except PolygraphError:
        versions = {}
    verdict = read_json(run_dir / "verdict.json")
    provider = verdict.get("provider") if isinstance(verdict, dict) else None
    return {str(k): str(v) for k, v in versions.items()}, str(provider or "")
