"""Interactive transactions: a lazy BEGIN, statements, and COMMIT whose answer is looked at.

BEGIN is sent with the first statement, so a transaction that does nothing sends nothing. Whatever
goes wrong before COMMIT has rolled back (or dropped the connection, which does that too) by the
time that it is raised, and is ``Failed``. COMMIT of a transaction that the server has given up in
the meantime is answered ROLLBACK, without an error: that is ``Failed`` too. Any other answer that
is not the word for a commit leaves everything open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from harness.contract.client import Failed, Indeterminate
from systems.drivers.sql.connection import Result, Value
from systems.drivers.sql.session import Session
from systems.drivers.sql.tables import Tables, loaded, stored, under


class SqlTransactions:
    """The abilities ``Transactions`` and ``Predicates``.

    ``level`` is what SQL calls the isolation level. Those that only read go over ``reads``.
    ``appends``: whether they append by one statement.
    """

    def __init__(
        self,
        writes: Session,
        reads: Session,
        tables: Tables,
        level: str,
        *,
        appends: bool = True,
    ) -> None:
        dialect = writes.dialect
        self._kind = AppendingSqlTransaction if appends else SqlTransaction
        self._writes, self._reads, self._tables = writes, reads, tables
        self._begin = dialect.begin.format(level=level)
        self._begin_read_only = dialect.begin_read_only.format(level=level)

    async def begin(self, *, read_only: bool = False) -> SqlTransaction:
        """Begin a transaction, without a request; all it sends shares one operation's time."""
        if read_only:
            return self._kind(self._reads, self._tables, self._begin_read_only, changes=False)
        return self._kind(self._writes, self._tables, self._begin)


class SqlTransaction:
    """One transaction. Its one operation's time, from here on, holds for all its statements.

    ``changes``: it may change something, so that a COMMIT without an answer leaves doubt. One that
    only reads is as good as never made.
    """

    def __init__(
        self, session: Session, tables: Tables, begin: str, *, changes: bool = True
    ) -> None:
        self._changes = changes
        self._session = session
        self._tables = tables
        self._begin = begin
        self._deadline = session.deadline()
        self._begun = self._finished = False
        self._found = set[str]()
        """The stored keys whose rows this transaction has read, and not deleted since."""

    async def __aenter__(self) -> SqlTransaction:
        """For an object's own steps: what is raised among them rolls back."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """Nothing is open afterwards."""
        if isinstance(error, Failed) and not self._finished:
            self._finished = True
            raise await self._rolled_back(error) from error

    async def get(self, key: Any) -> Any:
        """The value of ``key`` in this transaction's view (``None`` if absent)."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys``, by one statement."""
        async with self._step():
            names = {key: stored(key) for key in keys}
            parts, values = list[str](), list[Value]()
            for table in self._tables.keyed:
                held = [name for name in names.values() if self._tables.holding(name) == table]
                if held:
                    marks = ", ".join("?" * len(held))
                    parts.append(f"SELECT k, v FROM {table} WHERE k IN ({marks})")
                    values += held
            rows = (await self._send(" UNION ALL ".join(parts), values)).rows if parts else ()
            found = {k: loaded(v) for k, v in rows}
            self._found.update(found)
            return {key: found.get(name) for key, name in names.items()}

    async def put(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value`` when this commits: an update of a row that was read, else an
        upsert.

        An upsert of a row that was read, and that somebody has deleted since, would make a new one
        that conflicts with nothing: the database could not see that an update is lost. ``Failed``
        where such a row is gone.
        """
        async with self._step():
            name, text = stored(key), stored(value)
            table = self._tables.holding(name)
            if name not in self._found:
                await self._send(self._tables.upsert(table), [name, text])
            elif (await self._send(self._tables.update(table), [text, name])).count != 1:
                told = ["conflict", f"the row of {name} that was read is gone"]
                raise Failed(told, session_ended=False)

    async def delete(self, key: Any) -> None:
        """Remove ``key`` when this commits."""
        async with self._step():
            name = stored(key)
            await self._send(f"DELETE FROM {self._tables.holding(name)} WHERE k = ?", [name])
            self._found.discard(name)

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key that begins with ``prefix``, with its value: one statement, a range."""
        async with self._step():
            low, high = under(prefix)
            parts = [f"SELECT k, v FROM {t} WHERE k >= ? AND k < ?" for t in self._tables.keyed]
            found = await self._send(" UNION ALL ".join(parts), [low, high] * len(parts))
            self._found.update(k for k, _ in found.rows)
            return {loaded(k): loaded(v) for k, v in sorted(map(tuple, found.rows))}

    async def execute(self, sql: str, values: Sequence[Value] = ()) -> Result:
        """Do one statement of this transaction; any error ends it and is ``Failed``."""
        async with self._step():
            return await self._send(sql, values)

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """Around each step: whatever goes wrong in it has ended the transaction."""
        if self._finished:
            raise Failed(["request", "this transaction is finished"], session_ended=False)
        try:
            yield
        except Failed as failed:
            self._finished = True
            raise await self._rolled_back(failed) from failed
        except BaseException:
            self._finished = True
            raise

    async def _send(self, sql: str, values: Sequence[Value]) -> Result:
        if not self._begun:
            await self._session.execute(self._begin, commits=False, deadline=self._deadline)
            self._begun = True
        return await self._session.execute(
            sql, values, commits=False, deadline=self._deadline, inside=True
        )

    async def _rolled_back(self, failed: Failed) -> Failed:
        """``failed``, once nothing of the transaction is open any more."""
        if not self._begun or failed.session_ended:
            return failed
        kept = await self._session.roll_back(self._deadline)
        return Failed(failed.error, session_ended=not kept)

    async def commit(self) -> None:
        """Commit; ``Failed`` if the server says that it rolled back."""
        async with self._step():
            self._finished = True
            if not self._begun:
                return
            done = await self._session.execute(
                "COMMIT", commits=self._changes, deadline=self._deadline, inside=True
            )
        dialect = self._session.dialect
        if done.tag == dialect.rolled_back and done.tag is not None:
            raise Failed(["commit", f"COMMIT was answered {done.tag}"], session_ended=False)
        if done.tag != dialect.committed:
            raise Indeterminate(["commit", f"COMMIT was answered {done.tag}"])

    async def abort(self) -> None:
        """Give up: ROLLBACK. ``Failed`` tells that the connection was lost by it."""
        if self._finished:
            return
        self._finished = True
        if self._begun and not await self._session.roll_back(self._deadline):
            raise Failed(["rollback", "the connection was lost"], session_ended=True)


class AppendingSqlTransaction(SqlTransaction):
    """One that appends by one statement."""

    async def append(self, key: Any, element: Any) -> None:
        """Make the list ``key`` longer when this commits, by one statement."""
        async with self._step():
            name, text = stored(key), stored(element)
            sql = self._tables.append(self._tables.holding(name))
            await self._send(sql, [name, f"[{text}]", f",{text}]"])
