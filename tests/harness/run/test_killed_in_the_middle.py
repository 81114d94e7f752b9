"""Whoever of a run is killed while all its faults are in force at once, wherever, all is undone."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.abilities import lacking
from harness.cluster.docker import engine
from harness.cluster.leftovers import heal
from harness.errors import NeedsError
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.store import registration
from harness.store.registration import Registration
from tests.engine_holdings import holdings
from tests.nemeses.faults_on_a_cluster import faults
from tests.places import NODES, PLACES, Place, furnish

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[3]
WAIT_S = 90.0
TOKEN_VARIABLE = "POLYGRAPH_TEST_TOKEN"
AT_ONCE: dict[str, dict[str, Any]] = {
    "kill": {"target": "one", "order": ["n1", "n2", "n3", "n4", "n5"]},
    "pause": {"target": "one", "order": ["n2", "n3", "n4", "n5", "n1"]},
    "clock": {
        "shape": "bump",
        "target": "one",
        "order": ["n3", "n4", "n5", "n1", "n2"],
        "programs": {node: {"shift_ns": 3_600_000_000_000} for node in NODES},
    },
    "partition": {"shape": "one", "grudge": {"n4": ["n5"], "n5": ["n4"]}},
    "packet": {"behaviour": "delay=0.01", "direction": "both", "target": "one", "order": [*NODES]},
}
"""Each on nodes of its own, but for links, which several share; longer than any test."""
ON_A_HOST = (
    "sudo nft list ruleset 2>/dev/null || nft list ruleset;"
    " cat /proc/net/netfilter/nfnetlink_queue 2>/dev/null;"
    " for each in /proc/[0-9]*; do cat $each/comm; done 2>/dev/null | grep -e etcd -e python"
)


class Machine:
    """What of this machine, and of hosts, a run could leave changed; the processes by a token."""

    def __init__(self, folder: Path, options: Mapping[str, str]) -> None:
        self.token = uuid.uuid4().hex
        self._folder = folder
        self._options = options

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
            "firewall": firewall(),
            "hosts": self._on_hosts(),
            **of_engine(self._folder),
        }

    def _on_hosts(self) -> dict[str, str]:
        """Firewall, queues and programs of every host, where there are hosts."""
        if "nodes_file" not in self._options:
            return {}
        said = {}
        for host in Path(self._options["nodes_file"]).read_text().split():
            argv = ["ssh", "-F", self._options["ssh_config"], host, ON_A_HOST]
            said[host] = subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S).stdout
        return said

    def processes(self) -> list[str]:
        mark = f"{TOKEN_VARIABLE}={self.token}".encode()
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{name}/environ").read_bytes():
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                    found.append(f"{name}: {b' '.join(words).decode(errors='replace')}")
        return found


def firewall() -> list[str]:
    """Queues of packets here, and rules, where they can be listed; docker's own come and go.

    Who may not read them here could not have made any.
    """
    queues = Path("/proc/net/netfilter/nfnetlink_queue")
    found = queues.read_text().splitlines() if os.access(queues, os.R_OK) else []
    if os.geteuid() == 0 and shutil.which("nft"):
        argv = ["nft", "list", "ruleset"]
        ruleset = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        tables = [line for line in ruleset.splitlines() if line.startswith("table ")]
        found += [each for each in tables if each.split()[2] not in ("nat", "filter")]
        found += [line for line in ruleset.splitlines() if " queue" in line]
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


def possible(provider: str) -> dict[str, dict[str, Any]]:
    """The faults of :data:`AT_ONCE` that the provider can do."""
    built_in = faults()
    return {
        name: plan for name, plan in AT_ONCE.items() if not lacking(built_in[name].needs, provider)
    }


@pytest.fixture
def options(place: Place, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the place needs to be said."""
    with furnish(place, tmp_path) as found:
        yield found


@pytest.fixture
def command(place: Place, options: dict[str, str], tmp_path: Path) -> list[str]:
    """``polygraph test etcd`` there, with every fault that is possible there at once."""
    plans, schedule = possible(place.provider), tmp_path / "all-at-once.jsonl"
    lines = [
        {"fault": fault, "at_s": 0.5, "lasts_s": 60.0, "plan": plan}
        for fault, plan in plans.items()
    ]
    schedule.write_text("".join(json.dumps(line) + "\n" for line in lines))
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--provider", place.provider]
    argv += ["--time-limit", "60", "--nemesis", ",".join(plans), "--schedule", str(schedule)]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", value]
    return [*argv, "--store", str(tmp_path / "store")]


def test_all_are_at_once_where_there_are_queues_and_all_but_one_elsewhere() -> None:
    for provider in ("local:root", "local:userns", "docker"):
        assert set(possible(provider)) == {"kill", "pause", "clock", "partition", "packet"}
    for provider in ("local:plain", "ssh"):
        assert set(possible(provider)) == {"kill", "pause", "clock", "partition"}


@pytest.mark.parametrize("who", ["front", "run process", "both"])
def test_all_is_as_it_was_after_heal(
    place: Place, options: dict[str, str], command: list[str], tmp_path: Path, who: str
) -> None:
    machine, store = Machine(tmp_path, options), tmp_path / "store"
    before, ahead_s = machine.snapshot(), wall_ahead_s()
    front = subprocess.Popen(command, env=machine.environment(), stderr=subprocess.DEVNULL)
    run_dir, registered = in_the_middle(store, front, len(possible(place.provider)))
    first = os.pidfd_open(registered.reaper.pid)
    if who != "front":
        signal.pidfd_send_signal(first, signal.SIGKILL)
    if who != "run process":
        front.kill()
    status = front.wait(WAIT_S)
    wait_for_end(first)
    assert status == (3 if who == "run process" else -signal.SIGKILL)
    said = {name: value for name, value in options.items() if name == "ssh_config"}
    assert heal(store, said) == []
    assert heal(store, said) == []
    assert unhealed(read_ledger(run_dir / "faults.jsonl")) == []
    assert not registration.path(run_dir).exists()
    assert list(run_dir.glob("nodes/*/data")) == []
    # Whoever waited for the first process ends behind it, and heal need not wait for that.
    until(lambda: machine.processes() == before["processes"])
    assert machine.snapshot() == before
    assert abs(wall_ahead_s() - ahead_s) < 60.0  # the fault's is an hour


def wall_ahead_s() -> float:
    """Of the time since the machine began: another figure where its clock was set."""
    return time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()


def until(holds: Callable[[], bool]) -> None:
    """Wait until it is so, or the time is over: what is compared next tells the difference."""
    deadline = time.monotonic() + WAIT_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


def in_the_middle(
    store: Path, front: subprocess.Popen[bytes], number: int
) -> tuple[Path, Registration]:
    """Wait until so many faults are in force; the run's folder and registration."""
    deadline, said = time.monotonic() + WAIT_S, Counter[str]()
    while time.monotonic() < deadline:
        assert front.poll() is None, "the run ended by itself"
        for run_dir in (path.parent for path in store.glob("*/*/*/cluster.json")):
            registered = registration.read(run_dir)
            said = Counter(entry.event for entry in read_ledger(run_dir / "faults.jsonl"))
            if registered is not None and said["injected"] == number:
                assert not said["heal"]
                return run_dir, registered
        time.sleep(0.05)
    raise TimeoutError(f"not all faults came to be in force: {dict(said)}")


def wait_for_end(pidfd: int) -> None:
    """Until that process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(WAIT_S * 1000), "the run goes on without its front"
    os.close(pidfd)
