"""Crash loop, slow start, rolling restart: what proves each, and what does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from harness.errors import NotReady, UsageError
from harness.history.effects import effects_of
from harness.linux.identity import ProcessIdentity
from nemeses.process.crash_loop import CrashLoop
from nemeses.process.rolling import RollingRestart
from nemeses.process.slow_start import SlowStart
from nemeses.targets import THIRD, how_many, plan_targets
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3"]


class Polite(honest_cluster.HonestSystem):
    """Stops by SIGTERM; ``unready`` are asked for, one after another, before it is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.down_at_once = 0
        self.unready: list[str] = []

    def stop(self, stage: Any, node: Any) -> None:
        stage.terminate(node.name, 0.0)
        down = [n for n in NODES if not any(d.alive() for d in stage.daemons[n])]
        self.down_at_once = max(self.down_at_once, len(down))

    def stop_statuses(self) -> tuple[int, ...]:
        return (-15,)

    def ready(self, stage: Any, timeout_s: float) -> None:
        if self.unready:
            raise NotReady(self.unready.pop(0))


class InForce:
    def __init__(self, fault: Any, plan: dict[str, Any], system: Any = None) -> None:
        self.system = system or Polite()
        self.stage = honest_cluster.started(honest_cluster.HonestCluster(3), self.system)
        self.targets, detail = fault.resolve({"order": NODES, **plan}, self.stage)
        self.rest = (self.stage, self.targets, {**detail, "occurrence": 1})
        self.effects = fault.effects(*self.rest)
        self._fault = fault
        fault.inject(*self.rest)

    def __getattr__(self, step: str) -> Any:
        return lambda: getattr(self._fault, step)(*self.rest)

    def running(self) -> list[str]:
        return [n for n in NODES if any(d.alive() for d in self.stage.daemons[n])]


def until(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.002)
    return what()


def test_a_crash_loop_bites_with_the_second_end_of_each_and_its_heal_ends_it() -> None:
    loop = InForce(CrashLoop({"crash_loop_up_s": 0.01}), {"target": "minority"})
    first = loop.stage.daemons["n1"][0].identity
    assert until(lambda: loop.bit().holds)
    proof = loop.bit()
    pids = [pid for pid, status in proof.figures["ended"]["n1"] if status == -9]
    assert len(set(pids)) == len(pids) >= 2
    loop.heal()
    loop.heal()
    count = len(loop.bit().figures["ended"]["n1"])
    assert loop.healed().holds
    assert loop.running() == NODES
    assert len(loop.bit().figures["ended"]["n1"]) == count, "it goes on after the heal"
    told = effects_of({"effects": loop.effects.as_json()})
    assert told is not None
    anybody = ProcessIdentity(pid=9, start_ticks=9, boot_id="b", pid_namespace=1)
    assert first != anybody
    assert told.explains_end("n1", anybody, -9, is_in_force=True)
    assert not told.explains_end("n1", anybody, -9), "after the heal an end is its own"
    assert not told.explains_end("n1", anybody, 2, is_in_force=True), "a panic is no kill"
    assert not told.explains_end("n2", anybody, -9, is_in_force=True)


def test_one_end_is_no_crash_loop_and_trouble_is_told() -> None:
    loop = InForce(CrashLoop({"crash_loop_up_s": 3600}), {"target": "one"})
    assert until(lambda: loop.running() == NODES)
    assert not loop.bit().holds
    loop.heal()
    system = Polite()
    system.broken = set()
    loop = InForce(CrashLoop({"crash_loop_up_s": 0.01}), {"target": "one"}, system)
    system.broken = {"n1"}
    assert until(lambda: "address is in use" in loop.bit().what)
    system.broken = set()
    loop.heal()
    assert loop.healed().holds
    with pytest.raises(UsageError, match="crash-loop-up-s"):
        CrashLoop({"crash_loop_up_s": -1})


def test_of_a_slow_start_one_node_runs_only_after_the_heal() -> None:
    slow = InForce(SlowStart({}), {"target": "all", "order": ["n2", "n1", "n3"]})
    assert slow.rest[2]["late"] == "n2"
    assert slow.running() == ["n1", "n3"]
    assert slow.bit().holds
    assert not slow.healed().holds
    slow.stage.start("n2", "honest")
    assert not slow.bit().holds, "the late one was not late"
    slow.heal()
    slow.heal()
    assert slow.healed().holds
    drawn = {SlowStart({}).plan(NODES, Random(seed))["target"] for seed in range(30)}
    assert drawn == {"minority", "majority", "all"}


def test_a_roll_takes_one_node_at_a_time_and_bites_with_the_second() -> None:
    roll = InForce(RollingRestart({}), {"target": "all", "order": ["n3", "n1", "n2"]})
    assert until(lambda: len(roll.bit().figures["through"]) == 3)
    assert roll.bit().holds
    assert roll.bit().figures["through"] == ["n3", "n1", "n2"]
    assert roll.system.down_at_once == 1
    roll.heal()
    roll.heal()
    assert roll.healed().holds


def test_a_roll_stops_where_a_node_does_not_come_back_ready() -> None:
    system = Polite()
    system.unready = ["n1 knows no leader"]
    roll = InForce(RollingRestart({}), {"target": "all"}, system)
    assert until(lambda: "knows no leader" in roll.bit().what)
    assert not roll.bit().holds
    assert system.started == [*NODES, "n1"]
    roll.heal()
    assert roll.healed().holds


def test_an_end_that_is_not_polite_is_no_roll() -> None:
    class Dying(Polite):
        def stop(self, stage: Any, node: Any) -> None:
            for daemon in stage.daemons[node.name]:
                daemon.end(2)

    roll = InForce(RollingRestart({}), {"target": "all"}, Dying())
    roll.heal()
    assert not roll.bit().holds


def test_targets_may_be_a_third_random_or_named() -> None:
    nodes = [f"n{i}" for i in range(1, 8)]
    assert [how_many(THIRD, n) for n in (1, 3, 4, 5, 7, 10)] == [1, 1, 1, 1, 2, 3]
    counts = {plan_targets(["random"], nodes, Random(s))["count"] for s in range(200)}
    assert counts == set(range(1, 8))
    stage = honest_cluster.stage(3)
    fault = CrashLoop({"crash_loop_targets": "n1+n3,+n2,random,minority-third"})
    for word, hit in [("n1+n3", ["n1", "n3"]), ("+n2", ["n2"]), ("minority-third", ["n1"])]:
        assert fault.resolve({"target": word, "order": NODES}, stage)[0] == hit
    two = {"target": "random", "order": NODES, "count": 2}
    assert fault.resolve(two, stage)[0] == ["n1", "n2"]
    with pytest.raises(UsageError, match="no node called"):
        CrashLoop({"crash_loop_targets": "n1+n9"}).plan(NODES, Random(1))
    with pytest.raises(UsageError, match="did you mean"):
        CrashLoop({"crash_loop_targets": "majorty"})
