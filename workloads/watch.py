"""Watch: a few keys are written and followed; every watcher must see every change, in one order.

After jepsen.etcd's watch test and the guarantees of etcd's robustness tests. Every process
follows each key from the revision that it has seen last (so watches resume), as often as it
writes. Values are unique. At the end every key is followed from its start on every node.
"""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from harness.contract.client import SystemClient, Watches
from harness.contract.system import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.errors import SetupError
from harness.generator import Context, Generator, each_thread, function, invoke, mix, on_threads
from harness.history.operation import OK, Operation, Process
from workloads.answers import chosen, completed


class Watch:
    """The workload ``watch``; values are ``[key, value]``."""

    name = "watch"
    needs = (Watches,)
    checkers = ("watch",)
    model = "watch"
    independent = True
    options: ClassVar[tuple[SystemOption, ...]] = (
        SystemOption(name="keys", kind=int, default=4, help="how many keys there are"),
    )

    def __init__(self, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = chosen(self.name, self.options, options)["keys"]
        self._seen: dict[tuple[Process, int], int] = {}

    async def setup(self, client: SystemClient) -> None:
        """Proves that every key can be followed and has never changed."""
        for key in range(self._keys):
            _, events = await _watches(client).watch(key, 0)
            if events:
                raise SetupError(
                    f"watch: key {key} changed {len(events)} times before the first operation",
                    "an empty database",
                )

    def generator(self) -> Generator:
        """Endless: writes and watches, as likely."""
        writes = (invoke("write", [n % self._keys, n]) for n in count())
        return mix([function(self._watch), writes])

    def _watch(self, context: Context) -> Operation:
        return invoke("watch", [context.random.below(self._keys), None])

    def final_generator(self) -> Generator:
        """Every key from its start, on every node."""
        watches = [invoke("final-watch", [key, None]) for key in range(self._keys)]
        return on_threads(range(self._nodes), each_thread(watches))

    async def invoke(self, client: SystemClient, operation: Operation) -> Operation:
        """One call of the client."""
        watches, (key, value) = _watches(client), operation.value
        if operation.f == "write":
            revision = await watches.write_watched(key, value)
            return completed(operation, OK, [key, [value, revision]])
        is_final = operation.f == "final-watch"
        after = 0 if is_final else self._seen.get((operation.process, key), 0)
        to, events = await watches.watch(key, after)
        if not is_final:
            self._seen[operation.process, key] = to
        answer = {"after": after, "to": to, "events": [list(event) for event in events]}
        return completed(operation, OK, [key, answer])


def _watches(client: SystemClient) -> Watches:
    return client  # type: ignore[return-value]


WORKLOADS = {Watch.name: Watch}
