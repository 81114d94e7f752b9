"""Every fault on a real cluster: applied, seen to bite, healed, and all of it in the ledger."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.enter import Mode, choose_mode, spawn
from harness.run.ledger import read_ledger

PROGRAM = Path(__file__).with_name("faults_on_local_cluster.py")
ROOT = Path(__file__).parents[2]


@pytest.mark.cluster
@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("root", marks=pytest.mark.root),
        pytest.param("userns", marks=pytest.mark.userns),
    ],
)
def test_every_fault_bites_and_is_healed_on_real_nodes(mode: Mode, tmp_path: Path) -> None:
    assert choose_mode(f"local:{mode}") == mode
    argv = [sys.executable, str(PROGRAM), str(tmp_path), mode]
    entered = spawn(argv, mode=mode, run_dir=tmp_path, env={"PYTHONPATH": str(ROOT)})
    try:
        status = entered.wait(timeout_s=120)
    finally:
        entered.kill()
    assert status == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["errors"] == []
    assert result["not_healed"] == []
    assert result["unhealed"] == 0
    assert result["reachable"] == 20
    assert result["summary"] == {
        "partition": {"injected": 8, "bit": 8, "healed": 8},
        "kill": {"injected": 3, "bit": 3, "healed": 3},
        "pause": {"injected": 3, "bit": 3, "healed": 3},
    }
    assert len(result["states"]) == 5
    assert not set(result["states"]) & {"T", "gone"}
    assert order_of_events(tmp_path) == {("intend", "injected", "bit", "heal", "healed")}


def order_of_events(run_dir: Path) -> set[tuple[Any, ...]]:
    """The different orders of events that injections went through."""
    events: dict[int, list[str]] = {}
    for entry in read_ledger(run_dir / "faults.jsonl"):
        events.setdefault(entry.id, []).append(entry.event)
    return {tuple(of_one) for of_one in events.values()}
