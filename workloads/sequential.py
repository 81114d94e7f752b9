"""Sequential: counters that only grow, so that a process that sees one fall has gone back in time.

Transactions add one to a counter (read it, write it) and tell the new value, or read one. After
the Dgraph test's "sequential", with its 8 keys. Values are ``[key, null]``, and in the
completion ``[key, value]``. A share of the additions is held open between the read and the write
(:mod:`workloads.holding`).
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

INC: Final = "inc"
READ: Final = "read"

COUNTERS = whole("counters", 8, "how many counters there are")


class Sequential:
    """The workload ``sequential``."""

    name = "sequential"
    needs = (Transactions,)
    checkers = ("sequential",)
    model = "sequential"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (COUNTERS, *HOLDING)

    def __init__(self, options: WorkloadOptions) -> None:
        self._counters = COUNTERS.of(options, self.name)
        self._holding = Holding.of(options, self.name)
        self._nodes = options.nodes

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: a counter that is not there counts as 0."""

    def generator(self) -> Generator:
        """Endless: adding and reading, as likely."""
        return function(self._next)

    def _next(self, context: Context) -> Operation:
        f = INC if context.random.below(2) else READ
        asked = invoke(f, [context.random.below(self._counters), None])
        return asked if f == READ else self._holding.some(asked, 2, context.random)

    def final_generator(self) -> Generator:
        """Every counter, read on every node."""
        reads = [invoke(READ, [key, None]) for key in range(self._counters)]
        return on_every_node(self._nodes, reads)

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        key = operation.value[0]
        name = f"sequential-{key}"
        transaction = await client.begin(read_only=operation.f == READ)
        value = await transaction.get(name)
        if operation.f == INC:
            value = (value or 0) + 1
            await pause_before(1, operation)
            await transaction.put(name, value)
        await transaction.commit()
        return completed(operation, OK, [key, value])


WORKLOADS = {Sequential.name: Sequential}
