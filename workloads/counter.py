"""Counter: changes up and down, and reads that must lie within what was counted.

After Jepsen's counter test, with decrements. As many reads as changes; changes are by -3 to 5
(never 0). At the end the counter is read on every node.
"""

from __future__ import annotations

from typing import ClassVar

from harness.contract.client import Counters
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Context, Generator, function, invoke, mix, repeat
from harness.history.operation import OK, Operation
from workloads.kit import completed, not_new, on_every_node

NAME = "total"
DELTAS = (-3, -2, -1, 1, 2, 3, 4, 5)


class Counter:
    """The workload ``counter``; the value of an ``add`` is its change."""

    name = "counter"
    needs = (Counters,)
    checkers = ("counter",)
    model = "counter"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = ()

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes

    async def setup(self, client: Counters) -> int:
        """Nothing to make; proves that a read answers and that nothing is counted yet."""
        found = await client.read_counter(NAME)
        if found != 0:
            raise not_new(self.name, f"it stands at {found}")
        return 0

    def generator(self) -> Generator:
        """Endless: reads and changes, as likely."""
        return mix([repeat(invoke("read")), function(self._add)])

    def _add(self, context: Context) -> Operation:
        return invoke("add", context.random.choice(DELTAS))

    def final_generator(self) -> Generator:
        """One read on every node."""
        return on_every_node(self._nodes, invoke("read"))

    async def invoke(self, client: Counters, operation: Operation) -> Operation:
        """One call of the client."""
        if operation.f == "read":
            return completed(operation, OK, await client.read_counter(NAME))
        await client.add_to_counter(NAME, operation.value)
        return completed(operation, OK, operation.value)


WORKLOADS = {Counter.name: Counter}
