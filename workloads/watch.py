"""Watch: a few keys are written and followed; every watcher must see every change, in one order.

After jepsen.etcd's watch test and the guarantees of etcd's robustness tests. Every process
follows each key from the revision that it has seen last (so watches resume), as often as it
writes. Values are unique. At the end every key is followed from its start on every node.
"""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from harness.contract.client import Watches
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Context, Generator, function, invoke, mix
from harness.history.operation import OK, Operation, Process
from workloads.kit import completed, not_new, on_every_node, whole

KEYS = whole("keys", 4, "how many keys there are")


class Watch:
    """The workload ``watch``; values are ``[key, value]``."""

    name = "watch"
    needs = (Watches,)
    checkers = ("watch",)
    model = "watch"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (KEYS,)

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = KEYS.of(options, self.name)
        self._seen: dict[tuple[Process, int], int] = {}

    async def setup(self, client: Watches) -> None:
        """Proves that every key can be followed and has never changed."""
        for key in range(self._keys):
            _, events = await client.watch(key, 0)
            if events:
                raise not_new(self.name, f"key {key} changed {len(events)} times")

    def generator(self) -> Generator:
        """Endless: writes and watches, as likely."""
        writes = (invoke("write", [n % self._keys, n]) for n in count())
        return mix([function(self._watch), writes])

    def _watch(self, context: Context) -> Operation:
        return invoke("watch", [context.random.below(self._keys), None])

    def final_generator(self) -> Generator:
        """Every key from its start, on every node."""
        watches = [invoke("final-watch", [key, None]) for key in range(self._keys)]
        return on_every_node(self._nodes, watches)

    async def invoke(self, client: Watches, operation: Operation) -> Operation:
        """One call of the client."""
        key, value = operation.value
        if operation.f == "write":
            revision = await client.write_watched(key, value)
            return completed(operation, OK, [key, [value, revision]])
        is_final = operation.f == "final-watch"
        after = 0 if is_final else self._seen.get((operation.process, key), 0)
        to, events = await client.watch(key, after)
        if not is_final:
            self._seen[operation.process, key] = to
        answer = {"after": after, "to": to, "events": [list(event) for event in events]}
        return completed(operation, OK, [key, answer])


WORKLOADS = {Watch.name: Watch}
