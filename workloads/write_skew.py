"""Write skew: transactions that read two registers and write one of them.

Each pair of registers is read by both of two transactions of which one overwrites the first and
the other the second: under snapshot isolation both may commit, though neither saw what the other
did (Berenson et al. 1995). Several clients work on the same few pairs, each with values of its own.
Values are ``[["r", 0, null], ["r", 1, null], ["w", 1, 7]]``.
"""

from __future__ import annotations

from typing import ClassVar, Final

from msgspec.structs import replace

from harness.contract.client import SystemClient, Transactions
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.generator import PENDING, Combinator, Context, Generator, Random, Step, invoke, lift
from harness.generator.leaves import fill_in, waiting
from harness.history.operation import Operation
from workloads.micro_operations import MicroOperation, carry_out

TXN: Final = "txn"


class WriteSkew:
    """The workload ``write-skew``."""

    name = "write-skew"
    needs = (Transactions,)
    checkers = ("write-skew",)
    model = "write-skew"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(name="pairs", kind=int, default=4, help="pairs of registers"),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._pairs: int = options.extra.get("pairs") or 4
        if self._pairs < 1:
            raise UsageError(f"write-skew: pairs must be at least 1, not {self._pairs}")

    async def setup(self, client: SystemClient) -> None:
        """Nothing to make: a register that was not written is absent."""

    def generator(self) -> Generator:
        """Endless: read a pair, and write one of it."""
        return Skewing(self._pairs)

    def final_generator(self) -> Generator | None:
        """Every pair, read once more."""
        return lift([invoke(TXN, _reads(pair)) for pair in range(self._pairs)])

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        return await carry_out(client, operation, lambda key: f"write-skew-{key}")


def _reads(pair: int) -> list[MicroOperation]:
    return [["r", 2 * pair, None], ["r", 2 * pair + 1, None]]


class Skewing(Combinator, frozen=True, gc=False):
    """See :class:`WriteSkew`."""

    pairs: int
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """A read of both registers of a pair, and a write of either."""
        if not context.free:
            return waiting(context)
        random = Random(self.stream, self.emitted)
        pair = random.below(self.pairs)
        write = ["w", 2 * pair + random.below(2), self.emitted + 1]
        operation = fill_in(invoke(TXN, [*_reads(pair), write]), context)
        if operation is PENDING:
            return PENDING
        assert isinstance(operation, Operation)
        return operation, replace(self, emitted=self.emitted + 1)

    def bound(self, stream: int) -> Generator:
        """Draws from ``stream``."""
        return replace(self, stream=stream)


WORKLOADS = {WriteSkew.name: WriteSkew}
