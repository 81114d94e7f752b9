"""Blocking drivers in threads: in order, one thread each, and never waited for."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from harness.contract.blocking import BlockingClient
from harness.contract.client import (
    AppendingTransaction,
    Failed,
    Indeterminate,
    Registers,
    Sets,
    Transaction,
    Transactions,
)
from harness.generator import clients, invoke, limit, repeat
from harness.history.operation import Operation
from harness.run.dispatcher import Dispatcher
from tests.harness.run.dispatching import PATIENCE_S, Memory


class Driver:
    """A register that blocks where it is told to."""

    def __init__(self, release: threading.Event | None = None) -> None:
        self.release = release or threading.Event()
        self.calls: list[tuple[str, int]] = []
        self.closed = threading.Event()
        self.entered = threading.Event()
        self.values: dict[Any, Any] = {}

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.get_ident()))

    def open(self, address: str) -> None:
        self._note(f"open {address}")

    def close(self) -> None:
        self._note("close")
        self.closed.set()

    def read(self, key: Any) -> Any:
        self._note("read")
        self.entered.set()
        if key == "hang":
            self.release.wait()
        if key == "refused":
            raise Failed("refused")
        return self.values.get(key)

    def write(self, key: Any, value: Any) -> None:
        self._note("write")
        self.values[key] = value

    def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        return False


def test_calls_run_in_one_thread_of_their_own_in_order() -> None:
    async def main() -> None:
        driver = Driver()
        client: Any = BlockingClient(driver)
        assert isinstance(client, Registers)
        await client.open("here")
        await client.write("x", 1)
        assert await client.read("x") == 1
        await client.close()
        await client.close()
        assert [what for what, _ in driver.calls] == ["open here", "write", "read", "close"]
        (thread,) = {ident for _, ident in driver.calls}
        assert thread != threading.get_ident()

    asyncio.run(main())


def test_what_the_driver_raises_comes_through() -> None:
    async def main() -> None:
        client: Any = BlockingClient(Driver())
        with pytest.raises(Failed, match="refused"):
            await client.read("refused")
        with pytest.raises(AttributeError):
            await client.no_such_method()
        await client.close()

    asyncio.run(main())


def test_a_call_that_is_given_up_keeps_its_client_and_blocks_nobody() -> None:
    async def main() -> None:
        driver = Driver()
        client: Any = BlockingClient(driver)
        call = asyncio.create_task(client.read("hang"))
        await asyncio.to_thread(driver.entered.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(Indeterminate, match="given up"):
            await client.read("x")
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        assert not driver.closed.is_set()
        driver.release.set()
        await closing
        assert [what for what, _ in driver.calls] == ["read", "close"]

    asyncio.run(main())


class TransactionalDriver(Driver):
    """A driver with transactions of its own kind; ``hang`` is a key whose read blocks."""

    def begin(self, read_only: bool = False) -> DriverTransaction:
        self._note(f"begin read_only={read_only}")
        return DriverTransaction(self)


class DriverTransaction:
    def __init__(self, driver: TransactionalDriver) -> None:
        self.driver, self.puts = driver, dict[Any, Any]()

    def get(self, key: Any) -> Any:
        return self.driver.read(key)

    def get_many(self, keys: Any) -> Any:
        return {key: self.driver.read(key) for key in keys}

    def put(self, key: Any, value: Any) -> None:
        self.driver._note("put")
        self.puts[key] = value

    def commit(self) -> None:
        self.driver._note("commit")
        self.driver.values.update(self.puts)

    def abort(self) -> None:
        self.driver._note("abort")


def test_a_client_has_the_abilities_of_its_driver_and_no_other() -> None:
    plain, whole = BlockingClient(Driver()), BlockingClient(TransactionalDriver())
    assert isinstance(plain, Registers)
    assert not isinstance(plain, Transactions)
    assert isinstance(whole, Transactions)
    assert not isinstance(whole, Sets)


def test_transactions_run_in_the_thread_of_their_client() -> None:
    async def main() -> None:
        driver = TransactionalDriver()
        client: Any = BlockingClient(driver)
        await client.open("here")
        transaction = await client.begin(read_only=True)
        assert isinstance(transaction, Transaction)
        assert not isinstance(transaction, AppendingTransaction)
        assert await transaction.get_many(["x"]) == {"x": None}
        await transaction.put("x", 1)
        await transaction.commit()
        assert await client.read("x") == 1
        await client.close()
        told = [what for what, _ in driver.calls]
        assert told == [
            "open here",
            "begin read_only=True",
            "read",
            "put",
            "commit",
            "read",
            "close",
        ]
        (thread,) = {ident for _, ident in driver.calls}
        assert thread != threading.get_ident()

    asyncio.run(main())


def test_the_transaction_of_a_client_that_was_given_up_does_nothing_more() -> None:
    async def main() -> None:
        driver = TransactionalDriver()
        client: Any = BlockingClient(driver)
        transaction = await client.begin()
        call = asyncio.create_task(transaction.get("hang"))
        await asyncio.to_thread(driver.entered.wait)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(Indeterminate, match="given up"):
            await transaction.commit()
        driver.release.set()
        await client.close()
        assert "commit" not in [what for what, _ in driver.calls]

    asyncio.run(main())


def test_a_driver_that_can_be_interrupted_is_when_it_is_closed_in_the_middle() -> None:
    class Interruptible(Driver):
        def interrupt(self) -> None:
            self.release.set()

    async def main() -> None:
        driver = Interruptible()
        client: Any = BlockingClient(driver)
        call = asyncio.create_task(client.read("hang"))
        await asyncio.to_thread(driver.entered.wait)
        call.cancel()
        await client.close()
        assert driver.closed.is_set()

    asyncio.run(main())


def test_closing_what_was_never_opened_starts_no_thread() -> None:
    before = set(threading.enumerate())
    asyncio.run(BlockingClient(Driver()).close())
    assert set(threading.enumerate()) <= before  # some of other tests may have ended meanwhile


async def read(client: Any, operation: Operation) -> Operation:
    value = await client.read(operation.value)
    return msgspec.structs.replace(operation, type="ok", value=[operation.value, value])


def test_a_hanging_driver_is_replaced_and_its_late_answer_lost() -> None:
    async def main() -> None:
        journal, hanging = Memory(), Driver()
        drivers = [hanging, Driver()]
        fresh = iter(drivers)

        def open_client() -> Any:
            return BlockingClient(next(fresh))

        dispatcher = Dispatcher(
            journal=journal,
            nodes=["a"],
            concurrency=1,
            open_client=open_client,
            invoke=read,
            op_timeout_s=PATIENCE_S,
        )
        entered = asyncio.create_task(asyncio.to_thread(hanging.entered.wait))
        entered.add_done_callback(lambda _: journal.let_pass(PATIENCE_S))
        await dispatcher.run([invoke("r", "hang"), invoke("r", "x")])
        assert [(o.process, o.type) for o in journal.records] == [
            (0, "invoke"),
            (0, "info"),
            (1, "invoke"),
            (1, "ok"),
        ]
        hanging.release.set()
        await dispatcher.close()
        assert len(journal.records) == 4
        assert all(driver.closed.wait(PATIENCE_S) for driver in drivers)

    asyncio.run(main())


def test_stuck_threads_are_capped_at_four_times_the_concurrency() -> None:
    release = threading.Event()

    async def main() -> None:
        dispatcher = Dispatcher(
            journal=Memory(),
            nodes=["a"],
            concurrency=2,
            open_client=lambda: BlockingClient(Driver(release)),  # type: ignore[arg-type]
            invoke=read,
            op_timeout_s=0.01,
        )
        before = set(threading.enumerate())
        await dispatcher.run(clients(limit(1000, repeat(invoke("r", "hang")))))
        assert dispatcher.stuck is not None
        assert len(set(threading.enumerate()) - before) <= 10
        release.set()
        await dispatcher.close()

    asyncio.run(main())
