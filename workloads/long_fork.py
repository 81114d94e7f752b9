"""Long fork: single writes, and reads of whole groups of keys, to see writes in two orders.

A thread that has just written a fresh key reads that key's group, in random order and in one
transaction; one that has not either reads the group of a key that another thread wrote last, or
writes a fresh key. So a group is read while its keys are being written, which is when two readers
can see two of the writes in different orders. After jepsen.tests.long-fork, with its group size
of 2. A share of the reads is held open between its steps (:mod:`workloads.holding`). Values are
``[["w", 7, 1]]`` and ``[["r", 6, null], ["r", 7, null]]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from harness.contract.client import Transactions
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, invoke, lift
from harness.history.operation import Operation, Process
from workloads.holding import OPTIONS as HOLDING
from workloads.holding import Holding
from workloads.kit import Draw, draws, whole, with_last
from workloads.micro_operations import MicroOperation, carry_out, greatest_key, reads_of

READ: Final = "read"
WRITE: Final = "write"
FINAL_GROUPS: Final = 500

GROUP_SIZE = whole("group_size", 2, "keys that are read together", least=2)


class Written(NamedTuple):
    """How many keys were written, and by process the key that it wrote and has not yet read."""

    next_key: int
    unread: Mapping[Process, int]


class LongFork:
    """The workload ``long-fork``."""

    name = "long-fork"
    needs = (Transactions,)
    checkers = ("long-fork",)
    model = "long-fork"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (GROUP_SIZE, *HOLDING)

    def __init__(self, options: WorkloadOptions) -> None:
        self._group_size = GROUP_SIZE.of(options, self.name)
        self._holding = Holding.of(options, self.name)
        self._last_key = -1

    async def setup(self, client: Transactions) -> None:
        """Nothing to make: every key is written once, and is absent before."""

    def generator(self) -> Generator:
        """Endless: fresh writes, and reads of groups that are being written."""
        return draws(self._next, Written(0, {}))

    def _next(self, draw: Draw, so_far: Written) -> tuple[Operation, Written]:
        """A read of the group that the process just wrote to, or half and half."""
        next_key, unread = so_far.next_key, dict(so_far.unread)
        if draw.process in unread:
            return self._read(unread.pop(draw.process), draw), Written(next_key, unread)
        if unread and draw.random.below(2):
            return self._read(draw.random.choice(list(unread.values())), draw), so_far
        unread[draw.process] = next_key
        return invoke(WRITE, [["w", next_key, 1]]), Written(next_key + 1, unread)

    def _read(self, key: int, draw: Draw) -> Operation:
        asked = invoke(READ, draw.random.shuffled(self._group(key // self._group_size)))
        return self._holding.some(asked, self._group_size, draw.random)

    def _group(self, number: int) -> list[MicroOperation]:
        return reads_of(range(number * self._group_size, (number + 1) * self._group_size))

    def final_generator(self) -> Generator | None:
        """The groups used last, each read once more."""
        return self.final_reads([])

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The number of the group."""
        return [greatest_key(operation.value) // self._group_size]

    def final_reads(self, keys: Sequence[Any]) -> Generator | None:
        """The same of the groups ``keys``, and of those used last."""
        groups = with_last(keys, self._last_key // self._group_size, FINAL_GROUPS)
        return lift([invoke(READ, self._group(group)) for group in groups])

    async def invoke(self, client: Transactions, operation: Operation) -> Operation:
        """One transaction."""
        self._last_key = max(self._last_key, greatest_key(operation.value))
        return await carry_out(client, operation, lambda key: f"long-fork-{key}")


WORKLOADS = {LongFork.name: LongFork}
