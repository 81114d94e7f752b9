"""Write skew: transactions that read two registers and write one of them.

Each pair of registers is read by both of two transactions of which one overwrites the first and
the other the second: under snapshot isolation both may commit, though neither saw what the other
did (Berenson et al. 1995). Several clients work on the same few pairs, each with values of its own.
A share of them is held open (:mod:`workloads.holding`), so that others commit in between. Values
are ``[["r", 0, null], ["r", 1, null], ["w", 1, 7]]``.
"""

from __future__ import annotations

from typing import ClassVar

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, invoke, lift
from harness.history.operation import Operation
from workloads.holding import OPTIONS as HOLDING
from workloads.holding import Holding
from workloads.kit import Draw, draws, whole
from workloads.micro_operations import TXN, MicroOperation, carry_out, reads_of

PAIRS = whole("pairs", 4, "pairs of registers")


class WriteSkew:
    """The workload ``write-skew``."""

    name = "write-skew"
    needs = (Transactions,)
    checkers = ("write-skew",)
    model = "write-skew"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (PAIRS, *HOLDING)

    def __init__(self, options: WorkloadOptions) -> None:
        self._pairs = PAIRS.of(options, self.name)
        self._holding = Holding.of(options, self.name)

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: a register that was not written is absent."""

    def generator(self) -> Generator:
        """Endless: read a pair, and write one of it."""
        return draws(self._next, 1)

    def _next(self, draw: Draw, value: int) -> tuple[Operation, int]:
        """A read of both registers of a pair, and a write of either."""
        pair = draw.random.below(self._pairs)
        write = ["w", 2 * pair + draw.random.below(2), value]
        asked = invoke(TXN, [*_reads(pair), write])
        return self._holding.some(asked, 3, draw.random), value + 1

    def final_generator(self) -> Generator | None:
        """Every pair, read once more."""
        return lift([invoke(TXN, _reads(pair)) for pair in range(self._pairs)])

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        return await carry_out(client, operation, lambda key: f"write-skew-{key}")


def _reads(pair: int) -> list[MicroOperation]:
    return reads_of((2 * pair, 2 * pair + 1))


WORKLOADS = {WriteSkew.name: WriteSkew}
