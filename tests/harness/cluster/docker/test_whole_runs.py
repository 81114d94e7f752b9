"""Whole runs on docker: one that stays, one whose engine dies, one whose image lacks a registry."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker import engine
from harness.cluster.leftovers import down, heal
from harness.history.ledger import read_ledger
from harness.store import registration

pytestmark = [pytest.mark.docker, pytest.mark.cluster, pytest.mark.usefixtures("nothing_left")]

ROOT = Path(__file__).parents[4]
WAIT_S = 90.0


def started(store: Path, *words: str) -> subprocess.Popen[str]:
    """``polygraph test etcd`` on docker."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--provider", "docker"]
    return subprocess.Popen(
        [*argv, "--nodes", "3", "--store", str(store), *words],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true: Any) -> Any:
    """Wait until ``true()`` gives something, and give that."""
    deadline = time.monotonic() + WAIT_S
    while not (found := true()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
    return found


def run_in(store: Path) -> Path | None:
    """The folder of the one run, once it is registered."""
    return next((path.parent for path in store.glob("*/*/*/cluster.json")), None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """A store whose runs are down at the end."""
    yield tmp_path / "store"
    for path in (tmp_path / "store").glob("*/*/*/cluster.json"):
        down(path.parent)


def test_a_cluster_that_was_left_running_stays_until_it_is_put_down(
    store: Path, client: Any
) -> None:
    process = started(store, "--time-limit", "2", "--leave-db-running")
    _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, told
    run_dir = run_in(store)
    assert run_dir is not None
    registered = registration.read(run_dir)
    assert registered is not None
    assert registered.left_running
    label = {"label": f"org.polygraph.project={registered.facts['project']}"}
    assert heal(store) == []
    assert len(client.containers(filters=label)) == 6
    down(run_dir)
    assert client.containers(all=True, filters=label) == []
    assert not registration.path(run_dir).exists()


def test_an_engine_that_dies_in_a_run_is_named_and_heal_finishes_it_later(
    fronted: Any, store: Path
) -> None:
    faults = ["--nemesis", "partition", "--nemesis-interval", "2", "--time-limit", "60"]
    process = started(store, *faults)
    run_dir = until(lambda: run_in(store))
    ledger = run_dir / "faults.jsonl"
    until(lambda: ledger.exists() and any(e.event == "injected" for e in read_ledger(ledger)))
    fronted.die()
    _, told = process.communicate(timeout=WAIT_S * 2)
    assert process.returncode == 3, told
    assert "Docker engine" in told
    assert "Traceback" not in told
    [left] = heal(store)
    assert "no Docker engine answers" in left
    fronted.live()
    assert heal(store) == []
    assert heal(store) == []


def test_no_engine_ends_a_run_before_anything_is_made(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    process = started(store)
    _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 3
    assert "no Docker engine answers" in told
    assert "try: start Docker" in told
    assert not store.exists()


def test_what_the_engine_makes_for_a_killed_run_after_all_is_removed_by_heal(
    store: Path, client: Any, make: Any
) -> None:
    run_dir = store / "etcd" / "register" / "killed"
    run_dir.mkdir(parents=True)
    project = engine.project_of(run_dir)
    labels = engine.labels(project, str(run_dir.resolve()))
    client.create_volume(f"{project}-n1", labels=labels)
    client.create_network(project, labels=labels)
    beside = make(1)
    beside.up()
    assert heal(store) == []
    assert not any(engine.everything(client, f"{engine.PROJECT_LABEL}={project}"))
    assert beside.nodes[0].run(["true"]).exit_code == 0
