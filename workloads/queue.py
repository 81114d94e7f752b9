"""Queue: values go in and come out; at the end it is drained, and nothing may be missing.

After Jepsen's queue tests. As many enqueues as dequeues, values unique. A dequeue that found
nothing is ``ok`` with nil. At the end one process dequeues until it finds nothing, and drains what
is left then (a drain of much would not end in an operation's time); the checker
``total-queue`` then knows that all is out, and ``queue`` that nothing came out that did not go in.
"""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

from harness.contract.client import Failed, Indeterminate, Queues
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, invoke, mix, on_threads, phases, repeat, until_ok
from harness.history.operation import OK, Operation
from harness.wording import shown
from workloads.kit import completed, not_new

NAME = "jobs"
DRAINS = 20
"""Attempts at draining; each takes all that it can get within an operation's time."""


class Queue:
    """The workload ``queue``."""

    name = "queue"
    needs = (Queues,)
    checkers = ("queue", "total-queue")
    model = "queue"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = ()

    def __init__(self, options: WorkloadOptions) -> None:
        pass

    async def setup(self, client: Queues) -> None:
        """Nothing to make; proves that a dequeue answers and that the queue is empty."""
        found = await client.dequeue(NAME)
        if found is not None:
            raise not_new(self.name, f"it holds {shown(found)}")

    def generator(self) -> Generator:
        """Endless: enqueues and dequeues, as likely."""
        return mix([repeat(invoke("dequeue")), (invoke("enqueue", n) for n in count())])

    def final_generator(self) -> Generator:
        """Dequeues until one finds nothing, and drains until one is answered, by one thread.

        Many would take longer: each takes the head of the queue, and all but one find it gone.
        """
        dequeues = until_ok(repeat(invoke("dequeue")), lambda completion: completion.value is None)
        drains = until_ok(repeat(invoke("drain"), DRAINS))
        return on_threads([0], phases(dequeues, drains))

    async def invoke(self, client: Queues, operation: Operation) -> Operation:
        """One call of the client; a drain is many."""
        if operation.f == "enqueue":
            await client.enqueue(NAME, operation.value)
            return completed(operation, OK, operation.value)
        if operation.f == "dequeue":
            return completed(operation, OK, await client.dequeue(NAME))
        return completed(operation, OK, await _drained(client))


async def _drained(queues: Queues) -> list[Any]:
    """All that is left. If it breaks off, what was taken so far is in doubt."""
    taken: list[Any] = []
    while True:
        try:
            value = await queues.dequeue(NAME)
        except Failed as error:
            if not taken:
                raise
            raise Indeterminate(["after taking", len(taken), error.error]) from error
        if value is None:
            return taken
        taken.append(value)


WORKLOADS = {Queue.name: Queue}
