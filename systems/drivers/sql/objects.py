"""Sets, counters, queues, logs, locks and ids in SQL.

========  ==========================================================================================
set       a row for each element; read by one SELECT
counter   one row, changed in place (``n = n + delta``)
queue     a row for each value; a dequeue locks the oldest, deletes it and commits. It waits for
          another that holds it, for a queue that only looks empty must not be called so
log       a row for each message. Its offset is counted in a row of the log's own, which is locked
          until the append has committed, so offsets rise in the order of commits (those of a
          sequence do not)
lock      a row, whose number rises with each holder and is the token
id        a row for each, with the id that the database gave it
========  ==========================================================================================

What takes one statement commits itself; the others are transactions like any workload's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from harness.contract.client import Failed
from systems.drivers.sql.session import Session
from systems.drivers.sql.tables import Tables, loaded, stored
from systems.drivers.sql.transaction import SqlTransactions

_SET: Final = "set"
_QUEUE: Final = "queue"
_LOG: Final = "log"


class SqlSets:
    """The ability ``Sets``."""

    def __init__(self, writes: Session, reads: Session, tables: Tables) -> None:
        self._writes, self._reads, self._tables = writes, reads, tables

    async def add_to_set(self, name: Any, element: Any) -> None:
        """One INSERT."""
        sql = f"INSERT INTO {self._tables.items} (kind, name, place, v) VALUES (?, ?, 0, ?)"
        await self._writes.execute(sql, [_SET, stored(name), stored(element)], commits=True)

    async def read_set(self, name: Any) -> Sequence[Any]:
        """One SELECT."""
        sql = f"SELECT v FROM {self._tables.items} WHERE kind = ? AND name = ?"
        found = await self._reads.execute(sql, [_SET, stored(name)], commits=False)
        return [loaded(row[0]) for row in found.rows]


class SqlCounters:
    """The ability ``Counters``."""

    def __init__(self, writes: Session, reads: Session, tables: Tables) -> None:
        self._writes, self._reads, self._tables = writes, reads, tables

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """One upsert that adds in place."""
        sql = self._tables.add(self._tables.counters)
        await self._writes.execute(sql, [stored(name), delta], commits=True)

    async def read_counter(self, name: Any) -> int:
        """One SELECT."""
        sql = f"SELECT n FROM {self._tables.counters} WHERE k = ?"
        found = await self._reads.execute(sql, [stored(name)], commits=False)
        return number_in(found.rows) or 0


class SqlQueues:
    """The ability ``Queues``."""

    def __init__(self, writes: Session, transactions: SqlTransactions, tables: Tables) -> None:
        self._writes, self._transactions, self._tables = writes, transactions, tables

    async def enqueue(self, name: Any, value: Any) -> None:
        """One INSERT."""
        sql = f"INSERT INTO {self._tables.items} (kind, name, place, v) VALUES (?, ?, 0, ?)"
        await self._writes.execute(sql, [_QUEUE, stored(name), stored(value)], commits=True)

    async def dequeue(self, name: Any) -> Any:
        """Lock the oldest, delete it, commit."""
        oldest = (
            f"SELECT id, v FROM {self._tables.items} WHERE kind = ? AND name = ?"
            f" ORDER BY id LIMIT 1{self._writes.dialect.for_update}"
        )
        async with await self._transactions.begin() as transaction:
            found = (await transaction.execute(oldest, [_QUEUE, stored(name)])).rows
            if not found:
                await transaction.commit()  # at some levels only that makes sure what was read
                return None
            number, value = int(found[0][0]), loaded(found[0][1])
            delete = f"DELETE FROM {self._tables.items} WHERE id = ?"
            gone = (await transaction.execute(delete, [number])).count
            if gone != 1:
                told = ["answer", f"{gone} rows were deleted instead of one"]
                raise Failed(told, session_ended=False)
            await transaction.commit()
            return value


class SqlLogs:
    """The ability ``Logs``."""

    def __init__(self, reads: Session, transactions: SqlTransactions, tables: Tables) -> None:
        self._reads, self._transactions, self._tables = reads, transactions, tables

    async def append_to_log(self, name: Any, value: Any) -> int:
        """Count up the log's last place, which locks it, and insert there."""
        counter, text = stored(f"log {name}"), stored(value)
        last = f"SELECT n FROM {self._tables.counters} WHERE k = ?"
        insert = f"INSERT INTO {self._tables.items} (kind, name, place, v) VALUES (?, ?, ?, ?)"
        async with await self._transactions.begin() as transaction:
            await transaction.execute(self._tables.add(self._tables.counters), [counter, 1])
            place = number_in((await transaction.execute(last, [counter])).rows)
            if place is None:
                told = ["answer", "the log's place was counted up and is not there"]
                raise Failed(told, session_ended=False)
            await transaction.execute(insert, [_LOG, stored(name), place, text])
            await transaction.commit()
            return place

    async def poll_log(self, name: Any, after: int) -> Sequence[tuple[int, Any]]:
        """One SELECT, by place."""
        sql = (
            f"SELECT place, v FROM {self._tables.items}"
            " WHERE kind = ? AND name = ? AND place > ? ORDER BY place"
        )
        found = await self._reads.execute(sql, [_LOG, stored(name), after], commits=False)
        return [(int(place), loaded(value)) for place, value in found.rows]


class SqlLocks:
    """The ability ``Locks``. Nothing ends a lock but its release."""

    def __init__(self, writes: Session, transactions: SqlTransactions, tables: Tables) -> None:
        self._writes, self._transactions, self._tables = writes, transactions, tables

    async def acquire(self, name: Any) -> int | None:
        """Mark the row as held if it is not, counting its token up; make it if it is not there."""
        table, key = self._tables.locks, stored(name)
        take = f"UPDATE {table} SET n = n + 1, held = 1 WHERE k = ? AND held = 0"
        make = self._tables.insert_or_ignore(table, 3)
        async with await self._transactions.begin() as transaction:
            taken = (await transaction.execute(take, [key])).count == 1
            if not taken and (await transaction.execute(make, [key, 1, 1])).count != 1:
                await transaction.commit()
                return None
            found = await transaction.execute(f"SELECT n FROM {table} WHERE k = ?", [key])
            token = number_in(found.rows)
            await transaction.commit()
            return token

    async def release(self, name: Any, token: int) -> bool:
        """One UPDATE of the row if that token holds it."""
        sql = f"UPDATE {self._tables.locks} SET held = 0 WHERE k = ? AND n = ? AND held = 1"
        done = await self._writes.execute(sql, [stored(name), token], commits=True)
        return done.count == 1


class SqlIds:
    """The ability ``Ids``."""

    def __init__(self, writes: Session, tables: Tables) -> None:
        self._writes = writes
        returning = " RETURNING id" if writes.dialect.returning else ""
        self._sql = f"INSERT INTO {tables.ids} (n) VALUES (0){returning}"

    async def generate_id(self) -> int | None:
        """One INSERT; the id of its row."""
        done = await self._writes.execute(self._sql, commits=True)
        return number_in(done.rows) if self._writes.dialect.returning else done.inserted


def number_in(rows: Sequence[Sequence[Any]]) -> int | None:
    """The one number that was asked for, or ``None`` if there is no row."""
    return int(rows[0][0]) if rows else None
