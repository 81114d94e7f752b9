"""Faults on daemons that run on hosts already, over real ssh: done, proved, and undone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.leftovers import heal
from harness.cluster.ssh.connection import connect
from harness.cluster.ssh.hosts import hosts_of
from harness.errors import SetupError, UsageError
from harness.history.faults import unhealed
from harness.history.ledger import read_ledger
from harness.linux.identity import is_running
from harness.plugins import Registry
from harness.run.front import run
from harness.run.scenario import resolve
from harness.store import registration
from systems.etcd.install import find_binary
from tests.harness.cluster.ssh.lab import standing
from tests.toys.their_etcd import etcd_argv

pytestmark = [pytest.mark.cluster, pytest.mark.root]

WAIT_S = 60.0
NAMES = ("n1", "n2", "n3")
ADDRESSES = {f"10.77.0.{number}": f"m{number}" for number in (1, 2, 3)}
LOOK = """
nft list ruleset
ls -A /var/tmp/polygraph-* 2>/dev/null
pid=$(cat {pidfile})
grep '^TracerPid' /proc/$pid/status
grep -c '^State:.[Tt]' /proc/$pid/status
python3 -c 'import sys
for line in open("/proc/%s/maps" % sys.argv[1]):
    if line.endswith("[vdso]\\n"):
        begin, end = (int(word, 16) for word in line.split()[0].split("-"))
with open("/proc/%s/mem" % sys.argv[1], "rb") as memory:
    memory.seek(begin)
    print(hash(memory.read(end - begin)))' $pid
ps -eo comm= | grep -c '^etcd'
ps -eo args= | grep -c '[k]eeper.main'
"""


@dataclass
class Theirs:
    """Hosts with an etcd on each. ``options`` are those of the ssh provider."""

    options: dict[str, str]
    folder: Path

    def start_command(self) -> str:
        """What starts the member of whatever host it is run on."""
        return f"sh {self.folder}/start"

    def on_all(self, argv: list[str]) -> dict[str, str]:
        """What a command says on each host, as if it were typed there."""
        lines = [[n, a, None] for n, a in zip(NAMES, ADDRESSES, strict=True)]
        facts: dict[str, Any] = {"hosts": lines, **self.options, "host_dir": ""}
        said = {}
        for host in hosts_of(facts):
            connection = connect(host)
            channel = connection.execute("command.py", {"argv": argv, "limit_s": 20}, 30.0)
            said[host.node] = connection.answer(channel)[0]["said"]
            connection.close()
        return said

    def state(self) -> dict[str, str]:
        """All that a run could leave changed of each host."""
        pidfile = f"{self.folder}/$(hostname).pid"
        return self.on_all(["env", "PYTHONHASHSEED=0", "sh", "-c", LOOK.format(pidfile=pidfile)])

    def pids(self) -> dict[str, str]:
        """The members' process numbers."""
        return {name: (self.folder / f"{name}.pid").read_text().strip() for name in NAMES}


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    """Hosts on which somebody has started etcd, the test's network being theirs."""
    with standing(tmp_path, NAMES) as options:
        found = Theirs(options, tmp_path / "theirs")
        found.folder.mkdir()
        cases = []
        for name, at in zip(NAMES, ADDRESSES, strict=True):
            member = etcd_argv(find_binary(), at, ADDRESSES, f"{found.folder}/{name}")
            cases.append(f"{name}) set -- {' '.join(member)};;")
        lines = ["cd /", "case $(hostname) in", *cases, "esac"]
        lines += [f'setsid "$@" >>{found.folder}/$(hostname).log 2>&1 </dev/null &']
        lines += [f"echo $! >{found.folder}/$(hostname).pid"]
        (found.folder / "start").write_text("\n".join([*lines, ""]))
        found.on_all(["sh", f"{found.folder}/start"])
        yield found


def command(theirs: Theirs, store: Path, *more: str) -> list[str]:
    argv = [sys.executable, "-m", "harness.cli.main", "test", "etcd", "--provider", "ssh"]
    for name, value in theirs.options.items():
        argv += [f"--{name.replace('_', '-')}", value]
    argv += ["--store", str(store), "--seed", "4", "--rate", "100", "--op-timeout", "1", "--yes"]
    return [*argv, "--start-command", theirs.start_command(), *more]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(__file__).parents[5]), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


