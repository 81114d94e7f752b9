"""Comments: ids are inserted and read all at once; effects must not be seen before their causes.

After the comments test of CockroachDB. Every ``write`` inserts an id of its own, in a
transaction; a ``read`` looks for all ids in one transaction. The ids are cut into keys of a few
dozen, one after the other, so that a read stays within one transaction's limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, concurrent_generator, invoke, mix, repeat
from harness.history.operation import OK, Operation
from workloads.kit import completed, key_of, on_every_node, whole, with_last

IDS = whole("ids", 50, "ids of one key")


class Comments:
    """The workload ``comments``; values are ``[key, id]``, of a read ``[key, ids]``."""

    name = "comments"
    needs = (Transactions,)
    checkers = ("comments",)
    model = "comments"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (IDS,)

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes, self._concurrency = options.nodes, options.concurrency
        self._ids = IDS.of(options, self.name)
        self._last_key = -1

    async def setup(self, client: Transactions) -> dict[str, Any]:
        """Nothing to make; proves that a transaction that reads answers."""
        await self._read(client, 0)
        return {}

    def generator(self) -> Generator:
        """Endless: writes and reads, as likely, of one key after the other."""
        return concurrent_generator(self._concurrency, count(), self._key, operations=2 * self._ids)

    def _key(self, key: int) -> Generator:
        return mix([repeat(invoke("read")), [invoke("write", n) for n in range(self._ids)]])

    def final_generator(self) -> Generator:
        """The two keys used last, read on every node."""
        return self.final_reads([])

    def final_reads(self, keys: Sequence[Any]) -> Generator:
        """The same of ``keys``, and the two used last."""
        reads = [invoke("read", [key, None]) for key in with_last(keys, self._last_key, 2)]
        return on_every_node(self._nodes, reads)

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The key of an operation."""
        return key_of(operation)

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        key, comment = operation.value
        self._last_key = max(self._last_key, key)
        if operation.f == "read":
            return completed(operation, OK, [key, await self._read(client, key)])
        transaction = await client.begin()
        await transaction.put(_name(key, comment), comment)
        await transaction.commit()
        return completed(operation, OK, operation.value)

    async def _read(self, client: Transactions, key: int) -> list[Any]:
        names = [_name(key, comment) for comment in range(self._ids)]
        transaction = await client.begin(read_only=True)
        found = await transaction.get_many(names)
        await transaction.commit()
        return [found[name] for name in names if found[name] is not None]


def _name(key: int, comment: int) -> str:
    return f"comment-{key}-{comment}"


WORKLOADS = {Comments.name: Comments}
