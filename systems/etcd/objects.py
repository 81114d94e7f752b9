"""Sets, counters, queues, logs, locks and ids, made of etcd's keys and revisions.

========  ==========================================================================================
set       a key for each element under the set's prefix; read by one range
counter   one key, changed by an optimistic transaction (read, then put if unchanged)
queue     a key for each value under the prefix; a dequeue looks at the one created first and
          deletes it if it is unchanged since
log       a key for each message; its offset is the revision of its put, so offsets rise
lock      a key that is created if absent and deleted if unchanged since; the token is the
          revision of its creation, so tokens rise
id        the revision of a put: every put has its own
========  ==========================================================================================

Reads are linearizable unless the client was asked for the member's own state. What becomes of an
operation is told by :class:`systems.etcd.asks.Asks`: up to its last request nothing has changed,
so any loss before it is ``Failed``. Nothing is retried: a conflict is ``Failed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.contract.client import Failed
from harness.wording import shown
from systems.etcd import gateway
from systems.etcd.asks import Asks
from systems.etcd.transaction import EtcdTransactions


class EtcdSets:
    """The ability ``Sets``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def add_to_set(self, name: Any, element: Any) -> None:
        """One put."""
        stored = gateway.stored(element)
        await self._asks.put(_under("set", name) + stored, stored)

    async def read_set(self, name: Any) -> Sequence[Any]:
        """One range."""
        return [value for _, value in await _found(self._asks, _under("set", name))]


class EtcdCounters:
    """The ability ``Counters``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self._transactions = EtcdTransactions(asks)

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """A read and a conditional put; ``Failed`` if another changed it in between."""
        transaction, key = await self._transactions.begin(), f"counter/{name}"
        value = await transaction.get(key)
        await transaction.put(key, (value or 0) + delta)
        await transaction.commit()

    async def read_counter(self, name: Any) -> int:
        """One range."""
        key = gateway.stored(f"counter/{name}")
        request = gateway.range_of(key, serializable=self._asks.serializable)
        answer = await self._asks.ask(gateway.RANGE, request, gateway.RangeAnswer, mutates=False)
        return gateway.sole(answer.kvs, key)[1] or 0


class EtcdQueues:
    """The ability ``Queues``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def enqueue(self, name: Any, value: Any) -> None:
        """One put."""
        stored = gateway.stored(value)
        await self._asks.put(_under("queue", name) + stored, stored)

    async def dequeue(self, name: Any) -> Any:
        """A range of the oldest, and its deletion if nobody else was quicker."""
        deadline, prefix = self._asks.deadline(), _under("queue", name)
        oldest = gateway.range_under(prefix, limit="1", sort_target="CREATE", sort_order="ASCEND")
        answer = await self._asks.ask(
            gateway.RANGE, oldest, gateway.RangeAnswer, mutates=False, deadline=deadline
        )
        if not answer.kvs:
            return None
        (found,) = _values(answer.kvs[:1], prefix)
        oldest_key, revision = answer.kvs[0].key, answer.kvs[0].mod_revision
        if not await _delete(self._asks, oldest_key, revision, deadline):
            raise Failed(["answer", "conflict"], session_ended=False)
        return found[1]


class EtcdLogs:
    """The ability ``Logs``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def append_to_log(self, name: Any, value: Any) -> int:
        """One put; its revision is the offset."""
        stored = gateway.stored(value)
        return await self._asks.put(_under("log", name) + stored, stored)

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        """One range, by revision."""
        least = {"min_mod_revision": str(after + 1)} if after >= 0 else {}
        prefix = _under("log", name)
        return await _found(self._asks, prefix, sort_target="MOD", sort_order="ASCEND", **least)


class EtcdLocks:
    """The ability ``Locks``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def acquire(self, name: Any) -> int | None:
        """One transaction: create the key if it is absent."""
        key = gateway.stored(f"lock/{name}")
        held = {"request_put": gateway.put_of(key, gateway.stored("held"))}
        request = {"compare": [gateway.is_absent(key)], "success": [held], "failure": []}
        answer = await self._asks.ask(gateway.TXN, request, gateway.TxnAnswer, mutates=True)
        return answer.header.revision if answer.succeeded else None

    async def release(self, name: Any, token: int) -> bool:
        """One transaction: delete the key if it is unchanged since revision ``token``."""
        key = gateway.stored(f"lock/{name}")
        return await _delete(self._asks, key, token, self._asks.deadline())


class EtcdIds:
    """The ability ``Ids``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def generate_id(self) -> int:
        """One put; its revision."""
        return await self._asks.put(gateway.stored("ids"), gateway.stored(None))


async def _delete(asks: Asks, key: bytes, revision: int, deadline: float) -> bool:
    """Whether ``key`` was there, unchanged since ``revision``, and was deleted."""
    delete = {"request_delete_range": gateway.delete_of(key)}
    compare = gateway.unchanged_since(key, revision)
    request = {"compare": [compare], "success": [delete], "failure": []}
    answer = await asks.ask(
        gateway.TXN, request, gateway.TxnAnswer, mutates=True, deadline=deadline
    )
    return answer.succeeded


async def _found(asks: Asks, prefix: bytes, **settings: Any) -> list[tuple[int, Any]]:
    """Revision of the last change and value of every key under ``prefix``."""
    settings["serializable"] = asks.serializable
    request = gateway.range_under(prefix, **settings)
    answer = await asks.ask(gateway.RANGE, request, gateway.RangeAnswer, mutates=False)
    return _values(answer.kvs, prefix)


def _under(kind: str, name: Any) -> bytes:
    """The prefix of the keys of one object; no object's prefix begins another's."""
    return kind.encode() + b"/" + gateway.stored(name) + b"/"


def _values(found: Sequence[gateway.KeyValue], prefix: bytes) -> list[tuple[int, Any]]:
    """Revision and value of each; ``Failed`` (a read has no effect) if it is something else."""
    values = []
    for pair in found:
        if not pair.key.startswith(prefix):
            raise Failed(
                ["answer", f"a read of {shown(prefix)} was answered with {shown(pair.key[:80])}"],
                session_ended=False,
            )
        values.append(gateway.sole([pair], pair.key))
    return values
