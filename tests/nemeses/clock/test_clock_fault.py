"""The clock fault: what is drawn, who is refused, what is proved and what is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from harness.cluster.hands.vdso import offset_ns
from harness.contract.fault import Proof
from harness.contract.system import BYPASSES, FAITHFUL, WAITS_ON_TRUE_CLOCK, TimeReading
from harness.errors import NodeError, UsageError
from harness.linux.identity import boot_id
from nemeses.clock.skew import LEAST_DRIFT, NOT_FELT, SHAPES, Clock, describe, draw
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]
HOUR_NS = 3600 * 10**9


class Node(honest_cluster.HonestNode):
    """A node whose clock can be set; ``stuck`` keeps a wrong one, ``deaf`` takes no program."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.program: dict[str, Any] | None = None
        self.stuck = self.deaf = False
        self.methods: list[str] = []

    def set_clock(self, program: Mapping[str, Any], method: str) -> Mapping[str, Any]:
        if self.deaf:
            raise NodeError(f"{self.name}: process 7 has another vDSO")
        self.methods.append(method)
        self.program = {"base_ns": time.time_ns(), **program}
        return self.read_clock()

    def heal_clock(self) -> Mapping[str, Any]:
        if not self.stuck:
            self.program = None
        return self.read_clock()

    def read_clock(self) -> Mapping[str, Any]:
        changed = 0 if self.program is None else 2
        return {
            "program": self.program,
            "offset_ns": self.offset_ns(),
            "wall_ns": time.time_ns(),
            "boot_id": boot_id(),
            "processes": 2,
            "changed": changed,
            "pristine": 2 - changed,
            "threads": 9,
            "stop_ms": 1.5,
        }

    def offset_ns(self) -> int:
        return offset_ns(self.program or {}, time.time_ns())


class Cluster(honest_cluster.HonestCluster):
    """Nodes whose clocks can be set, unless ``why_not``."""

    def __init__(self) -> None:
        super().__init__(len(NODES))
        self.nodes: Any = [Node(name) for name in NODES]
        self.why_not: str | None = None

    def clock_refusal(self, method: str) -> str | None:
        return self.why_not


class System(honest_cluster.HonestSystem):
    """Reports its time to the microsecond; ``lie_ns`` is what it adds to what it reads."""

    def __init__(self, path: str = FAITHFUL) -> None:
        super().__init__()
        self.path = path
        self.lie_ns: dict[str, int] = {}

    def clock_path(self) -> str:
        return self.path

    def reported_time(self, node: Any, timeout_s: float) -> TimeReading:
        now_ns = time.time_ns() + node.offset_ns() + self.lie_ns.get(node.name, 0)
        return TimeReading(earliest_ns=now_ns, latest_ns=now_ns + 1000)


class Trial:
    """One clock fault on a stage; everybody is a target unless said."""

    def __init__(self, program: dict[str, Any], path: str = FAITHFUL, **options: Any) -> None:
        self.cluster, self.system = Cluster(), System(path)
        cluster: Any = self.cluster
        system: Any = self.system
        self.stage = honest_cluster.started(cluster, system)
        self.fault = Clock(options)
        programs = dict.fromkeys(NODES, program)
        plan = {"shape": "bump", "target": "all", "order": NODES, "programs": programs}
        self.targets, self.detail = self.fault.resolve(plan, self.stage)

    def __getattr__(self, step: str) -> Any:
        return lambda: getattr(self.fault, step)(self.stage, self.targets, self.detail)


def measured(proof: Callable[[], Proof]) -> Proof:
    """What the nemesis comes to, who measures again: it proves nothing if it was held up."""
    for _ in range(200):
        found = proof()
        if found.holds:
            break
    return found


def refusal(path: str, **options: Any) -> str | None:
    cluster: Any = Cluster()
    system: Any = System(path)
    return Clock(options).refusal(cluster, system)


