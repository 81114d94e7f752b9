"""Faults of processes aimed at a role: whom they hit, and what their heal starts."""

from __future__ import annotations

import signal
from random import Random
from typing import Any

import pytest

from harness.contract.fault import AimsAtRoles
from harness.contract.system import Stage
from harness.errors import NodeError, UsageError
from nemeses.clock.skew import Clock
from nemeses.network.partition import Partition
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause
from nemeses.process.restart import Restart
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3", "n4", "n5"]


class Aimed:
    """A fault with its targets resolved on a stage."""

    def __init__(self, fault: Any, stage: Stage, target: str) -> None:
        self.fault, self.stage = fault, stage
        self.targets, self.detail = fault.resolve({"target": target, "order": NODES}, stage)
        self.effects = fault.effects(stage, self.targets, self.detail)

    def __getattr__(self, step: str) -> Any:
        return lambda: getattr(self.fault, step)(self.stage, self.targets, self.detail)


def ended(stage: Stage) -> list[str]:
    return sorted(
        f"{role} on {node}"
        for node in NODES
        for role in stage.roles_on(node)
        if not stage.daemons_of(node, role)[0].alive()
    )


@pytest.mark.parametrize("kind", [Kill, Pause, Restart, Clock])
def test_a_role_that_there_is_not_is_refused_with_those_that_there_are(kind: Any) -> None:
    roles = honest_cluster.roles().roles
    fault = kind({f"{kind.name}_targets": "one,alpa:one"})
    assert isinstance(fault, AimsAtRoles)
    with pytest.raises(UsageError, match=rf"--{kind.name}-targets alpa:one: .*did you mean alpha"):
        fault.aim(roles)
    kind({f"{kind.name}_targets": "one,alpha:one,zero:primaries"}).aim(roles)
    with pytest.raises(UsageError, match="there is no target called 'on'"):
        kind({f"{kind.name}_targets": "alpha:on"})


@pytest.mark.parametrize(
    ("target", "hit"),
    [
        ("zero:all", ["zero on n1", "zero on n2", "zero on n3"]),
        ("alpha:one", ["alpha on n2"]),
        ("alpha:majority", ["alpha on n2", "alpha on n3", "alpha on n4"]),
        ("zero:primaries", ["zero on n1"]),
        ("alpha:primaries", ["alpha on n3", "alpha on n4"]),
        ("one", ["zero on n1"]),
        ("minority", ["alpha on n2", "zero on n1", "zero on n2"]),
        ("primaries", ["alpha on n3", "alpha on n4", "zero on n1", "zero on n3"]),
    ],
)
def test_a_kill_of_a_role_ends_its_daemons_alone_and_a_plain_one_whole_nodes(
    target: str, hit: list[str]
) -> None:
    stage = honest_cluster.roles()
    shot = Aimed(Kill({}), stage, target)
    shot.inject()
    assert ended(stage) == hit
    assert shot.bit().holds
    assert len(shot.effects.ends) == len(hit)


def test_the_heal_of_a_partial_kill_starts_what_it_ended_and_the_survivor_lives_on() -> None:
    stage: Any = honest_cluster.roles()
    (survivor,) = stage.daemons_of("n2", "alpha")
    shot = Aimed(Kill({}), stage, "zero:all")
    shot.inject()
    stage.daemons_of("n5", "alpha")[0].end(2)  # by itself: no business of this heal's
    stage.system.started.clear()
    assert "zero on n1, zero on n2, zero on n3" in shot.healed().what
    shot.heal()
    shot.heal()
    assert sorted(stage.system.started) == ["zero on n1", "zero on n2", "zero on n3"]
    assert stage.daemons_of("n2", "alpha") == (survivor,)
    assert shot.healed().holds
    assert ended(stage) == ["alpha on n5"]


def test_roles_that_were_ended_together_start_in_their_order_and_stop_in_the_reverse() -> None:
    stage: Any = honest_cluster.roles()
    stage.system.started.clear()
    shot = Aimed(Restart({}), stage, "majority")
    for daemon in (stage.daemons_of(n, "zero")[0] for n in ("n1", "n2", "n3")):
        daemon.term_status = 0
    shot.inject()
    assert [told.split()[0] for told in stage.system.stopped] == [*["alpha"] * 2, *["zero"] * 3]
    assert shot.bit().holds
    shot.heal()
    assert [told.split()[0] for told in stage.system.started] == [*["zero"] * 3, *["alpha"] * 2]
    assert shot.healed().holds
    assert shot.bit().holds, "the bite stays true after the restart"


