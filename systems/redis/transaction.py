"""Interactive transactions on Redis: optimistic, by ``WATCH``, ``MULTI`` and ``EXEC``.

Redis executes what stands between ``MULTI`` and ``EXEC`` as one, but answers nothing before, so
what a transaction reads must have been read earlier. Redis' own way of doing that is check-and-set:

1. What is read is watched first, in the same piece: ``WATCH`` of all keys, then their values.
2. Puts, appends and deletes are kept here; a read of such a key sees them.
3. ``commit`` sends ``MULTI``, all that was kept, and ``EXEC``, in one piece. If a watched key has
   been touched since, ``EXEC`` answers nil and nothing is done: ``Failed``.

So all that was read still holds at the moment of ``EXEC``, at which everything is written: strict
serializable, as long as there is one primary. A transaction that only read after all commits by an
empty ``EXEC``, which proves that its reads were of one moment; one that was begun to read alone is
of another kind, which watches nothing (:mod:`systems.redis.reading`).

A value is a string (``SET``) and what was appended to it since is a list beside it (``RPUSH``); a
put removes the list. All names stand in one sorted set, so that rows can be asked for by a prefix;
a scan watches it, and so is refused at its commit if a row came or went.

Nothing that changes anything is sent before ``commit``, so any loss before it is ``Failed``.

Cost: a round trip for each read call, and one for the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.contract.client import Failed, Indeterminate
from harness.wording import shown
from systems.drivers.resp import Answer, Refusal, Status, Word
from systems.redis.asks import Asks
from systems.redis.errors import is_definite
from systems.redis.reading import RedisReading
from systems.redis.stored import (
    is_ok,
    joined,
    loaded,
    loaded_list,
    not_understood,
    storable,
    stored,
)

_DELETED: Final = object()


class RedisTransactions:
    """The abilities ``Transactions`` and ``Predicates``."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks

    async def begin(self, *, read_only: bool = False) -> RedisTransaction | RedisReading:
        """Begin one, without a request."""
        return RedisReading(self._asks) if read_only else RedisTransaction(self._asks)


