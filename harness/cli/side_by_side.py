"""Judging files in processes of their own, several at once on the cores there are.

A checker may come from anybody: it may end its process, split it in two, never end, or eat the
memory. So nothing is judged in the process that prints the lines and gives the exit code. A few
workers are forked; each takes the next file from a shared counter and sends what it is at, and
the outcome, through a pipe of its own. Forked, so that plug-ins and flags need not be pickled;
few, so that imports are paid once a core and not once a file. A worker that dies, or whose
checker goes on :data:`GRACE_S` past its budget and is killed, takes only its present file along,
which is ``unknown``.

Messages are JSON, never pickles: what a plug-in's objects do when they are unpickled is no business
of this process. Cost: some milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from harness.cli.check_one import Begun, Outcome
from harness.cli.speech import say
from harness.errors import EXIT_UNKNOWN
from harness.judge.apart import (
    CHECK_SECONDS,
    GRACE_S,
    MEMORY_SHARE,
    collect_seldom,
    unjudged,
)
from harness.linux.stopping import STOPPING, Insistent

Judge = Callable[[str, Begun], Outcome]
"""From a name to its outcome; calls its second argument with each checker that begins."""
POLL_S: Final = 0.5


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def judge_all(
    names: Sequence[str],
    judge: Judge,
    workers: int,
    *,
    limit_s: float = CHECK_SECONDS + GRACE_S,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[int, Outcome]]:
    """The position and outcome of every name, as they come. The workers begin at once.

    A checker that works for more than ``limit_s`` seconds is ended.
    """
    pool = _Pool(names, judge, limit_s, clock)
    pool.interrupts.begin()
    try:
        for _ in range(min(workers, len(names))):
            pool.start()
    except BaseException:
        pool.end()
        pool.interrupts.end()
        raise
    return _outcomes(pool)


def _outcomes(pool: _Pool) -> Iterator[tuple[int, Outcome]]:
    try:
        while pool.workers:
            pool.interrupts.raise_if_dropped()
            ready = wait([worker.pipe for worker in pool.workers], POLL_S)
            for worker in list(pool.workers):
                yield from pool.look_at(worker, is_ready=worker.pipe in ready)
            if not pool.workers and pool.has_more:
                pool.start()
    finally:
        pool.end()
        pool.interrupts.end()


@dataclass
class _Worker:
    """A process, and what it is at: the position of its file, its checker and since when."""

    pid: int
    pipe: Connection
    position: int = -1
    checker: str = ""
    since_s: float = 0.0

    def is_over(self) -> bool:
        """Whether the process has ended and all that it sent was read."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, how) is not None and not self.pipe.poll()

    def end(self) -> str:
        """End it and all that it started, and say in words how it ended."""
        self.pipe.close()
        for kill in (os.killpg, os.kill):  # before it is waited for: its number is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if kill is os.killpg or not self._has_ended():
                    kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        if os.WIFSIGNALED(status):
            return f"was ended by signal {os.WTERMSIG(status)}"
        return f"ended with exit code {os.WEXITSTATUS(status)}"

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class _Pool:
    """The workers and what is left to do."""

    def __init__(
        self, names: Sequence[str], judge: Judge, limit_s: float, clock: Callable[[], float]
    ) -> None:
        self._names, self._judge = names, judge
        self._limit_s, self._clock = limit_s, clock
        self._counter = get_context("fork").Value("q", 0)
        self.workers: list[_Worker] = []
        self.interrupts = Insistent()

    @property
    def has_more(self) -> bool:
        """Whether there are names that no worker has taken."""
        return bool(self._counter.value < len(self._names))

    def start(self) -> None:
        """One more worker.

        Ctrl-C waits until it is there: what libraries have Python do after a fork (release a
        lock) runs where exceptions are dropped, and with it the interrupt would be lost.
        """
        ours, theirs = get_context("fork").Pipe(duplex=False)
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                _live(parent, mask, theirs, self._counter, self._names, self._judge)
            theirs.close()
            self.workers.append(_Worker(pid, ours))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def look_at(self, worker: _Worker, *, is_ready: bool) -> Iterator[tuple[int, Outcome]]:
        """What ``worker`` has to say, or what is to be said of it if it has ended or must."""
        try:
            while is_ready or worker.pipe.poll():
                is_ready = False
                message = json.loads(worker.pipe.recv_bytes())
                worker.position, worker.checker = message["at"], message["checker"]
                worker.since_s = self._clock()
                if message["outcome"] is not None:
                    yield worker.position, Outcome(*message["outcome"])
                    worker.position = -1
        except (EOFError, OSError, ValueError):
            yield from self._ended(worker, "")
            return
        if worker.checker and self._clock() - worker.since_s > self._limit_s:
            yield from self._ended(worker, f"was not done after {self._limit_s:g} s")
        elif worker.is_over():
            yield from self._ended(worker, "")

    def _ended(self, worker: _Worker, why: str) -> Iterator[tuple[int, Outcome]]:
        self.workers.remove(worker)
        ended = worker.end()
        if worker.position >= 0:
            yield worker.position, _died(worker.checker, why or ended)

    def end(self) -> None:
        """End every worker, whatever it is doing."""
        while self.workers:
            self.workers.pop().end()


def _live(
    parent: int,
    mask: set[int],
    pipe: Connection,
    counter: Any,
    names: Sequence[str],
    judge: Judge,
) -> None:
    """The life of a worker; never returns. ``mask`` are the signals to be blocked."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setsid()
        if sys.platform == "linux":
            from harness.linux.kernel import end_with_parent

            end_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(code)
        collect_seldom()
        os.dup2(2, 1)  # standard output belongs to the process that prints the lines
        with contextlib.redirect_stdout(sys.stderr):
            _work(pipe, counter, names, judge)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        pass
    except BaseException as error:
        say("".join(traceback.format_exception(error)), err=True, end="")
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def _work(pipe: Connection, counter: Any, names: Sequence[str], judge: Judge) -> None:
    """Take names until there are none left; tell of each when it is begun and when it is done."""

    def tell(checker: str, outcome: Outcome | None = None) -> None:
        fields = None if outcome is None else [outcome.code, outcome.verdict, outcome.said]
        message = {"at": position, "checker": checker, "outcome": fields}
        pipe.send_bytes(json.dumps(message).encode())

    def begun(checker: str) -> None:
        _limit_memory()
        tell(checker)

    while True:
        with counter.get_lock():
            position = counter.value
            counter.value += 1
        if position >= len(names):
            return
        tell("")
        tell("", judge(names[position], begun))


def _limit_memory() -> None:
    """Leave the machine some of its memory, whatever a checker asks for beyond what there is."""
    with contextlib.suppress(OSError, ValueError):
        page = os.sysconf("SC_PAGE_SIZE")
        now = int(Path("/proc/self/statm").read_text().split()[0]) * page
        limit = now + int(os.sysconf("SC_PHYS_PAGES") * page * MEMORY_SHARE)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _died(checker: str, why: str) -> Outcome:
    at_work = f", with the checker {checker} at work" if checker else ""
    reason = f"the process that judged it {why}{at_work} (was there enough memory?)"
    return Outcome(EXIT_UNKNOWN, unjudged(reason), "")
