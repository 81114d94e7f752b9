"""Kill and pause, alone and on top of each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from harness.contract.fault import Stage
from harness.errors import NodeError, UsageError
from harness.linux.identity import ProcessIdentity, identify
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause
from nemeses.targets import TARGETS, how_many
from tests.toys import honest_cluster

NODES = ["n1", "n2", "n3", "n4", "n5"]


class Aimed:
    """A fault with its targets resolved on a stage."""

    def __init__(self, fault: Kill | Pause, stage: Stage, word: str, order: list[str]) -> None:
        self.fault, self.stage = fault, stage
        plan = {"target": word, "order": order}
        self.targets, self.detail = fault.resolve(plan, stage)

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


def kill(stage: Stage, *nodes: str) -> Aimed:
    return Aimed(Kill({}), stage, "one", [*nodes, *(n for n in NODES if n not in nodes)])


def pause(stage: Stage, *nodes: str) -> Aimed:
    return Aimed(Pause({}), stage, "one", [*nodes, *(n for n in NODES if n not in nodes)])


@pytest.mark.parametrize(
    ("word", "sizes"),
    [
        ("one", {1: 1, 2: 1, 3: 1, 5: 1}),
        ("minority", {1: 1, 2: 1, 3: 1, 4: 1, 5: 2, 9: 4}),
        ("majority", {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 9: 5}),
        ("all", {1: 1, 5: 5}),
    ],
)
def test_target_words_mean_so_many_nodes(word: str, sizes: dict[int, int]) -> None:
    assert {count: how_many(word, count) for count in sizes} == sizes


@pytest.mark.parametrize("kind", [Kill, Pause])
def test_targets_are_drawn_from_the_random_stream_alone(kind: type[Kill] | type[Pause]) -> None:
    plans = [kind({}).plan(NODES, Random(seed)) for seed in range(60)]
    assert plans == [kind({}).plan(NODES, Random(seed)) for seed in range(60)]
    assert {plan["target"] for plan in plans} == set(TARGETS)
    assert all(sorted(plan["order"]) == NODES for plan in plans)


def test_an_unknown_target_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean majority"):
        Kill({"kill_targets": ["majorty"]})


def test_a_kill_names_its_processes_and_ends_exactly_them() -> None:
    stage = honest_cluster.stage()
    shot = kill(stage, "n2")
    victim = stage.daemons["n2"][0].identity
    assert [ProcessIdentity(**p) for p in shot.detail["processes"]["n2"]] == [victim]
    assert not shot.bit
    shot.inject()
    assert shot.bit
    assert [n for n in NODES if not stage.daemons[n][0].alive()] == ["n2"]
    assert not shot.healed


def test_a_killed_node_is_started_once_however_often_it_is_healed() -> None:
    stage: Any = honest_cluster.stage()
    shot = kill(stage, "n2")
    shot.inject()
    shot.heal()
    shot.heal()
    assert shot.healed
    assert stage.system.started == [*NODES, "n2"]
    assert shot.bit, "the bite stays true after the restart: that process is gone"


def test_a_process_that_ended_by_itself_was_not_killed() -> None:
    stage: Any = honest_cluster.stage()
    shot = kill(stage, "n2")
    stage.daemons["n2"][0].end(2)
    shot.inject()
    assert not shot.bit


def test_a_process_that_ended_by_itself_and_was_replaced_was_not_killed() -> None:
    stage: Any = honest_cluster.stage()
    shot = kill(stage, "n2")
    stage.daemons["n2"][0].end(2)
    shot.inject()
    shot.heal()
    assert shot.healed
    assert not shot.bit


class Orphan(honest_cluster.HonestDaemon):
    """A process whose parent is gone, so that nobody learns its exit status."""

    def alive(self) -> bool:
        return self._state != "gone"

    def exit_status(self) -> int | None:
        return None


def test_without_an_exit_status_only_what_lived_when_it_was_shot_was_killed() -> None:
    stage: Any = honest_cluster.stage(2)
    for name, pid in (("n1", 71), ("n2", 72)):
        stage.hold(name, "honest", [Orphan(name, pid)])
    living, gone = kill(stage, "n1"), kill(stage, "n2")
    stage.daemons["n2"][0].end(2)
    for shot in (living, gone):
        assert not shot.bit
        shot.inject()
    assert (living.bit, gone.bit) == (True, False)
    for shot in (living, gone):
        shot.heal()
    assert (living.bit, gone.bit) == (True, False)


def test_a_node_that_does_not_start_is_named_and_the_others_are_started() -> None:
    stage: Any = honest_cluster.stage()
    shot = Aimed(Kill({}), stage, "minority", NODES)
    shot.inject()
    stage.system.broken = {"n1"}
    with pytest.raises(NodeError, match="n1: the address is in use"):
        shot.heal()
    assert not shot.healed
    assert stage.daemons["n2"][0].alive()
    stage.system.broken = set()
    shot.heal()
    assert shot.healed


def test_a_node_of_which_one_process_survived_is_started_whole() -> None:
    stage: Any = honest_cluster.stage(1)
    survivor = honest_cluster.HonestDaemon("n1", 77)
    stage.hold("n1", "honest", [*stage.daemons["n1"], survivor])
    shot = Aimed(Kill({}), stage, "all", ["n1"])
    stage.daemons["n1"][0].end(-9)
    shot.heal()
    assert not survivor.alive()
    assert shot.healed


def test_nodes_that_do_not_run_are_passed_over() -> None:
    stage: Any = honest_cluster.stage()
    stage.daemons["n2"][0].end(1)
    shot = kill(stage, "n2", "n3")
    assert shot.targets == ["n3"]
    assert shot.detail["passed_over"] == ["n2"]


def test_primaries_are_those_of_the_moment_and_else_one_stands_in() -> None:
    stage: Any = honest_cluster.stage()
    stage.system.leaders = ["n3", "n5"]
    assert Aimed(Kill({}), stage, "primaries", NODES).targets == ["n3", "n5"]
    stage.system.leaders = []
    stood_in = Aimed(Kill({}), stage, "primaries", NODES)
    assert stood_in.targets == ["n1"]
    assert stood_in.detail["fallback"] == "nobody leads"


def test_a_kill_with_nobody_to_kill_has_not_bitten() -> None:
    stage: Any = honest_cluster.stage(1)
    stage.daemons["n1"][0].end(1)
    shot = Aimed(Kill({}), stage, "all", ["n1"])
    shot.inject()
    assert shot.targets == []
    assert not shot.bit


def test_a_pause_stops_and_lets_go_exactly_the_named_processes() -> None:
    stage = honest_cluster.stage()
    hold = pause(stage, "n4")
    assert not hold.bit
    hold.inject()
    assert hold.bit
    assert not hold.healed
    assert [n for n in NODES if stage.daemons[n][0].state() == "T"] == ["n4"]
    hold.heal()
    hold.heal()
    assert hold.healed
    assert not hold.bit


def test_a_paused_process_can_be_killed_and_its_pause_is_then_healed() -> None:
    stage = honest_cluster.stage()
    hold, shot = pause(stage, "n1"), kill(stage, "n1")
    hold.inject()
    shot.inject()
    assert shot.bit
    hold.heal()
    assert hold.healed


def test_the_successor_of_a_paused_and_killed_process_is_left_alone() -> None:
    stage = honest_cluster.stage()
    hold, shot = pause(stage, "n1"), kill(stage, "n1")
    hold.inject()
    shot.inject()
    shot.heal()
    successor = stage.daemons["n1"][0]
    successor.signal(signal.SIGSTOP)  # by somebody else: not ours to let go
    hold.heal()
    assert hold.healed
    assert successor.state() == "T"


TWO_THREADS = """
import threading
wait = threading.Event().wait
threading.Thread(target=wait).start()
print("up", flush=True)
wait()
"""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A real process with two threads."""
    argv = [sys.executable, "-c", TWO_THREADS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


class RealDaemon(honest_cluster.HonestDaemon):
    """A process of this machine, whose threads a pause can therefore look at."""

    def __init__(self, process: subprocess.Popen[bytes], claimed_state: str) -> None:
        super().__init__("n1", process.pid)
        identity = identify(process.pid)
        assert identity is not None
        self.identity = identity
        self._state = claimed_state


def test_a_pause_bites_only_when_every_thread_stands(sleeper: subprocess.Popen[bytes]) -> None:
    stage: Any = honest_cluster.stage(1)
    stage.hold("n1", "honest", [RealDaemon(sleeper, claimed_state="T")])
    hold = Aimed(Pause({}), stage, "all", ["n1"])
    assert not hold.bit, "the threads run, whatever the daemon says"
    os.kill(sleeper.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert hold.bit


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                         stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_pause_bites_only_when_every_process_of_the_group_stands() -> None:
    argv = [sys.executable, "-c", PARENT]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True) as parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            stage: Any = honest_cluster.stage(1)
            stage.hold("n1", "honest", [RealDaemon(parent, claimed_state="T")])
            hold = Aimed(Pause({}), stage, "all", ["n1"])
            os.kill(parent.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, parent.pid, os.WSTOPPED | os.WNOWAIT)
            assert not hold.bit, "the child runs"
            os.kill(child, signal.SIGSTOP)
            while not hold.bit:  # signals act soon; the test's time limit ends a hang
                pass
            assert hold.healed is False
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


UNREAPED = """
import os, sys
if os.fork() == 0:
    os._exit(0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print("ended", flush=True)
sys.stdin.read()
"""


def test_a_child_that_ended_and_that_nobody_reaped_keeps_no_pause_from_biting() -> None:
    argv, pipe = [sys.executable, "-c", UNREAPED], subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"ended\n"
            stage: Any = honest_cluster.stage(1)
            stage.hold("n1", "honest", [RealDaemon(parent, claimed_state="T")])
            hold = Aimed(Pause({}), stage, "all", ["n1"])
            os.kill(parent.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, parent.pid, os.WSTOPPED | os.WNOWAIT)
            assert hold.bit
        finally:
            parent.kill()
