"""Workers: what carries out operations, one long-lived task per client thread.

A worker owns the client of its thread's present process. It opens it before the process's first
operation, hands every operation to the workload's ``invoke`` and turns what comes back, or what
is raised, into a completion. ``Failed`` is the only way to ``fail``; every other exception is
``info``, because nobody can know (design, section 4); so is what is no ``Exception``, such as
``SystemExit`` from a driver. What is neither ``Failed`` nor ``Indeterminate`` nor an error of
ours is a *defect* of the client or workload besides, which the dispatcher is told with its place.

A worker whose operation took too long is *abandoned*, not waited for: its task is cancelled and
its client closed in the background, whether or not they obey, and a new worker takes the
thread. What an abandoned worker still says is not listened to.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from harness.contract.client import Failed, Indeterminate, SystemClient, Target
from harness.contract.current import Teller, set_operation, set_teller
from harness.errors import PolygraphError
from harness.history.operation import FAIL, INFO, Operation
from harness.run.completions import described, ended
from harness.run.hanging import hanging
from harness.wording import placed

Invoke = Callable[[SystemClient, Operation], Awaitable[Operation]]
Finished = Callable[["Worker", Operation, Operation], None]


class Worker(Teller):
    """Serves one thread until it is abandoned or closed.

    ``finished(worker, invocation, completion)`` is called within the tick in which the answer
    came. ``operation`` is what is open now and ``since_ns`` when it was invoked; what its client
    tells of it is kept here (:class:`~harness.contract.current.Teller`). Of the last answer,
    ``session_ended`` tells whether the client lost its session with it, or may have, and
    ``defect`` what was raised that nobody should raise.
    """

    __slots__ = (
        "_finished",
        "_inbox",
        "_invoke",
        "_loop",
        "_open_client",
        "_target",
        "client",
        "defect",
        "session_ended",
        "since_ns",
        "task",
        "thread",
    )

    def __init__(
        self,
        thread: int,
        target: Target,
        open_client: Callable[[], SystemClient],
        invoke: Invoke,
        finished: Finished,
        run: str | None = None,
    ) -> None:
        super().__init__(run)
        self.thread = thread
        self.client: SystemClient | None = None
        self.since_ns = 0
        self.session_ended = False
        self.defect: str | None = None
        self._target = target
        self._open_client = open_client
        self._invoke = invoke
        self._finished = finished
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Future[Operation] = self._loop.create_future()
        self.task = self._loop.create_task(self._serve(), name=f"client thread {thread}")

    def take(self, operation: Operation) -> None:
        """Carry out ``operation`` (already recorded), from the next tick on."""
        self.operation = operation
        self.since_ns = operation.time
        self._inbox.set_result(operation)

    async def _serve(self) -> None:
        invoke, finished, create_future = self._invoke, self._finished, self._loop.create_future
        set_teller(self)
        while True:
            operation = await self._inbox
            self._inbox = create_future()
            set_operation(operation)
            try:
                client = self.client
                if client is None:
                    client = await self._opened()
                completion = await invoke(client, operation)
                self.session_ended = False
            except Failed as error:
                # Never without a word: one without is the answer of a server (generators count).
                said = FAIL if error.error is None else error.error
                completion = ended(operation, FAIL, said)
                self.session_ended = error.session_ended is not False
            except Indeterminate as error:
                completion = ended(operation, INFO, error.error)
            except BaseException as error:
                if is_ending(self.task):
                    raise
                completion = ended(operation, INFO, described(error))
                if not isinstance(error, PolygraphError):
                    self.defect = placed(error)
            finished(self, operation, completion)
            if self.task.cancelling():  # the client kept the cancellation to itself
                return

    async def _opened(self) -> SystemClient:
        client = self._open_client()
        self.client = client  # so that it is closed should the opening never end
        try:
            await client.open(self._target)
        except Failed:
            self.client = None
            await client.close()
            raise
        return client


class Departures:
    """Clients that are no longer used and have not closed yet."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[None], Callable[[], str | None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def places(self) -> dict[str, int]:
        """Where they hang, as far as that can be seen, and how many there."""
        found = Counter(where() for where in self._open.values())
        return {place: count for place, count in found.most_common() if place is not None}

    def close_in_background(
        self, client: SystemClient | None, task: asyncio.Task[None] | None = None
    ) -> None:
        """Cancel ``task`` and close ``client`` in the background, however long that takes."""
        if task is not None:
            task.cancel()
        leaving = asyncio.get_running_loop().create_task(_closed(client, task))
        self._open[leaving] = lambda: hanging(client, task)
        leaving.add_done_callback(lambda _: self._open.pop(leaving, None))

    async def wait(self, timeout_s: float) -> None:
        """Until all are gone, or the time is over."""
        if self._open:
            await asyncio.wait(self._open, timeout=timeout_s)


async def _closed(client: SystemClient | None, task: asyncio.Task[None] | None) -> None:
    this = asyncio.current_task()
    if client is not None:
        try:
            await client.close()
        except BaseException:
            # A broken connection may refuse to be closed. Nobody uses it again, so nothing is lost.
            if is_ending(this):
                raise
    if task is not None:
        await asyncio.wait({task})


def is_ending(task: asyncio.Task[None] | None) -> bool:
    """Whether ``task``, which runs this, was itself cancelled or is being thrown away.

    Otherwise an exception came out of what it awaits: a client may raise anything, also
    ``CancelledError``, ``SystemExit`` or ``GeneratorExit``.
    """
    if task is None or task.cancelling():
        return True
    try:
        return asyncio.current_task() is not task
    except RuntimeError:  # no loop runs any more
        return True
