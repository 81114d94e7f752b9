"""What is known of a run beside its history: ``evidence/run.json``, and what the front is shown.

Written at the start of the operations and again at their end, so that a killed run still tells
what it was. Times are nanoseconds on the history's clock; phases before its start are negative.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

import harness
from harness.contract.fault import Stage
from harness.contract.node import Cluster, Daemon, RunsAlready
from harness.contract.system import LogPatterns, System
from harness.errors import PolygraphError, UsageError
from harness.evidence.metrics import as_json as gauges_as_json
from harness.evidence.metrics import gauges_of
from harness.judge.patterns import is_harmless
from harness.judge.unavailable import origins
from harness.run.preparation import Parts
from harness.run.schedule_file import as_json
from harness.verdict.evidence import CheckerOptions, RunFacts
from harness.wording import shown as in_words

OLD_PATTERNS: Final = ("crash_patterns", "expected_exits")
OLD_KIND: Final = "crash"
"""How plug-ins of version 2 name their patterns, and the kind of finding that these are."""


def first_facts(parts: Parts, cluster: Cluster, run: str) -> RunFacts:
    """What is known before the first operation; ``partial`` until the run comes to its end."""
    return {
        "id": run,
        "provider": cluster.provider,
        "versions": versions(parts, cluster),
        "phases": {},
        "checkers": list(parts.workload.checkers),
        "checker_origins": origins(parts.workload.checkers, parts.registry),
        "claims": parts.claims,
        "claims_of": list(parts.claim.of),
        "claims_by": parts.claim.by,
        "other_claim": None if parts.other_claim is None else parts.other_claim.as_json(),
        "checker_options": {} if isinstance(cluster, RunsAlready) else log_options(parts.system),
        "gauges": gauges_as_json(gauges_of(parts.system)),
        "option_defaults": {
            name: value
            for name, value in parts.scenario.option_defaults.items()
            if value is None or isinstance(value, str | int | float)
        },
        "schedule": as_json(parts.schedule) if parts.schedule else None,
        "partial": True,
        "recovery": None,
        "exits": [],
    }


def versions(parts: Parts, cluster: Cluster) -> dict[str, str]:
    """What took part: Polygraph, Python, the kernel and what is under test.

    Of what runs already only itself can tell, later.
    """
    tested = {} if isinstance(cluster, RunsAlready) else parts.system.versions()
    return {
        "polygraph": harness.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        **tested,
    }


def log_options(system: System) -> CheckerOptions:
    """What the checkers of logs must know of the system, kept with the run for later checks."""
    tables = _tables(system)
    for table in tables:
        for each in (pattern for patterns in table.values() for pattern in patterns):
            if not is_harmless(each):
                raise UsageError(
                    f"{system.name}: the search for the log pattern {in_words(each)}"
                    " may never end, or it"
                    " is no regular expression",
                    "a pattern without a repetition or a choice inside of a repetition",
                )
    if not tables:
        return {}
    patterns, expected = ({name: list(each) for name, each in table.items()} for table in tables)
    return {"log_patterns": patterns, "expected_lines": expected}


def _tables(system: System) -> Sequence[Mapping[str, Sequence[str]]]:
    """Patterns by kind and expected lines by effect; nothing where the system names none.

    A plug-in of version 2 of the contract names its patterns without a kind (``crash_patterns``
    and ``expected_exits``): they are all of the kind ``crash``, as they were.
    """
    if isinstance(system, LogPatterns):
        return system.log_patterns(), system.expected_lines()
    patterns, expected = (getattr(system, name, None) for name in OLD_PATTERNS)
    if not callable(patterns):
        return ()
    return {OLD_KIND: patterns()}, expected() if callable(expected) else {}


def node_states(stage: Stage) -> dict[str, str]:
    """How each node's daemons are: ``up``, ``paused``, ``gone`` or ``out of reach``.

    Of a system with roles each role's: ``zero up, alpha gone``.
    """
    return {node.name: _state_of(stage, node.name) for node in stage.cluster.nodes}


def _state_of(stage: Stage, node: str) -> str:
    if not stage.has_roles:
        return _states(stage.daemons[node])
    told = ((role, stage.daemons_of(node, role)) for role in stage.roles_on(node))
    return ", ".join(f"{role} {_states(daemons)}" for role, daemons in told)


def _states(daemons: Sequence[Daemon]) -> str:
    words = {"T": "paused", "t": "paused", "gone": "gone", "Z": "gone"}
    try:
        return "/".join(sorted({words.get(daemon.state(), "up") for daemon in daemons}))
    except PolygraphError:
        return "out of reach"


def not_running(stage: Stage) -> str:
    """The roles on nodes whose daemons have ended, in words; empty if all run."""
    ended = [
        f"{role.name} on {node}"
        for role in stage.roles
        for node in role.nodes
        if any(map(_has_ended, stage.daemons_of(node, role.name)))
    ]
    return f"not running: {', '.join(ended)}" if ended else ""


def _has_ended(daemon: Daemon) -> bool:
    try:
        return daemon.exit_status() is not None
    except PolygraphError:  # out of reach, which is told elsewhere
        return False


def summary(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What the front shows of a verdict: not the checkers' whole answers."""
    anomalies = {
        kind: {"count": len(cases), "first": cases[0]["message"] if cases else ""}
        for answer in verdict.get("checkers", {}).values()
        for kind, cases in answer.get("anomalies", {}).items()
    }
    keys = ("valid", "why", "claims", "operations", "faults", "health")
    return {**{key: verdict.get(key) for key in keys}, "anomalies": anomalies}
