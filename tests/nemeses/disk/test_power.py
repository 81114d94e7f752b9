"""Loss of power: whom it ends, what proves it, and what keeps it from being done."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import NodeError, UsageError
from nemeses.disk import power
from nemeses.disk.power import Power
from tests.toys import honest_cluster, honest_disks
from tests.toys.honest_disks import NodeWithDisk

ORDER = ["n2", "n1", "n3"]


def aimed(stage: Any, word: str, occurrence: int = 1) -> tuple[Power, list[str], dict[str, Any]]:
    fault = Power({})
    targets, detail = fault.resolve({"target": word, "order": ORDER}, stage)
    return fault, targets, {**detail, "occurrence": occurrence}


def node(stage: Any, name: str) -> NodeWithDisk:
    found = stage.cluster.node(name)
    assert isinstance(found, NodeWithDisk)
    return found


def test_it_ends_the_processes_and_has_their_disks_forget() -> None:
    stage = honest_disks.stage()
    fault, targets, detail = aimed(stage, "majority")
    assert targets == ["n1", "n2"]
    assert [end.statuses for end in fault.effects(stage, targets, detail).ends] == [(-9,), (-9,)]
    assert not fault.bit(stage, targets, detail).holds
    fault.inject(stage, targets, detail)
    proof = fault.bit(stage, targets, detail)
    assert proof.holds
    assert proof.figures["lost"]["n1"] == {"files": 1, "pages": 2, "names": 0}
    assert [node(stage, name).losses for name in ("n1", "n2", "n3")] == [1, 1, 0]
    for _ in range(2):
        fault.heal(stage, targets, detail)
        assert fault.healed(stage, targets, detail).holds
    assert [node(stage, name).losses for name in ("n1", "n2", "n3")] == [1, 1, 0]


def test_a_disk_that_forgets_nothing_is_no_loss_of_power() -> None:
    stage = honest_disks.stage()
    node(stage, "n1").is_deaf = True
    fault, targets, detail = aimed(stage, "majority")
    fault.inject(stage, targets, detail)
    proof = fault.bit(stage, targets, detail)
    assert not proof.holds
    assert "on 1 of 2 disks" in proof.what


def test_the_proof_is_that_of_this_loss_and_of_no_other() -> None:
    stage = honest_disks.stage()
    fault, targets, detail = aimed(stage, "one")
    fault.inject(stage, targets, detail)
    fault.heal(stage, targets, detail)
    assert not fault.bit(stage, targets, {**detail, "occurrence": 2}).holds


def test_the_power_stays_where_something_runs_that_was_not_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(power, "END_S", 0.0)
    stage = honest_disks.stage()
    fault, targets, detail = aimed(stage, "one")
    shot = fault.prepare(stage, targets, detail)
    stage.start("n2", stage.roles[0].name)  # another fault's heal was faster
    shot.fire()
    with pytest.raises(NodeError, match="n2: another fault started"):
        shot.settle()
    assert node(stage, "n2").losses == 0


def test_it_is_refused_where_nodes_have_no_disks_and_aims_at_nodes_alone() -> None:
    stage: Any = honest_cluster.stage()
    refused = Power({}).refusal(stage.cluster, stage.system)
    assert refused is not None
    assert "local:root" in refused
    assert Power({}).refusal(honest_disks.ClusterWithDisks(3), stage.system) is None
    with pytest.raises(UsageError, match="alpha:one"):
        Power({"power_targets": "alpha:one"})
