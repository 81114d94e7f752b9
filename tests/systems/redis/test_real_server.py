"""What becomes of operations on a real Redis that refuses, is stopped, is killed."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.contract.client import Failed
from systems.drivers.resp import Refusal
from systems.redis.client import RedisClient
from systems.redis.metrics import gauges, samples
from systems.redis.places import PORT, SENTINEL_PORT

from .server import PATIENCE_S, Server, serving

pytestmark = pytest.mark.database


async def write(client: RedisClient) -> Any:
    return await client.write("k", 1)


async def read(client: RedisClient) -> Any:
    return await client.read("k")


async def change(client: RedisClient) -> Any:
    transaction = await client.begin()
    await transaction.append("k", 1)
    return await transaction.commit()


def until(server: Server, is_so: Any, *command: str) -> None:
    """Wait until the answer of ``command`` is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so(server.ask(command)[0]):
        assert time.monotonic() < deadline, server.ask(command)


@pytest.mark.parametrize(
    ("settings", "commands", "code"),
    [
        (("--min-replicas-to-write", "1"), (), "NOREPLICAS"),
        ((), (("CONFIG", "SET", "maxmemory", "1"),), "OOM"),
        ((), (("CONFIG", "SET", "requirepass", "x"),), "NOAUTH"),
        ((), (("REPLICAOF", "127.0.0.1", "1"),), "READONLY"),
    ],
)
def test_a_write_that_is_refused_has_failed_and_so_has_a_transaction(
    settings: tuple[str, ...], commands: tuple[Any, ...], code: str, tmp_path: Path
) -> None:
    with serving(tmp_path, *settings) as server:
        if commands:
            server.ask(*commands)
        stage, how, said = server.client(write)
        assert (stage, how, Refusal(said).code) == ("fail", "answer", code)
        assert server.client(change)[:2] == ("fail", "answer")


def test_a_replica_that_serves_no_stale_data_refuses_reads_without_its_primary(
    tmp_path: Path,
) -> None:
    settings = ("--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no")
    with serving(tmp_path, *settings) as server:
        assert Refusal(server.client(read)[2]).code == "MASTERDOWN"


def test_a_server_that_loads_refuses_and_says_that_it_loads(tmp_path: Path) -> None:
    with serving(tmp_path, "--enable-debug-command", "yes", "--save", "") as server:
        server.ask(("DEBUG", "POPULATE", "6000", "k", "100"), ("SAVE",))
        server.kill()
        often = ("--loading-process-events-interval-bytes", "1024")
        server.settings = ("--key-load-delay", "3000", *often, "--save", "")
        server.start()
        for work in (read, write):
            assert Refusal(server.client(work)[2]).code == "LOADING"
        assert server.client(write)[0] == "fail"


def test_while_a_script_runs_for_too_long_nothing_else_is_done(tmp_path: Path) -> None:
    with serving(tmp_path, "--busy-reply-threshold", "1") as server:
        endless = threading.Thread(target=lambda: ended(server), daemon=True)
        endless.start()
        until(server, lambda said: isinstance(said, Refusal) and said.code == "BUSY", "DBSIZE")
        assert Refusal(server.client(write)[2]).code == "BUSY"
        assert server.client(change)[0] == "fail"
        server.ask(("SCRIPT", "KILL"))
        endless.join(PATIENCE_S)


def ended(server: Server) -> None:
    server.ask(("EVAL", "while true do end", 0))


def test_what_is_no_value_of_ours_is_no_answer_and_no_success(tmp_path: Path) -> None:
    async def add(client: RedisClient) -> Any:
        return await client.add_to_set("s", 1)

    with serving(tmp_path) as server:
        server.ask(("SET", 'set/"s"', "x"), ("SET", 'register/"k"', "{]}"))
        assert Refusal(server.client(add)[2]).code == "WRONGTYPE"
        assert server.client(read)[:2] == ("fail", "answer")