class RedisTransaction:
    """One transaction. Its one operation's time, from here on, holds for all its requests."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self._deadline = asks.deadline()
        self._seen: dict[bytes, Any] = {}
        self._puts: dict[bytes, Any] = {}
        self._appends: dict[bytes, list[Any]] = {}
        self._watches = False
        self._finished = False

    async def get(self, key: Any) -> Any:
        """The value of ``key`` in this transaction's view (``None`` if absent)."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys`` in this transaction's view."""
        self._must_be_open()
        names = {key: stored(key) for key in keys}
        unread = [n for n in names.values() if n not in self._seen and n not in self._puts]
        await self._see(unread)
        return {key: self._value(name) for key, name in names.items()}

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key that begins with ``prefix``, with its value, in this transaction's view."""
        self._must_be_open()
        start = stored(prefix)[:-1]  # a stored string, open at its end
        rows = self._asks.key("rows", b"all")
        query = ("ZRANGEBYLEX", rows, b"[" + start, b"[" + start + b"\xff")
        _, found = await self._read([("WATCH", rows), query])
        if not isinstance(found, list):
            raise self._over(not_understood(found))
        names = {name for name in found if isinstance(name, bytes)}
        names |= {n for n in (*self._puts, *self._appends) if n.startswith(start)}
        await self._see([n for n in names if n not in self._seen and n not in self._puts])
        values = {loaded(name): self._value(name) for name in sorted(names)}
        return {key: value for key, value in values.items() if value is not None}

    async def put(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value`` when this commits."""
        self._must_be_open()
        storable(value)
        self._puts[stored(key)] = value
        self._appends.pop(stored(key), None)

    async def append(self, key: Any, element: Any) -> None:
        """``RPUSH`` ``element`` when this commits."""
        self._must_be_open()
        self._appends.setdefault(stored(key), []).append(element)

    async def delete(self, key: Any) -> None:
        """Remove ``key`` when this commits."""
        self._must_be_open()
        self._puts[stored(key)] = _DELETED
        self._appends.pop(stored(key), None)

    async def commit(self) -> None:
        """Commit; ``Failed`` if Redis says that what was read has been touched meanwhile."""
        self._must_be_open()
        self._finished = True
        inner = self._changes()
        if not inner and not self._watches:
            return
        commands: list[Sequence[Word]] = [("MULTI",), *inner, ("EXEC",)]
        if inner:
            commands = self._asks.with_wait(commands)
        answers = await self._asks.exchange(commands, mutates=bool(inner), deadline=self._deadline)
        self._committed(answers, len(inner))

    async def abort(self) -> None:
        """Give up; what was watched is let go, so that it fails no later transaction."""
        if not self._finished:
            self._finished = True
            if self._watches:
                await self._asks.exchange([("UNWATCH",)], mutates=False, deadline=self._deadline)

    def _changes(self) -> list[Sequence[Word]]:
        rows, found = self._asks.key("rows", b"all"), list[Sequence[Word]]()
        for name, value in self._puts.items():
            base, tail = self._keys(name)
            if value is _DELETED:
                found += [("DEL", base, tail), ("ZREM", rows, name)]
            else:
                found += [("SET", base, stored(value)), ("DEL", tail), ("ZADD", rows, 0, name)]
        for name, elements in self._appends.items():
            found += [("RPUSH", self._keys(name)[1], *map(stored, elements))]
            found += [("ZADD", rows, 0, name)]
        return found

    def _committed(self, answers: Sequence[Answer], changes: int) -> None:
        """Nothing if it was committed; else what became of it."""
        begun, *queued = answers[: changes + 1]
        executed, waited = answers[changes + 1], answers[changes + 2 :]
        if executed is None and is_ok(begun):
            raise Failed(["answer", "conflict"], session_ended=False)
        if isinstance(executed, Refusal):
            in_doubt = bool(changes) and not _is_refused_whole(answers[: changes + 2])
            raise self._asks.refused(executed, in_doubt=in_doubt)
        is_whole = (
            is_ok(begun)
            and all(isinstance(each, Status) and each == "QUEUED" for each in queued)
            and isinstance(executed, list)
            and len(executed) == changes
            and all(isinstance(each, int) or is_ok(each) for each in executed)
        )
        if not is_whole:
            said = ["answer", f"not understood: {shown(executed)}"]
            raise Indeterminate(said) if changes else Failed(said, session_ended=False)
        self._asks.must_have_reached(waited)

    async def _see(self, names: Sequence[bytes]) -> None:
        """Watch and read ``names``, in one piece."""
        if not names:
            return
        keys = [self._keys(name) for name in names]
        commands: list[Sequence[Word]] = [("WATCH", *(key for pair in keys for key in pair))]
        for base, tail in keys:
            commands += [("GET", base), ("LRANGE", tail, 0, -1)]
        _, *found = await self._read(commands)
        try:
            for at, name in enumerate(names):
                base_value, appended = loaded(found[2 * at]), loaded_list(found[2 * at + 1])
                self._seen[name] = joined(base_value, appended)
        except Failed:
            self._finished = True
            raise

    async def _read(self, commands: Sequence[Sequence[Word]]) -> list[Answer]:
        """The answers to a ``WATCH`` and what reads; the transaction is over if one is an error."""
        self._watches = True
        try:
            answers = await self._asks.exchange(commands, mutates=False, deadline=self._deadline)
        except BaseException:
            self._finished = True
            raise
        for answer in answers:
            if isinstance(answer, Refusal):
                raise self._over(self._asks.refused(answer, in_doubt=False))
        if not is_ok(answers[0]):
            raise self._over(not_understood(answers[0]))
        return answers

    def _over(self, error: Failed | Indeterminate) -> Failed | Indeterminate:
        self._finished = True
        return error

    def _value(self, name: bytes) -> Any:
        base = self._puts[name] if name in self._puts else self._seen[name]
        return joined(None if base is _DELETED else base, self._appends.get(name, []))

    def _keys(self, name: bytes) -> tuple[bytes, bytes]:
        return self._asks.key("row", name), self._asks.key("tail", name)

    def _must_be_open(self) -> None:
        if self._finished:
            raise Failed(["request", "this transaction is finished"], session_ended=False)


def _is_refused_whole(answers: Sequence[Answer]) -> bool:
    """Whether ``EXEC``, whose answer is the last, says that nothing was done of what went before.

    If ``MULTI`` itself was refused, that is so only if all the rest was, too.
    """
    *before, executed = (isinstance(each, Refusal) and is_definite(each) for each in answers)
    return executed and (is_ok(answers[0]) or all(before))