SCHEDULE = """
{"at_s": 4, "fault": "partition", "lasts_s": 6}
{"at_s": 1, "fault": "clock", "lasts_s": 9}
{"at_s": 5.5, "fault": "kill", "lasts_s": 3}
{"at_s": 11, "fault": "pause", "lasts_s": 2}
"""
FEW = ["--partition-targets", "halves", "--kill-targets", "one", "--clock-targets", "majority"]


def test_all_faults_beside_each_other_bite_are_healed_and_leave_nothing(
    theirs: Theirs, tmp_path: Path
) -> None:
    before, pids = theirs.state(), theirs.pids()
    (tmp_path / "schedule.jsonl").write_text(SCHEDULE)
    more = ["--schedule", str(tmp_path / "schedule.jsonl"), "--time-limit", "14", "--json"]
    more += ["--server-logs", f"file:{theirs.folder}/{{node}}.log"]
    argv = command(theirs, tmp_path / "store", "--attach", *FEW, *more)
    done = subprocess.run(argv, env=environment(), capture_output=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    verdict = json.loads(done.stdout)
    assert verdict["provider"] == "ssh:attach"
    once = dict.fromkeys(("injected", "bit", "healed"), 1)
    assert verdict["faults"] == dict.fromkeys(("kill", "pause", "partition", "clock"), once)
    warning = done.stderr.decode()
    for pid, at in zip(pids.values(), ADDRESSES, strict=True):
        assert f"(pid {pid}) on root@{at}:22" in warning
    assert theirs.state() == before
    [ledger] = (tmp_path / "store").glob("*/*/*/faults.jsonl")
    [killed] = [e for e in read_ledger(ledger) if e.fault == "kill" and e.event == "intend"]
    others = {name for name, pid in theirs.pids().items() if pid != pids[name]}
    assert others == set(killed.targets)
    logs = {path.parent.name: path.read_text() for path in ledger.parent.glob("nodes/*/etcd.log")}
    assert set(logs) == set(NAMES)
    for name in killed.targets:  # of its new life alone: that of before the run is not there
        assert logs[name].count("starting an etcd server") == 1
    milestones = (ledger.parent / "evidence/milestones.jsonl").read_text().splitlines()
    assert set(killed.targets) <= {json.loads(line)["node"] for line in milestones}


@pytest.mark.parametrize("keepers_too", [False, True])
def test_what_a_killed_run_left_is_undone_by_heal(
    theirs: Theirs, tmp_path: Path, keepers_too: bool
) -> None:
    before = theirs.state()
    store = tmp_path / "store"
    faults = ["--nemesis", "pause,partition,clock", "--nemesis-interval", "1"]
    argv = command(theirs, store, "--attach", "program:etcd", *faults)
    argv += ["--nemesis-duration", "20s", "--time-limit", "60"]
    front = subprocess.Popen(argv, env=environment(), stderr=subprocess.DEVNULL)
    run_dir = in_the_middle(store)
    registered = registration.read(run_dir)
    assert registered is not None
    assert theirs.state() != before
    front.kill()
    os.kill(registered.reaper.pid, signal.SIGKILL)
    front.wait(WAIT_S)
    while is_running(registered.reaper):
        time.sleep(0.02)
    if keepers_too:
        theirs.on_all(["pkill", "-KILL", "-f", "keeper.main"])
    assert heal(store, {"ssh_config": theirs.options["ssh_config"]}) == []
    assert theirs.state() == before
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


def test_what_cannot_be_found_or_started_again_is_refused_and_nothing_is_made(
    theirs: Theirs, tmp_path: Path
) -> None:
    before = theirs.state()

    def outcome(**more: Any) -> Any:
        table: Mapping[str, Any] = {"system": "etcd", "provider": "ssh", **theirs.options}
        asked = resolve({**table, "time_limit": 5.0, "nemesis_interval": 1.0, **more}, Registry())
        return run(asked, tmp_path / "store", lambda e: None, Registry(), lambda warning: True)

    with pytest.raises(SetupError, match="nothing runs here that listens at port 4001") as refused:
        outcome(attach="port:4001")
    for name, at in zip(NAMES, ADDRESSES, strict=True):
        assert f"{name}: root@{at}" in str(refused.value)
    with pytest.raises(UsageError, match="way to find it called 'prot'; did you mean port"):
        outcome(attach="prot:2379")
    ended = outcome(attach="port:2379", nemesis=["kill"])
    assert (ended.exit_code, "--start-command" in ended.message) == (4, True)
    assert "nobody says who starts again what was ended on n1 n2 n3" in ended.message
    assert theirs.state() == before
