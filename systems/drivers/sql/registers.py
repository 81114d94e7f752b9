"""Registers in SQL: a row each, one statement an operation, which commits itself."""

from __future__ import annotations

from typing import Any

from systems.drivers.sql.session import Session
from systems.drivers.sql.tables import Tables, loaded, stored


class SqlRegisters:
    """The ability ``Registers``. Reads go over ``reads``, where that is asked for elsewhere."""

    def __init__(self, writes: Session, reads: Session, tables: Tables) -> None:
        self._writes, self._reads, self._tables = writes, reads, tables

    async def read(self, key: Any) -> Any:
        """One SELECT; ``None`` if there is no such row."""
        name = stored(key)
        sql = f"SELECT v FROM {self._tables.holding(name)} WHERE k = ?"
        rows = (await self._reads.execute(sql, [name], commits=False)).rows
        return loaded(rows[0][0]) if rows else None

    async def write(self, key: Any, value: Any) -> None:
        """One upsert."""
        name, text = stored(key), stored(value)
        sql = self._tables.upsert(self._tables.holding(name))
        await self._writes.execute(sql, [name, text], commits=True)

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """One UPDATE of the row if it holds ``old``; an INSERT if there shall be none."""
        name, text = stored(key), stored(new)
        table = self._tables.holding(name)
        if old is None:
            sql = self._tables.insert_or_ignore(table)
            return (await self._writes.execute(sql, [name, text], commits=True)).count == 1
        sql = f"UPDATE {table} SET v = ? WHERE k = ? AND v = ?"
        done = await self._writes.execute(sql, [text, name, stored(old)], commits=True)
        return done.count == 1
