"""Combinators over time: ``time_limit until_told stagger delay cycle_times cache``.

Times and rates are those of the whole generator, not of each thread, as Jepsen's since 0.2: a
``stagger(0.005, gen)`` gives about 200 operations a second, however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.generator.context import Context
from harness.generator.core import (
    NOTHING,
    PENDING,
    Combinator,
    Generator,
    Liftable,
    Step,
    Wrapper,
    bind,
    bind_all,
    seconds,
)
from harness.generator.leaves import fill_in, lift
from harness.generator.mixing import replaced, update_all
from harness.generator.streams import draw, split
from harness.history.operation import Operation

_CATCH_UP_NS = 100_000_000


def at_time(operation: Operation, time_ns: int) -> Operation:
    """``operation`` (not yet recorded) at another time."""
    if operation.time == time_ns:
        return operation
    return msgspec.structs.replace(operation, time=time_ns)


class TimeLimit(Wrapper, frozen=True, gc=False):
    """See :func:`time_limit`. ``cutoff_ns`` is -1 until the first operation."""

    limit_ns: int
    cutoff_ns: int = -1

    def op(self, context: Context) -> Step:
        """From the inner generator, until the time is over (also where that is pending)."""
        cutoff_ns = self.cutoff_ns
        if -1 < cutoff_ns <= context.time_ns:
            return None
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        time_ns = step[0].time
        if cutoff_ns < 0:
            cutoff_ns = time_ns + self.limit_ns
        return (
            (step[0], TimeLimit(step[1], self.limit_ns, cutoff_ns)) if time_ns < cutoff_ns else None
        )

    def around(self, gen: Generator) -> Generator:
        """The same limit."""
        return TimeLimit(gen, self.limit_ns, self.cutoff_ns)


def time_limit(limit_s: float, gen: Liftable) -> Generator:
    """``gen`` for ``limit_s`` seconds, counted from the first operation that it gives."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING or limit_s <= 0 else TimeLimit(inner, seconds(limit_s))


class UntilTold(Wrapper, frozen=True, gc=False):
    """See :func:`until_told`."""

    is_over: Callable[[], bool]

    def op(self, context: Context) -> Step:
        """From the inner generator, until it is over (also where that is pending)."""
        if self.is_over():
            return None
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], UntilTold(step[1], self.is_over)


def until_told(is_over: Callable[[], bool], gen: Liftable) -> Generator:
    """``gen`` until ``is_over()``, which somebody outside decides and which stays so."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else UntilTold(inner, is_over)


class Stagger(Wrapper, frozen=True, gc=False):
    """See :func:`stagger`. ``next_ns`` is -1 until the first operation."""

    twice_ns: int
    next_ns: int = -1
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The inner operation, no sooner than the next time of the schedule."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        operation, after = step
        due_ns = operation.time if self.next_ns < 0 else self.next_ns
        time_ns = max(due_ns, operation.time)
        # What is late by a timer's coarseness is made up for, so that the rate is as asked;
        # what is late because everyone was busy is not: no burst follows an outage.
        due_ns = max(due_ns, time_ns - max(_CATCH_UP_NS, 2 * self.twice_ns))
        wait_ns = (draw(self.stream, self.emitted) * self.twice_ns) >> 64
        successor = Stagger(after, self.twice_ns, due_ns + wait_ns, self.stream, self.emitted + 1)
        return at_time(operation, time_ns), successor

    def around(self, gen: Generator) -> Generator:
        """The same schedule."""
        return Stagger(gen, self.twice_ns, self.next_ns, self.stream, self.emitted)

    def bound(self, stream: int) -> Generator:
        """The inner generator is child 0; the waits draw from ``stream``."""
        gen = bind(self.gen, split(stream, 0))
        return Stagger(gen, self.twice_ns, self.next_ns, stream, self.emitted)


def stagger(dt_s: float, gen: Liftable) -> Generator:
    """Operations of ``gen`` at random intervals, uniform from 0 to 2 ``dt_s`` seconds.

    So ``1 / dt_s`` operations a second on average, over all threads together. With 0 it is
    ``gen`` itself.
    """
    inner = lift(gen)
    twice_ns = seconds(2 * dt_s)
    return inner if inner is NOTHING or twice_ns <= 0 else Stagger(inner, twice_ns)


class Delay(Wrapper, frozen=True, gc=False):
    """See :func:`delay`. ``next_ns`` is -1 until the first operation."""

    dt_ns: int
    next_ns: int = -1

    def op(self, context: Context) -> Step:
        """The inner operation, no sooner than the next time of the schedule."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        time_ns = max(step[0].time, self.next_ns)
        return at_time(step[0], time_ns), Delay(step[1], self.dt_ns, time_ns + self.dt_ns)

    def around(self, gen: Generator) -> Generator:
        """The same schedule."""
        return Delay(gen, self.dt_ns, self.next_ns)


