"""Faults on containers that somebody else runs, with a real engine: done, proved, and undone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker import engine
from harness.cluster.leftovers import heal
from harness.errors import UsageError
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.linux.identity import is_running
from harness.plugins import Registry
from harness.run.front import run
from harness.run.scenario import resolve
from harness.store import registration
from tests.engine_holdings import OWN, own_subnets
from tests.toys.their_etcd import Project, their_project

pytestmark = [
    pytest.mark.docker,
    pytest.mark.cluster,
    pytest.mark.root,
    pytest.mark.usefixtures("nothing_left"),
]

WAIT_S = 60.0


@pytest.fixture
def project(client: Any, node_image: str) -> Iterator[Project]:
    """Three members, which the engine starts again unless somebody stops them."""
    policies = ["unless-stopped"] * 3
    with their_project(client, node_image, own_subnets()[3], f"{OWN}-theirs", policies) as found:
        yield found


def command(project: Project, store: Path, *more: str) -> list[str]:
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--provider", "docker"]
    argv += ["--attach", project.name, "--store", str(store), "--seed", "4", "--rate", "100"]
    return [*argv, "--op-timeout", "1", *more]


FEW = ["--partition-targets", "halves", "--kill-targets", "one", "--clock-targets", "majority"]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(__file__).parents[5]), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


SCHEDULE = """
{"at_s": 4, "fault": "partition", "lasts_s": 6}
{"at_s": 1, "fault": "clock", "lasts_s": 9}
{"at_s": 5.5, "fault": "kill", "lasts_s": 3}
{"at_s": 11, "fault": "pause", "lasts_s": 2}
"""


def without_restarts(state: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {**each, "restarts": None} for name, each in state.items()}


def test_all_faults_beside_each_other_bite_are_healed_and_leave_nothing(
    project: Project, tmp_path: Path
) -> None:
    before = project.state()
    (tmp_path / "schedule.jsonl").write_text(SCHEDULE)
    more = ["--schedule", str(tmp_path / "schedule.jsonl"), "--time-limit", "14", "--json", "--yes"]
    argv = command(project, tmp_path / "store", *FEW, *more)
    done = subprocess.run(argv, env=environment(), capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    verdict = json.loads(done.stdout)
    assert verdict["provider"] == "docker:attach"
    once = dict.fromkeys(("injected", "bit", "healed"), 1)
    assert verdict["faults"] == dict.fromkeys(("kill", "pause", "partition", "clock"), once)
    warning = done.stderr.decode()
    assert all(f"{name} ({before[name]['id'][:12]}," in warning for name in project.names)
    after = project.state()
    assert without_restarts(after) == without_restarts(before)
    [ledger] = (tmp_path / "store").glob("*/*/*/faults.jsonl")
    [killed] = [e for e in read_ledger(ledger) if e.fault == "kill" and e.event == "intend"]
    restarted = {f"n{i}" for i, name in enumerate(project.names, 1) if after[name]["restarts"]}
    assert restarted == set(killed.targets)
    said_again(ledger.parent, *killed.targets)


def said_again(run_dir: Path, node: str) -> None:
    """The engine's logs were read: of all nodes, also of another life, with its milestones."""
    logs = {path.parent.name: path.read_text() for path in run_dir.glob("nodes/*/*.log")}
    assert set(logs) == {"n1", "n2", "n3"}
    assert logs[node].count("starting an etcd server") == 1  # that of before the run is not there
    milestones = (run_dir / "evidence/milestones.jsonl").read_text().splitlines()
    assert node in {json.loads(line)["node"] for line in milestones}


def test_what_a_killed_run_left_is_undone_by_heal(project: Project, tmp_path: Path) -> None:
    before = project.state()
    store = tmp_path / "store"
    faults = ["--nemesis", "pause,partition,clock", "--nemesis-interval", "1"]
    argv = command(project, store, *faults, "--nemesis-duration", "20s", "--time-limit", "60")
    front = subprocess.Popen([*argv, "--yes"], env=environment(), stderr=subprocess.DEVNULL)
    run_dir = in_the_middle(store)
    registered = registration.read(run_dir)
    assert registered is not None
    assert without_restarts(project.state()) != without_restarts(before)
    front.kill()
    os.kill(registered.reaper.pid, signal.SIGKILL)
    front.wait(WAIT_S)
    while is_running(registered.reaper):
        time.sleep(0.02)
    assert heal(store) == []
    assert project.state() == before
    assert unhealed(read_ledger(run_dir / "faults.jsonl")) == []
    assert not registration.path(run_dir).exists()


def in_the_middle(store: Path) -> Path:
    """Wait until all three are in force; the run's folder."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for run_dir in (path.parent for path in store.glob("*/*/*/cluster.json")):
            entries = read_ledger(run_dir / "faults.jsonl")
            if {e.fault for e in entries if e.event == "bit"} == {"pause", "partition", "clock"}:
                return run_dir
        time.sleep(0.05)
    raise TimeoutError("the faults were not injected")


def scenario(project: Project, **more: Any) -> Any:
    table = {"system": "etcd", "provider": "docker", "attach": project.name, "time_limit": 5.0}
    return resolve({**table, "nemesis_interval": 1.0, **more}, Registry())


def test_what_nobody_would_start_again_is_not_ended_unless_the_engine_is_asked_to(
    client: Any, node_image: str, tmp_path: Path
) -> None:
    with their_project(client, node_image, own_subnets()[3], f"{OWN}-once", ["no"]) as project:
        before = project.state()

        def panic(event: Mapping[str, Any]) -> None:
            """Have it say while it runs what no etcd may say."""
            if event.get("event") == "phase" and event.get("name") == "run":
                say = "echo 'panic: planted by a test' >/proc/1/fd/2"
                made = client.exec_create(project.names[0], ["sh", "-c", say])
                client.exec_start(made["Id"])

        def outcome(**more: Any) -> Any:
            asked = scenario(project, nemesis=["kill"], nemesis_interval=2.0, **more)
            return run(asked, tmp_path, panic, Registry(), lambda warning: True)

        refused = outcome()
        assert refused.exit_code == 4
        assert "nobody would start it again" in refused.message
        assert f"({project.names[0]}): its restart policy is no" in refused.message
        assert "--start-command engine" in refused.message
        assert project.state() == before
        verdict = outcome(start_command="engine").verdict
        assert verdict["faults"]["kill"]["healed"] > 0
        assert verdict["valid"] is False
        assert "planted by a test" in json.dumps(verdict["checkers"]["logs"]["anomalies"])
        assert without_restarts(project.state()) == without_restarts(before)


def test_nothing_is_made_unless_it_is_agreed_to(project: Project, tmp_path: Path) -> None:
    said: list[str] = []

    def agrees(warning: str) -> bool:
        said.append(warning)
        return False

    with pytest.raises(UsageError, match="nobody has agreed"):
        run(scenario(project, nemesis=["pause"]), tmp_path, lambda e: None, Registry(), agrees)
    assert all(name in said[0] for name in (*project.names, "pause"))
    assert list(tmp_path.iterdir()) == []
    assert project.client.containers(all=True, filters={"label": engine.RUN_LABEL}) == []


def test_a_project_that_is_not_there_is_told_with_the_nearest(project: Project) -> None:
    with pytest.raises(UsageError, match="did you mean") as refused:
        resolve({"system": "etcd", "provider": "docker", "attach": f"{OWN}-their"}, Registry())
    assert project.name in str(refused.value)
