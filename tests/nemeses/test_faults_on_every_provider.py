"""Every fault on real nodes: applied, seen to bite, healed, alike wherever nodes can be."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import providers
from harness.cluster.provider import Request
from harness.history.ledger import read_ledger
from tests.places import NODES, PLACES, Place, furnish
from tests.toys.gossip import Gossip

PROGRAM = Path(__file__).with_name("faults_on_a_cluster.py")
ROOT = Path(__file__).parents[2]


def outcome(place: Place, run_dir: Path) -> dict[str, Any]:
    """What the program measured as the run process of this place's provider."""
    system: Any = Gossip()
    with furnish(place, run_dir) as options:
        asked = Request(provider=place.provider, nodes=NODES, system=system, options=options)
        request = providers.choose(asked)
        assert request.provider == place.provider
        provider = providers.of(request.provider)
        provider.prepare(request, print)
        run = provider.spawn(
            [sys.executable, str(PROGRAM), str(run_dir), json.dumps(options)],
            request=request,
            run_dir=run_dir,
            pass_fds=[],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            status = run.wait(timeout_s=240)
        finally:
            run.kill()
    assert status == 0
    result: dict[str, Any] = json.loads((run_dir / "result.json").read_text())
    return result


@pytest.mark.cluster
@pytest.mark.parametrize("place", PLACES)
def test_every_fault_bites_and_is_healed_on_real_nodes(place: Place, tmp_path: Path) -> None:
    result = outcome(place, tmp_path)
    assert set(result["refused"]) == {"partition", "kill", "pause", "clock"} - place.faults
    assert result["errors"] == []
    assert result["not_healed"] == []
    assert result["unhealed"] == 0
    assert result["reachable"] == 20
    with_clock = 1 if "clock" in place.faults else 0
    expected = {
        "partition": 8,
        "kill": 3 + with_clock,
        "pause": 3 + with_clock,
        "clock": 2 * with_clock,
    }
    assert result["summary"] == {
        fault: dict.fromkeys(("injected", "bit", "healed"), count)
        for fault, count in expected.items()
        if fault in place.faults
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
