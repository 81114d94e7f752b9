"""A dispatcher with a journal in memory and clients that remember, for its tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from harness.errors import StoreError
from harness.history.operation import Operation
from harness.run.dispatcher import Dispatcher

PATIENCE_S = 60.0
"""The time-out of operations that must not run into it, however busy the machine is."""


class Memory:
    """A journal in memory that refuses what a real one refuses."""

    def __init__(self, room: int = 10**9) -> None:
        self.records: list[Operation] = []
        self.room = room
        self.start_ns = time.monotonic_ns()

    def now(self) -> int:
        return time.monotonic_ns() - self.start_ns

    def let_pass(self, seconds: float) -> None:
        """Set the clock ahead: what was begun before is older now, by that at least."""
        self.start_ns -= round(seconds * 1e9)

    def append(self, operation: Operation) -> Operation:
        if len(self.records) >= self.room:
            raise StoreError("the disk is full")
        msgspec.json.encode(operation)
        recorded = msgspec.structs.replace(operation, index=len(self.records), time=self.now())
        self.records.append(recorded)
        return recorded

    def kinds(self) -> list[tuple[Any, str, str]]:
        return [(o.process, o.type, o.f) for o in self.records]


class Client:
    """Remembers what was done with it."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.closed = 0
        self.done: list[Operation] = []

    async def open(self, address: str) -> None:
        self.addresses.append(address)

    async def close(self) -> None:
        self.closed += 1


Invoke = Callable[[Any, Operation], Coroutine[Any, Any, Any]]


async def succeed(client: Any, operation: Operation) -> Operation:
    await asyncio.sleep(0)
    client.done.append(operation)
    return msgspec.structs.replace(operation, type="ok")


class Bench:
    """A dispatcher with all that it needs, on the running loop."""

    def __init__(self, do: Invoke = succeed, *, concurrency: int = 2, **others: Any) -> None:
        self.journal = others.pop("journal", None) or Memory()
        self.opened: list[Client] = []
        make = others.pop("client", Client)
        nodes = others.pop("nodes", ["a", "b"])
        others.setdefault("op_timeout_s", PATIENCE_S)

        def open_client() -> Any:
            self.opened.append(make())
            return self.opened[-1]

        self.dispatcher = Dispatcher(
            journal=self.journal,
            nodes=nodes,
            concurrency=concurrency,
            open_client=open_client,
            invoke=do,
            **others,
        )

    async def run(self, gen: Any) -> list[Operation]:
        await self.dispatcher.run(gen)
        await self.dispatcher.close()
        return self.journal.records  # type: ignore[no-any-return]


def carried_out(gen: Any, do: Invoke = succeed, **others: Any) -> list[Operation]:
    async def main() -> list[Operation]:
        return await Bench(do, **others).run(gen)

    return asyncio.run(main())
