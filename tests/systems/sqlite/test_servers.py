"""Real servers over one file: what becomes of an operation when a lock or a process is gone."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from harness.errors import NotReady
from systems.drivers.embedded import members
from systems.sqlite import Sqlite
from tests.toys.loopback_cluster import Running, bring_up, tear_down

pytestmark = pytest.mark.database

ROLLBACK = {"journal_mode": "delete", "busy_timeout": 0.05}
WAL = {"journal_mode": "wal", "busy_timeout": 0.05}


def running(folder: Path, options: dict[str, Any], count: int = 2) -> Iterator[Running]:
    found = bring_up(Sqlite(options), folder, count)
    yield found
    tear_down(found)


@pytest.fixture(params=[WAL, ROLLBACK], ids=["wal", "rollback"])
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    yield from running(tmp_path, request.param)


async def opened(running: Running, node: int = 0, op_timeout_s: float = 10.0) -> Any:
    client = running.system.client(op_timeout_s)
    await client.open(running.cluster.nodes[node].reach(members.PORT, "client"))
    return client


async def outcome(call: Any) -> Any:
    """What a call gave, or the name of what became of it, with the error's name."""
    try:
        return await call
    except (Failed, Indeterminate) as error:
        return type(error).__name__, error.error[1]


def daemon(running: Running, node: int = 0) -> Any:
    return running.cluster.nodes[node].daemons[-1]


def restart(running: Running, node: int = 0) -> None:
    running.stage.start(running.cluster.nodes[node].name, "sqlite")
    running.system.ready(running.stage, 60.0)


def file_of(running: Running) -> Path:
    return Path(running.cluster.nodes[0].log_dir) / "data" / "held.db"


def test_every_ability_does_what_the_contract_says(pair: Running) -> None:
    async def work() -> None:
        one, two = await opened(pair), await opened(pair, 1)
        assert await one.read("k") is None
        assert await one.compare_and_set("k", None, 1)
        assert not await one.compare_and_set("k", 3, 4)
        assert await two.compare_and_set("k", 1, 2)
        assert await one.read("k") == 2
        await one.write(1, "text")
        await one.write("1", True)
        assert [await two.read(1), await two.read("1")] == ["text", True]
        for element in (1, 2, 2):
            await one.add_to_set("s", element)
            await one.add_to_counter("c", element)
            await one.enqueue("q", element)
        assert sorted(await two.read_set("s")) == [1, 2]
        assert await two.read_set("t") == []
        assert await two.read_counter("c") == 5
        assert await two.read_counter("d") == 0
        assert [await two.dequeue("q") for _ in range(4)] == [1, 2, 2, None]
        assert [await one.append_to_log("l", value) for value in "ab"] == [0, 1]
        assert await one.append_to_log("m", "c") == 0
        assert await two.poll_log("l", -1) == [(0, "a"), (1, "b")]
        assert await two.poll_log("l", 0) == [(1, "b")]
        token = await one.acquire("x")
        assert token
        assert await two.acquire("x") is None
        assert not await two.release("x", token + 1)
        assert await two.release("x", token)
        assert (await two.acquire("x") or 0) > token
        assert len({await each.generate_id() for each in (one, two, one)}) == 3

    asyncio.run(work())


def test_a_transaction_sees_one_state_and_its_own_changes(pair: Running) -> None:
    async def work() -> None:
        one, two = await opened(pair), await opened(pair, 1)
        setup = await one.begin()
        for key, value in (("p-a", 1), ("p-b", 2), ("q", 3)):
            await setup.put(key, value)
        await setup.append("list", 1)
        await setup.append("list", 2)
        await setup.commit()
        mine = await two.begin()
        assert await mine.scan("p-") == {"p-a": 1, "p-b": 2}
        await mine.delete("p-a")
        await mine.put("p-c", 9)
        assert await mine.scan("p-") == {"p-b": 2, "p-c": 9}
        assert await mine.get_many(["p-a", "q", "list"]) == {"p-a": None, "q": 3, "list": [1, 2]}
        await mine.abort()
        view = await one.begin(read_only=True)
        assert await view.scan("p-") == {"p-a": 1, "p-b": 2}
        await view.commit()

    asyncio.run(work())


def test_who_waits_too_long_for_the_lock_fails_and_goes_on_afterwards(pair: Running) -> None:
    async def work() -> None:
        one, two = await opened(pair), await opened(pair, 1)
        holder = await one.begin()
        await holder.put("k", 1)
        assert await outcome(two.write("k", 2)) == ("Failed", "SQLITE_BUSY")
        assert await outcome(two.begin()) == ("Failed", "SQLITE_BUSY")
        await holder.commit()
        assert await two.read("k") == 1
        await two.write("k", 2)
        assert await one.read("k") == 2

    asyncio.run(work())


