"""Monotonic: every transaction adds one more than the greatest value of a table in many parts.

``add`` looks at all rows, each in a partition of its own, and puts the greatest value plus one
into the row that its value names; ``read`` looks at all rows. Two adds that do not see each other
make the same value twice, in one row (a lost update) or in two (write skew); an add or read that
does not see an earlier one goes back in time. After CockroachDB's monotonic test. Values are
``[partition, null]`` (in the completion the value added) and a map from partition to value. A share
of the adds is held open between what is read and what is written (:mod:`workloads.holding`).
"""

from __future__ import annotations

from typing import ClassVar, Final

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Context, Generator, function, invoke
from harness.history.operation import OK, Operation
from workloads.holding import OPTIONS as HOLDING
from workloads.holding import Holding, pause_before
from workloads.kit import completed, on_every_node, whole

ADD: Final = "add"
READ: Final = "read"

PARTITIONS = whole("partitions", 4, "rows that are looked at")


class Monotonic:
    """The workload ``monotonic``."""

    name = "monotonic"
    needs = (Transactions,)
    checkers = ("monotonic",)
    model = "monotonic"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (PARTITIONS, *HOLDING)

    def __init__(self, options: WorkloadOptions) -> None:
        self._partitions = PARTITIONS.of(options, self.name)
        self._holding = Holding.of(options, self.name)
        self._nodes = options.nodes

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: a row that is not there counts as 0."""

    def generator(self) -> Generator:
        """Endless: adding and reading, as likely."""
        return function(self._next)

    def _next(self, context: Context) -> Operation:
        if context.random.below(2):
            asked = invoke(ADD, [context.random.below(self._partitions), None])
            return self._holding.some(asked, 2, context.random)
        return invoke(READ)

    def final_generator(self) -> Generator:
        """All rows, read on every node."""
        return on_every_node(self._nodes, invoke(READ))

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        names = {str(row): f"monotonic-{row}" for row in range(self._partitions)}
        transaction = await client.begin(read_only=operation.f == READ)
        stored = await transaction.get_many(list(names.values()))
        found = {row: stored[name] for row, name in names.items()}
        if operation.f == READ:
            await transaction.commit()
            return completed(operation, OK, found)
        row = operation.value[0]
        value = 1 + max((old for old in found.values() if old is not None), default=0)
        await pause_before(1, operation)
        await transaction.put(names[str(row)], value)
        await transaction.commit()
        return completed(operation, OK, [row, value])


WORKLOADS = {Monotonic.name: Monotonic}
