"""Causal reverse: rows inserted one after another, and reads of all of them at once.

Each key is a table of a few rows. A few clients insert them, the next one mostly after the one
before was acknowledged, and read the whole table in one transaction meanwhile: a read that shows
a row and not one that had been acknowledged before that row was even asked for saw an effect
without its cause (after jepsen.tests.causal-reverse). In a sharded system the rows lie on several
machines. Values are ``[key, row]`` and ``[key, null]``, in the completion ``[key, [rows]]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar, Final

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, concurrent_generator, invoke, lift
from harness.history.operation import OK, Operation
from workloads.kit import completed, groups_of, key_of, whole, with_last

WRITE: Final = "write"
READ: Final = "read"
THREADS_PER_KEY: Final = 2
FINAL_KEYS: Final = 50

ROWS = whole("rows", 16, "rows that a table has in the end", least=2)


class CausalReverse:
    """The workload ``causal-reverse``."""

    name = "causal-reverse"
    needs = (Transactions,)
    checkers = ("causal-reverse",)
    model = "causal-reverse"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (ROWS,)

    def __init__(self, options: WorkloadOptions) -> None:
        groups_of(THREADS_PER_KEY, self.name, options)
        self._rows = ROWS.of(options, self.name)
        self._last_key = -1

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: no row of any table is there before."""

    def generator(self) -> Generator:
        """Endless: one table after the other for each two threads."""
        return concurrent_generator(THREADS_PER_KEY, count(), self._table)

    def final_generator(self) -> Generator | None:
        """The tables used last, each read once more."""
        return self.final_reads([])

    def final_reads(self, keys: Sequence[Any]) -> Generator | None:
        """The same of ``keys``, and the tables used last."""
        taken = with_last(keys, self._last_key, FINAL_KEYS)
        return lift([invoke(READ, [key, None]) for key in taken])

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The table of an operation."""
        return key_of(operation)

    def _table(self, _key: int) -> Generator:
        steps = [[invoke(WRITE, row), invoke(READ)] for row in range(self._rows)]
        return lift([step for both in steps for step in both])

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        key, row = operation.value
        self._last_key = max(self._last_key, key)
        transaction = await client.begin(read_only=operation.f == READ)
        if operation.f == WRITE:
            await transaction.put(_name(key, row), row)
            await transaction.commit()
            return completed(operation, OK, operation.value)
        found = await transaction.get_many([_name(key, row) for row in range(self._rows)])
        await transaction.commit()
        rows = sorted(row for row in found.values() if row is not None)
        return completed(operation, OK, [key, rows])


def _name(key: int, row: int) -> str:
    return f"causal-reverse-{key}-{row}"


WORKLOADS = {CausalReverse.name: CausalReverse}
