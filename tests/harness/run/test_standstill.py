"""A blocking call in an async client is named: which client, which method, where."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.contract.blocking import BlockingClient
from harness.generator import clients, invoke, limit, repeat
from harness.history.operation import Operation
from harness.run import standstill
from harness.run.hanging import hanging
from harness.run.standstill import HeldUp, Standstill
from harness.run.watchdog import Watchdog
from tests.harness.run.dispatching import PATIENCE_S, Bench, Client

pytestmark = pytest.mark.slow


class Held(Client):
    """Its reads block until somebody has seen it, in the kernel or by computing."""

    def __init__(self, seen: Callable[[], bool]) -> None:
        super().__init__()
        self.seen = seen

    async def read(self) -> None:
        here, there = socket.socketpair()
        here.settimeout(0.005)
        while not self.seen():
            try:
                here.recv(1)
            except TimeoutError:
                continue
        here.close()
        there.close()

    async def compute(self) -> None:
        while not self.seen():
            pass


def watched(do: str) -> list[HeldUp]:
    """What is told of a loop whose client is in ``do`` until that was told, or patience ends."""
    ends = time.monotonic() + PATIENCE_S

    async def main() -> list[HeldUp]:
        dog = Watchdog(PATIENCE_S, lambda seconds: None)
        looker = Standstill(dog)

        async def call(client: Any, operation: Operation) -> Operation:
            await getattr(client, do)()
            return msgspec.structs.replace(operation, type="ok")

        def seen() -> bool:
            return bool(looker.told()) or time.monotonic() > ends

        looker.start()
        try:
            bench = Bench(call, concurrency=1, watchdog=dog, client=lambda: Held(seen))
            await bench.run(invoke("r"))
        finally:
            looker.stop()
            looker.stop()
        return looker.told()

    return asyncio.run(main())


@pytest.mark.parametrize("do", ["read", "compute"])
def test_a_client_that_holds_up_the_loop_is_named_with_its_place(do: str) -> None:
    worst = watched(do)[0]
    assert worst.by.startswith(f"Held.{do}")
    assert "test_standstill.py:" in worst.at


def test_a_client_that_awaits_is_not_named() -> None:
    async def main() -> list[HeldUp]:
        dog = Watchdog(PATIENCE_S, lambda seconds: None)
        looker = Standstill(dog)

        async def call(client: Any, operation: Operation) -> Operation:
            await asyncio.sleep(0.001)
            await asyncio.to_thread(looker.look)
            return msgspec.structs.replace(operation, type="ok")

        await Bench(call, concurrency=4, watchdog=dog).run(clients(limit(100, repeat(invoke("r")))))
        return looker.told()

    assert asyncio.run(main()) == []


def test_where_a_thread_and_a_task_hang_is_told() -> None:
    release = threading.Event()

    class Driver:
        def __init__(self) -> None:
            self.entered = threading.Event()

        def open(self, target: str) -> None: ...

        def close(self) -> None: ...

        def read(self) -> None:
            self.entered.set()
            release.wait()

    async def stubborn() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        driver = Driver()
        client: Any = BlockingClient(driver)
        call = asyncio.create_task(client.read())
        await asyncio.to_thread(driver.entered.wait)
        told = hanging(client, None) or ""
        assert "Driver.read (" in told
        assert "test_standstill.py:" in told
        release.set()
        await call
        await client.close()
        assert hanging(client, None) is None
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        assert "stubborn (" in (hanging(Client(), task) or "")
        task.cancel()

    asyncio.run(main())


def test_a_machine_without_that_file_is_looked_at_by_the_beat_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standstill, "_FUTEX", None)
    assert watched("compute")[0].by.startswith("Held.compute")
