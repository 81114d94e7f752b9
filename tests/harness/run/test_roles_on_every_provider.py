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


def command(place: Place, store: Path, options: dict[str, Any]) -> list[str]:
    """``polygraph test shelf`` there, each fault once, aimed at a role or at all."""
    targets = {f"{fault}_targets": word for fault, word in FAULTS.items()}
    said = {
        "provider": place.provider,
        "store": store,
        "plugin": PLUGIN,
        "workload": "list-append",
        "nemesis": ",".join(FAULTS),
        "nemesis_interval": 2.5,
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
    faults = {fault.fault: fault for fault in recorded_faults(read_ledger(run / "faults.jsonl"))}
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
    assert "controller on n1 n2 n3" in (run / "report.html").read_text()
