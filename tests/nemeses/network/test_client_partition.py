"""Client partition: only what clients sent counts, and exactly the nodes that are left answer."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from nemeses.network.client_partition import KNOWN, ClientPartition
from nemeses.network.partition import Partition
from tests.nemeses.network import cuts_in_memory

NODES = ["n1", "n2", "n3", "n4", "n5"]


def in_force(plan: dict[str, Any], stage: Any, fault: Any = None) -> tuple[Any, Any]:
    fault = fault or ClientPartition({})
    targets, detail = fault.resolve({"order": NODES, **plan}, stage)
    rest = (stage, targets, {**detail, "occurrence": 1})
    fault.inject(*rest)
    return fault, rest


def test_clients_that_lose_the_leader_are_answered_by_the_others() -> None:
    stage: Any = cuts_in_memory.stage(5, "n4")
    fault, rest = in_force({"target": "primaries"}, stage)
    stage.cluster.talk()
    assert not fault.bit(*rest).holds, "no client has run into it"
    assert not fault.bit(*rest).holds, "our own connections were taken for a client's"
    stage.cluster.ask()
    proof = fault.bit(*rest)
    assert proof.holds
    assert proof.figures["dropped"] == {"clients->n4@2379": 1}
    fault.heal(*rest)
    fault.heal(*rest)
    assert fault.healed(*rest).holds


@pytest.mark.parametrize(("side", "lost"), [("smaller", "n3 n4 n5"), ("larger", "n1 n2")])
def test_clients_stand_with_one_side_of_a_cut(side: str, lost: str) -> None:
    stage: Any = cuts_in_memory.stage()
    fault, rest = in_force({"target": "side", "with": side}, stage)
    assert rest[1] == lost.split()
    stage.cluster.ask()
    proof = fault.bit(*rest)
    assert proof.holds
    assert "exactly the 8 links" in proof.what
    stage.cluster.grudge = {**stage.cluster.grudge, "n1": frozenset()}
    assert not fault.bit(*rest).holds


def test_every_word_is_drawn_and_a_single_node_has_no_sides() -> None:
    drawn = {ClientPartition({}).plan(NODES, Random(seed))["target"] for seed in range(60)}
    assert drawn == set(KNOWN)
    alone = {ClientPartition({}).plan(["n1"], Random(seed))["target"] for seed in range(60)}
    assert alone == set(KNOWN) - {"side"}


def test_a_cut_at_one_port_leaves_the_links_themselves() -> None:
    stage: Any = cuts_in_memory.stage(3)
    fault = Partition({"partition_ports": "2380", "partition_targets": "one"})
    plan = fault.plan(["n1", "n2", "n3"], Random(1))
    assert plan["port"] == 2380
    fault, rest = in_force(plan, stage, fault)
    alone = rest[1][0]
    stage.cluster.talk()
    proof = fault.bit(*rest)
    assert proof.holds
    assert "exactly the 6 links that should work do; exactly the 2 links" in proof.what
    assert all(name.endswith("@2380") for name in proof.figures["dropped"])
    stage.cluster.grudge = {alone: frozenset(stage.cluster.names) - {alone}}
    assert not fault.bit(*rest).holds, "the whole link is dead"
    fault.heal(*rest)
    assert fault.healed(*rest).holds