def test_an_end_that_the_system_does_not_declare_is_no_polite_one() -> None:
    stage: Any = honest_cluster.roles()
    shot = Aimed(Restart({}), stage, "zero:one")
    shot.inject()  # by the signal, and zeros end with 0
    assert not shot.bit().holds
    (end,) = shot.effects.ends
    assert {0, -signal.SIGTERM, -signal.SIGKILL} <= set(end.statuses)
    assert 1 not in end.statuses


def test_what_does_not_obey_is_ended_by_force_before_it_is_started_again() -> None:
    stage: Any = honest_cluster.roles()
    shot = Aimed(Restart({}), stage, "alpha:one")
    (stubborn,) = stage.daemons_of("n2", "alpha")
    stubborn.term_status = None
    with pytest.raises(NodeError, match="outlived SIGTERM"):
        shot.inject()
    assert not shot.bit().holds
    shot.heal()
    assert stubborn.exit_status() == -signal.SIGKILL
    assert shot.healed().holds
    assert not shot.bit().holds


def test_what_a_fault_is_ending_is_no_target_of_another() -> None:
    stage: Any = honest_cluster.roles()
    (stubborn,) = stage.daemons_of("n2", "alpha")
    stubborn.term_status = None
    with pytest.raises(NodeError, match="outlived"):
        Aimed(Restart({}), stage, "alpha:one").inject()
    assert stubborn.alive()
    shot = Aimed(Kill({}), stage, "alpha:one")
    assert shot.targets == ["n3"]
    assert shot.detail["passed_over"] == ["n2"]


def test_a_role_that_does_not_start_keeps_no_other_waiting() -> None:
    stage: Any = honest_cluster.roles()
    shot = Aimed(Kill({}), stage, "all")
    shot.inject()
    stage.system.broken = {"n2"}
    with pytest.raises(NodeError, match="n2: the address is in use"):
        shot.heal()
    assert ended(stage) == ["alpha on n2", "zero on n2"]
    assert "zero on n2" in shot.healed().what
    stage.system.broken = set()
    shot.heal()
    assert shot.healed().holds


def test_a_pause_of_a_role_stops_its_daemons_alone() -> None:
    stage = honest_cluster.roles()
    hold = Aimed(Pause({}), stage, "zero:all")
    hold.inject()
    assert [stage.daemons_of("n2", role)[0].state() for role in ("zero", "alpha")] == ["T", "S"]
    assert hold.detail["what"] == "zero on n1 n2 n3"
    assert hold.bit().holds
    hold.heal()
    assert hold.healed().holds


def test_a_clock_is_a_nodes_and_a_role_says_which() -> None:
    plan = {"target": "zero:all", "order": NODES, "shape": "bump", "programs": dict.fromkeys(NODES)}
    targets, _ = Clock({}).resolve(plan, honest_cluster.roles())
    assert targets == ["n1", "n2", "n3"]


def cut(words: str, seed: int = 0) -> dict[str, Any]:
    fault = Partition({"partition_targets": words})
    fault.aim(honest_cluster.roles().roles)
    return fault.plan(NODES, Random(seed))


def test_one_of_a_role_is_cut_off_from_all_nodes() -> None:
    alone = {
        next(n for n, s in cut("zero:one", s)["grudge"].items() if len(s) == 4) for s in range(30)
    }
    assert alone == {"n1", "n2", "n3"}


def test_other_shapes_cut_links_among_the_nodes_of_a_role() -> None:
    for seed in range(20):
        grudge = cut("zero:halves,zero:bridge,zero:majorities-ring,zero:random", seed)["grudge"]
        assert grudge
        assert {*grudge, *(s for sources in grudge.values() for s in sources)} <= {"n1", "n2", "n3"}


def test_the_primaries_of_a_role_are_isolated() -> None:
    plan = cut("alpha:primaries")
    assert plan["fallback"] in NODES[1:]
    targets, detail = Partition({}).resolve(plan, honest_cluster.roles())
    assert targets == detail["primaries"] == ["n3", "n4"]


def test_a_shape_of_a_role_of_too_few_nodes_is_refused() -> None:
    roles = honest_cluster.roles(4).roles
    fault = Partition({"partition_targets": "zero:bridge"})
    fault.aim(roles)
    assert fault.plan(NODES[:4], Random(0))["shape"] == "zero:bridge"
    few = honest_cluster.HonestRoles().roles(["n1", "n2"])
    fault.aim(few)
    with pytest.raises(UsageError, match="zero:bridge needs more than 2 nodes"):
        fault.plan(["n1", "n2"], Random(0))
