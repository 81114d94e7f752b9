"""Registers, sets, counters and ids, each made of transactions over records.

========  ==========================================================================================
register  a record; a write and a compare-and-set look for it first, in the same transaction
set       a record for each element; read by a range of the index (or by all uids that there are)
counter   a record, changed by a transaction that reads it first
id        the uid of a new record that is never committed: Zero leases every uid once
========  ==========================================================================================

Nothing is retried: a conflict is ``Failed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.contract.client import Failed
from systems.dgraph.asks import Asks
from systems.dgraph.dialect import NEW
from systems.dgraph.records import KEY, Layout
from systems.dgraph.transaction import DgraphTransactions, made


class DgraphRegisters:
    """The ability ``Registers``."""

    def __init__(self, transactions: DgraphTransactions) -> None:
        self._transactions = transactions

    async def read(self, key: Any) -> Any:
        """One query of a transaction that only reads."""
        transaction = await self._transactions.begin(read_only=True)
        return await transaction.get(_register(key))

    async def write(self, key: Any, value: Any) -> None:
        """Look for the record, set it, commit."""
        transaction = await self._transactions.begin()
        await transaction.put(_register(key), value)
        await transaction.commit()

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        """Read it, set it if it holds ``old`` (``None``: is not there), commit."""
        transaction = await self._transactions.begin()
        if await transaction.get(_register(key)) != old:
            return False
        await transaction.put(_register(key), new)
        await transaction.commit()
        return True


def _register(key: Any) -> str:
    return f"register/{key}"


class DgraphSets:
    """The ability ``Sets``."""

    def __init__(self, transactions: DgraphTransactions) -> None:
        self._transactions = transactions

    async def add_to_set(self, name: Any, element: Any) -> None:
        """One new record, of the element alone."""
        transaction = await self._transactions.begin()
        await transaction.put(f"set/{name}/{element}", element)
        await transaction.commit()

    async def read_set(self, name: Any) -> Sequence[Any]:
        """One range."""
        transaction = await self._transactions.begin(read_only=True)
        return list((await transaction.scan(f"set/{name}/")).values())


class DgraphCounters:
    """The ability ``Counters``."""

    def __init__(self, transactions: DgraphTransactions) -> None:
        self._transactions = transactions

    async def add_to_counter(self, name: Any, delta: int) -> None:
        """A read and a write in one transaction."""
        transaction, key = await self._transactions.begin(), f"counter/{name}"
        await transaction.put(key, (await transaction.get(key) or 0) + delta)
        await transaction.commit()

    async def read_counter(self, name: Any) -> int:
        """One query."""
        transaction = await self._transactions.begin(read_only=True)
        value = await transaction.get(f"counter/{name}") or 0
        if not isinstance(value, int):
            raise Failed(["answer", f"a counter holds {value}"], session_ended=False)
        return value


class DgraphIds:
    """The ability ``Ids``."""

    def __init__(self, asks: Asks, layout: Layout) -> None:
        self._asks, self._layout = asks, layout

    async def generate_id(self) -> str:
        """One mutation, which is left uncommitted; the uid that it was given."""
        request = self._layout.dialect.set(0, NEW, {f"{KEY}_0": "id"})
        return made(await self._asks.ask(request, self._asks.deadline()))
