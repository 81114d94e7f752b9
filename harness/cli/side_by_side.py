"""Judging several files at once, on the cores there are.

A few worker processes are forked; each takes the next file from a shared counter and sends its
outcome through a pipe of its own. Forked, so that plug-ins and flags need not be pickled; few, so
that imports are paid once a core and not once a file. A worker that dies (out of memory, say)
takes only its present file along: that one has no verdict and exit code 3.

Nothing is shared but the counter. An interrupt ends all workers at once.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.cli.judging import Outcome
from harness.errors import EXIT_INFRASTRUCTURE

Judge = Callable[[str], Outcome]


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def judge_all(names: Sequence[str], judge: Judge, workers: int) -> Iterator[tuple[int, Outcome]]:
    """The position and outcome of every name, as they come. The workers begin at once."""
    pool = _Pool(names, judge)
    for _ in range(min(workers, len(names))):
        pool.start()
    return _outcomes(pool)


def _outcomes(pool: _Pool) -> Iterator[tuple[int, Outcome]]:
    try:
        while pool.current:
            for pipe in wait(list(pool.current)):
                assert isinstance(pipe, Connection)
                found = pool.receive(pipe)
                if found is not None:
                    yield found
            if not pool.current and pool.has_more:
                pool.start()
    finally:
        pool.end()


class _Pool:
    """The workers, and what each is judging now (-1: nothing yet)."""

    def __init__(self, names: Sequence[str], judge: Judge) -> None:
        self._names, self._judge = names, judge
        self._context = multiprocessing.get_context("fork")
        self._counter = self._context.Value("q", 0)
        self._processes: list[Any] = []
        self.current: dict[Connection, int] = {}

    @property
    def has_more(self) -> bool:
        """Whether there are names that no worker has taken."""
        return bool(self._counter.value < len(self._names))

    def start(self) -> None:
        """One more worker."""
        ours, theirs = self._context.Pipe(duplex=False)
        work = (theirs, self._counter, self._names, self._judge)
        process = self._context.Process(target=_work, args=work, daemon=True)
        process.start()
        theirs.close()
        self._processes.append(process)
        self.current[ours] = -1

    def receive(self, pipe: Connection) -> tuple[int, Outcome] | None:
        """The outcome that arrived, or that of a worker that died; ``None`` if there is none."""
        try:
            position, outcome = pipe.recv()
        except EOFError:
            position = self.current.pop(pipe)
            pipe.close()
            return (position, _died()) if position >= 0 else None
        self.current[pipe] = position if outcome is None else -1
        return None if outcome is None else (position, outcome)

    def end(self) -> None:
        """End every worker, whatever it is doing."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


def _work(pipe: Connection, counter: Any, names: Sequence[str], judge: Judge) -> None:
    """Take names until there are none left; tell of each when it is begun and when it is done."""
    try:
        while True:
            with counter.get_lock():
                position = counter.value
                counter.value += 1
            if position >= len(names):
                return
            pipe.send((position, None))
            pipe.send((position, judge(names[position])))
    except KeyboardInterrupt:
        return


def _died() -> Outcome:
    what = "polygraph: the process that judged it died (was there enough memory?), no verdict\n"
    return Outcome(EXIT_INFRASTRUCTURE, None, what)
