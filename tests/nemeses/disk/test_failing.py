"""Disks that fail: what is asked of them, what proves that they do and that they work again."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.contract.node import Disk
from harness.errors import UsageError
from nemeses.disk.failing import DEFAULTS, Failing, Failure
from tests.toys import honest_cluster, honest_disks
from tests.toys.honest_disks import NodeWithDisk

ORDER = ["n2", "n1", "n3"]


class Aimed:
    """The fault with its targets resolved on a stage."""

    def __init__(self, stage: Any, word: str, behaviour: str, occurrence: int = 1) -> None:
        self.fault, self.stage = Failing({}), stage
        plan = {"behaviour": behaviour, "target": word, "order": ORDER}
        self.targets, detail = self.fault.resolve(plan, stage)
        self.detail = {**detail, "occurrence": occurrence}

    def inject(self) -> None:
        self.fault.inject(self.stage, self.targets, self.detail)

    def heal(self) -> None:
        self.fault.heal(self.stage, self.targets, self.detail)

    @property
    def bit(self) -> bool:
        return self.fault.bit(self.stage, self.targets, self.detail).holds

    @property
    def healed(self) -> bool:
        return self.fault.healed(self.stage, self.targets, self.detail).holds

    @property
    def fails(self) -> tuple[str, ...]:
        return self.fault.effects(self.stage, self.targets, self.detail).fails_disk


def node(stage: Any, name: str) -> NodeWithDisk:
    found = stage.cluster.node(name)
    assert isinstance(found, NodeWithDisk)
    return found


@pytest.mark.parametrize("word", DEFAULTS)
def test_each_bites_while_it_is_in_force_and_is_healed_after(word: str) -> None:
    stage = honest_disks.stage()
    aimed = Aimed(stage, "majority", word)
    assert aimed.targets == ["n1", "n2"]
    assert aimed.fails == (() if word == "slow" else ("n1", "n2"))
    assert not aimed.bit
    aimed.inject()
    assert aimed.bit
    assert not aimed.healed
    assert not node(stage, "n3").rules
    for _ in range(2):
        aimed.heal()
        assert aimed.healed
    assert not node(stage, "n1").rules


@pytest.mark.parametrize("word", DEFAULTS)
def test_none_bites_where_the_disk_works_or_the_system_never_met_it(word: str) -> None:
    for flaw in ("is_deaf", "is_unused"):
        stage = honest_disks.stage()
        setattr(node(stage, "n1"), flaw, True)
        aimed = Aimed(stage, "majority", word)
        aimed.inject()
        assert not aimed.bit


def test_several_on_one_disk_hold_beside_each_other() -> None:
    stage = honest_disks.stage()
    full, locked = Aimed(stage, "one", "full"), Aimed(stage, "one", "read-only", occurrence=2)
    full.inject()
    locked.inject()
    assert set(node(stage, "n2").rules) == {"1", "2"}
    assert full.bit
    assert locked.bit
    full.heal()
    assert set(node(stage, "n2").rules) == {"2"}
    assert locked.bit


def test_what_ended_on_a_failing_disk_is_started_again() -> None:
    stage = honest_disks.stage()
    aimed = Aimed(stage, "one", "errors")
    aimed.inject()
    daemon: Any = stage.daemons["n2"][0]
    daemon.end(1)
    assert not aimed.healed
    aimed.heal()
    assert aimed.healed
    assert stage.daemons["n2"][0].alive()


def test_plans_come_from_the_seed_and_figures_are_checked() -> None:
    fault = Failing({"disk_behaviors": "slow=0.5,full", "disk_targets": "one"})
    plans = [fault.plan(ORDER, Random(seed)) for seed in range(30)]
    assert plans == [fault.plan(ORDER, Random(seed)) for seed in range(30)]
    assert {plan["behaviour"] for plan in plans} == {"slow=0.5", "full"}
    for wrong in ("slo", "slow=x", "slow=60", "errors=2", "full=3", ","):
        with pytest.raises(UsageError):
            Failing({"disk_behaviors": wrong})
    assert str(Failure.of("errors", "")) == "errors=0.2"


def test_it_is_refused_where_nodes_have_no_disks() -> None:
    stage: Any = honest_cluster.stage()
    assert "local:root" in str(Failing({}).refusal(stage.cluster, stage.system))
    assert Failing({}).refusal(honest_disks.ClusterWithDisks(3), stage.system) is None
    assert Failing.needs == (Disk,)
