"""What real members of etcd do when they are asked, and the milestones that their logs tell."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.contract.action import Admin
from harness.contract.milestones import Milestones
from harness.evidence.milestones import compiled
from systems.etcd import Etcd
from systems.etcd.members import NotAnswered
from systems.etcd.snapshot import checked_size
from tests.toys import loopback_cluster
from tests.toys.loopback_cluster import Running, tear_down

pytestmark = pytest.mark.cluster


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Running]:
    running = loopback_cluster.bring_up(Etcd({}), tmp_path, 3)
    yield running
    tear_down(running)


def milestones(running: Running, name: str) -> list[dict[str, str]]:
    """Those in all logs by now."""
    pattern = compiled(running.system.milestones())[name]
    logs = [(node.log_dir / "etcd.log").read_text() for node in running.cluster.nodes]
    lines = [line for log in logs for line in log.splitlines()]
    return [match.groupdict() for line in lines if (match := pattern.search(line))]


def test_members_compact_defragment_and_hand_over_their_leadership(trio: Running) -> None:
    etcd, cluster, stage = trio.system, trio.cluster, trio.stage
    assert isinstance(etcd, Admin)
    assert isinstance(etcd, Milestones)
    trio.do(lambda client: client.write("x", 1))
    first = cluster.nodes[0]
    done = etcd.administer(stage, first, "compact", 30.0)
    again = etcd.administer(stage, first, "compact", 30.0)
    assert (done.is_done, again.is_done) == (True, False)
    assert "has been compacted" in again.what
    assert etcd.administer(stage, first, "defragment", 30.0).is_done
    snapshot = etcd.administer(stage, first, "snapshot", 30.0)
    assert snapshot.is_done
    assert snapshot.figures["bytes"] >= 16384

    leader = etcd.primaries(stage)[0]
    assert not etcd.administer(stage, cluster.node(leader), "move-leader", 30.0).is_done
    other = next(node for node in cluster.nodes if node.name != leader)
    moved = etcd.administer(stage, other, "move-leader", 30.0)
    assert moved.figures == {"from": leader, "to": other.name}
    deadline = time.monotonic() + 60.0
    while etcd.primaries(stage) != [other.name] or len(milestones(trio, "leader-change")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    terms = [each["term"] for each in milestones(trio, "leader-change")]
    assert len(terms) == len(set(terms))  # of each election one member tells
    assert milestones(trio, "compaction")
    assert milestones(trio, "defragmentation") == [{}]
    assert not milestones(trio, "snapshot-installed")


def test_nobody_knows_what_a_member_did_that_does_not_answer(trio: Running) -> None:
    node = trio.cluster.nodes[0]
    node.daemons[-1].signal(9)
    node.daemons[-1].wait(60.0)
    with pytest.raises(NotAnswered):
        trio.system.administer(trio.stage, node, "compact", 5.0)
    refused = trio.system.administer(trio.stage, node, "move-leader", 5.0)
    assert "does not answer" in refused.what


def test_a_snapshot_that_is_not_whole_is_none() -> None:
    pages = bytes(range(256)) * 4
    whole = pages + hashlib.sha256(pages).digest()
    assert checked_size(whole) == 1024
    for torn in (b"", whole[:-1], whole[512:], pages, whole[:5] + b"?" + whole[6:]):
        with pytest.raises(NotAnswered):
            checked_size(torn)


@pytest.mark.parametrize(
    ("name", "line", "detail"),
    [
        (
            "leader-lost",
            '{"level":"info","msg":"raft.node: 9b9d lost leader 6a63 at term 2"}',
            {"member": "9b9d", "leader": "6a63", "term": "2"},
        ),
        (
            "snapshot-installed",
            '{"level":"info","caller":"etcdserver/server.go:1214","msg":"applied snapshot",'
            '"current-snapshot-index":7008,"current-applied-index":7008}',
            {"index": "7008"},
        ),
    ],
)
def test_rare_milestones_are_known_by_lines_of_real_logs(
    name: str, line: str, detail: dict[str, str]
) -> None:
    match = compiled(Etcd({}).milestones())[name].search(line)
    assert match is not None
    assert match.groupdict() == detail
