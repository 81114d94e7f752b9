"""A run process for ``test_etcd_in_namespaces``: five members, a cut, kills and a pause.

``python etcd_in_namespaces.py RUN_DIR MODE`` writes what it saw to ``RUN_DIR/seen.json``.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from harness.cluster.namespaces.cluster import LocalCluster
from harness.contract.client import Failed, Indeterminate
from harness.contract.system import Stage
from systems.etcd import Etcd
from systems.etcd.client import EtcdClient

NAMES = ("n1", "n2", "n3", "n4", "n5")
PATIENCE_S = 60.0
Work = Callable[[EtcdClient], Awaitable[Any]]


def through(system: Etcd, node: Any, work: Work, op_timeout_s: float = 10.0) -> Any:
    """What ``work`` gives through ``node``, or the name of what it raised."""

    async def opened() -> Any:
        client = EtcdClient(op_timeout_s, serializable_reads=system is STALE)
        await client.open(node.client_address)
        try:
            return await work(client)
        except (Failed, Indeterminate) as error:
            return type(error).__name__
        finally:
            await client.close()

    return asyncio.run(opened())


def other_leader(stage: Stage, old: str) -> str:
    """Wait until a node other than ``old`` believes that it leads; who."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        others = [name for name in stage.primaries("etcd") if name != old]
        if others:
            return others[0]
    raise RuntimeError(f"no leader but {old} within {PATIENCE_S} s")


def cut_off_the_leader(system: Etcd, stage: Stage, cluster: LocalCluster) -> dict[str, Any]:
    """Isolate the leader; what is read and written on both sides."""
    old = other_leader(stage, "")
    rest = frozenset(NAMES) - {old}
    through(system, cluster.node(old), lambda c: c.write("k", 1))
    cluster.cut({old: rest, **{name: frozenset({old}) for name in rest}})
    new = other_leader(stage, old)
    seen = {
        "majority write": through(system, cluster.node(new), lambda c: c.write("k", 2)),
        "majority read": through(system, cluster.node(new), lambda c: c.read("k")),
        "minority read": through(system, cluster.node(old), lambda c: c.read("k"), 3.0),
        "minority write": through(system, cluster.node(old), lambda c: c.write("l", 3), 3.0),
        "minority serializable read": through(STALE, cluster.node(old), lambda c: c.read("k")),
    }
    cluster.heal_cuts()
    system.ready(stage, PATIENCE_S)
    seen["healed read"] = through(system, cluster.node(old), lambda c: c.read("k"))
    return seen


def kill_two_and_pause_the_leader(system: Etcd, stage: Stage) -> None:
    """SIGKILL two members and restart them; stop the leader until there is another, continue it."""
    for name in NAMES[:2]:
        stage.daemons[name][0].signal(signal.SIGKILL)
        stage.daemons[name][0].wait(PATIENCE_S)
        stage.start(name, "etcd")
    system.ready(stage, PATIENCE_S)
    leader = other_leader(stage, "")
    stage.daemons[leader][0].signal(signal.SIGSTOP)
    other_leader(stage, leader)
    stage.daemons[leader][0].signal(signal.SIGCONT)
    system.ready(stage, PATIENCE_S)


def leave_and_join(system: Etcd, stage: Stage, way: str) -> dict[str, Any]:
    """n5 is removed, and joins again that way; what it ended with, and who was a member when."""
    node = stage.cluster.node("n5")
    system.remove_member(stage, node, PATIENCE_S)
    left = sorted(system.members(stage, 5.0))
    system.stop(stage, node)
    (daemon,) = stage.daemons_of("n5", "etcd")
    status = daemon.wait(PATIENCE_S)  # how it ended may be told later than that it did
    system.add_member(stage, node, way, PATIENCE_S)
    system.add_member(stage, node, way, PATIENCE_S)
    system.ready(stage, PATIENCE_S)
    return {"left": left, "status": status, "joined": dict(system.members(stage, 5.0))}


def last_words(system: Etcd, cluster: LocalCluster) -> list[str]:
    """Lines of the members' logs that look like a crash."""
    patterns = [re.compile(each) for kind in system.log_patterns().values() for each in kind]
    lines = [
        line
        for node in cluster.nodes
        for line in (node.log_dir / "etcd.log").read_text().splitlines()
    ]
    assert len(lines) > 100
    return [line for line in lines if any(pattern.search(line) for pattern in patterns)]


def main(run_dir: Path, mode: str) -> None:
    """Bring the cluster up, put it through everything, and write down what was seen."""
    system = Etcd({})
    cluster = LocalCluster(run_dir, NAMES, mode)
    cluster.up()
    try:
        stage = Stage(cluster, system)
        for name in NAMES:
            stage.install(name, "etcd")
            stage.start(name, "etcd")
        began = time.monotonic()
        system.ready(stage, PATIENCE_S)
        seen = {"ready_s": time.monotonic() - began, **cut_off_the_leader(system, stage, cluster)}
        seen["members"] = [leave_and_join(system, stage, way) for way in system.member_ways()]
        kill_two_and_pause_the_leader(system, stage)
        for name in NAMES[:2]:
            stage.stop(name, "etcd")
        seen["ends"] = [stage.daemons[name][0].wait(0.0) for name in NAMES[:2]]
        seen["last words"] = last_words(system, cluster)
    finally:
        cluster.down()
    (run_dir / "seen.json").write_text(json.dumps(seen))


STALE = Etcd({"serializable_reads": True})

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
