"""Long fork: single writes, and reads of whole groups of keys, to see writes in two orders.

A thread that has just written a fresh key reads that key's group, in random order and in one
transaction; one that has not either reads the group of a key that another thread wrote last, or
writes a fresh key. So a group is read while its keys are being written, which is when two readers
can see two of the writes in different orders. After jepsen.tests.long-fork, with its group size
of 2. Values are ``[["w", 7, 1]]`` and ``[["r", 6, null], ["r", 7, null]]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from harness.contract.client import SystemClient, Transactions
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import UsageError
from harness.generator import PENDING, Combinator, Context, Generator, Random, Step, invoke, lift
from harness.generator.leaves import fill_in, waiting
from harness.history.operation import Operation, Process
from workloads.answers import with_last
from workloads.micro_operations import carry_out
from workloads.transactions import greatest_key

READ: Final = "read"
WRITE: Final = "write"
FINAL_GROUPS: Final = 500


class LongFork:
    """The workload ``long-fork``."""

    name = "long-fork"
    needs = (Transactions,)
    checkers = ("long-fork",)
    model = "long-fork"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(name="group_size", kind=int, default=2, help="keys that are read together"),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._group_size: int = options.extra.get("group_size") or 2
        if self._group_size < 2:
            raise UsageError(f"long-fork: group_size must be at least 2, not {self._group_size}")
        self._last_key = -1

    async def setup(self, client: SystemClient) -> None:
        """Nothing to make: every key is written once, and is absent before."""

    def generator(self) -> Generator:
        """Endless: fresh writes, and reads of groups that are being written."""
        return Forking(self._group_size)

    def final_generator(self) -> Generator | None:
        """The groups used last, each read once more."""
        return self.final_reads([])

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The number of the group."""
        return [greatest_key(operation.value) // self._group_size]

    def final_reads(self, keys: Sequence[Any]) -> Generator | None:
        """The same of the groups ``keys``, and of those used last."""
        groups = with_last(keys, self._last_key // self._group_size, FINAL_GROUPS)
        return lift([invoke(READ, _reads(group, self._group_size)) for group in groups])

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One transaction."""
        self._last_key = max(self._last_key, greatest_key(operation.value))
        return await carry_out(client, operation, lambda key: f"long-fork-{key}")


def _reads(group: int, size: int) -> list[list[object]]:
    return [["r", key, None] for key in range(group * size, (group + 1) * size)]


class Forking(Combinator, frozen=True, gc=False):
    """See :class:`LongFork`. ``written``: by process the key that it wrote and has not yet read."""

    size: int
    stream: int = 0
    emitted: int = 0
    next_key: int = 0
    written: Mapping[Process, int] = {}

    def op(self, context: Context) -> Step:
        """A read of the group that the process just wrote to, or half and half."""
        thread = context.some_free_thread()
        if thread < 0:
            return waiting(context)
        process = context.processes[thread]
        random = Random(self.stream, self.emitted)
        written = dict(self.written)
        next_key = self.next_key
        if process in written:
            template = self._read(written.pop(process), random)
        elif written and random.below(2):
            template = self._read(random.choice(list(written.values())), random)
        else:
            template = invoke(WRITE, [["w", next_key, 1]])
            written[process] = next_key
            next_key += 1
        operation = fill_in(template, context)
        if operation is PENDING:
            return PENDING
        assert isinstance(operation, Operation)
        after = Forking(self.size, self.stream, self.emitted + 1, next_key, written)
        return operation, after

    def _read(self, key: int, random: Random) -> Operation:
        return invoke(READ, random.shuffled(_reads(key // self.size, self.size)))

    def bound(self, stream: int) -> Generator:
        """Draws from ``stream``."""
        return Forking(self.size, stream, self.emitted, self.next_key, self.written)


WORKLOADS = {LongFork.name: LongFork}
