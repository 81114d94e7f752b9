"""Checkers of a run that are not at hand when it is judged again.

A run is judged from its folder, on any machine, long after. A checker that came from a plug-in
file may have moved or changed since, so it is not looked for: its part is unknown, and what it
said when the run was made is told. The same where a name now stands for somebody else's checker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.plugins import BUILT_IN, Registry
from harness.store.runs import read_json
from harness.verdict.steps import Step
from harness.verdict.verdict import UNKNOWN, Verdict


def origins(names: Iterable[str], registry: Registry) -> dict[str, str]:
    """Where each checker comes from, to be kept with the run."""
    found = registry.found("checkers")
    return {name: found[name].origin for name in names if name in found}


def unavailable_checkers(
    run_dir: Path, facts: Mapping[str, Any], names: Iterable[str], registry: Registry
) -> dict[str, Verdict]:
    """An unknown verdict for each of ``names`` that is not the checker that the run had."""
    recorded = facts.get("checker_origins")
    recorded = recorded if isinstance(recorded, Mapping) else {}
    now = origins(names, registry)
    verdicts = {}
    for name in dict.fromkeys(names):
        was = str(recorded.get(name) or now.get(name, ""))
        if name not in now or (now[name] == BUILT_IN) != (was == BUILT_IN):
            verdicts[name] = _not_run(name, was, run_dir)
    return verdicts


def _not_run(name: str, origin: str, run_dir: Path) -> Verdict:
    stored = read_json(run_dir / "verdict.json")
    parts = stored.get("checkers") if isinstance(stored, Mapping) else None
    before = parts.get(name) if isinstance(parts, Mapping) else None
    whose = f"came from {origin}" if origin not in ("", BUILT_IN) else "is another one now"
    whose = whose if origin else "is none of ours"
    why = f"the checker {name} {whose} and was not run again"
    if isinstance(before, Mapping):
        said = {"True": "valid", "False": "invalid"}.get(str(before.get("valid")), "unknown")
        told = f": {before['why']}" if before.get("why") else ""
        why += f"; when the run was made it said {said}{told}"
    return Verdict(
        valid=UNKNOWN,
        why=why,
        settle=Step("polygraph check RUN --plugin FILE, with the file that holds this checker"),
        stats={"recorded": dict(before)} if isinstance(before, Mapping) else {},
    )
