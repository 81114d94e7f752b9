"""However a run's processes die, nothing is left: no process, namespace, mount, link or rule."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import down, heal

FRONT = Path(__file__).with_name("front.py")
INSIDE = Path(__file__).with_name("inside.py")

pytestmark = pytest.mark.cluster


@dataclass
class Fronted:
    """A run whose front is a process of its own."""

    front: subprocess.Popen[bytes]
    reaper: int
    run: int
    run_dir: Path
    said: Any

    def kill(self, *who: str) -> None:
        """Kill ``front``, ``run`` or ``reaper``, in this order."""
        for name in who:
            pid = self.front.pid if name == "front" else getattr(self, name)
            os.kill(pid, signal.SIGKILL)


Fronts = Callable[..., Fronted]


@pytest.fixture(
    params=[
        pytest.param("root", marks=pytest.mark.root),
        pytest.param("userns", marks=pytest.mark.userns),
        "plain",
    ]
)
def mode(request: pytest.FixtureRequest) -> str:
    """Each way to end a run: by its namespaces, and by the reaper where there are none."""
    return str(request.param)


@pytest.fixture
def fronts(mode: str, machine: Any, tmp_path: Path) -> Iterator[Fronts]:
    """Starts a front with a case of ``inside.py``; kills what is still there at the end."""
    started: list[Fronted] = []

    def begin(case: str, **how: Any) -> Fronted:
        run_dir = tmp_path / "system" / "workload" / f"run{len(started)}"
        run_dir.mkdir(parents=True)
        said, say = os.pipe()
        settings = json.dumps({"mode": mode, "say": say, "options": {}})
        argv = [sys.executable, str(INSIDE), case, str(run_dir), settings]
        asked = {"argv": argv, "mode": mode, "run_dir": str(run_dir), "said": say, "how": how}
        front = subprocess.Popen(
            [sys.executable, str(FRONT), json.dumps(asked)],
            stdout=subprocess.PIPE,
            pass_fds=[say],
            env=machine.environment(),
        )
        os.close(say)
        assert front.stdout is not None
        pids = json.loads(front.stdout.readline())
        words = os.fdopen(said, "rb", buffering=0)
        started.append(Fronted(front, pids["reaper"], pids["run"], run_dir, words))
        return started[-1]

    yield begin
    for fronted in started:
        with contextlib.suppress(ProcessLookupError):
            fronted.front.kill()
        fronted.front.communicate()
        fronted.said.close()
        down(fronted.run_dir)


@pytest.mark.parametrize(
    "who",
    [("front",), ("run",), ("front", "run"), ("run", "front"), ("reaper",), ("reaper", "front")],
    ids="+".join,
)
def test_nothing_is_left_when_killed(
    fronts: Fronts, machine: Any, who: tuple[str, ...], mode: str
) -> None:
    before = machine.snapshot()
    fronted = fronts("holds")
    assert fronted.said.readline() == b"holding\n"
    count = 14 + (mode == "plain")  # that of the links
    assert machine.count_once_it_is(count) == count
    held = machine.remember_namespaces()
    assert not held if mode == "plain" else len(held) >= 30
    with machine.ends_after():
        fronted.kill(*who)
        if "front" not in who:
            # A front that lives notices the end and may go.
            fronted.kill("front")
        fronted.front.wait()
    assert machine.snapshot() == before


def test_nothing_is_left_when_the_front_is_killed_before_the_run_process_began(
    fronts: Fronts, machine: Any
) -> None:
    before = machine.snapshot()
    fronted = fronts("holds")
    machine.remember_namespaces()
    with machine.ends_after():
        fronted.kill("front")
        fronted.front.wait()
    assert machine.snapshot() == before


def test_a_run_process_that_heeds_the_end_of_its_input_ends_by_itself(
    fronts: Fronts, machine: Any
) -> None:
    # The usual grace is short, and this machine may be too busy for it.
    fronted = fronts("waits_for_end_of_input", grace_s=60.0)
    assert fronted.said.readline() == b"reading\n"
    with machine.ends_after():
        fronted.kill("front")
    assert json.loads((fronted.run_dir / "result.json").read_text()) == ""


def test_the_end_of_the_run_process_by_a_signal_is_told(start: Any) -> None:
    run = start("holds")
    assert run.word() == "holding"
    os.kill(run.entered.run_pid, signal.SIGKILL)
    assert run.entered.wait(30) == 128 + signal.SIGKILL
    assert list(run.run_dir.glob("nodes/*/data")) == []
    assert len(list(run.run_dir.glob("nodes/*/db.log"))) == 5


def test_the_front_kills_all_at_once(start: Any, machine: Any) -> None:
    before = machine.snapshot()
    run = start("holds")
    assert run.word() == "holding"
    machine.remember_namespaces()
    run.entered.kill()
    assert machine.snapshot() == before


def test_a_cluster_left_running_outlives_the_run_process_until_down(
    start: Any, machine: Any, mode: str
) -> None:
    before = machine.snapshot()
    run = start("is_left_running")
    assert run.word() == "left"
    run.entered.close_stdin()
    assert run.result() == {"nodes": 2}
    assert run.entered.left_running
    machine.remember_namespaces()
    # Launcher, reaper, and an agent and a daemon on each node.
    count = 6 + (mode == "plain")
    assert machine.count_once_it_is(count) == count
    assert heal(run.run_dir.parent) == []
    down(run.run_dir)
    down(run.run_dir)
    run.entered.kill()
    assert machine.snapshot() == before
    assert not (run.run_dir / "cluster.json").exists()


def test_a_cluster_left_running_outlives_its_front_until_down(fronts: Fronts, machine: Any) -> None:
    before = machine.snapshot()
    fronted = fronts("is_left_running")
    assert fronted.said.readline() == b"left\n"
    run = os.pidfd_open(fronted.run)
    fronted.kill("front")
    fronted.front.wait()
    # The run process ends at the end of its input; nothing else does.
    assert fronted.said.read() == b""
    os.close(run)
    machine.remember_namespaces()
    store = fronted.run_dir.parents[2]
    assert heal(store) == []
    assert len(machine.processes()) >= 6
    with machine.ends_after():
        down(fronted.run_dir)
    assert machine.snapshot() == before
