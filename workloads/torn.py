"""Torn: transactions that write several keys at once, and others that read them all.

A group has a few keys, which in a sharded system lie on several machines. A writer gives all of
them the same fresh value in one transaction, a reader reads all of them: whoever sees a value in
one key and an older one in another saw a transaction in part. Half and half; a share of the reads
is held open between its steps (:mod:`workloads.micro_operations` says why). Values are
``[["w", 0, 7], ["w", 1, 7]]`` and ``[["r", 1, null], ["r", 0, null]]``.
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
from workloads.micro_operations import PAUSES, MicroOperation, carry_out

TXN: Final = "txn"


class Torn:
    """The workload ``torn``."""

    name = "torn"
    needs = (Transactions,)
    checkers = ("torn",)
    model = "torn"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(name="groups", kind=int, default=3, help="groups of keys"),
        SystemOption(name="group_size", kind=int, default=4, help="keys that are written together"),
        SystemOption(name="held_share", kind=float, default=0.02, help="share of reads held open"),
        SystemOption(
            name="held_s", kind=float, default=2.0, help="the longest that a held read pauses"
        ),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        chosen = {option.name: option.default for option in self.options}
        chosen.update({k: v for k, v in options.extra.items() if k in chosen and v is not None})
        if chosen["groups"] < 1 or chosen["group_size"] < 2:
            raise UsageError("torn: there must be at least one of groups, and a group_size of 2")
        if not 0 <= chosen["held_share"] <= 1 or chosen["held_s"] < 0:
            raise UsageError("torn: held_share must be between 0 and 1, and held_s not negative")
        self._groups: int = chosen["groups"]
        self._size: int = chosen["group_size"]
        self._held = (chosen["held_share"], chosen["held_s"])

    async def setup(self, client: SystemClient) -> None:
        """Nothing to make: a key that was not written is absent."""

    def generator(self) -> Generator:
        """Endless: writes and reads of whole groups."""
        return Tearing(self._groups, self._size, *self._held)

    def final_generator(self) -> Generator | None:
        """Every group, read once more."""
        return lift([invoke(TXN, _reads(group, self._size)) for group in range(self._groups)])

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One transaction. A refused commit passes through as ``Failed``."""
        return await carry_out(client, operation, lambda key: f"torn-{key}")


def _reads(group: int, size: int) -> list[MicroOperation]:
    return [["r", key, None] for key in range(group * size, (group + 1) * size)]


class Tearing(Combinator, frozen=True, gc=False):
    """See :class:`Torn`."""

    groups: int
    size: int
    held_share: float
    held_s: float
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """A write of a whole group, or a read of it in any order."""
        if not context.free:
            return waiting(context)
        random = Random(self.stream, self.emitted)
        group = random.below(self.groups)
        steps = random.shuffled(_reads(group, self.size))
        if random.below(2):
            steps = [["w", key, self.emitted + 1] for _, key, _ in steps]
        template = invoke(TXN, steps)
        if steps[0][0] == "r" and random.random() < self.held_share:
            share_s = self.held_s * random.random() / (self.size - 1)
            pauses = [0.0] + [round(share_s, 3)] * (self.size - 1)
            template = replace(template, extra={PAUSES: pauses})
        operation = fill_in(template, context)
        if operation is PENDING:
            return PENDING
        assert isinstance(operation, Operation)
        return operation, replace(self, emitted=self.emitted + 1)

    def bound(self, stream: int) -> Generator:
        """Draws from ``stream``."""
        return replace(self, stream=stream)


WORKLOADS = {Torn.name: Torn}
