"""The client against a real server: every way in which an operation can go wrong there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.contract.client import Failed, Indeterminate
from systems.drivers.sql.client import SqlClient
from tests.systems.mariadb.real_server import RealServer
from tests.systems.postgresql.test_real import (
    LIMIT_S,
    put,
    raised,
    until,
)
from tests.systems.postgresql.test_real import (
    test_every_ability_does_what_it_says as every_ability,
)
from tests.systems.postgresql.test_real import (
    test_transactions_read_write_append_scan_and_delete as transactions,
)

pytestmark = pytest.mark.database


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    with RealServer() as made:
        yield made


def test_what_postgresql_can_do_it_can(server: RealServer) -> None:
    any_server: Any = server
    every_ability(any_server)
    transactions(any_server)


def test_a_change_in_a_transaction_that_only_reads_is_failed(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        transaction = await client.begin(read_only=True)
        error = await raised(transaction.put("k", 1))
        assert isinstance(error, Failed)
        assert error.error[1] == "1792"
        await put(client, "after", 1)

    server.do(work)


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
        assert error.error[:2] == ["statement", "1213"]

    server.do(work, clients=2, isolation="read-committed")


def test_a_row_that_is_newer_than_the_snapshot_is_refused(server: RealServer) -> None:
    async def work(first: SqlClient, second: SqlClient) -> None:
        await put(first, "snapshot", 0)
        one = await first.begin()
        await one.get("snapshot")
        await put(second, "snapshot", 1)
        error = await raised(one.put("snapshot", 2))
        assert isinstance(error, Failed)
        assert error.error[:2] == ["statement", "1020"]

    server.ask("SET GLOBAL innodb_snapshot_isolation = ON")
    try:
        server.do(work, clients=2, isolation="repeatable-read")
    finally:
        server.ask("SET GLOBAL innodb_snapshot_isolation = OFF")


def test_a_statement_that_waits_too_long_is_given_up_in_time(server: RealServer) -> None:
    async def work(holder: SqlClient, waiter: SqlClient) -> None:
        await put(holder, "held", 0)
        transaction = await holder.begin()
        await transaction.put("held", 1)
        error = await raised(waiter.write("held", 2))
        assert isinstance(error, Indeterminate)
        assert error.error == ["commit", "timed out"]
        await waiter.close()

    server.do(work, clients=2, op_timeout_s=LIMIT_S)


def test_the_servers_own_patience_with_locks_is_failed(server: RealServer) -> None:
    async def work(holder: SqlClient, waiter: SqlClient) -> None:
        await put(holder, "held-2", 0)
        transaction = await holder.begin()
        await transaction.put("held-2", 1)
        error = await raised(waiter.write("held-2", 2))
        assert isinstance(error, Failed)
        assert error.error[:2] == ["commit", "1205"]

    server.ask("SET GLOBAL innodb_lock_wait_timeout = 1")
    try:
        server.do(work, clients=2)
    finally:
        server.ask("SET GLOBAL innodb_lock_wait_timeout = 50")


def test_a_server_that_takes_no_writes_is_failed(server: RealServer) -> None:
    async def work(client: SqlClient) -> None:
        error = await raised(client.write("read-only", 1))
        assert isinstance(error, Failed)
        assert error.error[1] == "1290"

    server.ask("SET GLOBAL read_only = ON")
    try:
        server.do(work)
    finally:
        server.ask("SET GLOBAL read_only = OFF")


def test_a_connection_that_the_server_ended_is_told_and_made_anew(server: RealServer) -> None:
    others = "FROM information_schema.processlist WHERE user = 'polygraph'"

    async def work(client: SqlClient) -> None:
        await client.write("ended", 1)
        for (number,) in server.ask(f"SELECT id {others}"):
            server.ask(f"KILL CONNECTION {number}")
        until(lambda: server.ask(f"SELECT count(*) {others}")[0][0] == 0)
        error = await raised(client.write("ended", 2))
        assert isinstance(error, Failed)
        assert error.session_ended is True
        await client.write("ended", 3)
        assert await client.read("ended") == 3

    server.do(work)


def test_a_statement_whose_server_is_killed_is_indeterminate(server: RealServer) -> None:
    async def work(holder: SqlClient, writer: SqlClient) -> None:
        await put(holder, "killed", 0)
        transaction = await holder.begin()
        await transaction.put("killed", 1)
        waits = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"

        def is_waiting() -> bool:
            time.sleep(0.2)  # the table is what it was unless nobody has read it for 0.1 s
            return bool(killed.ask(waits)[0][0] == 1)

        def kill_once_it_waits() -> None:
            until(is_waiting)
            killed.kill()

        with ThreadPoolExecutor(1) as beside:
            killer = beside.submit(kill_once_it_waits)
            error = await raised(writer.write("killed", 2))
            killer.result()
        assert isinstance(error, Indeterminate)

    with RealServer() as killed:
        killed.do(work, clients=2)
        killed.start()
        assert killed.ask("SELECT v FROM kv WHERE k = '\"killed\"'") == (("0",),)
