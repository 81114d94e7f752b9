"""Slow and lossy links: what is planned, what proves that they are so, and what does not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from random import Random
from typing import Any

import pytest

from harness.contract.node import Link, LinkShape, Measured
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.behaviours import BEHAVIOURS, Doing
from nemeses.network.packet import DIRECTIONS, Packet
from nemeses.network.slowing import shapes_of
from tests.toys import honest_cluster

WHOLE: Mapping[str, float] = {
    "came": 40,
    "copies": 0,
    "corrupted": 0,
    "overtaken": 0,
    "least_s": 0.001,
    "median_s": 0.001,
}
SHOWN: Mapping[str, Mapping[str, float]] = {
    "delay": {"least_s": 0.1, "median_s": 0.1},
    "jitter": {"overtaken": 4, "median_s": 0.05},
    "loss": {"came": 33},
    "duplicate": {"copies": 5},
    "reorder": {"overtaken": 4},
    "corrupt": {"came": 38, "corrupted": 2},
    "rate": {"took_s": 0.4, "median_s": 0.2},
}
KEYS = {"delay_s": "delay", "rate": "rate"}


def behaviour_of(shape: LinkShape) -> str:
    if "jitter_s" in shape:
        return "jitter"
    return next(KEYS.get(key, key) for key in shape)


class Shaped(honest_cluster.HonestCluster):
    """Links that show what they are shaped to, as the kernel's do; ``numb`` ones show nothing."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes)
        self.shapes: dict[Link, LinkShape] = {}
        self.packets = 7
        self.numb: set[Link] = set()
        self.wrong: dict[Link, str] = {}
        self.asked: list[set[Link]] = []

    def shape_refusal(self) -> str | None:
        return None

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        self.shapes = dict(shapes)

    def shaped(self) -> Mapping[Link, Mapping[str, int]]:
        return {link: {"packets": self.packets} for link in self.shapes}

    def measure(
        self, links: Collection[Link], count: int, wait_s: float
    ) -> Mapping[Link, Measured]:
        self.asked.append(set(links))
        return {link: self._seen(link) for link in links}

    def _seen(self, link: Link) -> Measured:
        behaviour = self.wrong.get(link)
        if link in self.shapes and link not in self.numb:
            behaviour = behaviour_of(self.shapes[link])
        shown: dict[str, Any] = {"took_s": 0.05, **WHOLE, **SHOWN.get(behaviour or "", {})}
        return Measured(sent=40, size_bytes=1000, **shown)


def stage_of(cluster: Shaped) -> Any:
    return honest_cluster.started(cluster, honest_cluster.HonestSystem())


def plan(behaviour: str, direction: str = "both", target: str = "one") -> dict[str, Any]:
    order = ["n1", "n2", "n3"]
    return {"behaviour": behaviour, "direction": direction, "target": target, "order": order}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_each_behaviour_bites_where_it_shows_and_is_healed_twice(behaviour: str) -> None:
    cluster, fault = Shaped(3), Packet({})
    stage = stage_of(cluster)
    targets, detail = fault.resolve(plan(behaviour), stage)
    assert targets == ["n1"]
    fault.inject(stage, targets, detail)
    assert set(cluster.shapes) == {link for link in shapes.links(cluster.names) if "n1" in link}
    assert fault.bit(stage, targets, detail).holds
    assert not fault.healed(stage, targets, detail).holds
    for _ in range(2):
        fault.heal(stage, targets, detail)
        assert cluster.shapes == {}
        assert fault.healed(stage, targets, detail).holds


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_it_has_not_bitten_where_nothing_met_it_or_it_does_not_show_or_shows_elsewhere(
    behaviour: str,
) -> None:
    cluster, fault = Shaped(3), Packet({})
    stage = stage_of(cluster)
    targets, detail = fault.resolve(plan(behaviour, "in"), stage)
    fault.inject(stage, targets, detail)
    cluster.packets = 0
    assert "no packet" in fault.bit(stage, targets, detail).what
    cluster.packets, cluster.numb = 3, {("n2", "n1")}
    numb = fault.bit(stage, targets, detail)
    assert not numb.holds
    assert numb.figures["does_not_show_on"] == ["n2->n1"]
    cluster.numb, cluster.wrong = set(), {("n1", "n3"): behaviour}
    besides = fault.bit(stage, targets, detail)
    assert not besides.holds
    assert besides.figures["shows_also_on"] == ["n1->n3"]
    cluster.wrong = {}
    assert fault.bit(stage, targets, detail).holds