def test_a_server_that_stands_still_leaves_a_write_in_doubt_and_a_read_failed(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as server:
        server.process.send_signal(signal.SIGSTOP)
        assert server.client(write, 0.5) == ("info", "sent", "timed out")
        assert server.client(read, 0.5) == ("fail", "sent", "timed out")
        server.process.send_signal(signal.SIGCONT)
        until(server, lambda said: said == b"1", "GET", 'register/"k"')  # it came late, and is done


def test_a_connection_that_the_server_kills_ends_the_session_and_sends_nothing_again(
    tmp_path: Path,
) -> None:
    async def over(client: RedisClient) -> Any:
        await client.add_to_counter("c", 1)
        await asyncio.to_thread(server.ask, ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
        with pytest.raises(Failed) as caught:
            await client.add_to_counter("c", 1)
        await client.add_to_counter("c", 1)
        return caught.value.session_ended, await client.read_counter("c")

    with serving(tmp_path) as server:
        assert server.client(over) == (True, 2)


def test_nothing_acknowledged_is_missing_after_a_kill_in_the_midst_of_writing(
    tmp_path: Path,
) -> None:
    acknowledged: list[int] = []

    async def fill(client: RedisClient) -> Any:
        for number in range(1_000_000):
            await client.add_to_set("s", number)
            acknowledged.append(number)

    settings = ("--appendonly", "yes", "--appendfsync", "always")
    with serving(tmp_path, *settings) as server:
        killer = threading.Thread(target=lambda: killed(server, acknowledged))
        killer.start()
        became = server.client(fill)
        killer.join(PATIENCE_S)
        assert became[0] in ("info", "fail")
        server.start()
        found = server.client(lambda client: client.read_set("s"))
        assert len(acknowledged) >= 100
        assert set(acknowledged) <= set(found)
        assert set(found) - set(acknowledged) <= {len(acknowledged)}  # at most the one in doubt


def killed(server: Server, acknowledged: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(acknowledged) < 100 and time.monotonic() < deadline:
        time.sleep(0.001)
    server.kill()


def test_a_transaction_whose_reads_were_overtaken_is_refused_and_changes_nothing(
    tmp_path: Path,
) -> None:
    async def overtaken(client: RedisClient) -> Any:
        transaction = await client.begin()
        await transaction.get("k")
        await asyncio.to_thread(server.client, change)
        await transaction.put("l", 1)
        with pytest.raises(Failed) as caught:
            await transaction.commit()
        later = await client.begin()
        found = await later.get_many(["k", "l"])
        await later.commit()
        return caught.value.error, found

    with serving(tmp_path) as server:
        assert server.client(overtaken) == (["answer", "conflict"], {"k": [1], "l": None})


def test_a_scan_sees_rows_come_and_is_refused_where_one_came_meanwhile(tmp_path: Path) -> None:
    async def scans(client: RedisClient) -> Any:
        transaction = await client.begin()
        before = await transaction.scan("a")
        await asyncio.to_thread(server.client, put)
        await transaction.put("b", 1)
        with pytest.raises(Failed) as caught:
            await transaction.commit()
        later = await client.begin()
        found = dict(await later.scan("a"))
        await later.delete("a1")
        left = dict(await later.scan("a"))
        await later.commit()
        return dict(before), caught.value.error, found, left

    async def put(client: RedisClient) -> Any:
        transaction = await client.begin()
        await transaction.put("a1", 7)
        await transaction.commit()

    with serving(tmp_path) as server:
        assert server.client(scans) == ({}, ["answer", "conflict"], {"a1": 7}, {})


def test_what_only_reads_is_never_overtaken_in_one_call_and_refused_where_calls_disagree(
    tmp_path: Path,
) -> None:
    async def reads(client: RedisClient) -> Any:
        first = await client.begin(read_only=True)
        found = await first.get_many(["k", "l"])
        await asyncio.to_thread(server.client, change)
        await first.commit()
        second = await client.begin(read_only=True)
        held = await second.get("k")
        again = await second.get_many(["k", "l"])
        rows = dict(await second.scan("k"))
        await asyncio.to_thread(server.client, change)
        with pytest.raises(Failed) as caught:
            await second.get("m")
        with pytest.raises(Failed, match="read alone"):
            await (await client.begin(read_only=True)).put("k", 1)
        return found, held, again, rows, caught.value.error

    with serving(tmp_path) as server:
        assert server.client(reads) == (
            {"k": None, "l": None},
            [1],
            {"k": [1], "l": None},
            {"k": [1]},
            ["answer", "conflict"],
        )


def test_a_server_tells_its_figures(tmp_path: Path) -> None:
    class Here:
        name = "n1"

        def reach(self, port: int, whom: str) -> str:
            assert port in (PORT, SENTINEL_PORT)
            return f"127.0.0.1:{server.port if port == PORT else 1}"

    here: Any = Here()
    with serving(tmp_path, "--appendonly", "yes") as server:
        found = {each.name: each.value for each in samples(here, PATIENCE_S)}
    expected = {gauge.name for gauge in gauges(appends=True, has_sentinels=False)}
    assert set(found) == expected
    assert found["blocked_clients"] == 0
    assert found["connected_clients"] == 1
