"""Whoever of a run is killed in the middle of its faults, wherever its nodes are, all is undone."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.docker import engine
from harness.cluster.leftovers import heal
from harness.errors import NeedsError
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.store import registration
from harness.store.registration import Registration
from tests.engine_holdings import holdings
from tests.places import PLACES, Place, furnish

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[3]
WAIT_S = 90.0
TOKEN_VARIABLE = "POLYGRAPH_TEST_TOKEN"
FAULTS = ["--nemesis", "partition,pause", "--nemesis-interval", "2", "--nemesis-duration", "1.9"]


class Machine:
    """What of this machine a run could leave changed; the processes by a token."""

    def __init__(self, folder: Path) -> None:
        self.token = uuid.uuid4().hex
        self._folder = folder

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        return {**os.environ, TOKEN_VARIABLE: self.token, "PYTHONPATH": path}

    def snapshot(self) -> dict[str, Any]:
        """Links and mounts but docker's, which come and go with other containers."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        of_docker = ("br-", "veth", "docker")
        return {
            "processes": self.processes(),
            "links": sorted(n for n in os.listdir("/sys/class/net") if not n.startswith(of_docker)),
            "mounts": sorted(m for m in mounts if " - nsfs " in m and "docker" not in m),
            **of_engine(self._folder),
        }

    def processes(self) -> list[str]:
        mark = f"{TOKEN_VARIABLE}={self.token}".encode()
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{name}/environ").read_bytes():
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                    found.append(f"{name}: {b' '.join(words).decode(errors='replace')}")
        return found


def of_engine(folder: Path) -> dict[str, Any]:
    """What the docker engine holds, if there is one."""
    try:
        client = engine.connect()
    except NeedsError:
        return {}
    with contextlib.closing(client):
        return dict(holdings(client, folder))


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each provider and mode."""
    found: Place = request.param
    return found


@pytest.fixture
def command(place: Place, tmp_path: Path) -> Iterator[list[str]]:
    """``polygraph test etcd`` there, under faults."""
    with furnish(place, tmp_path) as options:
        argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd"]
        argv += ["--provider", place.provider, "--time-limit", "60", *FAULTS]
        for name, value in options.items():
            argv += [f"--{name.replace('_', '-')}", value]
        yield [*argv, "--store", str(tmp_path / "store")]


@pytest.mark.parametrize("who", ["front", "run process", "both"])
def test_all_is_as_it_was_after_heal(
    place: Place, command: list[str], tmp_path: Path, who: str
) -> None:
    machine, store = Machine(tmp_path), tmp_path / "store"
    before = machine.snapshot()
    front = subprocess.Popen(command, env=machine.environment(), stderr=subprocess.DEVNULL)
    run_dir, registered = in_the_middle(store, front)
    first = os.pidfd_open(registered.reaper.pid)
    if who != "front":
        signal.pidfd_send_signal(first, signal.SIGKILL)
    if who != "run process":
        front.kill()
    status = front.wait(WAIT_S)
    wait_for_end(first)
    assert status == (3 if who == "run process" else -signal.SIGKILL)
    assert heal(store, said_in(command)) == []
    assert heal(store, said_in(command)) == []
    assert unhealed(read_ledger(run_dir / "faults.jsonl")) == []
    assert not registration.path(run_dir).exists()
    assert list(run_dir.glob("nodes/*/data")) == []
    # Whoever waited for the first process ends behind it, and heal need not wait for that.
    until(lambda: machine.processes() == before["processes"])
    assert machine.snapshot() == before


def said_in(command: list[str]) -> dict[str, str]:
    """What whoever heals must say again: the ssh configuration, which no folder is believed in."""
    said = dict(itertools.pairwise(command))
    return {"ssh_config": said["--ssh-config"]} if "--ssh-config" in said else {}


def until(holds: Callable[[], bool]) -> None:
    """Wait until it is so, or the time is over: what is compared next tells the difference."""
    deadline = time.monotonic() + WAIT_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def in_the_middle(store: Path, front: subprocess.Popen[bytes]) -> tuple[Path, Registration]:
    """Wait until faults are in force; the run's folder and registration."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        assert front.poll() is None, "the run ended by itself"
        for run_dir in (path.parent for path in store.glob("*/*/*/cluster.json")):
            registered = registration.read(run_dir)
            injected = [e for e in read_ledger(run_dir / "faults.jsonl") if e.event == "injected"]
            if registered is not None and len(injected) >= 2:
                return run_dir, registered
        time.sleep(0.05)
    raise TimeoutError("no fault was injected")


def wait_for_end(pidfd: int) -> None:
    """Until that process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(WAIT_S * 1000), "the run goes on without its front"
    os.close(pidfd)
