"""Interactive transactions, Dgraph's own, over keys and values (:mod:`systems.dgraph.records`).

The first request fixes the start timestamp; queries and mutations that follow name it, and see what
the transaction itself has changed. Every answer tells keys (and predicates) that may conflict,
which ``/commit`` hands back: Zero then decides, and says the commit timestamp. Both timestamps
stand in the completion. A transaction that changed nothing commits without a request.

Nothing can have happened before ``/commit``: every loss before is ``Failed``. A transaction that
ends so is left to Dgraph, which forgets it: conflicts are looked for only when one commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.client import Failed, Indeterminate, tell
from harness.wording import shown
from systems.dgraph.asks import Asks, Told
from systems.dgraph.dialect import NEW, Request
from systems.dgraph.records import KEY, NO_VALUE, VALUE, Layout, Odd, rows_of


class DgraphTransactions:
    """The abilities ``Transactions`` and ``Predicates``."""

    def __init__(self, asks: Asks, layout: Layout) -> None:
        self._asks, self._layout = asks, layout

    async def begin(self, *, read_only: bool = False) -> DgraphTransaction:
        """Begin one, without a request."""
        return DgraphTransaction(self._asks, self._layout, read_only=read_only)


class DgraphTransaction:
    """One transaction. Its one operation's time, from here on, holds for all its requests."""

    def __init__(self, asks: Asks, layout: Layout, *, read_only: bool = False) -> None:
        self._asks, self._layout = asks, layout
        self._deadline = asks.deadline()
        self._read_only = read_only
        self._start_ts = 0
        self._uids: dict[str, str | None] = {}
        self._keys: set[str] = set()
        self._predicates: set[str] = set()
        self._wrote = False
        self._finished = False

    async def get(self, key: Any) -> Any:
        """The value of ``key`` in this transaction's view (``None`` if absent)."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys``, by one query."""
        names = {key: self._layout.name(key) for key in keys}
        found = await self._found(list(dict.fromkeys(names.values())))
        return {key: found.get(name) for key, name in names.items()}

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key that begins with ``prefix``, by the index; or of those that have a uid."""
        start = self._layout.name(prefix)[:-1]  # a stored text, open at its end
        if self._layout.uids is not None:
            names = [name for name in self._layout.uids.known if name.startswith(start)]
            every = await self._found(names) if names else {}
            found = {name: value for name, value in every.items() if value is not None}
        else:
            found = self._see(rows_of(await self._query(self._layout.by_prefix(start))))
        return {
            self._layout.key(name) if name.startswith(start) else prefix + name: value
            for name, value in found.items()
        }

    async def put(self, key: Any, value: Any) -> None:
        """Set ``key``: a mutation of its record, or of a new one."""
        name, stored = self._layout.name(key), self._layout.stored(value)
        number = self._layout.stripe(name)
        uid, values = await self._uid(name), {f"{VALUE}_{number}": stored}
        if uid is None:
            values = {f"{KEY}_{number}": name, **values}
        told = await self._mutate(
            self._layout.dialect.set(self._start_ts, NEW if uid is None else uid, values)
        )
        if uid is None:
            self._uids[name] = made(told)

    async def delete(self, key: Any) -> None:
        """Remove what the record of ``key`` holds, if there is one."""
        name = self._layout.name(key)
        number = self._layout.stripe(name)
        uid = await self._uid(name)
        if uid is None:
            return
        gone = [f"{VALUE}_{number}"]
        if self._layout.uids is None:
            gone.append(f"{KEY}_{number}")
            self._uids[name] = None
        await self._mutate(self._layout.dialect.delete(self._start_ts, uid, gone))

    async def commit(self) -> None:
        """Commit; ``Failed`` if Zero decided against it."""
        self._must_be_open()
        self._finished = True
        if not self._wrote:
            return
        request = self._layout.dialect.commit(
            self._start_ts, sorted(self._keys), sorted(self._predicates)
        )
        told = await self._asks.ask(request, self._deadline, commits=True)
        if not told.txn.commit_ts:
            raise _no_commit(told)
        tell(timestamps={"commit": told.txn.commit_ts})

    async def abort(self) -> None:
        """Have Zero decide against it, so that nobody waits for it; nothing of it happens."""
        self._must_be_open()
        self._finished = True
        if self._wrote:
            await self._asks.ask(self._layout.dialect.abort(self._start_ts), self._deadline)

    # -- requests ----------------------------------------------------------------------------------

    async def _found(self, names: Sequence[str]) -> dict[str, Any]:
        """The values of some stored keys."""
        if self._layout.uids is None:
            found = self._see(rows_of(await self._query(self._layout.by_key(names))))
            for name in names:
                if name not in found:
                    self._uids[name] = None
            return found
        uids = {name: await self._allocated(name) for name in names}
        rows = rows_of(await self._query(self._layout.by_uid(uids)))
        by_uid = {row.get("uid"): self._layout.loaded(row) for row in rows}
        return self._usable({name: by_uid.get(uid) for name, uid in uids.items()})

    async def _uid(self, name: str) -> str | None:
        """The record of a stored key as this transaction sees it; ``None`` if there is none."""
        if self._layout.uids is not None:
            return await self._allocated(name)
        if name not in self._uids:
            await self._found([name])
        return self._uids[name]

    async def _allocated(self, name: str) -> str:
        """The uid that all clients use for a stored key: had by a mutation that never commits."""
        uids = self._layout.uids
        assert uids is not None
        async with uids.lock_of(name):
            if name not in uids.known:
                request = self._layout.dialect.set(0, NEW, {f"{KEY}_0": name})
                uids.known[name] = made(await self._ask(request))
            return uids.known[name]

    async def _query(self, text: str) -> Any:
        request = self._layout.dialect.query(self._start_ts, text, read_only=self._read_only)
        told = await self._ask(request)
        self._merge(told)
        return told.data

    async def _mutate(self, request: Request) -> Told:
        self._wrote = True
        told = await self._ask(request)
        self._merge(told)
        return told

    async def _ask(self, request: Request) -> Told:
        """One request before the commit; whatever goes wrong ends the transaction."""
        self._must_be_open()
        try:
            return await self._asks.ask(request, self._deadline)
        except BaseException:
            self._finished = True
            raise

    def _merge(self, told: Told) -> None:
        """Keep what the answer tells of the transaction."""
        txn = told.txn
        if not txn.start_ts or (self._start_ts and txn.start_ts != self._start_ts):
            self._finished = True
            what = f"an answer of the transaction {txn.start_ts}, not {self._start_ts or 'one'}"
            raise Failed(["answer", what], session_ended=False)
        if not self._start_ts:
            self._start_ts = txn.start_ts
            tell(timestamps={"start": txn.start_ts})
        self._keys.update(txn.keys or ())
        self._predicates.update(txn.preds or ())

    def _see(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Value by stored key. What is no single whole record is told as it is."""
        found: dict[str, Any] = {}
        for row in rows:
            name = row.get("key")
            value = self._layout.loaded(row)
            if not isinstance(name, str):
                found[f"(no key: {row.get('uid')})"] = value
                continue
            found[name] = Odd({"two records": [found[name], value]}) if name in found else value
            self._uids[name] = row.get("uid")
        return self._usable(found)

    def _usable(self, found: dict[str, Any]) -> dict[str, Any]:
        """What was found; ``Failed`` where it is odd and somebody may go on from there.

        A transaction that only reads shows it, a record without a value as ``None``, so that its
        reader's checker sees it. One that would make something new of half a record would only make
        more of the same.
        """
        odd = {name: value for name, value in found.items() if isinstance(value, Odd)}
        if odd and not self._read_only:
            self._finished = True
            raise Failed(["answer", f"records that are odd: {shown(odd)}"], session_ended=False)
        return {
            name: None if isinstance(value, Odd) and NO_VALUE in value else value
            for name, value in found.items()
        }

    def _must_be_open(self) -> None:
        if self._finished:
            raise Failed(["request", "this transaction is finished"], session_ended=False)


def made(told: Told) -> str:
    """The uid of a record that was made; ``Failed`` (nothing is committed yet) if none is told."""
    uids = told.data.get("uids") if isinstance(told.data, dict) else None
    uid = next(iter(uids.values()), None) if isinstance(uids, dict) else None
    if not isinstance(uid, str) or not uid:
        what = ["answer", "no uid of a new record"]
        raise Failed(what, session_ended=False)
    return uid


def _no_commit(told: Told) -> Indeterminate:
    """A commit that was answered without an error and without a timestamp."""
    return Indeterminate(["answer", f"no commit timestamp beside {shown(told.data)}"])
