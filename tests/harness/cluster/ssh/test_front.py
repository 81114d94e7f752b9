"""The whole command over ssh: a run of etcd, and what becomes of its hosts when the front dies."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import heal
from harness.cluster.ssh.hosts import hosts_of
from harness.cluster.ssh.link import KeeperLink
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.store import registration
from harness.store.registration import Registration
from tests.harness.cluster.ssh.lab import standing

pytestmark = [pytest.mark.cluster, pytest.mark.root]

WAIT_S = 60.0
NAMES = ("n1", "n2", "n3")
FAULTS = ["--nemesis", "partition,pause", "--nemesis-interval", "2", "--nemesis-duration", "1.9"]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Options of the ssh provider, the test's network being that of the hosts."""
    with standing(tmp_path, NAMES) as options:
        yield options


def command(options: dict[str, str], store: Path, *more: str) -> list[str]:
    """``polygraph test etcd`` on the hosts."""
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--provider", "ssh"]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", value]
    return [*argv, "--store", str(store), "--seed", "1", *FAULTS, *more]


def environment() -> dict[str, str]:
    """For a command started by a test."""
    path = os.pathsep.join([str(Path(__file__).parents[4]), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_a_run_on_hosts_is_judged_and_leaves_them_as_they_were(
    hosts: dict[str, str], tmp_path: Path
) -> None:
    argv = command(hosts, tmp_path / "store", "--time-limit", "10", "--json")
    done = subprocess.run(argv, env=environment(), capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    verdict = json.loads(done.stdout)
    assert verdict["valid"] is True
    for fault in ("partition", "pause"):
        counts = verdict["faults"][fault]
        assert counts["injected"] == counts["healed"] > 0
    [run_dir] = [path.parent for path in (tmp_path / "store").glob("*/*/*/verdict.json")]
    assert sorted(path.parent.name for path in run_dir.glob("nodes/*/etcd.log")) == list(NAMES)
    assert not registration.path(run_dir).exists()
    assert nothing_left(hosts) == dict.fromkeys(NAMES, "")


@pytest.mark.parametrize("who", ["front", "run process", "both"])
def test_whoever_is_killed_in_the_middle_of_faults_the_hosts_are_healed(
    hosts: dict[str, str], tmp_path: Path, who: str
) -> None:
    store = tmp_path / "store"
    argv = command(hosts, store, "--time-limit", "60")
    front = subprocess.Popen(argv, env=environment(), stderr=subprocess.DEVNULL)
    run_dir, registered = in_the_middle(store)
    run_fd = os.pidfd_open(registered.reaper.pid)
    if who != "front":
        signal.pidfd_send_signal(run_fd, signal.SIGKILL)
    if who != "run process":
        front.kill()
    status = front.wait(WAIT_S)
    assert is_over(run_fd), "the run process goes on without its front"
    assert status == (3 if who == "run process" else -signal.SIGKILL)
    if who == "front":
        assert not registration.path(run_dir).exists(), "it healed the hosts itself"
    assert heal(store, hosts) == []
    assert unhealed(read_ledger(run_dir / "faults.jsonl")) == []
    assert nothing_left(hosts) == dict.fromkeys(NAMES, "")


def in_the_middle(store: Path) -> tuple[Path, Registration]:
    """Wait until faults are in force; the run's folder and registration."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for run_dir in (path.parent for path in store.glob("*/*/*/cluster.json")):
            registered = registration.read(run_dir)
            injected = [e for e in read_ledger(run_dir / "faults.jsonl") if e.event == "injected"]
            if registered is not None and len(injected) >= 2:
                return run_dir, registered
        time.sleep(0.05)
    raise TimeoutError("no fault was injected")


def is_over(pidfd: int) -> bool:
    """Whether the process ends in time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = bool(poll.poll(WAIT_S * 1000))
    os.close(pidfd)
    return ended


def nothing_left(options: dict[str, str]) -> dict[str, str]:
    """What is on each host that a run could have left there, asked by ssh."""
    lines = [[name, f"10.77.0.{number}", None] for number, name in enumerate(NAMES, 1)]
    facts: dict[str, Any] = {"hosts": lines, "ssh_config": options["ssh_config"], "host_dir": ""}
    found = {}
    for host in hosts_of(facts):
        link = KeeperLink(host, "looking", "/run/looking")
        link.open()
        with contextlib.closing(link):
            look = "nft list tables; ls -A /var/tmp/polygraph-* 2>/dev/null; pgrep -l etcd"
            run = {"argv": ["sh", "-c", f"{look}; true"], "cwd": "/", "limit_s": WAIT_S}
            found[host.node] = base64.b64decode(link.ask("run", **run)["stdout"]).decode()
            assert link.ask("end")["left"] == []
    return found
