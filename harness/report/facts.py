"""The facts of a run in a few words: what was tested, with what, for how long, how fast.

They come from whichever part of the folder has them: the scenario, the history's header, the
evidence or the verdict; a fact that nobody recorded is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from harness.report.display import duration, seconds, shown, visible
from harness.report.findings import issues, mapping, rows
from harness.report.model import Run

_NO_TIME: Final = 1e24
"""Beyond every time, in nanoseconds."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """How the operations of one f ended."""

    f: str
    ok: int
    fail: int
    info: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.ok + self.fail + self.info


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the page's head and its tables of facts show."""

    title: str
    main: list[tuple[str, str]]
    counts: list[Count]
    phases: list[tuple[str, str, str]]
    exits: list[dict[str, str]]
    versions: list[tuple[str, str]]
    options: list[tuple[str, str]]
    evidence: list[tuple[str, str]]
    concerns: list[str]


def run_facts(run: Run) -> Facts:
    """Everything known about ``run``, ready to print."""
    header = run.history.header
    system = header.system or run.scenario.get("system") or f"history {run.folder.name}"
    workload = header.workload or run.scenario.get("workload")
    versions = run.evidence.get("versions") or run.scenario.get("versions")
    options = {key: value for key, value in run.scenario.items() if key != "versions"}
    hidden = {"phases", "versions", "exits", "provider"}
    return Facts(
        title=" · ".join(shown(word, 60) for word in (system, workload) if word),
        main=list(_main(run)),
        counts=counts(run),
        phases=_phases(run.evidence),
        exits=_exits(run.evidence),
        versions=rows(versions),
        options=rows(options or header.options),
        evidence=rows({k: v for k, v in run.evidence.items() if k not in hidden}),
        concerns=list(_concerns(run)),
    )


def _main(run: Run) -> Iterator[tuple[str, str]]:
    header, scenario = run.history.header, run.scenario
    versions = mapping(run.evidence.get("versions") or scenario.get("versions"))
    system = header.system or scenario.get("system")
    found: list[tuple[str, Any]] = [
        ("System", system),
        ("Version", versions.get(system) if isinstance(system, str) else None),
        ("Workload", header.workload or scenario.get("workload")),
        ("Nemesis", _words(scenario.get("nemesis"))),
        ("Nodes", _count(scenario.get("nodes"))),
        ("Concurrency", scenario.get("concurrency")),
        ("Provider", run.evidence.get("provider") or scenario.get("provider")),
        ("Seed", header.seed if header.seed is not None else run.verdict.get("seed")),
        ("Started", _wall(run.start_wall_ns)),
        ("Length", duration(run.last_ns) if run.last_ns else None),
        ("Operations", f"{len(run.calls):,}"),
        ("Rate", _rate(run)),
        ("Loop lag", _lag(run.evidence)),
        ("Run", header.run or run.folder.name),
    ]
    for name, value in found:
        if value not in (None, ""):
            yield name, shown(value, 200)


def _words(value: Any) -> Any:
    """A list of names, or names with commas, so that a narrow column can break between them."""
    if isinstance(value, str):
        return value.replace(",", ", ")
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _count(value: Any) -> Any:
    return len(value) if isinstance(value, list) else value


def _wall(start_wall_ns: int | None) -> str | None:
    if start_wall_ns is None:
        return None
    try:
        moment = datetime.fromtimestamp(start_wall_ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _rate(run: Run) -> str | None:
    """Completed operations a second, over the time in which there were any."""
    done = run.calls.complete >= 0
    if not done.any() or not run.calls.is_timed:
        return None
    span_s = float(run.calls.end[done].max() - run.calls.start[done].min()) / 1e9
    return f"{int(done.sum()) / span_s:,.0f} ops/s" if span_s > 0 else None


def _lag(evidence: Mapping[str, Any]) -> str | None:
    lag = mapping(evidence.get("lag_ms"))
    named = [f"{name} {value:.1f}" for name, value in lag.items() if _is_number(value)]
    return " · ".join(named) + " ms" if named else None


def counts(run: Run) -> list[Count]:
    """Client operations by f, the commonest first, counted from the history itself."""
    calls = run.calls
    found = []
    for code, name in enumerate(calls.f_names):
        by_type = np.bincount(calls.type[calls.f == code], minlength=4).tolist()
        found.append(Count(f=visible(name, 60), ok=by_type[1], fail=by_type[2], info=by_type[3]))
    return sorted(found, key=lambda count: -count.total)


def _phases(evidence: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    for name, span in mapping(evidence.get("phases")).items():
        if isinstance(span, list) and len(span) == 2 and all(_is_number(t) for t in span):
            start, end = span
            found.append((visible(str(name), 60), seconds(start), duration(max(end - start, 0))))
    return found


def _is_number(value: Any) -> bool:
    """A number that can be a time of a run: what nobody can print is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < _NO_TIME


def _exits(evidence: Mapping[str, Any]) -> list[dict[str, str]]:
    found = []
    exits = evidence.get("exits")
    for entry in exits if isinstance(exits, list) else []:
        row = mapping(entry)
        killed_by = row.get("killed_by")
        found.append(
            {
                "node": shown(row.get("node"), 60),
                "daemon": shown(_daemon(row), 60),
                "time": seconds(row["time"]) if _is_number(row.get("time")) else "—",
                "status": shown(row.get("status"), 60),
                "by": "nobody" if killed_by is None else f"fault {shown(killed_by, 20)}",
            }
        )
    return found


def _daemon(row: Mapping[str, Any]) -> Any:
    """Its name, with its role where that is another word."""
    name, role = row.get("daemon"), row.get("role")
    return name if role in (None, name) else f"{name} ({role})"


def _health_checks(run: Run) -> set[str]:
    return {issue.check for issue in issues(run.verdict.get("health"))}


def _concerns(run: Run) -> Iterator[str]:
    """What a reader must know before trusting the page."""
    evidence = run.evidence
    if (run.history.partial or evidence.get("partial")) and not run.history.notices:
        yield "The history is partial: the run ended before it was sealed."
    if evidence.get("interrupted") and "interrupted" not in _health_checks(run):
        yield "The run was interrupted; what there is was kept and judged."
    suspended = evidence.get("suspended_ms")
    if _is_number(suspended) and suspended:
        yield f"The machine was suspended for {duration(suspended * 1e6)} during the run."
    if evidence.get("stuck_threads"):
        yield f"{shown(evidence['stuck_threads'])} client threads were stuck at the end."
    recovery = mapping(evidence.get("recovery"))
    if recovery.get("ready") is False:
        yield f"The cluster did not recover: {shown(recovery.get('why') or 'no reason given')}"
