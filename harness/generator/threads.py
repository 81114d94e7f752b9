"""Combinators over threads: who may do the operations.

``clients nemesis on_threads each_thread each_process process_limit concurrency_limit``, with
the meaning of jepsen.generator. A thread is a number from 0, or ``"nemesis"``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from harness.errors import UsageError
from harness.generator.context import Context, threads_in
from harness.generator.core import (
    NOTHING,
    PENDING,
    Combinator,
    Generator,
    Liftable,
    Step,
    Wrapper,
    bind,
)
from harness.generator.leaves import lift
from harness.generator.mixing import any_
from harness.generator.streams import draw, split
from harness.history.operation import NEMESIS, Operation, Process

Thread = int | str


class Clients(Wrapper, frozen=True, gc=False):
    """Only client threads: the case of :class:`OnThreads` that every run has."""

    def op(self, context: Context) -> Step:
        """From the inner generator, which sees the clients alone."""
        step = self.gen.op(context.restrict((1 << context.concurrency) - 1))
        if step is None or step is PENDING:
            return step
        return step[0], Clients(step[1])

    def update(self, context: Context, event: Operation) -> Generator:
        """Events of clients only."""
        if event.process.__class__ is str:
            return self
        gen = self.gen.update(context.restrict((1 << context.concurrency) - 1), event)
        return self if gen is self.gen else Clients(gen)

    def around(self, gen: Generator) -> Generator:
        """The same threads."""
        return Clients(gen)


class OnThreads(Wrapper, frozen=True, gc=False):
    """See :func:`on_threads`. ``masks`` remembers the mask for a set of threads."""

    admits: Callable[[Thread], bool]
    masks: dict[tuple[int, int], int]

    def _mask(self, context: Context) -> int:
        place = (context.all, context.concurrency)
        mask = self.masks.get(place)
        if mask is None:
            names = {thread: context_name(thread, context) for thread in threads_in(context.all)}
            mask = sum(1 << thread for thread, name in names.items() if self.admits(name))
            self.masks[place] = mask
        return mask

    def op(self, context: Context) -> Step:
        """From the inner generator, which sees the admitted threads alone."""
        step = self.gen.op(context.restrict(self._mask(context)))
        if step is None or step is PENDING:
            return step
        return step[0], self.around(step[1])

    def update(self, context: Context, event: Operation) -> Generator:
        """Events of admitted threads only."""
        mask = self._mask(context)
        if not mask >> context.thread_of(event.process) & 1:
            return self
        gen = self.gen.update(context.restrict(mask), event)
        return self if gen is self.gen else self.around(gen)

    def around(self, gen: Generator) -> Generator:
        """The same threads."""
        return OnThreads(gen, self.admits, self.masks)


def context_name(thread: int, context: Context) -> Thread:
    """The thread's name: its number, or ``"nemesis"``."""
    return NEMESIS if thread == context.concurrency else thread


def on_threads(which: Callable[[Thread], bool] | Collection[Thread], gen: Liftable) -> Generator:
    """``gen`` on the threads that ``which`` admits (a predicate or a set of threads)."""
    inner = lift(gen)
    if inner is NOTHING:
        return NOTHING
    if callable(which):
        return OnThreads(inner, which, {})
    return OnThreads(inner, frozenset(which).__contains__, {})


def clients(client_gen: Liftable, nemesis_gen: Liftable = None) -> Generator:
    """``client_gen`` on client threads only; with two, also ``nemesis_gen`` on the nemesis."""
    inner = lift(client_gen)
    if inner is not NOTHING and not isinstance(inner, Clients):
        inner = Clients(inner)
    return _both(inner, on_threads((NEMESIS,), nemesis_gen))


def nemesis(nemesis_gen: Liftable, client_gen: Liftable = None) -> Generator:
    """``nemesis_gen`` on the nemesis' thread only; with two, also ``client_gen`` on the clients."""
    return _both(on_threads((NEMESIS,), nemesis_gen), clients(client_gen))


def _both(one: Generator, other: Generator) -> Generator:
    return any_(*[gen for gen in (one, other) if gen is not NOTHING])


