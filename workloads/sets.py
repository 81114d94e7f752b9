"""Set: elements are added and read all at once; what was acknowledged must not get lost.

After Jepsen's set and set-full tests. Four adds to one read; elements are unique. The set is cut
into keys, one after the other, so that reads stay short; at the end the sets used last are read
on every node, after the cluster has healed. Judged twice: the last read by ``set``, every read
by ``set-full``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

from harness.contract.client import Sets
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, concurrent_generator, invoke, mix, repeat
from harness.history.operation import OK, Operation
from workloads.kit import completed, key_of, not_new, on_every_node, whole, with_last

ADDS_TO_A_READ = 4

KEY_OPERATIONS = whole("key_operations", 500, "operations after which a set ends")


class Set:
    """The workload ``set``; values are ``[key, element]``, of a read ``[key, elements]``."""

    name = "set"
    needs = (Sets,)
    checkers = ("set", "set-full")
    model = "set"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (KEY_OPERATIONS,)

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes, self._concurrency = options.nodes, options.concurrency
        self._key_operations = KEY_OPERATIONS.of(options, self.name)
        self._last_key = -1

    async def setup(self, client: Sets) -> dict[str, list[Any]]:
        """Nothing to make; proves that a read answers and that the first set is empty."""
        found = list(await client.read_set(0))
        if found:
            raise not_new(self.name, f"set 0 holds {found[:5]}")
        return {}

    def generator(self) -> Generator:
        """Endless: adds and reads of one set after the other."""
        return concurrent_generator(
            self._concurrency, count(), self._key, operations=self._key_operations
        )

    def _key(self, key: int) -> Generator:
        steps = range(ADDS_TO_A_READ)
        adds = [(invoke("add", n) for n in count(step, ADDS_TO_A_READ)) for step in steps]
        return mix([repeat(invoke("read")), *adds])

    def final_generator(self) -> Generator:
        """The two sets used last, read on every node."""
        return self.final_reads([])

    def final_reads(self, keys: Sequence[Any]) -> Generator:
        """The same of ``keys``, and the two used last."""
        reads = [invoke("read", [key, None]) for key in with_last(keys, self._last_key, 2)]
        return on_every_node(self._nodes, reads)

    def keys_of(self, operation: Operation) -> Sequence[Any]:
        """The set of an operation."""
        return key_of(operation)

    async def invoke(self, client: Sets, operation: Operation) -> Operation:
        """One call of the client."""
        key, element = operation.value
        self._last_key = max(self._last_key, key)
        if operation.f == "read":
            return completed(operation, OK, [key, list(await client.read_set(key))])
        await client.add_to_set(key, element)
        return completed(operation, OK, operation.value)


WORKLOADS = {Set.name: Set}
