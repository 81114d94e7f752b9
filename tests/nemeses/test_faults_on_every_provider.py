"""Every fault on real nodes: applied, seen to bite, healed, alike wherever nodes can be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from harness.cluster import providers
from harness.cluster.abilities import ABILITIES, conditions, lacking, of_systems
from harness.cluster.docker.attached import cluster as containers
from harness.cluster.docker.attached.node import AttachedDaemon, AttachedNode
from harness.cluster.hands import disk
from harness.cluster.provider import Request
from harness.cluster.ssh.attached import cluster as hosts
from harness.contract.fault import HasNeeds
from harness.contract.node import Disk, Partitionable
from harness.contract.system import ReportsTime
from harness.history.ledger import read_ledger
from tests.nemeses.faults_on_a_cluster import begun, faults
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


def possible_on(place: Place) -> set[str]:
    """The faults whose needs the provider has by its table, the system of these tests given.

    Where this user may not open what disks are made of, or the hosts are containers that do not
    have it, those of disks are refused.
    """
    made = faults()
    found = {name for name in made if not lacking(made[name].needs, place.provider)}
    is_shut = place.provider.startswith("local") and not os.access(disk.DEVICE, os.R_OK | os.W_OK)
    if is_shut or place.in_containers:
        found -= {name for name in found if Disk in made[name].needs}
    return found


def test_every_built_in_fault_says_what_it_needs_and_is_tried_where_that_is() -> None:
    assert all(isinstance(fault, HasNeeds) for fault in faults().values())
    assert set(begun(faults())) == set(faults())


def test_a_fault_is_possible_where_its_needs_are() -> None:
    class Weather(Protocol):
        """An ability that no provider has."""

    assert lacking((Partitionable, Weather), "local:plain") == [Weather]
    assert of_systems((Partitionable, ReportsTime)) == [ReportsTime]
    assert lacking((ReportsTime,), "docker") == []
    assert len(conditions((Partitionable,), "local:plain")) == 1
    assert conditions((Partitionable,), "local:root") == []


EVERY = {need for of_one in ABILITIES.values() for need in of_one}
RUN_ALREADY: Mapping[str, Sequence[type]] = {
    "none": (),
    "docker:attach": (containers.AttachedCluster, AttachedNode, AttachedDaemon),
    "ssh:attach": (hosts.AttachedCluster, hosts.AttachedNode, hosts.AttachedDaemon),
}
"""What somebody else runs, with its classes; faults there are tried beside those."""


def test_every_provider_says_what_it_can_do() -> None:
    assert set(ABILITIES) == {name for name in providers.NAMES if name != "local"}
    tried_here = {place.values[0].provider for place in PLACES}
    assert set(ABILITIES) - set(RUN_ALREADY) == tried_here
    assert ABILITIES["none"] == {}


@pytest.mark.parametrize("provider", sorted(RUN_ALREADY))
def test_what_runs_already_can_do_what_its_table_says(provider: str) -> None:
    has = {need for need in EVERY for each in RUN_ALREADY[provider] if issubclass(each, need)}
    assert has == set(ABILITIES[provider])


@pytest.mark.cluster
@pytest.mark.parametrize("place", PLACES)
def test_every_fault_bites_and_is_healed_on_real_nodes(place: Place, tmp_path: Path) -> None:
    possible = possible_on(place)
    result = outcome(place, tmp_path)
    assert result["abilities"] == sorted(each.__name__ for each in ABILITIES[place.provider])
    assert set(result["refused"]) == set(faults()) - possible
    assert result["errors"] == []
    assert result["not_healed"] == []
    assert result["unhealed"] == 0
    assert result["reachable"] == 20
    assert result["summary"] == {
        fault: dict.fromkeys(("injected", "bit", "healed"), count)
        for fault, count in begun(possible).items()
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
