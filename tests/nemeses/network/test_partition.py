"""Partition: bites only on database traffic and the exact matrix; heals to the full one."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.contract.fault import Proof, Stage
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.partition import KNOWN, Partition
from tests.toys import honest_cluster

ONE = {"shape": "one", "grudge": {"n1": ["n2", "n3"], "n2": ["n1"], "n3": ["n1"]}}


def injected(stage: Stage, plan: dict[str, Any] = ONE) -> tuple[Partition, list[str], Any]:
    fault = Partition({})
    targets, detail = fault.resolve(plan, stage)
    fault.inject(stage, targets, detail)
    return fault, targets, detail


def bit(stage: Stage, fault: Partition, targets: list[str], detail: Any) -> Proof:
    return fault.bit(stage, targets, detail)


def test_a_cut_that_no_database_packet_ran_into_has_not_bitten() -> None:
    stage = honest_cluster.stage(3)
    cut = injected(stage)
    assert not bit(stage, *cut).holds
    assert not bit(stage, *cut).holds, "the first measurement's own probes were taken for traffic"


def test_a_cut_bites_when_the_database_runs_into_it_and_the_matrix_is_as_asked() -> None:
    stage: Any = honest_cluster.stage(3)
    cut = injected(stage)
    stage.cluster.talk()
    proof = bit(stage, *cut)
    assert proof.holds
    assert proof.figures["dropped"] == {"n1->n2": 1, "n1->n3": 1, "n2->n1": 1, "n3->n1": 1}
    assert proof.figures["reachable"] == ["n2->n3", "n3->n2"]


def test_a_link_that_works_although_it_should_be_cut_is_no_bite() -> None:
    stage: Any = honest_cluster.stage(3)
    cut = injected(stage)
    stage.cluster.grudge = {"n1": frozenset({"n2"})}
    stage.cluster.talk()
    proof = bit(stage, *cut)
    assert not proof.holds
    assert "n3->n1" in proof.figures["alive_but_cut"]


def test_a_dead_link_that_was_not_asked_for_is_no_bite() -> None:
    stage: Any = honest_cluster.stage(3)
    cut = injected(stage)
    stage.cluster.grudge["n2"] = frozenset({"n1", "n3"})
    stage.cluster.talk()
    proof = bit(stage, *cut)
    assert not proof.holds
    assert proof.figures["dead_but_wanted"] == ["n3->n2"]


def test_drops_on_other_links_do_not_count_as_a_bite() -> None:
    stage: Any = honest_cluster.stage(3)
    cut = injected(stage)
    stage.cluster.cut({"n2": frozenset({"n3"})})
    stage.cluster.talk()
    proof = bit(stage, *cut)
    assert not proof.holds
    assert proof.figures["dropped"] == {}


def test_healed_is_the_full_matrix_and_healing_twice_is_safe() -> None:
    stage = honest_cluster.stage(3)
    fault, targets, detail = injected(stage)
    assert not fault.healed(stage, targets, detail).holds
    fault.heal(stage, targets, detail)
    fault.heal(stage, targets, detail)
    assert fault.healed(stage, targets, detail).holds


def test_primaries_are_isolated_as_they_are_when_the_cut_comes() -> None:
    stage: Any = honest_cluster.stage(5)
    stage.system.leaders = ["n4", "nobody-we-know"]
    targets, detail = Partition({}).resolve({"shape": "primaries", "fallback": "n1"}, stage)
    assert targets == ["n4"]
    assert shapes.from_json(detail["grudge"]) == shapes.isolated(stage.cluster.names, ["n4"])
    assert "fallback" not in detail


def test_without_a_known_primary_the_planned_node_stands_in_and_the_detail_says_so() -> None:
    stage: Any = honest_cluster.stage(5)
    targets, detail = Partition({}).resolve({"shape": "primaries", "fallback": "n3"}, stage)
    assert targets == ["n3"]
    assert detail["fallback"] == "nobody leads"


def test_a_cluster_that_cannot_drop_packets_is_refused_with_the_reason() -> None:
    class Plain:
        provider = "local:plain"
        nodes = ()

    plain: Any = Plain()
    system: Any = honest_cluster.HonestSystem()
    refusal = Partition({}).refusal(plain, system)
    assert refusal is not None
    assert "local:plain" in refusal


@pytest.mark.parametrize(
    ("count", "asked", "is_refused"),
    [(5, "bridge", False), (2, "bridge", True), (2, "bridge,one", False), (1, "one", True)],
)
def test_shapes_that_cut_nothing_among_so_few_nodes_are_refused(
    count: int, asked: str, is_refused: bool
) -> None:
    cluster: Any = honest_cluster.HonestCluster(count)
    system: Any = honest_cluster.HonestSystem()
    fault = Partition({"partition_targets": asked})
    assert (fault.refusal(cluster, system) is not None) == is_refused
    if is_refused:
        with pytest.raises(UsageError, match=f"needs more than {count} nodes"):
            fault.plan(cluster.names, Random(1))
    else:
        assert fault.plan(cluster.names, Random(1))


def test_a_cluster_that_is_not_up_yet_is_not_refused_for_its_nodes() -> None:
    cluster: Any = honest_cluster.HonestCluster(0)
    system: Any = honest_cluster.HonestSystem()
    assert Partition({}).refusal(cluster, system) is None


def test_a_plan_is_fixed_by_its_random_stream_and_draws_every_shape() -> None:
    fault, nodes = Partition({}), ["n1", "n2", "n3", "n4", "n5"]
    plans = [fault.plan(nodes, Random(seed)) for seed in range(100)]
    assert plans == [fault.plan(nodes, Random(seed)) for seed in range(100)]
    assert {plan["shape"] for plan in plans} == set(KNOWN)


def test_two_nodes_get_no_shape_that_needs_three() -> None:
    plans = [Partition({}).plan(["n1", "n2"], Random(seed)) for seed in range(100)]
    assert not {plan["shape"] for plan in plans} & set(shapes.LEAST_NODES)


def test_only_the_shapes_asked_for_are_drawn_and_unknown_ones_are_refused() -> None:
    fault = Partition({"partition_targets": "one, bridge"})
    drawn = {fault.plan(["n1", "n2", "n3"], Random(seed))["shape"] for seed in range(30)}
    assert drawn == {"one", "bridge"}
    with pytest.raises(UsageError, match="did you mean bridge"):
        Partition({"partition_targets": "brigde"})
    with pytest.raises(UsageError, match="empty"):
        Partition({"partition_targets": " , "})