class EachThread(Combinator, frozen=True, gc=False):
    """See :func:`each_thread` and, if ``by_process``, :func:`each_process`.

    ``gens`` holds what became of the copies that were touched: lane to (process, generator).
    """

    fresh: Generator
    by_process: bool
    gens: dict[int, tuple[Process, Generator]]
    stream: int = 0
    emitted: int = 0

    def op(self, context: Context) -> Step:
        """The soonest operation of any free thread's copy (see :mod:`harness.generator.mixing`)."""
        able = list(threads_in(context.free))
        bits = draw(self.stream, self.emitted)
        best: tuple[int, Operation, Generator] | None = None
        is_pending = context.free != context.all
        while able:
            thread = able.pop((bits * len(able)) >> 64)
            bits = draw(bits, 1)
            step = self._copy(thread, context.processes[thread]).op(context.restrict(1 << thread))
            if step is PENDING:
                is_pending = True
            elif step is not None and (best is None or step[0].time < best[1].time):
                best = (thread, *step)
                if step[0].time <= context.time_ns:
                    break
        if best is None:
            return PENDING if is_pending else None
        return best[1], self._with(best[0], context, best[2], self.emitted + 1)

    def _copy(self, thread: int, process: Process) -> Generator:
        held = self.gens.get(thread)
        if held is not None and (not self.by_process or held[0] == process):
            return held[1]
        lane = process if self.by_process and isinstance(process, int) else thread
        return bind(self.fresh, split(self.stream, lane))

    def _with(self, thread: int, context: Context, gen: Generator, emitted: int) -> Generator:
        gens = {**self.gens, thread: (context.processes[thread], gen)}
        return EachThread(self.fresh, self.by_process, gens, self.stream, emitted)

    def update(self, context: Context, event: Operation) -> Generator:
        """Passed on to the copy of the thread (or process) whose event it was."""
        thread = context.thread_of(event.process)
        if self.by_process and context.processes[thread] != event.process:
            return self
        gen = self._copy(thread, event.process)
        after = gen.update(context.restrict(1 << thread), event)
        return self if after is gen else self._with(thread, context, after, self.emitted)

    def bound(self, stream: int) -> Generator:
        """The copy of thread (or process) i is child i."""
        return EachThread(self.fresh, self.by_process, self.gens, stream, self.emitted)


def each_thread(gen: Liftable) -> Generator:
    """A copy of ``gen`` for every thread, which sees that thread and its updates alone."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else EachThread(inner, False, {})


def each_process(gen: Liftable) -> Generator:
    """A copy of ``gen`` for every process; a process that replaces another begins anew."""
    inner = lift(gen)
    return NOTHING if inner is NOTHING else EachThread(inner, True, {})


class ProcessLimit(Wrapper, frozen=True, gc=False):
    """See :func:`process_limit`."""

    limit: int
    seen: frozenset[Process] = frozenset()

    def op(self, context: Context) -> Step:
        """From the inner generator, until one process too many could have taken part."""
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        seen = self.seen.union(context.all_processes())
        if len(seen) > self.limit:
            return None
        return step[0], ProcessLimit(step[1], self.limit, seen)

    def around(self, gen: Generator) -> Generator:
        """The same state."""
        return ProcessLimit(gen, self.limit, self.seen)


def process_limit(n: int, gen: Liftable) -> Generator:
    """``gen`` for at most ``n`` distinct processes.

    All processes that *could* have done an operation count, not those that did: so the
    concurrency never trickles down towards the end.
    """
    inner = lift(gen)
    return NOTHING if inner is NOTHING or n <= 0 else ProcessLimit(inner, n)


class ConcurrencyLimit(Wrapper, frozen=True, gc=False):
    """See :func:`concurrency_limit`."""

    limit: int

    def op(self, context: Context) -> Step:
        """Pending while too many threads are busy."""
        if (context.all & ~context.free).bit_count() >= self.limit:
            return PENDING
        step = self.gen.op(context)
        if step is None or step is PENDING:
            return step
        return step[0], ConcurrencyLimit(step[1], self.limit)

    def around(self, gen: Generator) -> Generator:
        """The same limit."""
        return ConcurrencyLimit(gen, self.limit)


def concurrency_limit(n: int, gen: Liftable) -> Generator:
    """``gen``, with at most ``n`` threads of the context busy at a time."""
    if n < 0:
        raise UsageError(f"concurrency_limit({n}): the limit must be at least 0")
    inner = lift(gen)
    return NOTHING if inner is NOTHING or n == 0 else ConcurrencyLimit(inner, n)
