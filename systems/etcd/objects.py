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
operation is the client's business (``ask``): up to its last request nothing has changed, so any
loss before it is ``Failed``. Nothing is retried: a conflict is ``Failed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from harness.contract.client import Failed
from systems.etcd import gateway
from systems.etcd.transaction import EtcdTransaction

_Shape = TypeVar("_Shape")


class EtcdObjects:
    """The abilities ``Sets``, ``Counters``, ``Queues``, ``Logs``, ``Locks`` and ``Ids``."""

    _serializable: bool

    async def ask(
        self,
        path: str,
        request: Mapping[str, Any],
        shape: type[_Shape],
        *,
        mutates: bool,
        deadline: float | None = None,
    ) -> _Shape:
        """See :class:`systems.etcd.client.EtcdClient`."""
        raise Failed(["request", "this client cannot ask anything"], session_ended=False)

    def deadline(self) -> float:
        """When an operation that begins now is given up."""
        return 0.0

    def transaction(self) -> EtcdTransaction:
        """Begin a transaction."""
        return EtcdTransaction(self, self.deadline())

    async def add_to_set(self, name: Any, element: Any) -> None:
        """One put."""
        await self._put(_under("set", name) + gateway.stored(element), element)

    async def read_set(self, name: Any) -> Sequence[Any]:
        """One range."""
        return [value for _, value in await self._found(_under("set", name))]

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """A read and a conditional put; ``Failed`` if another changed it in between."""
        transaction, key = self.transaction(), f"counter/{name}"
        value = await transaction.get(key)
        await transaction.put(key, (value or 0) + delta)
        await transaction.commit()

    async def read_counter(self, name: Any) -> int:
        """One range."""
        key = gateway.stored(f"counter/{name}")
        request = gateway.range_of(key, serializable=self._serializable)
        answer = await self.ask(gateway.RANGE, request, gateway.RangeAnswer, mutates=False)
        return gateway.sole(answer.kvs, key)[1] or 0

    async def enqueue(self, name: Any, value: Any) -> None:
        """One put."""
        await self._put(_under("queue", name) + gateway.stored(value), value)

    async def dequeue(self, name: Any) -> Any:
        """A range of the oldest, and its deletion if nobody else was quicker."""
        deadline, prefix = self.deadline(), _under("queue", name)
        oldest = gateway.range_under(prefix, limit="1", sort_target="CREATE", sort_order="ASCEND")
        answer = await self.ask(
            gateway.RANGE, oldest, gateway.RangeAnswer, mutates=False, deadline=deadline
        )
        if not answer.kvs:
            return None
        (found,) = _values(answer.kvs[:1], prefix)
        if not await self._delete(answer.kvs[0].key, answer.kvs[0].mod_revision, deadline):
            raise Failed(["answer", "conflict"], session_ended=False)
        return found[1]

    async def append_to_log(self, name: Any, value: Any) -> int:
        """One put; its revision is the offset."""
        return await self._put(_under("log", name) + gateway.stored(value), value)

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        """One range, by revision."""
        least = {"min_mod_revision": str(after + 1)} if after >= 0 else {}
        return await self._found(
            _under("log", name), sort_target="MOD", sort_order="ASCEND", **least
        )

    async def acquire(self, name: Any) -> int | None:
        """One transaction: create the key if it is absent."""
        key = gateway.stored(f"lock/{name}")
        put = {"request_put": gateway.put_of(key, gateway.stored("held"))}
        request = {"compare": [gateway.is_absent(key)], "success": [put], "failure": []}
        answer = await self.ask(gateway.TXN, request, gateway.TxnAnswer, mutates=True)
        return answer.header.revision if answer.succeeded else None

    async def release(self, name: Any, token: int) -> bool:
        """One transaction: delete the key if it is unchanged since revision ``token``."""
        return await self._delete(gateway.stored(f"lock/{name}"), token, self.deadline())

    async def generate_id(self) -> int:
        """One put; its revision."""
        return await self._put(gateway.stored("ids"), None)

    async def _put(self, key: bytes, value: Any) -> int:
        request = gateway.put_of(key, gateway.stored(value))
        answer = await self.ask(gateway.PUT, request, gateway.PutAnswer, mutates=True)
        return answer.header.revision

    async def _delete(self, key: bytes, revision: int, deadline: float) -> bool:
        delete = {"request_delete_range": {"key": key}}
        compare = gateway.unchanged_since(key, revision)
        request = {"compare": [compare], "success": [delete], "failure": []}
        answer = await self.ask(
            gateway.TXN, request, gateway.TxnAnswer, mutates=True, deadline=deadline
        )
        return answer.succeeded

    async def _found(self, prefix: bytes, **settings: Any) -> list[tuple[int, Any]]:
        """Revision of the last change and value of every key under ``prefix``."""
        settings["serializable"] = self._serializable
        request = gateway.range_under(prefix, **settings)
        answer = await self.ask(gateway.RANGE, request, gateway.RangeAnswer, mutates=False)
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
                ["answer", f"a read of {prefix!r} was answered with {pair.key[:80]!r}"],
                session_ended=False,
            )
        values.append(gateway.sole([pair], pair.key))
    return values
