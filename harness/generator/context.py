"""The context: what a generator may know when it is asked for an operation.

The time, which threads there are and which of them are free, and the process that each thread
runs now. *Threads* are the fixed lanes of a run, 0 to ``concurrency`` - 1 for clients and one
more, number ``concurrency``, for the nemesis; a *process* is the logical client that a thread
runs at the moment and is replaced after an ``info``. Because the next process is always the old
one plus the concurrency, the thread of a process is its remainder and needs no map.

Sets of threads are bit masks in plain integers, so that restricting a context to a group of
threads is one ``&``. Contexts are immutable values, as Jepsen's (jepsen.generator.context).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from harness.generator.streams import NoRandom, Random
from harness.history.operation import NEMESIS, Process

NO_RANDOM: Final = NoRandom(0)


class Context(msgspec.Struct, frozen=True, gc=False):
    """Time in nanoseconds since the start of the run, and threads as bit masks.

    ``free`` and ``all`` hold the threads of *this* context, which a combinator may have
    restricted; ``processes`` holds the process of every thread of the run by its number.
    ``rotation`` is a number that jumps with every invocation (:func:`next_rotation`); from it
    :func:`in_turn` draws where the search for a free thread begins, so that all threads of any
    group get the same share of the work, also where most of them are free.
    ``random`` is the deterministic stream of the function that is being called, if any.
    """

    time_ns: int
    free: int
    all: int
    processes: tuple[Process, ...]
    concurrency: int
    rotation: int = 0
    random: Random = NO_RANDOM

    def restrict(self, mask: int) -> Context:
        """This context with the threads of ``mask`` only."""
        return Context(
            self.time_ns,
            self.free & mask,
            self.all & mask,
            self.processes,
            self.concurrency,
            self.rotation,
        )

    def at(self, time_ns: int) -> Context:
        """This context at another time."""
        return Context(
            time_ns, self.free, self.all, self.processes, self.concurrency, self.rotation
        )

    def with_random(self, random: Random) -> Context:
        """This context with the stream of a leaf."""
        return Context(
            self.time_ns,
            self.free,
            self.all,
            self.processes,
            self.concurrency,
            self.rotation,
            random,
        )

    def busy(self, thread: int, time_ns: int) -> Context:
        """This context after ``thread`` took an operation; the next search starts one further."""
        return Context(
            time_ns,
            self.free & ~(1 << thread),
            self.all,
            self.processes,
            self.concurrency,
            next_rotation(self.rotation),
        )

    def freed(self, thread: int, time_ns: int) -> Context:
        """This context after ``thread`` completed its operation."""
        return Context(
            time_ns,
            self.free | (1 << thread),
            self.all,
            self.processes,
            self.concurrency,
            self.rotation,
        )

    def with_next_process(self, thread: int) -> Context:
        """This context after the process of ``thread`` was retired (the nemesis' never is)."""
        old = self.processes[thread]
        if not isinstance(old, int):
            return self
        processes = (
            *self.processes[:thread],
            old + self.concurrency,
            *self.processes[thread + 1 :],
        )
        return Context(
            self.time_ns, self.free, self.all, processes, self.concurrency, self.rotation
        )

    def thread_of(self, process: Process) -> int:
        """The number of the thread that runs (or ran) ``process``."""
        return process % self.concurrency if isinstance(process, int) else self.concurrency

    def some_free_thread(self) -> int:
        """The next free thread in turn, or -1 if all are busy."""
        return in_turn(self.free, self.all, self.rotation)

    def all_processes(self) -> list[Process]:
        """The processes that the threads of this context run now."""
        return [self.processes[thread] for thread in threads_in(self.all)]


def next_rotation(rotation: int) -> int:
    """The number after ``rotation``: a linear congruential generator, whose high bits are used.

    Counting up would not do: a group of five in twenty threads would begin its search at its
    first thread three times in four, and one node of the cluster would get most of the work.
    """
    return (rotation * 1103515245 + 12345) & 0x7FFFFFFF


def in_turn(free: int, threads: int, rotation: int) -> int:
    """The number of the first of the ``free`` among ``threads`` from a drawn place on, or -1."""
    if not free:
        return -1
    lowest = (threads & -threads).bit_length() - 1
    start = lowest + (rotation >> 12) % (threads.bit_length() - lowest)
    waiting = free >> start << start or free
    return (waiting & -waiting).bit_length() - 1


def initial_context(concurrency: int, *, nemesis: bool = True, time_ns: int = 0) -> Context:
    """``concurrency`` client threads and (unless ``nemesis`` is false) the nemesis', all free."""
    threads = concurrency + 1 if nemesis else concurrency
    mask = (1 << threads) - 1
    processes: tuple[Process, ...] = (*range(concurrency), NEMESIS)
    return Context(time_ns, mask, mask, processes, concurrency)


def threads_in(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, ascending."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
