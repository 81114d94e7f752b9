"""Isolate: peers first, everybody a moment later, and proved only if packets ran into both."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import pytest

from harness.contract.fault import Proof
from harness.errors import UsageError
from nemeses.network import shapes
from nemeses.network.isolate import HEAL_S, Isolate
from tests.nemeses.network import cuts_in_memory
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]
SOON = {"target": "primaries", "order": NODES, "second_s": 0.001}
NEVER = {**SOON, "second_s": 3600.0}


def injected(plan: Any = SOON, stage: Any = None) -> tuple[Isolate, Any, Any]:
    stage = stage or cuts_in_memory.stage(3, "n2")
    fault = Isolate({})
    targets, detail = fault.resolve(plan, stage)
    rest = (stage, targets, {**detail, "occurrence": 1})
    fault.inject(*rest)
    return fault, stage, rest


def bit(fault: Isolate, stage: Any, rest: Any) -> Proof:
    """Its proof once the second step is taken."""
    deadline = time.monotonic() + 10
    while "not taken" in (proof := fault.bit(*rest)).what and time.monotonic() < deadline:
        time.sleep(0.001)
    return proof


def test_the_leader_loses_its_peers_first_and_its_clients_in_the_second_step() -> None:
    _, stage, (_, targets, detail) = injected(NEVER)
    assert targets == ["n2"]
    apart = shapes.as_json(shapes.isolated(NODES, ["n2"]))
    assert shapes.as_json(stage.cluster.grudge) == detail["first"] == apart
    assert detail["grudge"] == {**apart, "n2": ["*@2379", "n1", "n3"]}


def test_it_bites_if_packets_ran_into_both_steps_and_exactly_the_rest_works() -> None:
    fault, stage, rest = injected({**SOON, "second_s": 0.2})
    stage.cluster.talk()
    while fault._second[1].is_taken is False:
        time.sleep(0.001)
    assert not fault.bit(*rest).holds, "nothing ran into the second step"
    stage.cluster.talk()
    proof = fault.bit(*rest)
    assert proof.holds
    assert proof.figures["answer_clients"] == ["n1", "n3"]
    assert set(proof.figures["dropped_by_the_first"]) == {"n1->n2", "n2->n1", "n2->n3", "n3->n2"}


def test_without_packets_before_the_second_step_it_has_not_bitten() -> None:
    fault, stage, rest = injected()
    assert not bit(fault, stage, rest).holds
    stage.cluster.talk()
    assert not fault.bit(*rest).holds


def test_a_heal_before_the_second_step_lets_it_never_come() -> None:
    fault, stage, rest = injected(NEVER)
    fault.heal(*rest)
    fault.heal(*rest)
    assert stage.cluster.grudge == {}
    assert fault.healed(*rest).holds
    assert "not taken" in fault.bit(*rest).what


def test_clients_that_stay_cut_off_are_no_heal() -> None:
    fault, stage, rest = injected()
    bit(fault, stage, rest)
    fault.heal(*rest)
    stage.cluster.cut({"n2": frozenset({cuts_in_memory.CLIENTS})})
    assert not fault.healed(*rest).holds


def test_peers_are_the_other_nodes_of_a_role() -> None:
    stage: Any = honest_cluster.roles(5)
    stage.system.ports = cuts_in_memory.Served().ports
    plan = {"target": "zero:primaries", "order": ["n1", "n2", "n3", "n4", "n5"], "second_s": 1.0}
    targets, detail = Isolate({}).resolve(plan, stage)
    assert targets == ["n1"]
    assert detail["first"] == shapes.as_json(shapes.isolated(["n1", "n2", "n3"], ["n1"]))


def test_it_lasts_six_seconds_unless_somebody_says_otherwise() -> None:
    assert Isolate({}).lasts_s(None) == HEAL_S == 6
    assert Isolate({}).lasts_s(2.0) is None
    assert Isolate({"isolate_heal_s": 24}).lasts_s(2.0) == 24
    with pytest.raises(UsageError, match="before the second step"):
        Isolate({"isolate_heal_s": 1, "isolate_second_s": 2})
    with pytest.raises(UsageError, match="more than 0"):
        Isolate({"isolate_second_s": float("nan")})
    assert Isolate({}).plan(NODES, Random(1))["second_s"] == 1.0


def test_where_clients_cannot_be_cut_off_it_is_refused_with_what_can() -> None:
    cluster, system = honest_cluster.HonestCluster(3), cuts_in_memory.Served()
    assert "local:userns" in str(Isolate({}).refusal(cluster, system))  # type: ignore[arg-type]
    known: Any = cuts_in_memory.stage(3)
    assert Isolate({}).refusal(known.cluster, known.system) is None
    plain: Any = honest_cluster.HonestSystem()
    assert "declares no port" in str(Isolate({}).refusal(known.cluster, plain))
