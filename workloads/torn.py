"""Torn: transactions that write several keys at once, and others that read them all.

A group has a few keys, which in a sharded system lie on several machines. A writer gives all of
them the same fresh value in one transaction, a reader reads all of them: whoever sees a value in
one key and an older one in another saw a transaction in part. Half and half; a share of the reads
is held open between its steps (:mod:`workloads.micro_operations` says why). Values are
``[["w", 0, 7], ["w", 1, 7]]`` and ``[["r", 1, null], ["r", 0, null]]``.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec.structs import replace

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, invoke, lift
from harness.history.operation import Operation
from workloads.kit import Draw, draws, seconds, share, whole
from workloads.micro_operations import PAUSES, TXN, MicroOperation, carry_out, reads_of

GROUPS = whole("groups", 3, "groups of keys")
GROUP_SIZE = whole("group_size", 4, "keys that are written together", least=2)
HELD_SHARE = share("held_share", 0.02, "share of reads held open")
HELD_S = seconds("held_s", 2.0, "the longest that a held read pauses")


class Torn:
    """The workload ``torn``."""

    name = "torn"
    needs = (Transactions,)
    checkers = ("torn",)
    model = "torn"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (GROUPS, GROUP_SIZE, HELD_SHARE, HELD_S)

    def __init__(self, options: WorkloadOptions) -> None:
        self._groups = GROUPS.of(options, self.name)
        self._size = GROUP_SIZE.of(options, self.name)
        self._held_share = HELD_SHARE.of(options, self.name)
        self._held_s = HELD_S.of(options, self.name)

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: a key that was not written is absent."""

    def generator(self) -> Generator:
        """Endless: writes and reads of whole groups."""
        return draws(self._next, 1)

    def _next(self, draw: Draw, value: int) -> tuple[Operation, int]:
        """A write of a whole group, or a read of it in any order; a fresh value in any case."""
        random = draw.random
        steps = random.shuffled(self._group(random.below(self._groups)))
        if random.below(2):
            return invoke(TXN, [["w", key, value] for _, key, _ in steps]), value + 1
        if random.random() >= self._held_share:
            return invoke(TXN, steps), value + 1
        share_s = self._held_s * random.random() / (self._size - 1)
        pauses = [0.0] + [round(share_s, 3)] * (self._size - 1)
        return replace(invoke(TXN, steps), extra={PAUSES: pauses}), value + 1

    def _group(self, number: int) -> list[MicroOperation]:
        return reads_of(range(number * self._size, (number + 1) * self._size))

    def final_generator(self) -> Generator | None:
        """Every group, read once more."""
        return lift([invoke(TXN, self._group(group)) for group in range(self._groups)])

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        return await carry_out(client, operation, lambda key: f"torn-{key}")


WORKLOADS = {Torn.name: Torn}