@pytest.mark.parametrize(
    "program",
    [
        {"shift_ns": HOUR_NS},
        {"shift_ns": -11_000_000},
        {"rate": 0.4},
        {"delta_ns": 10**11, "period_ns": 1_000_000},
    ],
)
def test_it_bites_and_is_healed_by_the_time_that_the_system_reports(
    program: dict[str, Any],
) -> None:
    trial = Trial(program)
    trial.inject()
    if "rate" in program:
        for node in trial.cluster.nodes:
            node.program["base_ns"] -= HOUR_NS
    proof = measured(trial.bit)
    assert proof.holds, proof.what
    assert set(proof.figures["nodes"]) == set(NODES)
    assert NOT_FELT in proof.what
    assert not trial.healed().holds
    trial.heal()
    trial.heal()
    assert measured(trial.healed).holds


def test_nothing_bites_before_it_is_done_or_where_the_system_reports_the_truth() -> None:
    trial = Trial({"shift_ns": HOUR_NS})
    assert not trial.bit().holds
    trial.inject()
    trial.system.lie_ns = {"n2": -HOUR_NS}
    proof = trial.bit()
    assert not proof.holds
    assert "n2: reports a time ahead by" in proof.what
    assert set(proof.figures["nodes"]) == {"n1", "n3"}


def test_a_target_that_has_proved_it_need_not_again() -> None:
    trial = Trial({"shift_ns": HOUR_NS})
    trial.inject()
    trial.system.lie_ns = {"n2": -HOUR_NS}
    assert not trial.bit().holds
    trial.system.lie_ns = {"n1": -HOUR_NS}
    assert measured(trial.bit).holds


def test_a_system_that_still_reports_the_wrong_time_is_not_healed() -> None:
    trial = Trial({"shift_ns": HOUR_NS})
    trial.inject()
    trial.heal()
    trial.system.lie_ns = {"n3": HOUR_NS}
    proof = trial.healed()
    assert not proof.holds
    assert "n3: still reports" in proof.what


def test_processes_that_are_not_as_they_were_are_not_healed_whatever_they_report() -> None:
    trial = Trial({"shift_ns": HOUR_NS})
    trial.inject()
    trial.cluster.node("n1").stuck = True
    trial.heal()
    assert not trial.healed().holds


def test_a_killed_and_a_stopped_target_are_healed_by_their_memory_alone() -> None:
    trial = Trial({"shift_ns": HOUR_NS})
    trial.inject()
    trial.stage.daemons["n1"][0].signal(9)
    trial.stage.daemons["n2"][0].signal(19)
    trial.system.lie_ns = {"n1": HOUR_NS, "n2": HOUR_NS}
    trial.heal()
    proof = measured(trial.healed)
    assert proof.holds
    assert proof.figures["nodes"]["n1"]["reported"] == "does not run"
    assert proof.figures["nodes"]["n2"]["reported"] == "stands still"


def test_a_node_that_cannot_be_set_is_named_and_keeps_no_other_from_it() -> None:
    trial = Trial({"shift_ns": HOUR_NS})
    trial.cluster.node("n2").deaf = True
    with pytest.raises(NodeError, match=r"^n2: process 7 has another vDSO$"):
        trial.inject()
    assert trial.cluster.node("n3").program is not None


def test_a_system_that_waits_or_bypasses_is_refused_unless_asked_for() -> None:
    assert refusal(FAITHFUL) is None
    assert "--clock-despite-waits" in str(refusal(WAITS_ON_TRUE_CLOCK))
    assert refusal(WAITS_ON_TRUE_CLOCK, clock_despite_waits=True) is None
    assert "cannot be changed per process" in str(refusal(BYPASSES))
    assert "cannot be changed per process" in str(refusal(BYPASSES, clock_despite_waits=True))