def test_directions_are_of_the_target() -> None:
    stage = stage_of(Shaped(3))
    found = {
        direction: Packet({}).resolve(plan("loss", direction), stage)[1]["links"]
        for direction in DIRECTIONS
    }
    assert found["in"] == [["n2", "n1"], ["n3", "n1"]]
    assert found["out"] == [["n1", "n2"], ["n1", "n3"]]
    assert found["both"] == sorted(found["in"] + found["out"])


def test_overlapping_ones_hold_a_link_together_and_let_go_one_by_one() -> None:
    cluster, fault = Shaped(3), Packet({})
    stage = stage_of(cluster)
    late = fault.resolve(plan("delay"), stage)[1] | {"occurrence": 1}
    lossy = fault.resolve(plan("loss=0.5", "in"), stage)[1] | {"occurrence": 2}
    fault.inject(stage, ["n1"], late)
    fault.inject(stage, ["n1"], lossy)
    assert cluster.shapes["n2", "n1"] == {"delay_s": 0.1, "loss": 0.5}
    fault.heal(stage, ["n1"], late)
    assert set(cluster.shapes) == {("n2", "n1"), ("n3", "n1")}
    cluster.asked.clear()
    assert fault.healed(stage, ["n1"], late).holds
    assert cluster.asked == [{("n1", "n2"), ("n1", "n3")}], "what another holds is not asked"
    assert shapes_of(cluster).in_force(but=2) == {}


def test_what_a_cut_holds_is_not_asked_for_proof() -> None:
    from nemeses.network.partition import Partition

    cluster, fault = Shaped(3), Packet({})
    stage = stage_of(cluster)
    cut = {"shape": "one", "grudge": {"n1": ["n2"]}}
    Partition({}).inject(stage, *Partition({}).resolve(cut, stage))
    targets, detail = fault.resolve(plan("delay", "in"), stage)
    fault.inject(stage, targets, detail)
    assert fault.bit(stage, targets, detail).holds
    assert all(("n2", "n1") not in asked for asked in cluster.asked)


@pytest.mark.parametrize("word", ["delay=0", "loss=1.5", "rate=-1", "delay=x", "delay=nan", "late"])
def test_a_behaviour_that_makes_no_sense_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--packet-behaviors"):
        Packet({"packet_behaviors": f"loss,{word}"})


def test_a_seed_fixes_the_plan_and_figures_are_kept() -> None:
    fault = Packet({"packet_behaviors": "loss=0.5,delay=2", "packet_targets": "all"})
    drawn = [fault.plan(["n1", "n2"], Random(7)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0]["behaviour"] in ("loss=0.5", "delay=2")
    assert str(Doing.of("rate", "flag")) == "rate=100000"


def test_a_cluster_without_queues_is_refused_with_what_would_allow_it() -> None:
    cluster = honest_cluster.HonestCluster(3)
    why = Packet({}).refusal(cluster, honest_cluster.HonestSystem())  # type: ignore[arg-type]
    assert why is not None
    assert "local:userns" in why


def test_the_effects_are_the_links() -> None:
    stage, fault = stage_of(Shaped(3)), Packet({})
    targets, detail = fault.resolve(plan("delay", "in"), stage)
    effects = fault.effects(stage, targets, detail)
    assert effects.as_json()["slows"] == {"n1": ["n2", "n3"]}
    assert effects.words == {"slows"}
