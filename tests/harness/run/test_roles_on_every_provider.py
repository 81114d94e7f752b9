"""A system of two roles, real processes everywhere: started in order, formed once, hit by role."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.history.faults import RecordedFault, recorded_faults
from harness.history.ledger import read_ledger
from harness.history.reader import read_history
from harness.history.seal import find_history
from tests.disturbance import undisturbed
from tests.places import NODES, PLACES, Place, furnish
from tests.toys.shelf import CONTROLLER, WORKER

PLUGIN = Path(__file__).parents[2] / "toys" / "shelf.py"
FAULTS = {
    "kill": f"{CONTROLLER}:all",
    "pause": f"{WORKER}:minority",
    "restart": "all",
    "partition": f"{CONTROLLER}:primaries",
}
CONTROLLERS, WORKERS = NODES[:3], NODES[1:]
LEADER, FOLLOWER = NODES[0], NODES[1]
SCHEDULE: list[dict[str, Any]] = [
    {"fault": "kill", "at_s": 1.0},
    {"fault": "restart", "at_s": 3.5},
    {"fault": "partition", "at_s": 6.0},
    {"fault": "admin", "at_s": 8.2, "plan": {"action": "checkpoint", "order": [FOLLOWER]}},
    {"fault": "admin", "at_s": 8.5, "plan": {"action": "checkpoint", "order": [LEADER]}},
    {"fault": "pause", "after": {"milestone": "checkpoint", "node": LEADER}},
]
"""Each fault once, one of them after a milestone, which an action brings about."""


def command(place: Place, store: Path, options: dict[str, Any]) -> list[str]:
    """``polygraph test shelf`` there, each fault once, aimed at a role or at all."""
    schedule = store.with_name("schedule.jsonl")
    schedule.write_text("".join(json.dumps(line) + "\n" for line in SCHEDULE))
    targets = {f"{fault}_targets": word for fault, word in FAULTS.items()}
    said = {
        "provider": place.provider,
        "store": store,
        "plugin": PLUGIN,
        "workload": "list-append",
        "schedule": schedule,
        "nemesis_duration": 1.2,
        "time_limit": 12.8,
        "concurrency": 8,
        "rate": 80,
        "op_timeout": 1,
    }
    named = {**said, **targets, **options}
    flags = [[f"--{name.replace('_', '-')}", str(value)] for name, value in named.items()]
    argv = [sys.executable, "-m", "harness.cli.main", "test", "shelf"]
    return [*argv, *itertools.chain.from_iterable(flags)]


def processes_of(fault: RecordedFault) -> set[tuple[str, str, int]]:
    """(node, role, process) of what the ledger says that the fault was about."""
    return {
        (node, role, process["pid"])
        for node, processes in fault.detail["processes"].items()
        for process, role in zip(processes, fault.detail["roles"][node], strict=True)
    }


def milestones(run: Path) -> list[dict[str, Any]]:
    """What was observed."""
    return [json.loads(line) for line in (run / "evidence" / "milestones.jsonl").open()]


@pytest.mark.cluster
@pytest.mark.parametrize("place", PLACES)
def test_a_fault_of_a_role_hits_that_role_and_its_heal_nothing_else(
    place: Place, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with furnish(place, tmp_path) as options:
        argv = command(place, store, options)
        done = undisturbed(
            lambda: subprocess.run(argv, capture_output=True, text=True, timeout=240), store
        )
    assert done.returncode == 0, done.stdout + done.stderr
    run = store / "latest"
    recorded = recorded_faults(read_ledger(run / "faults.jsonl"))
    faults = {fault.fault: fault for fault in recorded if not fault.is_action}
    assert set(faults) == set(FAULTS)
    assert all(fault.bit_ns and fault.healed_ns for fault in faults.values())
    killed, restarted = processes_of(faults["kill"]), processes_of(faults["restart"])
    assert {(node, role) for node, role, _ in killed} == {(n, CONTROLLER) for n in CONTROLLERS}
    assert {(node, role) for node, role, _ in restarted} == {
        *((n, CONTROLLER) for n in CONTROLLERS),
        *((n, WORKER) for n in WORKERS),
    }
    assert {role for _, role, _ in processes_of(faults["pause"])} == {WORKER}
    assert str(faults["kill"]).startswith("kill of controller on n1 n2 n3")
    facts = json.loads((run / "evidence" / "run.json").read_text())
    ended = {(e["node"], e["role"], e["pid"]): e["killed_by"] for e in facts["exits"]}
    assert set(ended) == killed | restarted, "what lived on a node beside a killed one lived on"
    assert set(ended.values()) == {faults["kill"].id, faults["restart"].id}
    assert facts["recovery"]["ready"] is True, "it says so only if it was formed once"
    assert list(facts["phases"])[:4] == ["cluster", "start", "form", "ready"]
    served_by = {op.node for op in read_history(find_history(run)) if op.node is not None}
    assert served_by == set(WORKERS)
    refused, done_by_leader = [fault for fault in recorded if fault.is_action]
    assert (refused.refused_ns is not None, refused.done_ns) == (True, None)
    assert (done_by_leader.done_ns is not None, done_by_leader.refused_ns) == (True, None)
    (checkpoint,) = [each for each in milestones(run) if each["name"] == "checkpoint"]
    assert (checkpoint["node"], set(checkpoint["detail"])) == (LEADER, {"keys", "file", "line"})
    asked_ns, pause = done_by_leader.begun_ns, faults["pause"]
    assert asked_ns is not None
    assert asked_ns <= checkpoint["time"]
    assert pause.intended_ns is not None
    assert pause.intended_ns < asked_ns, "it was armed before"
    assert pause.fired_ns is not None
    assert pause.fired_ns >= checkpoint["time"]
    assert {(m["node"], m["detail"]["role"]) for m in milestones(run) if m["name"] == "up"} == {
        (node, role) for node, role, _ in killed | restarted
    }
    assert "controller on n1 n2 n3" in (run / "report.html").read_text()
