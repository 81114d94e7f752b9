"""Infrastructure: trouble of this machine excuses what it may have caused.

A machine that stood still, or had no space, memory or descriptors left, makes processes end,
logs break off and clusters come back late. What the checkers of the run find then is told, and is
unknown: nobody knows whose doing it was. What clients were answered stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.judge.health import LAG_STALL_MS, SUSPENDED_MS
from harness.verdict.verdict import UNKNOWN, Verdict

EXCUSED = frozenset({"crash", "logs", "no-recovery"})
"""The checkers whose findings such trouble explains."""


def infrastructure_problems(run: Mapping[str, Any]) -> list[str]:
    """Sentences on what went wrong with this machine, by the run's facts."""
    found = [str(each) for each in run.get("machine_trouble") or ()]
    longest = float((run.get("lag_ms") or {}).get("max") or 0)
    if longest >= LAG_STALL_MS:
        found.append(f"the client loop stood still for {longest:.0f} ms")
    suspended = float(run.get("suspended_ms") or 0)
    if suspended > SUSPENDED_MS:
        found.append(f"this machine was suspended for {suspended:.0f} ms")
    return found


def excused(name: str, verdict: Verdict, run: Mapping[str, Any]) -> Verdict:
    """``verdict`` of the checker ``name``; unknown where the machine may be to blame."""
    if verdict.valid is not False or name not in EXCUSED:
        return verdict
    problems = infrastructure_problems(run)
    if not problems:
        return verdict
    return replace(
        verdict,
        valid=UNKNOWN,
        why=f"{verdict.why.rstrip('.')}; but {problems[0]}, which may be why",
        settle="run it again on a machine that has space, memory and time for it",
    )
