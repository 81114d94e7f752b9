"""G2: pairs of inserts of which each gives up if it finds the other one's row.

For every key two clients insert at once, one a row into table a and one a row into table b, each
in a transaction that first looks for rows of the key in both tables. At most one may succeed
(Adya's G2, after jepsen.tests.adya). Here the rows of a key are two registers, named after table
and key, and looked for by name; a system with conditions can override that with its own idiom.
Values are ``[key, [a id, null]]`` or ``[key, [null, b id]]``.
A share is held open between the look and the insert (:mod:`workloads.holding`).
"""

from __future__ import annotations

from itertools import count
from typing import ClassVar, Final

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, concurrent_generator, deferred, invoke, lift
from harness.history.operation import FAIL, OK, Operation
from workloads.holding import OPTIONS as HOLDING
from workloads.holding import Holding, pause_before
from workloads.kit import completed, groups_of

THREADS_PER_KEY: Final = 2
FINAL_KEYS: Final = 20


class G2:
    """The workload ``g2``."""

    name = "g2"
    needs = (Transactions,)
    checkers = ("g2",)
    model = "g2"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = HOLDING

    def __init__(self, options: WorkloadOptions) -> None:
        groups_of(THREADS_PER_KEY, self.name, options)
        self._holding = Holding.of(options, self.name)
        self._last_key = -1

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: no row of any key is there before."""

    def generator(self) -> Generator:
        """Endless: two inserts for each key."""
        return concurrent_generator(THREADS_PER_KEY, count(), self._pair)

    def final_generator(self) -> Generator:
        """A few more pairs, on fresh keys: that an insert was ok is all there is to know."""
        first = self._last_key + 1
        keys = range(first, first + FINAL_KEYS)
        return concurrent_generator(THREADS_PER_KEY, keys, lambda key: lift(_inserts(key)))

    def _pair(self, key: int) -> Generator:
        """Both inserts of a key, some of them held between what is read and what is written."""
        return deferred(
            lambda context: [self._holding.some(each, 2, context.random) for each in _inserts(key)]
        )

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One insert, in one transaction; ``fail`` if there is a row of the key already."""
        key, (a, b) = operation.value
        self._last_key = max(self._last_key, key)
        rows = {f"g2-a-{key}": a, f"g2-b-{key}": b}
        transaction = await client.begin()
        found = await transaction.get_many(list(rows))
        if any(row is not None for row in found.values()):
            await transaction.abort()
            return completed(operation, FAIL, operation.value, ["there is a row", key])
        await pause_before(1, operation)
        for name, row in rows.items():
            if row is not None:
                await transaction.put(name, row)
        await transaction.commit()
        return completed(operation, OK, operation.value)


def _inserts(key: int) -> list[Operation]:
    return [invoke("insert", [2 * key + 1, None]), invoke("insert", [None, 2 * key + 2])]


WORKLOADS = {G2.name: G2}
