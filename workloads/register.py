"""Registers: read, write and compare-and-set on independent keys, judged for linearizability.

After Jepsen's linearizable-register test. Each key is shared by two threads a node. The first
half of them (one on each node) only read, the others write and compare-and-set, so that clients
cut off in the middle of a write keep no reader from reading. Judging one key takes time
exponential in its open operations, so a key ends after some operations, or after a few whose
outcome nobody knows, and its threads take the next one. What was refused or never sent does not
count, and the final reads take every key that was open under a fault (up to a bound).

Values are unique within a key by default: a read then names the write that it saw, and stale
reads are proved soonest. A small ``value_range`` makes values come back, so that compare-and-set
succeeds on a value that is there again. A compare-and-set expects the last value that its
process wrote itself (those that write never read), so it both succeeds and fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, ClassVar, Final

from harness.contract.client import Registers
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import (
    Combinator,
    Context,
    Generator,
    Random,
    Step,
    bind,
    concurrent_generator,
    invoke,
    mix,
    repeat,
    reserve,
)
from harness.generator.streams import split
from harness.history.operation import FAIL, OK, Operation, Process
from harness.wording import shown
from workloads.kit import (
    completed,
    groups_of,
    key_of,
    not_new,
    on_every_node,
    whole,
    whole_or_none,
    with_last,
)

READ: Final = "read"
WRITE: Final = "write"
CAS: Final = "cas"

VALUE_RANGE = whole_or_none(
    "value_range",
    "write values below this number, again and again (default: every value once)",
)
KEY_OPERATIONS = whole("key_operations", 200, "operations after which a key ends")
KEY_INFOS = whole("key_infos", 8, "operations of unknown outcome after which a key ends")


class Register:
    """The workload ``register``; values are ``[key, value]``, of a cas ``[key, [old, new]]``."""

    name = "register"
    needs = (Registers,)
    checkers = ("linearizable",)
    model = "cas-register"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (VALUE_RANGE, KEY_OPERATIONS, KEY_INFOS)

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._threads_per_key = 2 * options.nodes
        said = f"2 threads a node ({options.nodes} nodes)"
        self._groups = groups_of(self._threads_per_key, self.name, options, said)
        self._value_range = VALUE_RANGE.of(options, self.name)
        self._key_operations = KEY_OPERATIONS.of(options, self.name)
        self._key_infos = KEY_INFOS.of(options, self.name)
        self._last_key = -1

    async def setup(self, client: Registers) -> None:
        """Nothing to make; proves that a read answers and that the first key is not there yet."""
        found = await client.read(0)
        if found is not None:
            raise not_new(self.name, f"key 0 holds {shown(found)}")

    def generator(self) -> Generator:
        """Endless: reads on the first half of each key's threads, writes and cas on the rest."""
        return concurrent_generator(
            self._threads_per_key,
            count(),
            self._key,
            operations=self._key_operations,
            infos=self._key_infos,
        )

    def _key(self, key: int) -> Generator:
        changes = mix([repeat(invoke(WRITE)), repeat(invoke(CAS))])
        gen = reserve(self._nodes, repeat(invoke(READ)), changes)
        return Filled(gen, self._value_range, {})

    def final_generator(self) -> Generator:
        """The keys used last, each read on every node."""
        return self.final_reads([])

    def final_reads(self, keys: Sequence[Any]) -> Generator:
        """The same of ``keys``, and the keys used last."""
        taken = with_last(keys, self._last_key, 2 * self._groups)
        reads = [invoke(READ, [key, None]) for key in taken]
        return on_every_node(self._nodes, reads)

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The key of an operation."""
        return key_of(operation)

    async def invoke(self, client: Registers, operation: Operation) -> Operation:
        """One call of the client; a compare-and-set that found another value is ``fail``."""
        key, value = operation.value
        if key > self._last_key:
            self._last_key = key
        if operation.f == READ:
            return completed(operation, OK, [key, await client.read(key)])
        if operation.f == WRITE:
            await client.write(key, value)
            return completed(operation, OK, operation.value)
        happened = await client.compare_and_set(key, *value)
        return completed(operation, OK if happened else FAIL, operation.value)


class Filled(Combinator, frozen=True, gc=False):
    """Gives the writes and cas of one key their values.

    ``seen`` maps a process to the last value that it knows it wrote. ``used`` counts the values.
    """

    gen: Generator
    value_range: int | None
    seen: Mapping[Process, Any]
    used: int = 0
    stream: int = 0

    def op(self, context: Context) -> Step:
        """The inner operation, with a value if it changes the register."""
        step = self.gen.op(context)
        if step.__class__ is not tuple:
            return step
        blank, after = step
        if blank.f == READ:
            return blank, Filled(after, self.value_range, self.seen, self.used, self.stream)
        value: Any = self._next_value()
        if blank.f == CAS:
            value = [self.seen.get(blank.process), value]
        operation = Operation(-1, blank.time, blank.process, blank.type, blank.f, value)
        return operation, Filled(after, self.value_range, self.seen, self.used + 1, self.stream)

    def _next_value(self) -> int:
        if self.value_range is None:
            return self.used + 1
        return Random(self.stream, self.used).below(self.value_range)

    def update(self, context: Context, event: Operation) -> Generator:
        """Remembers what was written; nothing inside listens to events."""
        if event.type != OK or event.f == READ:
            return self
        value = event.value[1] if event.f == CAS else event.value
        seen = {**self.seen, event.process: value}
        return Filled(self.gen, self.value_range, seen, self.used, self.stream)

    def bound(self, stream: int) -> Generator:
        """The inner generator is child 0; values draw from ``stream``."""
        gen = bind(self.gen, split(stream, 0))
        return Filled(gen, self.value_range, self.seen, self.used, stream)


WORKLOADS = {"register": Register}
