"""Faults that overlap on one target: each heal undoes what its own fault did, in whatever order."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import NodeError
from nemeses.clock.skew import Clock
from nemeses.network import shapes
from nemeses.network.cuts import cuts_of, together
from nemeses.network.partition import Partition
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause
from nemeses.process.starting import start_again
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]
ON_N1 = {"target": "one", "order": NODES}


class InForce:
    """A fault on a stage, and its steps by their names alone."""

    def __init__(self, fault: Any, stage: Any, plan: Any, occurrence: int) -> None:
        self.targets, detail = fault.resolve(plan, stage)
        self._rest = (stage, self.targets, {**detail, "occurrence": occurrence})
        self._fault = fault
        fault.inject(*self._rest)

    def __getattr__(self, step: str) -> Any:
        return lambda: getattr(self._fault, step)(*self._rest)


def cut(node: str) -> dict[str, Any]:
    return {"shape": "one", "grudge": shapes.as_json(shapes.isolated(NODES, [node]))}


def between(stage: Any) -> set[str]:
    """The links that carry nothing."""
    alive = stage.cluster.reachable()
    return {f"{a}{b}" for a, b in permutations(NODES, 2) if (a, b) not in alive}


N1 = {"n1n2", "n2n1", "n1n3", "n3n1"}
N2 = {"n1n2", "n2n1", "n2n3", "n3n2"}


@pytest.mark.parametrize("is_first", [True, False])
def test_cuts_are_held_together_and_let_go_one_by_one(is_first: bool) -> None:
    stage, fault = honest_cluster.stage(3), Partition({})
    one = InForce(fault, stage, cut("n1"), 1)
    two = InForce(fault, stage, cut("n2"), 2)
    assert between(stage) == N1 | N2
    stage.cluster.talk()  # type: ignore[attr-defined]
    assert one.bit().holds
    assert two.bit().holds
    first, second, left = (one, two, N2) if is_first else (two, one, N1)
    first.heal()
    first.heal()
    assert between(stage) == left
    assert first.healed().holds
    assert not second.healed().holds
    stage.cluster.talk()  # type: ignore[attr-defined]
    assert second.bit().holds
    second.heal()
    assert between(stage) == set()
    assert second.healed().holds


class Preparing(honest_cluster.HonestCluster):
    """Makes its cuts ready, and notes what it was given."""

    def __init__(self, nodes: int) -> None:
        super().__init__(nodes)
        self.given: list[Any] = []

    def prepare_cut(self, grudge: Any) -> Any:
        shot = SimpleNamespace(settle=lambda: None)
        shot.fire = lambda: self.given.append(grudge) or self.cut(grudge)
        return shot


def test_a_cut_made_ready_is_made_anew_where_others_hold_other_links_by_then() -> None:
    cluster = Preparing(3)
    cuts = cuts_of(cluster)
    first = cuts.prepare("first", {"n1": frozenset({"n2"})})
    cuts.hold("second", {"n3": frozenset({"n2"})})
    first.fire()
    first.settle()
    both = {"n1": frozenset({"n2"}), "n3": frozenset({"n2"})}
    assert cluster.given == [{"n3": frozenset({"n2"})}, both]
    cuts.let_go("second")
    assert cuts.in_force() == {"n1": frozenset({"n2"})}


def test_a_cut_that_the_cluster_undid_is_not_proved_by_another() -> None:
    stage, fault = honest_cluster.stage(3), Partition({})
    one = InForce(fault, stage, cut("n1"), 1)
    InForce(fault, stage, cut("n2"), 2)
    stage.cluster.talk()  # type: ignore[attr-defined]
    stage.cluster.cut(shapes.isolated(NODES, ["n2"]))  # type: ignore[attr-defined]
    stage.cluster.talk()  # type: ignore[attr-defined]
    assert not one.bit().holds


def test_while_cuts_come_and_go_a_look_at_the_links_says_nothing() -> None:
    stage, fault = honest_cluster.stage(3), Partition({})
    one = InForce(fault, stage, cut("n1"), 1)
    stage.cluster.talk()  # type: ignore[attr-defined]
    real: Any = stage.cluster.reachable  # type: ignore[attr-defined]

    def reachable() -> Any:
        found = real()
        cuts_of(stage.cluster).hold("another", shapes.isolated(NODES, ["n3"]))  # type: ignore[arg-type]
        return found

    stage.cluster.reachable = reachable  # type: ignore[attr-defined]
    assert "came or went" in one.bit().what
    assert together([]) == {}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_process_goes_on_when_the_last_pause_is_healed(order: tuple[int, ...]) -> None:
    stage, fault = honest_cluster.stage(3), Pause({})
    daemon: Any = stage.daemons["n1"][0]
    pauses = [InForce(fault, stage, ON_N1, occurrence) for occurrence in range(3)]
    for place, number in enumerate(order):
        assert daemon.state() == "T"
        assert all(pauses[each].bit().holds for each in order[place:])
        pauses[number].heal()
        assert pauses[number].healed().holds
    assert daemon.state() == "S"


def test_a_kill_of_a_paused_process_ends_both_faults_in_either_order() -> None:
    for pause_first in (True, False):
        stage: Any = honest_cluster.stage(3)
        pause = InForce(Pause({}), stage, ON_N1, 1)
        kill = InForce(Kill({}), stage, ON_N1, 2)
        assert kill.targets == ["n1"]
        assert kill.bit().holds
        for each in (pause, kill) if pause_first else (kill, pause):
            each.heal()
            assert each.healed().holds
        assert stage.daemons["n1"][0].state() == "S"
        assert len(stage.system.started) == 4


def test_a_node_that_is_down_is_passed_over_by_a_pause_and_a_second_kill() -> None:
    stage = honest_cluster.stage(3)
    InForce(Kill({}), stage, ON_N1, 1)
    assert InForce(Kill({}), stage, ON_N1, 2).targets == ["n2"]
    assert InForce(Pause({}), stage, ON_N1, 3).targets == ["n3"]


def test_two_heals_of_one_node_start_it_once() -> None:
    stage: Any = honest_cluster.stage(3)
    kill = InForce(Kill({}), stage, ON_N1, 1)
    detail = kill._rest[2]
    both, real = threading.Barrier(2), stage.system.start

    def slow(*args: Any) -> Any:
        threading.Event().wait(0.02)
        return real(*args)

    def heal() -> None:
        both.wait(60)
        start_again(stage, detail)

    stage.system.start = slow
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(heal), pool.submit(heal)]:
            each.result()
    assert len(stage.system.started) == 4


class ClockNode(honest_cluster.HonestNode):
    """Its clock is what it was set to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.program: Any = None

    def set_clock(self, program: Any, method: Any) -> Any:
        self.program = program
        return {}

    def heal_clock(self) -> Any:
        self.program = None
        return {}

    def read_clock(self) -> Any:
        return {"program": self.program}