def test_a_snapshot_that_grew_old_cannot_write(tmp_path: Path) -> None:
    async def work(pair: Running) -> None:
        one, two = await opened(pair), await opened(pair, 1)
        stale = await one.begin()
        assert await stale.get("k") is None
        await two.write("k", 1)
        assert await stale.get("k") is None
        assert await outcome(stale.put("k", 2)) == ("Failed", "SQLITE_BUSY_SNAPSHOT")
        assert await one.read("k") == 1

    for found in running(tmp_path, {**WAL, "begin": "deferred"}):
        asyncio.run(work(found))


def test_a_commit_that_readers_keep_out_has_certainly_not_happened(tmp_path: Path) -> None:
    async def work(pair: Running) -> None:
        one, two = await opened(pair), await opened(pair, 1)
        reader = await one.begin(read_only=True)
        assert await reader.get("k") is None
        writer = await two.begin()
        await writer.put("k", 1)
        assert await outcome(writer.commit()) == ("Failed", "SQLITE_BUSY")
        assert await reader.get("k") is None
        await reader.commit()
        assert await two.read("k") is None

    for found in running(tmp_path, ROLLBACK):
        asyncio.run(work(found))


def test_a_server_killed_under_a_commit_leaves_doubt_and_a_file_that_is_whole(
    pair: Running,
) -> None:
    async def work() -> Any:
        one = await opened(pair)
        transaction = await one.begin()
        for key in range(300):
            await transaction.put(key, key)
        daemon(pair).pause()
        commit = asyncio.create_task(outcome(transaction.commit()))
        await asyncio.sleep(0)
        daemon(pair).signal(signal.SIGKILL)
        return await commit

    kind, why = asyncio.run(work())
    assert kind == "Indeterminate", why
    restart(pair)
    (whole,) = sqlite3.connect(file_of(pair)).execute("PRAGMA integrity_check").fetchone()
    assert whole == "ok"

    async def count() -> int:
        view = await (await opened(pair, 1)).begin(read_only=True)
        return sum(value is not None for value in (await view.get_many(range(300))).values())

    assert asyncio.run(count()) in (0, 300)


def test_before_its_commit_a_lost_transaction_has_failed_and_is_rolled_back(pair: Running) -> None:
    async def work() -> None:
        one = await opened(pair)
        transaction = await one.begin()
        await transaction.put("k", 1)
        daemon(pair).signal(signal.SIGKILL)
        daemon(pair).wait(10.0)
        failed = outcome(transaction.put("l", 1))
        assert await failed == ("Failed", "the connection was lost")
        assert await (await opened(pair, 1)).read("k") is None

    asyncio.run(work())


def test_a_paused_server_leaves_a_write_in_doubt_and_fails_a_read(pair: Running) -> None:
    async def work() -> list[Any]:
        reader, writer = await opened(pair, 0, 0.3), await opened(pair, 0, 0.3)
        await writer.write("k", 1)
        assert await reader.read("k") == 1
        daemon(pair).pause()
        found = [await outcome(reader.read("k")), await outcome(writer.write("k", 2))]
        daemon(pair).signal(signal.SIGCONT)
        return found

    assert asyncio.run(work()) == [("Failed", "timed out"), ("Indeterminate", "timed out")]


def test_a_broken_file_is_told_in_the_log(tmp_path: Path) -> None:
    async def work(pair: Running) -> Any:
        one = await opened(pair)
        for key in range(200):
            await one.write(key, "x" * 200)
        await one.close()
        path = file_of(pair)
        pages = bytearray(path.read_bytes())
        for at in range(4096, len(pages), 4096):
            pages[at : at + 64] = b"\xff" * 64
        path.write_bytes(pages)
        return await outcome((await opened(pair)).read(7))

    for found in running(tmp_path, ROLLBACK, 1):
        kind, why = asyncio.run(work(found))
        assert (kind, why) == ("Failed", "SQLITE_CORRUPT")
        deadline = time.monotonic() + 10
        log = Path(found.cluster.nodes[0].log_dir) / "sqlite.log"
        while "SQLITE_CORRUPT" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_server_that_ended_is_named_with_its_status(pair: Running) -> None:
    daemon(pair, 1).signal(signal.SIGKILL)
    daemon(pair, 1).wait(10.0)
    with pytest.raises(NotReady, match="n2: its server ended with status -9"):
        pair.system.ready(pair.stage, 10.0)


def test_it_stops_politely(pair: Running) -> None:
    pair.system.stop(pair.stage, pair.cluster.nodes[0])
    assert daemon(pair).exit_status() in pair.system.stop_statuses()


def test_the_server_answers_what_is_no_statement(pair: Running) -> None:
    with pytest.raises(members.NotAnswered, match="syntax error"):
        members.ask(pair.cluster.nodes[0], [("SELEKT", [])])
