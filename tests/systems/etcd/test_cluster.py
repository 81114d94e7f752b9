"""Real etcd members on loopback addresses of their own, through the system and its client."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from harness.errors import SetupError
from systems.etcd import Etcd
from systems.etcd.client import EtcdClient
from tests.toys import loopback_cluster
from tests.toys.loopback_cluster import Running, tear_down

pytestmark = pytest.mark.cluster


def leader_of(running: Running) -> str:
    """Who leads, once it is one: a busy member may not say so in time."""
    deadline = time.monotonic() + 60.0
    while len(found := running.system.primaries(running.stage)) != 1:
        assert time.monotonic() < deadline, f"leaders: {found}"
        time.sleep(0.05)
    return str(found[0])


def bring_up(folder: Path, count: int, options: Mapping[str, Any]) -> Running:
    return loopback_cluster.bring_up(Etcd(options), folder, count)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = bring_up(tmp_path_factory.mktemp("single"), 1, {})
    yield running
    tear_down(running)


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Running]:
    running = bring_up(tmp_path, 3, {})
    yield running
    tear_down(running)


def test_a_register_reads_what_was_written_and_none_before(single: Running) -> None:
    async def work(client: EtcdClient) -> list[Any]:
        before = await client.read("plain")
        await client.write("plain", 7)
        return [before, await client.read("plain")]

    assert single.do(work) == [None, 7]


def test_compare_and_set_is_true_only_where_the_old_value_stood(single: Running) -> None:
    async def work(client: EtcdClient) -> list[Any]:
        created = await client.compare_and_set("cas", None, 1)
        again = await client.compare_and_set("cas", None, 2)
        wrong = await client.compare_and_set("cas", 5, 6)
        right = await client.compare_and_set("cas", 1, 3)
        return [created, again, wrong, right, await client.read("cas")]

    assert single.do(work) == [True, False, False, True, 3]


def test_keys_and_values_keep_their_json_type(single: Running) -> None:
    async def work(client: EtcdClient) -> list[Any]:
        await client.write(1, "text")
        await client.write("1", 1.5)
        await client.write("umlaut ü", True)
        return [await client.read(1), await client.read("1"), await client.read("umlaut ü")]

    assert single.do(work) == ["text", 1.5, True]


def test_a_transaction_reads_one_snapshot_and_its_own_puts(single: Running) -> None:
    async def work(client: EtcdClient) -> list[Any]:
        await client.write("a", 1)
        await client.write("b", 1)
        transaction = await client.begin()
        first = await transaction.get("a")
        await client.write("b", 2)  # after the snapshot
        await transaction.put("c", 9)
        rest = await transaction.get_many(["b", "c", "absent"])
        await transaction.abort()
        return [first, dict(rest), await client.read("c")]

    assert single.do(work) == [1, {"b": 1, "c": 9, "absent": None}, None]


def test_a_transaction_whose_read_was_overwritten_fails_and_puts_nothing(single: Running) -> None:
    async def work(client: EtcdClient) -> list[Any]:
        await client.write("x", 1)
        transaction = await client.begin()
        await transaction.get("x")
        await client.write("x", 2)
        await transaction.put("y", 1)
        with pytest.raises(Failed, match="conflict"):
            await transaction.commit()
        return [await client.read("x"), await client.read("y")]

    assert single.do(work) == [2, None]


def test_a_transaction_that_saw_an_absent_key_fails_once_it_exists(single: Running) -> None:
    async def work(client: EtcdClient) -> Any:
        transaction = await client.begin()
        await transaction.get("new")
        await client.write("new", 1)
        await transaction.put("new", 2)
        with pytest.raises(Failed, match="conflict"):
            await transaction.commit()
        return await client.read("new")

    assert single.do(work) == 1


def test_transactions_commit_reads_and_puts_together(single: Running) -> None:
    async def work(client: EtcdClient) -> list[Any]:
        for _ in range(3):
            transaction = await client.begin()
            count = await transaction.get("count") or 0
            await transaction.put("count", count + 1)
            await transaction.put("twin", count + 1)
            await transaction.commit()
        blind = await client.begin()
        await blind.put("twin", 10)
        await blind.commit()
        return [await client.read("count"), await client.read("twin")]

    assert single.do(work) == [3, 10]


def test_too_many_puts_are_refused_by_etcd_itself(single: Running) -> None:
    async def work(client: EtcdClient) -> Any:
        transaction = await client.begin()
        for number in range(200):
            await transaction.put(f"many-{number}", number)
        with pytest.raises(Failed, match="too many operations in txn request"):
            await transaction.commit()
        return await client.read("many-0")

    assert single.do(work) is None


def test_the_version_and_the_leader_are_known(single: Running) -> None:
    assert re.fullmatch(r"3\.\d+\.\d+.*", single.system.versions()["etcd"])
    assert leader_of(single) == "n1"


def test_three_members_agree_and_a_new_leader_follows_a_killed_one(trio: Running) -> None:
    old = trio.cluster.node(leader_of(trio))
    others = [i for i, node in enumerate(trio.cluster.nodes) if node is not old]
    trio.do(lambda client: client.write("kept", 1), node=others[0])
    old.daemons[-1].signal(signal.SIGKILL)
    old.daemons[-1].wait(60.0)
    trio.stage.start(old.name, "etcd")
    trio.system.ready(trio.stage, 120.0)
    assert leader_of(trio)
    assert trio.do(lambda client: client.read("kept"), node=trio.cluster.nodes.index(old)) == 1
    kinds = trio.system.log_patterns().values()
    patterns = [re.compile(pattern) for kind in kinds for pattern in kind]
    for node in trio.cluster.nodes:
        lines = (node.log_dir / "etcd.log").read_text().splitlines()
        assert lines
        assert [line for line in lines if any(p.search(line) for p in patterns)] == []


def test_without_a_quorum_a_write_is_in_doubt_and_a_read_fails(trio: Running) -> None:
    for node in trio.cluster.nodes[1:]:
        node.daemons[-1].pause()

    async def attempt(work: Callable[[EtcdClient], Awaitable[Any]]) -> type[BaseException] | None:
        client = trio.system.client(3.0)
        await client.open(trio.cluster.nodes[0].client_address)
        try:
            await work(client)
        except (Failed, Indeterminate) as error:
            return type(error)
        finally:
            await client.close()
        return None

    assert asyncio.run(attempt(lambda client: client.write("k", 1))) is Indeterminate
    assert asyncio.run(attempt(lambda client: client.read("k"))) is Failed


def test_a_member_without_quorum_still_serves_serializable_reads(trio: Running) -> None:
    trio.do(lambda client: client.write("k", 1))
    for node in trio.cluster.nodes[1:]:
        node.daemons[-1].pause()
    stale = Running(Etcd({"serializable_reads": True}), trio.cluster)
    assert stale.do(lambda client: client.read("k")) == 1


def test_not_ready_names_the_node_that_has_ended_and_its_log(trio: Running) -> None:
    second = trio.cluster.nodes[1]
    second.daemons[-1].signal(signal.SIGKILL)
    second.daemons[-1].wait(60.0)
    with pytest.raises(SetupError, match="n2") as caught:
        trio.system.ready(trio.stage, 120.0)
    assert '"level":"info"' in str(caught.value)
    assert "n1" not in caught.value.message.splitlines()[1]


def test_not_ready_in_time_names_the_paused_nodes_only(trio: Running) -> None:
    trio.cluster.nodes[2].daemons[-1].pause()
    with pytest.raises(SetupError, match="n3: timed out"):
        trio.system.ready(trio.stage, 1.0)


def test_stop_ends_a_member_also_while_it_is_paused_and_twice(single: Running) -> None:
    folder = single.cluster.nodes[0].folder.parent / "stop"
    running = bring_up(folder, 1, {})
    [node] = running.cluster.nodes
    try:
        node.daemons[-1].pause()
        running.stage.stop(node.name, "etcd")
        assert not node.daemons[-1].alive()
        running.stage.stop(node.name, "etcd")
    finally:
        tear_down(running)