def test_a_real_clock_is_felt_by_every_system() -> None:
    assert refusal(BYPASSES, clock_method="machine") is None
    assert refusal(WAITS_ON_TRUE_CLOCK, clock_method="machine") is None


def test_who_is_run_despite_its_waits_is_said_so_in_the_proof() -> None:
    trial = Trial({"shift_ns": HOUR_NS}, WAITS_ON_TRUE_CLOCK, clock_despite_waits=True)
    trial.inject()
    proof = measured(trial.bit)
    assert proof.holds
    assert "its waits for wall-clock times stay true" in proof.what
    assert trial.detail["clock_path"] == WAITS_ON_TRUE_CLOCK


def test_a_system_that_declares_nothing_is_refused_with_how_to_find_out() -> None:
    cluster: Any = Cluster()
    system: Any = honest_cluster.HonestSystem()
    assert "polygraph doctor --clock honest" in str(Clock({}).refusal(cluster, system))


def test_a_system_that_reports_no_time_is_refused() -> None:
    class Silent(honest_cluster.HonestSystem):
        def clock_path(self) -> str:
            return FAITHFUL

    cluster: Any = Cluster()
    system: Any = Silent()
    assert "nothing would be proved" in str(Clock({}).refusal(cluster, system))


def test_a_provider_without_clocks_and_one_that_cannot_here_are_refused() -> None:
    cluster: Any = honest_cluster.HonestCluster(3)
    system: Any = System()
    assert "provider memory cannot set the clocks" in str(Clock({}).refusal(cluster, system))
    able: Any = Cluster()
    able.why_not = "this is aarch64"
    assert Clock({}).refusal(able, system) == "this is aarch64"


def test_the_method_asked_for_reaches_the_node() -> None:
    trial = Trial({"shift_ns": HOUR_NS}, clock_method="machine")
    trial.inject()
    assert trial.cluster.node("n1").methods == ["machine"]
    assert trial.detail["method"] == "machine"


@pytest.mark.parametrize(
    "options", [{"clock_method": "host"}, {"clock_shapes": "jump"}, {"clock_targets": "some"}]
)
def test_unknown_words_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="clock"):
        Clock(options)


def test_a_seed_fixes_the_plan_and_every_node_has_a_program_of_its_own() -> None:
    plan = Clock({}).plan(NODES, Random(7))
    assert plan == Clock({}).plan(NODES, Random(7))
    assert set(plan["programs"]) == set(NODES)
    assert len({str(program) for program in plan["programs"].values()}) == 3


def test_what_is_drawn_lies_within_jepsens_bounds_and_reaches_them() -> None:
    rng = Random(1)
    bumps = [abs(draw("bump", rng)["shift_ns"]) for _ in range(2000)]
    assert min(bumps) == round(1.5**6 * 1e6)
    assert max(bumps) == round(1.5**31 * 1e6)
    strobes = [draw("strobe", rng) for _ in range(2000)]
    assert min(s["delta_ns"] for s in strobes) >= 2**4 * 10**6
    assert 2**17 * 10**6 < max(s["delta_ns"] for s in strobes) <= 2**18 * 10**6
    assert min(s["period_ns"] for s in strobes) >= 10**6
    assert 2**9 * 10**6 < max(s["period_ns"] for s in strobes) <= 2**10 * 10**6
    assert all(s["period_ns"] <= s["delta_ns"] / 2 + 1 for s in strobes)
    speeds = [1 + draw("drift", rng)["rate"] for _ in range(2000)]
    assert max(speeds) <= 2.5 * min(speeds) + 1e-4 < max(speeds) + 0.02
    assert min(abs(speed - 1) for speed in speeds) >= LEAST_DRIFT


def test_both_signs_of_a_bump_are_drawn() -> None:
    rng = Random(2)
    assert {draw("bump", rng)["shift_ns"] > 0 for _ in range(50)} == {True, False}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_program_can_be_described(shape: str) -> None:
    assert describe(draw(shape, Random(3)))
