"""Watches on etcd: the changes of a key as a stream, up to a revision that is known to exist.

etcd's watch never ends, and a change that does not arrive cannot be told from one that is late.
So a watch here first reads the key (linearizably): it was last changed at revision R. Then it
follows the stream from the revision that was asked for until it has seen R. What it returns is
therefore everything after ``after`` up to R, if etcd keeps its word (ordered, unique, reliable);
if R never comes, the time-out makes it ``Failed``, for a watch changes nothing.

Cost: two requests, and a connection of its own for the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from harness.contract.client import Failed
from systems.etcd import gateway
from systems.etcd.asks import Asks


class EtcdWatches:
    """The ability ``Watches``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def write_watched(self, key: Any, value: Any) -> int:
        """One put; its revision."""
        return await self._asks.put(_watched(key), gateway.stored(value))

    async def watch(self, key: Any, after: int) -> tuple[int, Sequence[tuple[int, Any]]]:
        """Every change after revision ``after`` up to the last one acknowledged by now."""
        deadline, stored_key = self._asks.deadline(), _watched(key)
        request = gateway.range_of(stored_key)
        answer = await self._asks.ask(
            gateway.RANGE, request, gateway.RangeAnswer, mutates=False, deadline=deadline
        )
        target, _ = gateway.sole(answer.kvs, stored_key)
        if target <= after:
            return after, []
        create = {"key": stored_key, "start_revision": str(after + 1)}
        stream = self._asks.follow(gateway.WATCH, {"create_request": create}, deadline)
        events: list[tuple[int, Any]] = []
        async with aclosing(stream) as lines:
            async for line in lines:
                events += _events(line, self._asks.prefix + stored_key)
                if events and events[-1][0] >= target:
                    break
        return max(target, events[-1][0]), events


def _watched(key: Any) -> bytes:
    return gateway.stored(f"watched/{key}")


def _events(line: bytes, key: bytes) -> list[tuple[int, Any]]:
    """Revision and value of every change that one line of the stream shows."""
    try:
        part = gateway.decode(line, gateway.WatchAnswer).result
    except msgspec.MsgspecError as error:
        raise Failed(["answer", f"not understood: {error}"], session_ended=False) from error
    if part.canceled:
        raise Failed(["answer", "the watch was cancelled", part.cancel_reason], session_ended=False)
    if any(event.type != "PUT" for event in part.events):
        raise Failed(["answer", "a key that is only written was deleted"], session_ended=False)
    return [gateway.sole([event.kv], key) for event in part.events]
