"""A real DuckDB behind its server: conflicts, kills, and the two writes that it does not notice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from harness.contract.roles import Role
from systems.duckdb import Duckdb
from tests.toys.loopback_cluster import LoopbackCluster, LoopbackNode, Running, tear_down

pytestmark = pytest.mark.database


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[Running]:
    nodes = [LoopbackNode("n1", "127.44.0.1", tmp_path / "n1")]
    running = Running(Duckdb({}), LoopbackCluster(nodes))
    running.system.install(nodes[0], "duckdb")
    running.stage.start("n1", "duckdb")
    running.system.ready(running.stage, 60.0)
    yield running
    tear_down(running)


async def opened(running: Running, op_timeout_s: float = 10.0) -> Any:
    client = running.system.client(op_timeout_s)
    await client.open(running.cluster.nodes[0].reach(5433, "client"))
    return client


async def outcome(call: Any) -> Any:
    """What a call gave, or the name of what became of it, with the error's name."""
    try:
        return await call
    except (Failed, Indeterminate) as error:
        return type(error).__name__, error.error[1]


CONFLICT = ("Failed", "TransactionException")


def test_every_ability_does_what_the_contract_says(duck: Running) -> None:
    async def work() -> None:
        one, two = await opened(duck), await opened(duck)
        assert await one.read("k") is None
        assert await one.compare_and_set("k", None, 1)
        assert not await one.compare_and_set("k", None, 4)
        assert await two.compare_and_set("k", 1, 2)
        assert await one.read("k") == 2
        for element in (1, 2, 2):
            await one.add_to_set("s", element)
            await one.add_to_counter("c", element)
            await one.enqueue("q", element)
        assert sorted(await two.read_set("s")) == [1, 2]
        assert [await two.read_counter("c"), await two.read_counter("d")] == [5, 0]
        assert [await two.dequeue("q") for _ in range(4)] == [1, 2, 2, None]
        assert [await one.append_to_log("l", value) for value in "ab"] == [0, 1]
        assert await two.poll_log("l", 0) == [(1, "b")]
        token = await one.acquire("x")
        assert token is not None
        assert await two.acquire("x") is None
        assert not await two.release("x", token + 1)
        assert await two.release("x", token)
        assert (await two.acquire("x") or 0) > token
        assert len({await each.generate_id() for each in (one, two, one)}) == 3

    asyncio.run(work())


def test_a_transaction_sees_one_state_and_its_own_changes(duck: Running) -> None:
    async def work() -> None:
        one, two = await opened(duck), await opened(duck)
        setup = await one.begin()
        await setup.put("p-a", 1)
        await setup.append("list", 1)
        await setup.append("list", 2)
        await setup.commit()
        view = await two.begin()
        assert await view.get("list") == [1, 2]
        await one.write("p-b", 2)
        assert await view.scan("p-") == {"p-a": 1}
        await view.delete("p-a")
        assert await view.scan("p-") == {}
        await view.abort()
        assert await one.read("p-a") == 1

    asyncio.run(work())


def test_who_changes_what_another_has_changed_fails_and_goes_on_afterwards(duck: Running) -> None:
    async def work() -> None:
        one, two = await opened(duck), await opened(duck)
        await one.write("k", 0)
        mine, yours = await one.begin(), await two.begin()
        await mine.put("k", 1)
        assert await outcome(yours.put("k", 2)) == CONFLICT
        assert await outcome(two.write("k", 3)) == CONFLICT
        await mine.commit()
        await two.write("k", 4)
        assert await one.read("k") == 4

    asyncio.run(work())


def test_a_key_made_twice_is_refused_at_the_commit_which_certainly_failed(duck: Running) -> None:
    async def work() -> None:
        one, two = await opened(duck), await opened(duck)
        mine, yours = await one.begin(), await two.begin()
        await mine.put("new", 1)
        await yours.put("new", 2)
        await mine.commit()
        assert await outcome(yours.commit()) == CONFLICT
        assert await two.read("new") == 1

    asyncio.run(work())


def test_an_update_and_a_delete_of_one_row_both_commit(duck: Running) -> None:
    """The finding, https://github.com/duckdb/duckdb/issues/17223, in its smallest form."""

    async def work() -> Any:
        one, two = await opened(duck), await opened(duck)
        await one.write("k", 0)
        mine, yours = await one.begin(), await two.begin()
        assert await mine.get("k") == await yours.get("k") == 0
        await mine.delete("k")
        await yours.put("k", 7)
        await mine.commit()
        await yours.commit()
        return await one.read("k")

    assert asyncio.run(work()) is None  # 7 was acknowledged after the deletion


def test_a_server_killed_under_a_commit_leaves_doubt_and_all_or_nothing(duck: Running) -> None:
    async def work() -> Any:
        one = await opened(duck)
        await one.write("before", 1)
        transaction = await one.begin()
        for key in range(20):
            await transaction.put(key, key)
        duck.cluster.nodes[0].daemons[-1].pause()
        commit = asyncio.create_task(outcome(transaction.commit()))
        await asyncio.sleep(0)
        duck.cluster.nodes[0].daemons[-1].signal(signal.SIGKILL)
        return await commit

    kind, why = asyncio.run(work())
    assert kind == "Indeterminate", why
    duck.cluster.nodes[0].daemons[-1].wait(10.0)
    duck.stage.start("n1", "duckdb")
    duck.system.ready(duck.stage, 60.0)

    async def left() -> Any:
        client = await opened(duck)
        view = await client.begin(read_only=True)
        found = await view.get_many(range(20))
        await view.commit()
        return await client.read("before"), sum(value is not None for value in found.values())

    before, count = asyncio.run(left())
    assert before == 1
    assert count in (0, 20)


def test_it_stops_politely_and_one_node_alone_serves(duck: Running) -> None:
    duck.system.stop(duck.stage, duck.cluster.nodes[0], "duckdb")
    status = duck.cluster.nodes[0].daemons[-1].exit_status()
    assert status in duck.system.stop_statuses("duckdb")
    assert duck.system.roles(["n1", "n2"]) == (Role(name="duckdb", nodes=("n1",)),)
