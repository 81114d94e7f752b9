"""Insert order: parts are written one after the other, and looked for in the reverse order.

After the sequential test of CockroachDB. ``write k`` writes the parts of ``k`` in order, each by
a write of its own; ``read k`` reads them from the last to the first. Whoever sees a part must
afterwards see those before it. Readers look at the keys written last.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

from harness.contract.client import Failed, Indeterminate, Registers
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Context, Generator, function, invoke, mix
from harness.history.operation import OK, Operation
from workloads.kit import completed, not_new, on_every_node, whole, with_last

RECENT = 8
"""Readers look at one of so many keys written last."""

PARTS = whole("parts", 5, "parts of a key", least=2)


class InsertOrder:
    """The workload ``insert-order``; the answer of a read is ``[key, parts]``, the last first."""

    name = "insert-order"
    needs = (Registers,)
    checkers = ("insert-order",)
    model = "insert-order"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (PARTS,)

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._parts = PARTS.of(options, self.name)
        self._last = 0

    async def setup(self, client: Registers) -> None:
        """Nothing to make; proves that a read answers and that the first key is not there."""
        found = await client.read(_part(0, 0))
        if found is not None:
            raise not_new(self.name, "key 0 is there")

    def generator(self) -> Generator:
        """Endless: writes of new keys and reads of recent ones, as likely."""
        return mix([function(self._read), (invoke("write", key) for key in count())])

    def _read(self, context: Context) -> Operation:
        return invoke("read", max(0, self._last - context.random.below(RECENT)))

    def final_generator(self) -> Generator:
        """The keys written last, on every node."""
        return self.final_reads([])

    def final_reads(self, keys: Sequence[Any]) -> Generator:
        """The same of ``keys``, and those written last."""
        taken = with_last(keys, self._last, RECENT + 1)
        return on_every_node(self._nodes, [invoke("read", key) for key in taken])

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The key of an operation."""
        return [operation.value]

    async def invoke(self, client: Registers, operation: Operation) -> Operation:
        """One call of the client for each part."""
        key = operation.value
        if operation.f == "read":
            order = range(self._parts - 1, -1, -1)
            parts = [await client.read(_part(key, part)) for part in order]
            return completed(operation, OK, [key, parts])
        self._last = max(self._last, key)
        for part in range(self._parts):
            try:
                await client.write(_part(key, part), part)
            except Failed as error:
                if not part:
                    raise
                raise Indeterminate(["after writing", part, error.error]) from error
        return completed(operation, OK, key)


def _part(key: int, part: int) -> str:
    return f"part-{key}-{part}"


WORKLOADS = {InsertOrder.name: InsertOrder}
