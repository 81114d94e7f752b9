"""The dispatcher: asks the generator, hands operations to workers and records both ends.

It decides what the history means, so its order of work is fixed. A completion is recorded in
the tick of the event loop in which it came. Asking the generator for more happens in one
synchronous step, *after* the completions of the tick: an operation is never invoked before an
answer that had already come, for that would make two operations look concurrent that were not,
and hide what the second must have seen. An invocation is in the journal before its worker gets
it. So "completion before invocation in the file" is "happened before", and no clock is needed.

Nothing that a client does can hold up a run: an operation that takes longer than the time-out
becomes ``info`` whether or not the client obeys (a client that blocks the very loop is seen by a
:class:`harness.run.watchdog.Watchdog`), its process is retired (the next is the old
number plus the concurrency, which keeps the thread and therefore the node) and a new worker with
a new client takes over. Clients that never let go are counted, and end the run at four times the
concurrency.

A process is at most as long as one session of its client: it is also retired where the client
lost its connection with a ``Failed``, or may have (:mod:`harness.contract.client`), once it has had
an answer; and :meth:`Dispatcher.renew` retires all of them. An exception that nobody should raise
is a *defect*: its operation is ``info``, and the run's owner is told of the first one.

Cost: see ``benchmarks/interpreter.py``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from harness.contract.client import SystemClient, Target
from harness.errors import PolygraphError, StoreError
from harness.generator.context import Context, initial_context, next_rotation
from harness.generator.core import (
    LOG,
    NOTHING,
    NS_PER_S,
    PENDING,
    SLEEP,
    Generator,
    Liftable,
    bind,
)
from harness.generator.leaves import lift
from harness.generator.streams import split
from harness.generator.transform import GeneratorError
from harness.history.operation import INFO, INVOKE, OK, Operation
from harness.run.completions import as_info, checked, ended, shown
from harness.run.recording import Recorder, record_completion, record_invocation
from harness.run.tally import Tally
from harness.run.timers import Alarm, Heartbeat
from harness.run.watchdog import Watchdog
from harness.run.workers import Departures, Invoke, Worker

MOST_HOPS = 3
STUCK_PER_THREAD = 4
CLOSING_S = 1.0


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr)


class Dispatcher:
    """Runs generators against clients; make it on the loop that serves the clients.

    ``nodes`` are targets, ``(name, address)`` or plain addresses; client thread i talks to node i
    modulo their number, and a name is recorded with each invocation. ``run`` is the run's id, from
    which trace ids follow. ``open_client()`` gives a new client, opened within the time of its
    process's first operation; ``invoke(client, operation)`` the completion. The nemesis works
    beside (:mod:`harness.run.lines`), and :meth:`note` puts what it does into the same history.

    ``watchdog`` is fed while a generator is carried out; its owner starts and stops it.

    ``stuck`` is ``None``, or why the run had to end: clients that hang for ever. ``defect`` is
    ``None``, or the first exception that a client or workload should not have raised, with its
    place; ``on_defect`` is called with it, and may stop the dispatcher.
    """

    def __init__(
        self,
        *,
        journal: Recorder,
        nodes: Sequence[Target] | Sequence[tuple[str, str]] | Sequence[str],
        concurrency: int,
        open_client: Callable[[], SystemClient],
        invoke: Invoke,
        seed: int = 0,
        run: str | None = None,
        op_timeout_s: float = 5.0,
        say: Callable[[str], None] = _to_stderr,
        watchdog: Watchdog | None = None,
        on_defect: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.stuck: str | None = None
        self.defect: str | None = None
        self._journal = journal
        targets = [_target(node) for node in nodes]
        self._targets = [targets[i % len(targets)] for i in range(concurrency)]
        self._run_id = run
        self._open_client = open_client
        self._invoke = invoke
        self._seed = seed
        self._op_timeout_ns = round(op_timeout_s * NS_PER_S)
        self._say = say
        self._watchdog = watchdog
        self._on_defect = on_defect
        self._loop = asyncio.get_running_loop()
        self._tally = Tally()
        self._alarm = Alarm(self._loop, self._arm)
        self._heartbeat = Heartbeat(self._loop, self._look_after)
        self._workers: list[Worker] = []
        self._departures = Departures()
        self._concurrency = concurrency
        start = initial_context(concurrency, nemesis=False)
        self._free = self._all = start.all
        self._processes = start.processes
        self._answered = 0  # threads whose present process has had an ok
        self._is_fresh_after_failure = False
        self._rotation = 0
        self._generator: Generator = NOTHING
        self._runs = 0
        self._done: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._broken: StoreError | None = None
        self._stopped_ns = -1
        self._sleeping: dict[int, asyncio.TimerHandle] = {}
        self._is_armed = False
        self._is_pending = False
        self._completions = 0

    # -- from outside ----------------------------------------------------------------------

    @property
    def lag(self) -> dict[str, float]:
        """How late the loop was, in milliseconds: ``p50``, ``p99``, ``max``."""
        return self._heartbeat.lag_ms()

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """f to how many client operations were ``invoke``, ``ok``, ``fail`` and ``info``."""
        return self._tally.counts

    @property
    def last_error(self) -> str | None:
        """The latest error of a client operation."""
        return self._tally.last_error

    @property
    def stuck_clients(self) -> int:
        """How many clients were given up and have not let go by now (after ``close``: for good)."""
        return len(self._departures)

    @property
    def stuck_in(self) -> dict[str, int]:
        """In which calls these hang, as far as that can be seen, and how many in each."""
        return self._departures.places()

    async def run(self, generator: Liftable) -> None:
        """Carry out ``generator`` to its end, or until stopped; all operations are completed.

        May be called again: processes and time go on. Raises ``GeneratorError`` if the
        generator failed and ``StoreError`` if nothing can be recorded any more; what was
        recorded before is kept.
        """
        if self._done is not None:
            raise RuntimeError("the dispatcher is running already")
        if self._broken is not None:
            raise self._broken
        if self._stopped_ns >= 0:
            return
        self._error = None
        if not self._workers:
            self._workers = [self._new_worker(thread) for thread in range(self._concurrency)]
        self._generator = bind(lift(generator), split(self._seed, self._runs))
        self._runs += 1
        self._done = self._loop.create_future()
        self._heartbeat.start()
        self._feed()
        self._arm()
        try:
            await self._done
        finally:
            self._done = None
            self._generator = NOTHING
            self._cancel_timers()

    def note(self, operation: Operation) -> Operation | None:
        """Record one end of an operation of the nemesis, which works beside. Any thread.

        ``None`` if nothing can be recorded any more; the run then ends.
        """
        told = as_info(operation)
        try:
            return record_completion(self._journal, told, told)
        except StoreError as error:
            self._loop.call_soon_threadsafe(self._break, error)
            return None

    def renew(self, *, after_failures: bool = False) -> None:
        """Go on with new processes and new clients only; call it while nothing runs.

        With ``after_failures`` the same happens to a thread after each ``fail`` from now on.
        """
        self._is_fresh_after_failure = after_failures
        for worker in self._workers:
            self._replace_process(worker)

    def stop(self) -> None:
        """End soon: nothing new is invoked, and what is open has the op time-out. Any thread."""
        self._loop.call_soon_threadsafe(self._stop)

    async def close(self) -> None:
        """Close all clients; one that will not be closed is left behind. Safe twice."""
        for worker in self._workers:
            self._departures.close_in_background(worker.client, worker.task)
        self._workers = []
        await self._departures.wait(CLOSING_S)

    # -- one tick ----------------------------------------------------------------------------

    def _arm(self) -> None:
        """See to it that the generator is asked after the completions of this tick."""
        if not self._is_armed:
            self._is_armed = True
            self._loop.call_soon(self._settle, self._completions, MOST_HOPS)

    def _settle(self, completions: int, hops: int) -> None:
        """Let answers that have come be recorded first: hop on while there are more of them.

        An answer passes the loop's queue once or twice on its way from the socket to its
        worker. When every thread is free there is nothing to wait for.
        """
        is_first = hops == MOST_HOPS
        if self._free != self._all and hops and (is_first or completions != self._completions):
            self._loop.call_soon(self._settle, self._completions, hops - 1)
            return
        self._is_armed = False
        if self._done is None or self._done.done():
            return
        try:
            self._dispatch()
        except StoreError as error:
            self._break(error)
        except Exception as error:
            self._fail(error, f"was asked for an operation, free {self._free:b}")

    def _dispatch(self) -> None:
        """Invoke all that is due. The only place where operations begin."""
        now_of, concurrency = self._journal.now, self._concurrency
        self._is_pending = False
        while self._free and self._stopped_ns < 0 and self._error is None:
            now = now_of()
            context = Context(
                now, self._free, self._all, self._processes, concurrency, self._rotation
            )
            step = self._generator.op(context)
            if step.__class__ is tuple:
                operation, after = step
                if operation.time > now:
                    self._alarm.set(operation.time, now)
                    return
                self._begin(operation, after)
            elif step is PENDING:
                self._is_pending = True
                return
            else:
                break
        if self._free == self._all:
            self._end()

    def _begin(self, operation: Operation, after: Generator) -> None:
        thread = self._thread_for(operation)
        if operation.type in (SLEEP, LOG):
            self._keep_busy(thread, operation)
            recorded = operation
        else:
            recorded = record_invocation(self._journal, self._addressed(operation, thread))
            self._tally.add(recorded)
            self._workers[thread].take(recorded)
        self._free ^= 1 << thread
        self._rotation = next_rotation(self._rotation)
        # Last, because a generator may raise here, and what is recorded must be carried out.
        self._generator = after.update(self._context(recorded.time), recorded)

    def _thread_for(self, operation: Operation) -> int:
        process, kind = operation.process, operation.type
        thread = process % self._concurrency if process.__class__ is int else self._concurrency
        if not self._free >> thread & 1 or self._processes[thread] != process:
            raise GeneratorError(
                f"the generator gave {shown(operation)}, whose process is not free"
            )
        if kind != INVOKE and kind not in (SLEEP, LOG, INFO):
            raise _not_fitting(operation, "type is not invoke")
        return thread

    def _addressed(self, operation: Operation, thread: int) -> Operation:
        """The invocation as it is recorded, with its node."""
        return Operation(
            -1,
            -1,
            operation.process,
            INVOKE,
            operation.f,
            operation.value,
            node=self._targets[thread].node,
            extra=operation.extra,
        )

    def _context(self, time_ns: int) -> Context:
        return Context(
            time_ns, self._free, self._all, self._processes, self._concurrency, self._rotation
        )

    # -- completions -------------------------------------------------------------------------

    def _finished(self, worker: Worker, invocation: Operation, completion: Operation) -> None:
        """A worker has an answer. One that was abandoned is not listened to."""
        if worker.operation is not invocation:
            return
        worker.operation = None
        recorded = self._complete(
            worker.thread, invocation, worker.told(checked(invocation, completion))
        )
        if recorded is None:
            return
        if recorded.type == OK:
            self._answered |= 1 << worker.thread
        elif recorded.type == INFO or self._is_fresh_after_failure:
            self._replace_process(worker)
        elif worker.session_ended and self._answered >> worker.thread & 1:
            self._retire(worker.thread)
        self._tally.add(recorded)
        if worker.defect is not None and self.defect is None:
            self.defect = f"{recorded.f}: {worker.defect}"
            self._on_defect(self.defect)

    def _replace_process(self, worker: Worker) -> None:
        client, worker.client = worker.client, None
        self._departures.close_in_background(client)
        self._retire(worker.thread)

    def _expire(self, worker: Worker, invocation: Operation) -> None:
        """The operation took too long: it is info, and thread and process go on without it."""
        thread, limit_s = worker.thread, self._op_timeout_ns / NS_PER_S
        worker.operation = None
        timeout = ended(invocation, INFO, f"timeout: no answer within {limit_s:g} s")
        recorded = self._complete(thread, invocation, worker.told(timeout))
        self._departures.close_in_background(worker.client, worker.task)
        self._workers[thread] = self._new_worker(thread)
        self._retire(thread)
        if recorded is not None:
            self._tally.add(recorded)

    def _complete(
        self, thread: int, invocation: Operation, completion: Operation
    ) -> Operation | None:
        """Record a completion and tell the generator; ``None`` if nothing can be recorded."""
        try:
            recorded = record_completion(self._journal, invocation, completion)
        except StoreError as error:
            self._break(error)
            return None
        self._free |= 1 << thread
        self._completions += 1
        try:
            self._generator = self._generator.update(self._context(recorded.time), recorded)
        except Exception as error:
            self._fail(error, f"was told of {shown(recorded)}")
        if not self._is_armed:
            self._arm()
        return recorded

    def _retire(self, thread: int) -> None:
        context = self._context(0).with_next_process(thread)
        self._processes = context.processes
        self._answered &= ~(1 << thread)

    # -- sleep and log -------------------------------------------------------------------------

    def _keep_busy(self, thread: int, operation: Operation) -> None:
        """Not for a worker: print, or leave the thread idle for a time; nothing is recorded."""
        if operation.type == LOG:
            self._say(str(operation.value))
        delay_s = operation.value if operation.type == SLEEP else 0
        awake = self._loop.call_later(delay_s, self._awake, thread, operation)
        self._sleeping[thread] = awake

    def _awake(self, thread: int, operation: Operation) -> None:
        if self._sleeping.pop(thread, None) is None:
            return
        self._free |= 1 << thread
        self._completions += 1
        try:
            self._generator = self._generator.update(self._context(self._journal.now()), operation)
        except Exception as error:
            self._fail(error, f"was told of {shown(operation)}")
        self._arm()

    def _look_after(self) -> None:
        """Every heartbeat: end what took too long, and ask again if the generator was pending."""
        self._feed()
        now = self._journal.now()
        for worker in self._workers:
            if worker.operation is not None and now - worker.since_ns > self._op_timeout_ns:
                self._expire(worker, worker.operation)
        if self.stuck_clients >= STUCK_PER_THREAD * self._concurrency and self.stuck is None:
            self.stuck = f"{self.stuck_clients} clients hang and cannot be closed"
            if places := ", ".join(f"{n} in {place}" for place, n in self.stuck_in.items()):
                self.stuck += f": {places}"
            self._stop()
        if self._is_pending:
            self._arm()

    def _feed(self) -> None:
        if self._watchdog is not None:
            self._watchdog.beat()

    # -- the end -------------------------------------------------------------------------------

    def _stop(self) -> None:
        if self._stopped_ns < 0:
            self._stopped_ns = self._journal.now()
        for thread, timer in list(self._sleeping.items()):
            timer.cancel()
            del self._sleeping[thread]
            self._free |= 1 << thread
        self._arm()

    def _fail(self, error: Exception, when: str) -> None:
        """The generator failed: nothing new begins, what is open is completed, then it is told."""
        if self._error is None:
            if not isinstance(error, PolygraphError):
                told = GeneratorError(f"the generator raised {shown(error)} when it {when}")
                told.__cause__ = error
                error = told
            self._error = error
        self._arm()

    def _break(self, error: StoreError) -> None:
        """Nothing can be recorded any more, not even the completions of what is open."""
        self._broken = error
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    def _end(self) -> None:
        assert self._done is not None
        if self._error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(self._error)

    def _cancel_timers(self) -> None:
        self._alarm.cancel()
        self._heartbeat.stop()
        if self._watchdog is not None:
            self._watchdog.rest()
        for sleeper in self._sleeping.values():
            sleeper.cancel()

    def _new_worker(self, thread: int) -> Worker:
        target, run = self._targets[thread], self._run_id
        return Worker(thread, target, self._open_client, self._invoke, self._finished, run)


def _target(node: Target | tuple[str, str] | str) -> Target:
    if isinstance(node, tuple):
        return Target(node[1], node=node[0])
    return node if isinstance(node, Target) else Target(node)


def _not_fitting(operation: Operation, what: str) -> GeneratorError:
    return GeneratorError(f"the generator gave {shown(operation)}, whose {what}")
