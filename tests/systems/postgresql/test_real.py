"""The client against a real server: every way in which an operation can go wrong there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from systems.drivers.sql.client import SqlClient
from systems.postgresql.metrics import GAUGES, SQL, samples_in
from tests.systems.postgresql.real_server import PATIENCE_S, RealServer

pytestmark = pytest.mark.database

LIMIT_S = 3.0
"""Of an operation that waits in vain: all others end long before, also on a busy machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    with RealServer() as made:
        yield made


async def raised(work: Awaitable[Any]) -> Failed | Indeterminate | None:
    """What became of an operation."""
    try:
        await work
    except (Failed, Indeterminate) as error:
        return error
    return None


async def put(client: SqlClient, key: str, value: Any) -> None:
    transaction = await client.begin()
    await transaction.put(key, value)
    await transaction.commit()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_ability_does_what_it_says(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        assert await client.read("r") is None
        assert await client.compare_and_set("r", None, 1) is True
        assert await client.compare_and_set("r", None, 2) is False
        assert await client.compare_and_set("r", 1, 1) is True
        assert await client.compare_and_set("r", 2, 3) is False
        await client.write("r", 5)
        assert await client.read("r") == 5
        await client.add_to_set("s", 1)
        await client.add_to_set("s", "x")
        assert sorted(map(str, await client.read_set("s"))) == ["1", "x"]
        await client.add_to_counter("c", 3)
        await client.add_to_counter("c", -5)
        assert (await client.read_counter("c"), await client.read_counter("none")) == (-2, 0)
        await client.enqueue("q", 1)
        await client.enqueue("q", 2)
        assert [await client.dequeue("q") for _ in range(3)] == [1, 2, None]
        first, second = await client.append_to_log("l", "a"), await client.append_to_log("l", "b")
        assert first < second
        assert await client.poll_log("l", -1) == [(first, "a"), (second, "b")]
        assert await client.poll_log("l", first) == [(second, "b")]
        token = await client.acquire("m")
        assert token is not None
        assert await client.acquire("m") is None
        assert await client.release("m", token + 1) is False
        assert await client.release("m", token) is True
        assert await client.release("m", token) is False
        assert (await client.acquire("m") or 0) > token
        assert await client.generate_id() != await client.generate_id()

    server.do(work)


def test_transactions_read_write_append_scan_and_delete(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        transaction = await client.begin()
        await transaction.append("t1", 1)
        await transaction.append("t1", 2)
        await transaction.put("t2", {"a": "it's \\ ? %s"})
        assert await transaction.get_many(["t1", "t2", "t3"]) == {
            "t1": [1, 2],
            "t2": {"a": "it's \\ ? %s"},
            "t3": None,
        }
        await transaction.commit()
        transaction = await client.begin()
        assert list(await transaction.scan("t")) == ["t1", "t2"]
        await transaction.delete("t1")
        assert list(await transaction.scan("t")) == ["t2"]
        await transaction.abort()
        transaction = await client.begin(read_only=True)
        assert await transaction.get("t1") == [1, 2]
        await transaction.commit()

    server.do(work)


def test_a_change_in_a_transaction_that_only_reads_is_failed(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        transaction = await client.begin(read_only=True)
        error = await raised(transaction.put("k", 1))
        assert isinstance(error, Failed)
        assert error.error[1] == "25006"
        await put(client, "after", 1)  # on the same connection

    server.do(work)


def test_a_serialization_failure_is_failed_and_the_connection_goes_on(server: RealServer) -> None:
    async def work(first: SqlClient, second: SqlClient) -> None:
        await put(first, "skew-a", 0)
        one, other = await first.begin(), await second.begin()
        for transaction in (one, other):
            await transaction.get_many(["skew-a", "skew-b"])
        await one.put("skew-a", 1)
        await other.put("skew-b", 1)
        await one.commit()
        error = await raised(other.commit())
        assert isinstance(error, Failed)
        assert error.error[:2] == ["commit", "40001"]
        assert error.session_ended is False
        await put(second, "skew-b", 2)

    server.do(work, clients=2)


def test_a_deadlock_is_failed_for_one_and_nothing_for_the_other(server: RealServer) -> None:
    async def work(first: SqlClient, second: SqlClient) -> None:
        await put(first, "dead-a", 0)
        await put(first, "dead-b", 0)
        one, other = await first.begin(), await second.begin()
        await one.put("dead-a", 1)
        await other.put("dead-b", 1)
        errors = await asyncio.gather(raised(one.put("dead-b", 1)), raised(other.put("dead-a", 1)))
        (error,) = [each for each in errors if each is not None]
        assert isinstance(error, Failed)
        assert error.error[:2] == ["statement", "40P01"]

    server.do(work, clients=2, isolation="read-committed")


def test_a_commit_of_a_transaction_that_broke_is_answered_rollback(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        transaction = await client.begin()
        await transaction.put("broken", 1)
        # As a driver or a proxy does that hides the error of a statement.
        session = transaction._session
        assert isinstance(await raised(session.execute("SELECT 1/0", commits=False)), Failed)
        error = await raised(transaction.commit())
        assert isinstance(error, Failed)
        assert error.error == ["commit", "COMMIT was answered ROLLBACK"]
        assert await client.read("broken") is None

    server.do(work)


def test_a_statement_that_waits_too_long_is_given_up_in_time(server: RealServer) -> None:
    async def work(holder: SqlClient, waiter: SqlClient) -> None:
        await put(holder, "held", 0)
        transaction = await holder.begin()
        await transaction.put("held", 1)
        write = await raised(waiter.write("held", 2))
        assert isinstance(write, Indeterminate)
        assert write.error == ["commit", "timed out"]
        await waiter.close()

    server.do(work, clients=2, op_timeout_s=LIMIT_S, isolation="read-committed")


def test_in_a_transaction_that_is_failed(server: RealServer) -> None:
    async def work(holder: SqlClient, waiter: SqlClient) -> None:
        await put(holder, "held-2", 0)
        transaction = await holder.begin()
        await transaction.put("held-2", 1)
        error = await raised(put(waiter, "held-2", 2))
        assert isinstance(error, Failed)
        assert (error.error, error.session_ended) == (["statement", "timed out"], True)

    server.do(work, clients=2, op_timeout_s=LIMIT_S, isolation="read-committed")


def test_a_connection_that_the_server_ended_is_told_and_made_anew(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        await client.write("ended", 1)
        others = (
            "FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        server.ask(f"SELECT pg_terminate_backend(pid) {others}")
        until(lambda: server.ask(f"SELECT count(*) {others}")[0][0] == 0)
        error = await raised(client.write("ended", 2))
        assert isinstance(error, Failed)
        assert error.session_ended is True
        await client.write("ended", 3)
        assert await client.read("ended") == 3

    server.do(work)


def test_a_server_that_takes_no_writes_is_failed(server: RealServer) -> None:
    def until_it_is(word: str) -> None:
        # The server tells its processes as it reads its files, and only then makes new ones: what a
        # new one has, all have by their next statement.
        until(lambda: server.ask("SHOW default_transaction_read_only") == [(word,)])

    async def work(client: SqlClient) -> None:
        server.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        server.ask("SELECT pg_reload_conf()")
        try:
            until_it_is("on")
            error = await raised(client.write("read-only", 1))
            assert isinstance(error, Failed)
            assert error.error[1] == "25006"
        finally:
            import psycopg

            with psycopg.connect(
                host="127.0.0.1",
                port=server.port,
                user="postgres",
                autocommit=True,
                options="-c default_transaction_read_only=off",
            ) as connection:
                connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
                connection.execute("SELECT pg_reload_conf()")
            until_it_is("off")  # before anybody else asks for anything

    server.do(work)


def test_nobody_listening_is_failed() -> None:
    with RealServer() as gone:
        gone.kill()

        async def work(client: SqlClient) -> None:
            error = await raised(client.write("k", 1))
            assert isinstance(error, Failed)
            assert error.error[0] == "connect"

        gone.do(work)


def test_a_commit_whose_server_is_killed_is_indeterminate_and_may_have_happened() -> None:
    """The commit waits for a standby that does not exist; it is in the log, and survives."""
    with RealServer() as killed:
        killed.kill()
        killed.start(synchronous_standby_names="nobody")

        def kill_once_it_waits() -> None:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            until(lambda: killed.ask(waits)[0][0] == 1)
            killed.kill()

        async def work(client: SqlClient) -> None:
            with ThreadPoolExecutor(1) as beside:
                killer = beside.submit(kill_once_it_waits)
                error = await raised(put(client, "doubtful", 7))
                killer.result()
            assert isinstance(error, Indeterminate)
            assert error.error[0] == "commit"

        killed.do(work, op_timeout_s=PATIENCE_S)
        killed.start(synchronous_standby_names="")
        assert killed.ask("SELECT v FROM kv WHERE k = '\"doubtful\"'") == [("7",)]


def test_a_standby_is_no_leader_and_says_so(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        error = await raised(client.write("k", 1))
        assert isinstance(error, Failed)
        assert error.error[1] == "25006"

    with RealServer() as standby:
        standby.kill()
        (standby.data / "standby.signal").touch()
        standby.start(hot_standby="on")
        standby.do(work, isolation="read-committed")


def test_a_server_tells_its_figures(server: RealServer) -> None:
    found = {each.name: each.value for each in samples_in(server.ask(SQL))}
    assert found["client_sessions"] >= 1  # this one
    assert found["wal_position"] > 0
    assert set(found) == {gauge.name for gauge in GAUGES}