def test_a_clock_belongs_to_one_fault_at_a_time() -> None:
    stage: Any = honest_cluster.stage(3)
    stage.cluster.nodes = [ClockNode(name) for name in NODES]
    fault = Clock({})

    def plan(shift_ns: int) -> dict[str, Any]:
        programs = {node: {"shift_ns": shift_ns} for node in NODES}
        return {"shape": "bump", **ON_N1, "programs": programs}

    first = InForce(fault, stage, plan(1), 1)
    stale = SimpleNamespace(targets=first.targets, detail={**first._rest[2], "occurrence": 3})
    second = InForce(fault, stage, plan(2), 2)
    assert (first.targets, second.targets) == (["n1"], ["n2"])
    with pytest.raises(NodeError, match="set by another fault"):
        fault.inject(stage, stale.targets, stale.detail)
    fault.heal(stage, stale.targets, stale.detail)
    assert fault.healed(stage, stale.targets, stale.detail).holds  # of nothing that is its own
    assert stage.cluster.node("n1").program == {"shift_ns": 1}
    first.heal()
    assert [node.program for node in stage.cluster.nodes] == [None, {"shift_ns": 2}, None]
    second.heal()
    assert [node.program for node in stage.cluster.nodes] == [None, None, None]


def test_only_plans_that_mean_the_leaders_are_resolved_at_their_moment() -> None:
    late = {"target": "primaries", "order": NODES}
    for fault in (Kill({}), Pause({}), Clock({})):
        assert (fault.resolves_late(late), fault.resolves_late(ON_N1)) == (True, False)
    partition = Partition({})
    assert partition.resolves_late({"shape": "primaries", "fallback": "n1"})
    assert not partition.resolves_late(cut("n1"))
    assert signal.SIGKILL
