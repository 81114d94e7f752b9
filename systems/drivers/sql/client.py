"""The client of an SQL database: every ability but watches, over one or two connections.

Where reads may go elsewhere than writes (``read_from``) they have a connection of their own;
else all goes over one. This file puts the abilities together: their methods are the client's, as
the contract wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from harness.contract.client import (
    Counters,
    Ids,
    Locks,
    Logs,
    Predicates,
    Queues,
    Registers,
    Sets,
    Target,
    Transactions,
)
from systems.drivers.sql.connection import Connect
from systems.drivers.sql.dialect import Dialect
from systems.drivers.sql.objects import SqlCounters, SqlIds, SqlLocks, SqlLogs, SqlQueues, SqlSets
from systems.drivers.sql.registers import SqlRegisters
from systems.drivers.sql.session import Session
from systems.drivers.sql.tables import Tables
from systems.drivers.sql.transaction import SqlTransactions

ABILITIES: Final[tuple[type, ...]] = (
    *(Registers, Transactions, Predicates),
    *(Sets, Counters, Queues, Logs, Locks, Ids),
)
"""What such a client can do: all there is but watches."""

Route = Callable[[Target], str]
"""From the node that a client was opened on to the address that it is led to now."""


class SqlClient:
    """Speaks to one database. All of :data:`ABILITIES`."""

    def __init__(
        self,
        dialect: Dialect,
        connect: Connect,
        op_timeout_s: float,
        *,
        tables: Tables,
        level: str,
        appends: bool = True,
        write_to: Route = str,
        read_from: Route | None = None,
    ) -> None:
        """``level`` is an isolation level as options spell it; ``read_from``: where reads go.

        ``appends``: whether its transactions append by one statement.
        """
        self._writes = Session(dialect, connect, op_timeout_s)
        self._reads = self._writes
        if read_from is not None:
            self._reads = Session(dialect, connect, op_timeout_s)
        self._write_to, self._read_from = write_to, read_from
        self._put_together(tables, dialect.levels[level], appends)

    async def open(self, target: Target, /) -> None:
        """Remember where to go; nothing is sent before the first statement."""
        await self._writes.open(lambda: self._write_to(target))
        read_from = self._read_from
        if read_from is not None:
            await self._reads.open(lambda: read_from(target))

    async def close(self) -> None:
        """Drop what is connected. Safe twice, and while a statement is under way."""
        await self._writes.close()
        await self._reads.close()

    def _put_together(self, tables: Tables, level: str, appends: bool) -> None:
        writes, reads = self._writes, self._reads
        registers = SqlRegisters(writes, reads, tables)
        self.read, self.write = registers.read, registers.write
        self.compare_and_set = registers.compare_and_set

        transactions = SqlTransactions(writes, reads, tables, level, appends=appends)
        self.begin = transactions.begin

        sets, counters = SqlSets(writes, reads, tables), SqlCounters(writes, reads, tables)
        self.add_to_set, self.read_set = sets.add_to_set, sets.read_set
        self.add_to_counter, self.read_counter = counters.add_to_counter, counters.read_counter

        queues, logs = SqlQueues(writes, transactions, tables), SqlLogs(reads, transactions, tables)
        self.enqueue, self.dequeue = queues.enqueue, queues.dequeue
        self.append_to_log, self.poll_log = logs.append_to_log, logs.poll_log

        locks, ids = SqlLocks(writes, transactions, tables), SqlIds(writes, tables)
        self.acquire, self.release = locks.acquire, locks.release
        self.generate_id = ids.generate_id
