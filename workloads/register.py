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

from harness.contract.client import Registers, SystemClient
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError, UsageError
from harness.generator import (
    Combinator,
    Context,
    Generator,
    Random,
    Step,
    bind,
    concurrent_generator,
    each_thread,
    invoke,
    mix,
    on_threads,
    repeat,
    reserve,
)
from harness.generator.streams import split
from harness.history.operation import FAIL, OK, Operation, Process
from workloads.answers import key_of, with_last

READ: Final = "read"
WRITE: Final = "write"
CAS: Final = "cas"


class Register:
    """The workload ``register``; values are ``[key, value]``, of a cas ``[key, [old, new]]``."""

    name = "register"
    needs = (Registers,)
    checkers = ("linearizable",)
    model = "cas-register"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(
            name="value_range",
            kind=int,
            default=None,
            help="write values below this number, again and again (default: every value once)",
        ),
        SystemOption(
            name="key_operations", kind=int, default=200, help="operations after which a key ends"
        ),
        SystemOption(
            name="key_infos",
            kind=int,
            default=8,
            help="operations of unknown outcome after which a key ends",
        ),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._threads_per_key = 2 * options.nodes
        if options.concurrency % self._threads_per_key:
            raise _does_not_fit(options)
        self._groups = options.concurrency // self._threads_per_key
        chosen = {option.name: option.default for option in self.options}
        chosen.update({k: v for k, v in options.extra.items() if k in chosen and v is not None})
        self._value_range: int | None = chosen["value_range"]
        self._key_operations: int = chosen["key_operations"]
        self._key_infos: int = chosen["key_infos"]
        _refuse_below_one(chosen)
        self._last_key = -1

    async def setup(self, client: SystemClient) -> None:
        """Nothing to make; proves that a read answers and that the first key is not there yet."""
        found = await _registers(client).read(0)
        if found is not None:
            raise SetupError(
                f"register: key 0 holds {found!r} before the first operation",
                "an empty database: what others wrote would be taken for a wrong answer",
            )

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
        return on_threads(range(self._nodes), each_thread(reads))

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The key of an operation."""
        return key_of(operation)

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One call of the client; a compare-and-set that found another value is ``fail``."""
        registers = _registers(client)
        key, value = operation.value
        if key > self._last_key:
            self._last_key = key
        if operation.f == READ:
            return _completed(operation, OK, [key, await registers.read(key)])
        if operation.f == WRITE:
            await registers.write(key, value)
            return _completed(operation, OK, operation.value)
        happened = await registers.compare_and_set(key, *value)
        return _completed(operation, OK if happened else FAIL, operation.value)


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


def _completed(invocation: Operation, kind: str, value: Any) -> Operation:
    return Operation(-1, -1, invocation.process, kind, invocation.f, value)


def _registers(client: SystemClient) -> Registers:
    return client  # type: ignore[return-value]


def _does_not_fit(options: WorkloadOptions) -> UsageError:
    size = 2 * options.nodes
    lower = options.concurrency // size * size
    return UsageError(
        f"register puts 2 threads a node on every key: with {options.nodes} nodes the "
        f"concurrency must be a multiple of {size}, which {options.concurrency} is not",
        f"--concurrency {lower or size}" + (f" or {lower + size}" if lower else ""),
    )


def _refuse_below_one(chosen: Mapping[str, Any]) -> None:
    for name, value in chosen.items():
        if value is not None and value < 1:
            raise UsageError(f"register: {name} must be at least 1, not {value}")


WORKLOADS = {"register": Register}
