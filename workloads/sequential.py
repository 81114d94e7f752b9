"""Sequential: counters that only grow, so that a process that sees one fall has gone back in time.

Transactions add one to a counter (read it, write it) and tell the new value, or read one. After
the Dgraph test's "sequential", with its 8 keys. Values are ``[key, null]``, and in the
completion ``[key, value]``.
"""

from __future__ import annotations

from typing import ClassVar, Final

from harness.contract.client import SystemClient, Transactions
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.generator import Context, Generator, each_thread, function, invoke, on_threads
from harness.history.operation import OK, Operation
from workloads.micro_operations import begin, completed

INC: Final = "inc"
READ: Final = "read"


class Sequential:
    """The workload ``sequential``."""

    name = "sequential"
    needs = (Transactions,)
    checkers = ("sequential",)
    model = "sequential"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(name="counters", kind=int, default=8, help="how many counters there are"),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._counters: int = options.extra.get("counters") or 8
        self._nodes = options.nodes
        if self._counters < 1:
            raise UsageError(f"sequential: counters must be at least 1, not {self._counters}")

    async def setup(self, client: SystemClient) -> None:
        """Nothing to make: a counter that is not there counts as 0."""

    def generator(self) -> Generator:
        """Endless: adding and reading, as likely."""
        return function(self._next)

    def _next(self, context: Context) -> Operation:
        f = INC if context.random.below(2) else READ
        return invoke(f, [context.random.below(self._counters), None])

    def final_generator(self) -> Generator:
        """Every counter, read on every node."""
        reads = [invoke(READ, [key, None]) for key in range(self._counters)]
        return on_threads(range(self._nodes), each_thread(reads))

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        key = operation.value[0]
        name = f"sequential-{key}"
        transaction = begin(client)
        value = await transaction.get(name)
        if operation.f == INC:
            value = (value or 0) + 1
            await transaction.put(name, value)
        await transaction.commit()
        return completed(operation, OK, [key, value])


WORKLOADS = {Sequential.name: Sequential}
