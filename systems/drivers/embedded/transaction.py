"""Transactions: BEGIN, statements, COMMIT, all over one connection.

Until ``COMMIT`` is sent nothing of it can have happened: an error is answered after a rollback, and
a lost connection is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.client import Failed
from harness.wording import shown
from systems.drivers.embedded.asks import Asks, Rows
from systems.drivers.embedded.dialect import Dialect, get_of


class EmbeddedTransactions:
    """The abilities ``Transactions`` and ``Predicates``."""

    def __init__(self, asks: Asks, dialect: Dialect) -> None:
        self._asks, self._dialect = asks, dialect

    async def begin(self, *, read_only: bool = False) -> EmbeddedTransaction:
        """BEGIN; all that follows shares one operation's time."""
        deadline = self._asks.deadline()
        sql = self._dialect.begin_read_only if read_only else self._dialect.begin
        await self._asks.ask(sql, effective=False, deadline=deadline)
        return EmbeddedTransaction(self._asks, self._dialect, deadline)


class EmbeddedTransaction:
    """One open transaction. It appends in one statement, scans and deletes."""

    def __init__(self, asks: Asks, dialect: Dialect, deadline: float) -> None:
        self._asks, self._dialect, self._deadline = asks, dialect, deadline
        self._writes = False
        self._is_finished = False

    async def get(self, key: Any) -> Any:
        """The value of ``key`` in this transaction's view (``None`` if absent)."""
        return (await self.get_many([key]))[key]

    async def get_many(self, keys: Sequence[Any]) -> Mapping[Any, Any]:
        """The values of all ``keys``, by one statement."""
        wanted = {key: stored(key) for key in keys}
        rows = await self._do(get_of(self._dialect, len(wanted)), *wanted.values())
        found = dict(self._pairs(rows))
        if set(found) - set(wanted.values()):
            raise self._refused(f"asked for {shown(keys)}, it answered {shown(rows)}")
        return {
            key: self._loaded(found[text]) if text in found else None
            for key, text in wanted.items()
        }

    async def put(self, key: Any, value: Any) -> None:
        """Set ``key`` to ``value`` when this commits."""
        if value is None:
            raise self._refused("a key cannot be set to null, which stands for absent")
        await self._write(self._dialect.put, stored(key), stored(value))

    async def append(self, key: Any, element: Any) -> None:
        """Add ``element`` to the list ``key`` when this commits, by one statement."""
        await self._write(self._dialect.append, stored(key), stored(element))

    async def scan(self, prefix: str) -> Mapping[str, Any]:
        """Every key that begins with ``prefix``, with its value, by one statement."""
        start = stored(prefix)[:-1]  # a stored string, open at its end
        end = start[:-1] + chr(ord(start[-1]) + 1)
        rows = self._pairs(await self._do(self._dialect.scan, start, end))
        return {str(self._loaded(key)): self._loaded(value) for key, value in rows}

    async def delete(self, key: Any) -> None:
        """Remove ``key`` when this commits."""
        await self._write(self._dialect.delete, stored(key))

    async def commit(self) -> None:
        """COMMIT; in doubt only where something was written."""
        await self._do("COMMIT", effective=self._writes)
        self._is_finished = True

    async def abort(self) -> None:
        """ROLLBACK."""
        await self._do("ROLLBACK")
        self._is_finished = True

    async def _write(self, sql: str, *values: Any) -> None:
        self._writes = True
        await self._do(sql, *values)

    async def _do(self, sql: str, *values: Any, effective: bool = False) -> Rows:
        if self._is_finished:
            raise Failed(["request", "this transaction is finished"], session_ended=False)
        self._is_finished = True
        rows = await self._asks.ask(
            sql, *values, effective=effective, deadline=self._deadline, is_first=False
        )
        self._is_finished = False
        return rows

    def _pairs(self, rows: Rows) -> list[tuple[str, str]]:
        if any(len(row) != 2 or not all(isinstance(cell, str) for cell in row) for row in rows):
            raise self._refused(f"rows that are no keys and values: {shown(rows)}")
        return [(row[0], row[1]) for row in rows]

    def _loaded(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise self._refused(f"not what was stored: {shown(text)}") from None

    def _refused(self, why: str) -> Failed:
        """For what ends the transaction here; the server must roll it back too."""
        self._is_finished = True
        self._asks.drop()
        return Failed(["answer", why], session_ended=True)


def stored(value: Any) -> str:
    """A key, a name or a value as it is stored."""
    return json.dumps(value, separators=(",", ":"))
