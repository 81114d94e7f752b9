"""Simulation: runs a generator against made-up clients on a made-up clock.

Nothing sleeps and nothing is drawn but from the seed, so the same generator, clients and seed
give the same history byte for byte. That makes it the place where the laws of generators are
tested, and where valid histories of any shape are made for checkers.

Clients are functions ``(context, invocation) -> completion``: ``quick`` answers at once,
``perfect`` after a latency, ``crashing`` never knows, ``imperfect`` fails, loses and does
operations in turn on every thread, ``erratic`` mixes all three and the latencies at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import cycle
from typing import Any

import msgspec

from harness.generator.context import Context, initial_context
from harness.generator.core import LOG, NS_PER_S, SLEEP, Liftable, bind
from harness.generator.leaves import lift
from harness.generator.streams import Random
from harness.generator.transform import GeneratorError, validate
from harness.history.operation import FAIL, INFO, INVOKE, OK, Operation

Client = Callable[[Context, Operation], Operation]

LATENCY_NS = 10


def answered(invocation: Operation, kind: str, latency_ns: int, value: Any = None) -> Operation:
    """The completion of ``invocation``, ``latency_ns`` later."""
    return msgspec.structs.replace(
        invocation,
        type=kind if invocation.is_client else INFO,
        time=invocation.time + latency_ns,
        value=invocation.value if value is None else value,
    )


def quick(context: Context, invocation: Operation) -> Operation:
    """Everything succeeds at once."""
    return answered(invocation, OK, 0)


def perfect(context: Context, invocation: Operation) -> Operation:
    """Everything succeeds after 10 ns."""
    return answered(invocation, OK, LATENCY_NS)


def crashing(context: Context, invocation: Operation) -> Operation:
    """Nobody ever knows, after 10 ns."""
    return answered(invocation, INFO, LATENCY_NS)


def imperfect() -> Client:
    """Every thread's operations fail, are lost and succeed in turn, after 10 ns each."""
    turns: dict[int, Any] = {}

    def complete(context: Context, invocation: Operation) -> Operation:
        turn = turns.setdefault(context.thread_of(invocation.process), cycle((FAIL, INFO, OK)))
        return answered(invocation, next(turn), LATENCY_NS)

    return complete


def erratic(
    seed: int, latency_ns: int = 1000, kinds: Sequence[str] = (OK, OK, FAIL, INFO)
) -> Client:
    """Any of ``kinds`` by chance, after 1 to ``latency_ns`` nanoseconds by chance."""
    count = 0

    def complete(context: Context, invocation: Operation) -> Operation:
        nonlocal count
        count += 1
        random = Random(seed, count)
        return answered(invocation, random.choice(kinds), 1 + random.below(latency_ns))

    return complete


def simulate(
    gen: Liftable,
    client: Client = perfect,
    *,
    seed: int = 0,
    context: Context | None = None,
    concurrency: int = 2,
    most: int = 1_000_000,
) -> list[Operation]:
    """The whole history of ``gen`` with ``concurrency`` client threads and the nemesis.

    ``GeneratorError`` if the generator waits for something that cannot happen, if it gives
    something that is not an operation, or after ``most`` records (an endless generator).
    """
    run = _Simulation(client, context or initial_context(concurrency), most)
    run.go(validate(bind(lift(gen), seed)))
    return run.history


def invocations(history: Sequence[Operation]) -> list[Operation]:
    """What was invoked: of the nemesis, the first of each pair."""
    opened: set[str] = set()
    found = []
    for operation in history:
        if operation.is_client:
            if operation.type == INVOKE:
                found.append(operation)
        elif operation.f in opened:
            opened.remove(operation.f)
        else:
            opened.add(operation.f)
            found.append(operation)
    return found


class _Simulation:
    def __init__(self, client: Client, context: Context, most: int) -> None:
        self.client = client
        self.context = context
        self.most = most
        self.history: list[Operation] = []
        self.in_flight: list[tuple[int, int, Operation]] = []
        self.invoked = 0

    def go(self, gen: Any) -> None:
        while True:
            step = gen.op(self.context)
            if step is None and not self.in_flight:
                return
            if isinstance(step, tuple) and self._comes_first(step[0]):
                operation = self._invoke(step[0])
                gen = step[1].update(self.context, operation)
                continue
            if not self.in_flight:
                raise GeneratorError(
                    f"the generator waits and no operation is open, at {self.context.time_ns} ns"
                )
            gen = self._complete(gen)

    def _comes_first(self, operation: Operation) -> bool:
        return not self.in_flight or operation.time <= self.in_flight[0][0]

    def _invoke(self, offered: Operation) -> Operation:
        operation = self._record(offered)
        thread = self.context.thread_of(operation.process)
        self.context = self.context.busy(thread, max(self.context.time_ns, operation.time))
        if operation.type == SLEEP:
            completion = msgspec.structs.replace(
                operation, time=operation.time + round(operation.value * NS_PER_S)
            )
        else:
            completion = (
                operation if operation.type == LOG else self.client(self.context, operation)
            )
        heappush(self.in_flight, (completion.time, self.invoked, completion))
        self.invoked += 1
        return operation

    def _complete(self, gen: Any) -> Any:
        time_ns, _, completion = heappop(self.in_flight)
        operation = self._record(completion)
        thread = self.context.thread_of(operation.process)
        self.context = self.context.freed(thread, max(self.context.time_ns, time_ns))
        gen = gen.update(self.context, operation)
        if operation.is_client and operation.type == INFO:
            self.context = self.context.with_next_process(thread)
        return gen

    def _record(self, operation: Operation) -> Operation:
        if operation.type in (SLEEP, LOG):
            return operation
        if len(self.history) >= self.most:
            raise GeneratorError(f"the generator did not end within {self.most} records")
        recorded = msgspec.structs.replace(operation, index=len(self.history))
        self.history.append(recorded)
        return recorded