def delay(dt_s: float, gen: Liftable) -> Generator:
    """Operations of ``gen`` exactly ``dt_s`` seconds apart, or later where all are busy."""
    return Delay(lift(gen), seconds(dt_s))


class CycleTimes(Combinator, frozen=True, gc=False):
    """See :func:`cycle_times`. ``start_ns`` is -1 until it is first asked successfully."""

    gens: tuple[Generator, ...]
    intervals_ns: tuple[int, ...]
    start_ns: int = -1

    def op(self, context: Context) -> Step:
        """From the generator whose interval it is, or of the next interval that has one."""
        now = context.time_ns
        start_ns = now if self.start_ns < 0 else self.start_ns
        period_ns = sum(self.intervals_ns)
        in_period = (now - start_ns) % period_ns
        ends = list(accumulate(self.intervals_ns))
        place = next(i for i, end in enumerate(ends) if in_period < end)
        begin_ns = now - in_period + ends[place] - self.intervals_ns[place]
        while True:
            step = self.gens[place].op(context.at(max(now, begin_ns)))
            if step is None or step is PENDING:
                return step
            begin_ns += self.intervals_ns[place]
            if step[0].time < begin_ns:
                gens = replaced(self.gens, place, step[1])
                return step[0], CycleTimes(gens, self.intervals_ns, start_ns)
            place = (place + 1) % len(self.gens)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to every generator."""
        gens = update_all(self.gens, context, event)
        return self if gens is self.gens else CycleTimes(gens, self.intervals_ns, self.start_ns)

    def bound(self, stream: int) -> Generator:
        """Each is a child."""
        return CycleTimes(bind_all(self.gens, stream), self.intervals_ns, self.start_ns)


def cycle_times(*intervals_and_gens: Any) -> Generator:
    """``cycle_times(5, writes, 10, reads)``: writes for 5 s, reads for 10 s, writes again, ...

    Every generator keeps its state from turn to turn; it ends with any of them.
    """
    if not intervals_and_gens:
        return NOTHING
    if len(intervals_and_gens) % 2:
        raise UsageError("cycle_times takes pairs of seconds and a generator")
    intervals_ns = tuple(seconds(dt_s) for dt_s in intervals_and_gens[::2])
    if min(intervals_ns) <= 0:
        raise UsageError(f"cycle_times: intervals {intervals_and_gens[::2]} must be above 0 s")
    return CycleTimes(tuple(lift(gen) for gen in intervals_and_gens[1::2]), intervals_ns)


class Cache(Wrapper, frozen=True, gc=False):
    """See :func:`cache`. ``memo`` holds at most one (serial, until_ns, step).

    The memo is shared by successors and by discarded siblings; ``serial`` tells whose it is.
    """

    period_ns: int
    memo: list[tuple[int, int, Step]]
    serial: int = 0

    def op(self, context: Context) -> Step:
        """What was made within the period, with the time and a process that are free now."""
        if not context.free:
            return PENDING
        held = self.memo[0] if self.memo else None
        if held is not None and held[0] == self.serial and context.time_ns <= held[1]:
            step = held[2]
        else:
            step = self.gen.op(context)
            if step is not None:
                self.memo[:] = [(self.serial, context.time_ns + self.period_ns, step)]
        if step is None or step is PENDING:
            return step
        refreshed = fill_in(_without_process(step[0], context.time_ns), context)
        if refreshed is PENDING:
            return PENDING
        return refreshed, Cache(step[1], self.period_ns, self.memo, self.serial + 1)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on; an operation made before ``event`` is forgotten if that changes anything."""
        gen = self.gen.update(context, event)
        if gen is self.gen:
            return self
        return Cache(gen, self.period_ns, [], self.serial)

    def around(self, gen: Generator) -> Generator:
        """With nothing remembered."""
        return Cache(gen, self.period_ns, [], self.serial)


def _without_process(operation: Operation, time_ns: int) -> Operation:
    return msgspec.structs.replace(operation, process=-1, time=max(operation.time, time_ns))


def cache(period_s: float, gen: Liftable) -> Generator:
    """``gen``, asked anew at most every ``period_s`` seconds while its offers are discarded.

    For generators whose operations are costly to make.
    """
    inner = lift(gen)
    return NOTHING if inner is NOTHING else Cache(inner, seconds(period_s), [])
