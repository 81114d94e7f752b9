"""Interactive transactions on etcd, which has none: optimistic, in at most two kinds of request.

etcd knows only one-shot transactions (``if compares then puts``). An interactive one is built
on its revisions, as etcd's own STM library does:

1. The first read is one linearizable request for all its keys. Its answer was true of the whole
   store at one revision R, at some moment inside the operation. Every later read asks for
   revision R, so all reads are of one snapshot.
2. Puts are kept here; a read of a key put before sees that put.
   A scan reads a range of keys, and counts as a read of every key of the range, also of those
   that are not there.
3. ``commit`` sends one etcd transaction: *if* every key read was last changed at the revision
   that we saw (0: still absent), and no key of a scanned range is newer than R, *then* all puts
   and deletes.

Why this is strict serializable: if the compares hold at the commit's revision C, nothing that was
read has changed between R and C, so reads and writes all hold at C, which lies inside the
operation. A transaction without puts holds at R and sends nothing at commit. If a compare does
not hold, etcd itself says that no put happened: ``Failed``. (With ``serializable`` reads R may be
older than the operation: read-only transactions may then be stale.)

Nothing that changes the store is sent before ``commit``, so any loss before it is ``Failed``.

Cost: one request a read call, and one to commit if there are puts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.client import Failed
from systems.etcd import gateway
from systems.etcd.asks import Asks


class EtcdTransactions:
    """The abilities ``Transactions`` and ``Predicates``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def begin(self, *, read_only: bool = False) -> EtcdTransaction:
        """Begin a transaction, without a request; all it sends shares one operation's time.

        One that only reads is no other kind: without puts it sends nothing at its commit.
        """
        return EtcdTransaction(self._asks)


class EtcdTransaction:
    """One transaction. Its one operation's time, from here on, holds for all its requests."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self._deadline = asks.deadline()
        self._revision = 0
        self._seen: dict[bytes, tuple[int, Any]] = {}
        self._puts: dict[bytes, bytes | None] = {}  # None: deleted
        self._scanned: list[tuple[bytes, bytes]] = []
        self._finished = False

    async def get(self, key: Any) -> Any:
        """The value of ``key`` in this transaction's view (``None`` if absent)."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys`` in this transaction's view."""
        self._must_be_open()
        wanted = {key: gateway.stored(key) for key in keys}
        unread = {k for k in wanted.values() if k not in self._puts and k not in self._seen}
        if unread:
            try:
                await self._read(sorted(unread))
            except BaseException:
                self._finished = True
                raise
        return {key: self._value(stored_key) for key, stored_key in wanted.items()}

    async def put(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value`` when this commits."""
        self._must_be_open()
        if value is None:
            raise Failed(
                ["request", "a key cannot be set to null, which stands for absent"],
                session_ended=False,
            )
        self._puts[gateway.stored(key)] = gateway.stored(value)

    async def delete(self, key: Any) -> None:
        """Remove ``key`` when this commits."""
        self._must_be_open()
        self._puts[gateway.stored(key)] = None

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key that begins with ``prefix``, with its value, in this transaction's view."""
        self._must_be_open()
        start = gateway.stored(prefix)[:-1]  # a stored string, open at its end
        end = start[:-1] + bytes((start[-1] + 1,))
        try:
            found = await self._scan(start, end)
        except BaseException:
            self._finished = True
            raise
        self._scanned.append((start, end))
        for pair in found:
            self._seen[pair.key] = (pair.mod_revision, gateway.loaded(pair.value))
        keys = {pair.key for pair in found} | {k for k in self._puts if k.startswith(start)}
        values = {gateway.loaded(key): self._value(key) for key in sorted(keys)}
        return {key: value for key, value in values.items() if value is not None}

    async def commit(self) -> None:
        """Commit; ``Failed`` if etcd says that a key read was changed meanwhile."""
        self._must_be_open()
        self._finished = True
        if not self._puts:
            return
        compares = [gateway.unchanged_since(key, mod) for key, (mod, _) in self._seen.items()]
        compares += [
            gateway.none_changed_since(start, end, self._revision) for start, end in self._scanned
        ]
        puts = [
            {"request_delete_range": gateway.delete_of(key)}
            if value is None
            else {"request_put": gateway.put_of(key, value)}
            for key, value in self._puts.items()
        ]
        answer = await self._asks.ask(
            gateway.TXN,
            {"compare": compares, "success": puts, "failure": []},
            gateway.TxnAnswer,
            mutates=True,
            deadline=self._deadline,
        )
        if not answer.succeeded:
            raise Failed(["answer", "conflict"], session_ended=False)

    async def abort(self) -> None:
        """Give up; nothing was sent that could change anything."""
        self._finished = True

    def _must_be_open(self) -> None:
        if self._finished:
            raise Failed(["request", "this transaction is finished"], session_ended=False)

    async def _read(self, keys: Sequence[bytes]) -> None:
        """Read all ``keys`` in one request at this transaction's revision, and fix it if new."""
        ranges = [
            gateway.range_of(key, serializable=self._asks.serializable, revision=self._revision)
            for key in keys
        ]
        answer = await self._asks.ask(
            gateway.TXN,
            {"compare": [], "success": [{"request_range": part} for part in ranges], "failure": []},
            gateway.TxnAnswer,
            mutates=False,
            deadline=self._deadline,
        )
        if len(answer.responses) != len(keys):
            raise Failed(
                ["answer", f"{len(answer.responses)} answers to {len(keys)} reads"],
                session_ended=False,
            )
        for key, part in zip(keys, answer.responses, strict=True):
            self._see(key, part.response_range)
        self._revision = self._revision or answer.header.revision

    async def _scan(self, start: bytes, end: bytes) -> Sequence[gateway.KeyValue]:
        """All pairs of a range at this transaction's revision, which is fixed if it is new."""
        request = gateway.range_from(
            start, end, serializable=self._asks.serializable, revision=self._revision
        )
        answer = await self._asks.ask(
            gateway.TXN,
            {"compare": [], "success": [{"request_range": request}], "failure": []},
            gateway.TxnAnswer,
            mutates=False,
            deadline=self._deadline,
        )
        found = answer.responses[0].response_range if len(answer.responses) == 1 else None
        if found is None:
            raise Failed(["answer", "no range answer to a scan"], session_ended=False)
        self._revision = self._revision or answer.header.revision
        return found.kvs

    def _see(self, key: bytes, found: gateway.InnerRange | None) -> None:
        if found is None:
            raise Failed(["answer", "no range answer to a read"], session_ended=False)
        self._seen[key] = gateway.sole(found.kvs, key)

    def _value(self, key: bytes) -> Any:
        if key in self._puts:
            put = self._puts[key]
            return None if put is None else gateway.loaded(put)
        return self._seen[key][1]
