"""What is known of a run beside its history: ``evidence/run.json``, and what the front is shown.

Written at the start of the operations and again at their end, so that a killed run still tells
what it was. Times are nanoseconds on the history's clock; phases before its start are negative.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Any

import harness
from harness.contract.fault import Stage
from harness.contract.node import Cluster
from harness.contract.system import LogKinds, LogPatterns, System
from harness.errors import PolygraphError, UsageError
from harness.judge.patterns import is_harmless
from harness.judge.unavailable import origins
from harness.run.preparation import Parts
from harness.verdict.evidence import CheckerOptions, RunFacts


def first_facts(parts: Parts, cluster: Cluster, run: str) -> RunFacts:
    """What is known before the first operation; ``partial`` until the run comes to its end."""
    return {
        "id": run,
        "provider": cluster.provider,
        "versions": versions(parts),
        "phases": {},
        "checkers": list(parts.workload.checkers),
        "checker_origins": origins(parts.workload.checkers, parts.registry),
        "claims": parts.claims,
        "claims_of": list(parts.claim.of),
        "checker_options": log_options(parts.system),
        "option_defaults": {
            name: value
            for name, value in parts.scenario.option_defaults.items()
            if value is None or isinstance(value, str | int | float)
        },
        "schedule": parts.schedule.as_json() if parts.schedule else None,
        "partial": True,
        "recovery": None,
        "exits": [],
    }


def versions(parts: Parts) -> dict[str, str]:
    """What took part: Polygraph, Python, the kernel and what is under test."""
    return {
        "polygraph": harness.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        **parts.system.versions(),
    }


def log_options(system: System) -> CheckerOptions:
    """What the checkers of logs must know of the system, kept with the run for later checks."""
    if not isinstance(system, LogPatterns):
        return {}
    for each in _patterns(system):
        if not is_harmless(each):
            raise UsageError(
                f"{system.name}: the search for the log pattern {each!r} may never end, or it is no"
                " regular expression",
                "a pattern without a repetition or a choice inside of a repetition",
            )
    kinds = system.log_patterns() if isinstance(system, LogKinds) else {}
    expected = system.expected_lines() if isinstance(system, LogKinds) else {}
    return {
        "crash_patterns": list(system.crash_patterns()),
        "expected_exits": {fault: list(each) for fault, each in system.expected_exits().items()},
        "log_patterns": {kind: list(each) for kind, each in kinds.items()},
        "expected_lines": {fault: list(each) for fault, each in expected.items()},
    }


def _patterns(system: LogPatterns) -> Iterator[str]:
    """Every regular expression that a system names."""
    yield from system.crash_patterns()
    tables = [system.expected_exits()]
    if isinstance(system, LogKinds):
        tables += [system.log_patterns(), system.expected_lines()]
    for table in tables:
        for each in table.values():
            yield from each


def node_states(stage: Stage) -> dict[str, str]:
    """How each node's daemons are: ``up``, ``paused``, ``gone`` or ``out of reach``."""
    words = {"T": "paused", "t": "paused", "gone": "gone", "Z": "gone"}
    shown = {}
    for node, daemons in list(stage.daemons.items()):
        try:
            states = {words.get(daemon.state(), "up") for daemon in daemons}
        except PolygraphError:
            states = {"out of reach"}
        shown[node] = "/".join(sorted(states))
    return shown


def summary(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What the front shows of a verdict: not the checkers' whole answers."""
    anomalies = {
        kind: {"count": len(cases), "first": cases[0]["message"] if cases else ""}
        for answer in verdict.get("checkers", {}).values()
        for kind, cases in answer.get("anomalies", {}).items()
    }
    keys = ("valid", "why", "claims", "operations", "faults", "health")
    return {**{key: verdict.get(key) for key in keys}, "anomalies": anomalies}
