"""Member and upgrade: the cluster's own word, and the version that the process tells."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from harness.errors import NodeError, UsageError
from nemeses.process.member import Member
from nemeses.process.upgrade import Upgrade
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]


class Operated(honest_cluster.HonestSystem):
    """Knows its members and builds; ``keeps`` says yes and removes nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.who = dict.fromkeys(NODES, "voter")
        self.keeps = False
        self.given: dict[str, str] = {}
        self.runs: dict[str, str] = {}

    def start(self, stage: Any, node: Any) -> Sequence[Any]:
        self.runs[node.name] = self.build_of(node.name)
        return super().start(stage, node)

    def stop(self, stage: Any, node: Any) -> None:
        stage.terminate(node.name, 0.0)

    def stop_statuses(self) -> Sequence[int]:
        return (-15,)

    def ready(self, stage: Any, timeout_s: float) -> None: ...

    def member_ways(self) -> Sequence[str]:
        return ("voter", "learner")

    def members(self, stage: Any, timeout_s: float) -> Mapping[str, str]:
        return self.who

    def remove_member(self, stage: Any, node: Any, timeout_s: float) -> None:
        if not self.keeps:
            del self.who[node.name]

    def add_member(self, stage: Any, node: Any, way: str, timeout_s: float) -> None:
        if node.name in self.broken:
            self.who[node.name] = "learner"
            raise NodeError(f"{node.name} has not caught up")
        self.who[node.name] = "voter"
        stage.start(node.name, self.name)

    def builds(self) -> Mapping[str, str]:
        return {"a": "1.0", "b": "1.1"}

    def build_of(self, node: str) -> str:
        return self.given.get(node, "a")

    def use_build(self, node: str, build: str) -> None:
        self.given[node] = build

    def running_version(self, node: Any, timeout_s: float) -> str:
        return self.builds()[self.runs[node.name]]


class InForce:
    def __init__(self, fault: Any, system: Operated, stage: Any, **plan: Any) -> None:
        self.targets, detail = fault.resolve({"order": NODES, **plan}, stage)
        self.rest = (stage, self.targets, {**detail, "occurrence": len(system.started)})
        self._fault = fault
        fault.inject(*self.rest)

    def __getattr__(self, step: str) -> Any:
        return lambda: getattr(self._fault, step)(*self.rest)


@pytest.fixture
def system() -> Operated:
    return Operated()


@pytest.fixture
def stage(system: Operated) -> Any:
    made: Any = system
    return honest_cluster.started(honest_cluster.HonestCluster(3), made)


@pytest.mark.parametrize("way", ["voter", "learner"])
def test_a_member_leaves_ends_and_joins_again(system: Operated, stage: Any, way: str) -> None:
    fault = InForce(Member({}), system, stage, target="one", way=way)
    assert fault.targets == ["n1"]
    assert fault.bit().holds
    assert not fault.healed().holds
    fault.heal()
    fault.heal()
    assert fault.healed().holds
    assert system.started == [*NODES, "n1"]


def test_one_that_is_still_a_member_has_not_left(system: Operated, stage: Any) -> None:
    system.keeps = True
    fault = InForce(Member({}), system, stage, target="one", number=0)
    assert not fault.bit().holds
    fault.heal()
    assert fault.healed().holds, "it was started again"


def test_a_learner_that_is_not_promoted_is_no_heal(system: Operated, stage: Any) -> None:
    fault = InForce(Member({}), system, stage, target="one", number=1)
    assert fault.rest[2]["way"] == "learner"
    system.broken = {"n1"}
    with pytest.raises(NodeError, match="caught up"):
        fault.heal()
    assert not fault.healed().holds
    system.broken = set()
    fault.heal()
    assert fault.healed().holds


def test_members_are_refused_where_they_cannot_be_spared_or_are_not_known() -> None:
    cluster: Any = honest_cluster.HonestCluster(3)
    plain: Any = honest_cluster.HonestSystem()
    operated: Any = Operated()
    assert "does not say how members" in str(Member({}).refusal(cluster, plain))
    assert Member({}).refusal(cluster, operated) is None
    assert "did you mean" in str(Member({"member_ways": "lerner"}).refusal(cluster, operated))
    with pytest.raises(UsageError, match="cannot spare"):
        Member({}).plan(["n1", "n2"], Random(1))
    assert {Member({}).plan(NODES, Random(s))["target"] for s in range(30)} == {"one", "primaries"}


def through(fault: InForce) -> list[str]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found: list[str] = fault.bit().figures["through"]
        if len(found) == 3:
            break
        time.sleep(0.005)
    return found


def test_each_node_becomes_the_other_build_and_the_next_time_the_first(
    system: Operated, stage: Any
) -> None:
    for build, version in [("b", "1.1"), ("a", "1.0")]:
        fault = InForce(Upgrade({}), system, stage, target="all")
        assert through(fault) == NODES
        proof = fault.bit()
        assert proof.holds
        assert proof.figures["versions"] == dict.fromkeys(NODES, version)
        fault.heal()
        assert fault.healed().holds
        assert system.runs == dict.fromkeys(NODES, build)


def test_a_node_that_tells_the_old_version_is_not_upgraded(system: Operated, stage: Any) -> None:
    system.running_version = lambda node, timeout_s: "1.0"  # type: ignore[method-assign]
    fault = InForce(Upgrade({}), system, stage, target="all")
    assert through(fault) == NODES
    assert not fault.bit().holds


def test_without_another_build_there_is_no_upgrade() -> None:
    cluster: Any = honest_cluster.HonestCluster(3)
    operated: Any = Operated()
    operated.builds = lambda: {"a": "1.0"}
    assert "--binary-b" in str(Upgrade({}).refusal(cluster, operated))
    plain: Any = honest_cluster.HonestSystem()
    assert "Builds" in str(Upgrade({}).refusal(cluster, plain))
