"""Endpoints that run already: refused early, asked first, kept apart, and left as they were."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.cluster import providers
from harness.cluster.existing.cluster import ExistingCluster
from harness.cluster.existing.provider import PROVIDER, endpoints
from harness.cluster.leftovers import heal
from harness.cluster.provider import Request
from harness.errors import NodeError, SetupError, UsageError
from harness.plugins import Registry
from harness.run.front import run
from harness.run.scenario import resolve
from harness.store import registration
from systems.etcd import Etcd, gateway
from systems.etcd.members import ask
from tests.toys.loopback_cluster import Running, bring_up, tear_down

ANOTHERS = (b"polygraph-", b'"0"', b"another's")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """An etcd that somebody started by hand, with keys in it."""
    running = bring_up(Etcd({}), tmp_path / "theirs", 1)
    for key in ANOTHERS:
        put = gateway.put_of(key, b'"theirs"')
        ask(running.cluster.nodes[0], gateway.PUT, put, gateway.PutAnswer, 10.0)
    yield running
    tear_down(running)


def held(running: Running) -> dict[bytes, bytes]:
    """Every key that it holds, but the one of the fixture's own readiness."""
    request = gateway.range_of_all(serializable=False)
    node = running.cluster.nodes[0]
    answer = ask(node, gateway.RANGE, request, gateway.RangeAnswer, 10.0)
    return {pair.key: pair.value for pair in answer.kvs if pair.key != b"polygraph-ready"}


def address(running: Running) -> str:
    return f"{running.cluster.nodes[0].address}:2379"


def as_they_were(running: Running) -> bool:
    return held(running) == dict.fromkeys(ANOTHERS, b'"theirs"')


def scenario(running: Running, **more: Any) -> Any:
    table = {"system": "etcd", "endpoint": address(running), "time_limit": 2.0, "rate": 100.0}
    return resolve({**table, "concurrency": "4", **more}, Registry())


@pytest.mark.cluster
@pytest.mark.parametrize("workload", ["register", "predicates", "watch"])
def test_a_run_on_what_runs_already_is_judged_and_leaves_what_others_have(
    running: Running, tmp_path: Path, workload: str
) -> None:
    warnings: list[str] = []
    seen: list[set[bytes]] = []

    def agrees(warning: str) -> bool:
        warnings.append(warning)
        return True

    def look(event: Mapping[str, Any]) -> None:
        if event.get("event") == "progress":
            seen.append(set(held(running)))

    asked = scenario(running, workload=workload)
    outcome = run(asked, tmp_path / "store", look, Registry(), agrees)
    assert (outcome.exit_code, outcome.message) == (0, "")
    assert outcome.verdict is not None
    assert outcome.verdict["provider"] == "none"
    assert "no fault was done" in json.dumps(outcome.verdict["health"])
    assert address(running) in warnings[0]
    own = {key for keys in seen for key in keys} - set(ANOTHERS)
    assert own
    assert all(key.startswith(b"polygraph-") and b"/" in key for key in own)
    assert as_they_were(running)
    facts = json.loads((outcome.run_dir / "evidence" / "run.json").read_text())
    assert facts["versions"]["etcd"][0] == "3"
    assert not (outcome.run_dir / "cluster.json").exists()


@pytest.mark.cluster
def test_nothing_is_made_or_written_unless_that_is_agreed_to(
    running: Running, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with pytest.raises(UsageError, match="nobody has agreed") as refused:
        run(scenario(running), store, lambda event: None, Registry())
    assert "--yes" in str(refused.value.hint)
    assert not store.exists()
    assert as_they_were(running)


def write_as(run_dir: Path, running: Running) -> None:
    """What a run in that folder would write."""
    system = Etcd({})
    cluster = ExistingCluster(run_dir, {"n1": address(running)}, system)
    cluster.adopt()
    ours = Running(system, cluster)
    ours.do(lambda client: client.write("k", 1))
    ours.do(lambda client: client.add_to_set("s", 1))
    assert len(held(running)) == len(ANOTHERS) + 2


@pytest.mark.cluster
def test_keys_of_a_killed_run_are_removed_by_its_front_or_by_heal(
    running: Running, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    run_dir = store / "etcd" / "register" / "one"
    run_dir.mkdir(parents=True)
    options = {"endpoint": address(running)}
    request = Request(provider="none", nodes=["n1"], system=Etcd({}), options=options)
    sleeps = [sys.executable, "-S", "-c", "import signal; signal.pause()"]
    process = PROVIDER.spawn(sleeps, request=request, run_dir=run_dir, pass_fds=[], env=os.environ)
    write_as(run_dir, running)
    process.kill()
    assert as_they_were(running)
    assert not registration.path(run_dir).exists()

    process = PROVIDER.spawn(sleeps, request=request, run_dir=run_dir, pass_fds=[], env=os.environ)
    write_as(run_dir, running)
    os.kill(process.run_pid, signal.SIGKILL)
    os.waitpid(process.run_pid, 0)
    registered = json.loads(registration.path(run_dir).read_text())
    registered["front"]["start_ticks"] -= 1  # whoever started it is gone
    registration.path(run_dir).write_text(json.dumps(registered))
    [left] = heal(store)
    assert "which endpoints are spoken to, only you say" in left
    assert f"heal --endpoint {address(running)}" in left
    [left] = heal(store, {"endpoint": "127.0.0.1:1"})
    assert not as_they_were(running)
    assert heal(store, {"endpoint": address(running)}) == []
    assert as_they_were(running)
    assert heal(store) == []


class Plain:
    """A system that keeps nothing apart."""

    name = "plain"


def test_faults_and_systems_that_keep_nothing_apart_are_refused_early() -> None:
    system: Any = Plain()
    asked = Request(provider="none", nodes=["n1"], system=system, options={"endpoint": "a:1"})
    with pytest.raises(UsageError, match=r"plain cannot keep what a run writes apart"):
        providers.choose(asked)
    etcd = Request(provider="none", nodes=["n1"], system=Etcd({}), faults=("kill", "pause"))
    with pytest.raises(UsageError, match=r"no fault is done .* \(kill, pause\)"):
        providers.choose(etcd)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "needs to know what runs already"),
        ("db1", "db1 is not a host and its port"),
        ("db1:70000", "not a host and its port"),
        ("a:1,a:1", "names one twice"),
        ("http://a:1", "not a host and its port"),
    ],
)
def test_what_is_no_endpoint_is_refused(text: str | None, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        endpoints(text)


def test_each_endpoint_is_a_node_and_implies_the_provider() -> None:
    table = {"system": "etcd", "endpoint": " a:1 , [::1]:2"}
    made = resolve(table, Registry())
    assert (made.provider, made.nodes, made.options["endpoint"]) == ("none", 2, "a:1,[::1]:2")
    with pytest.raises(UsageError, match="--nodes 3, but --endpoint names 2"):
        resolve({**table, "nodes": 3}, Registry())


def test_an_endpoint_that_is_silent_or_asked_for_more_says_so(tmp_path: Path) -> None:
    cluster = ExistingCluster(tmp_path, {"n1": "127.0.0.1:1"}, Etcd({}))
    with pytest.raises(SetupError, match=r"n1: nobody answers at 127\.0\.0\.1:1"):
        cluster.up()
    node = cluster.node("n1")
    assert node.reach(2379, "client") == node.client_address == "127.0.0.1:1"
    for refused in (lambda: node.start([], name="x"), lambda: node.reach(1, "peer")):
        with pytest.raises(NodeError, match=r"n1 \(127.0.0.1:1\) runs already"):
            refused()
