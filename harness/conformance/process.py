"""One process of the real dispatcher, so that what is judged is what a history would hold."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import structs

from harness.contract.client import SystemClient, Target
from harness.generator import invoke
from harness.history.operation import OK, Operation
from harness.run.dispatcher import Dispatcher

ClientFactory = Callable[[float], SystemClient]
"""From the operation's time-out in seconds to a client that is not yet open."""

Call = Callable[[Any], Awaitable[Any]]
"""One operation as a workload would do it, with the client."""


class Process:
    """The dispatcher opens, times, closes and replaces the client. Make it on a running loop."""

    def __init__(self, factory: ClientFactory, target: str, timeout_s: float) -> None:
        self._transcript = _Transcript()
        self._call: Call | None = None
        self._dispatcher = Dispatcher(
            journal=self._transcript,
            nodes=[target if isinstance(target, Target) else Target(target)],
            concurrency=1,
            open_client=lambda: factory(timeout_s),
            invoke=self._invoke,
            op_timeout_s=timeout_s,
        )

    async def do(self, name: str, call: Call) -> tuple[str, Any]:
        """Do one operation; ``ok``, ``fail`` or ``info``, and its result or error."""
        self._call = call
        await self._dispatcher.run(invoke(name))
        done = self._transcript.operations[-1]
        return done.type, done.value if done.type == OK else done.error

    @property
    def defect(self) -> str | None:
        """The first exception that no client should raise, with its place."""
        return self._dispatcher.defect

    async def close(self) -> None:
        """Close the client, if there is one."""
        await self._dispatcher.close()

    async def _invoke(self, client: SystemClient, operation: Operation) -> Operation:
        assert self._call is not None
        return structs.replace(operation, type=OK, value=await self._call(client))


class _Transcript:
    """Records operations as the journal does, in memory."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def append(self, operation: Operation) -> Operation:
        recorded = structs.replace(operation, index=len(self.operations), time=self.now())
        self.operations.append(recorded)
        return recorded

    def now(self) -> int:
        return time.monotonic_ns()
