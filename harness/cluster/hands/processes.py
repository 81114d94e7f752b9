"""The daemons and commands that somebody inside a node starts: executed, marked, reaped.

Whoever starts them is their parent, so it alone decides when a process number becomes free: a
signal that passes through it can never hit a stranger. Each carries a mark of its own in its
environment (:data:`family.MARK`), by which what falls away from it is known.
"""

from __future__ import annotations

import os

from . import execution, family
from .daemons import Daemons
from .refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .node_clock import NodeClock
    from .syscalls import SyscallWatch
    from .tracing import Tracing
    from .users import Way


class Started:
    """A process that was started: its number and start, its mark, and whether it has ended."""

    __slots__ = ("has_ended", "mark", "pid", "ticks")

    def __init__(self, pid: int, ticks: int, mark: str, has_ended: bool) -> None:
        self.pid = pid
        self.ticks = ticks
        self.mark = mark
        self.has_ended = has_ended


class Processes:
    """Children of the caller. ``tracing`` waits for them, if there is one yet."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.daemons = Daemons()
        self._tracing = tracing
        self._children: set[int] = set()
        self._unclaimed: dict[int, int] = {}
        self._ended: list[tuple[int, int]] = []

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        outputs: tuple[int, int],
        in_child: Callable[[], None] = lambda: None,
        way: Way | None = None,
    ) -> Started:
        """Execute ``argv`` in a session of its own, as another user by ``way``.

        ``OSError``, or :class:`Refused`, if it cannot be.
        """
        if way is None:
            return self._start(argv, env, cwd, outputs, in_child)

        def become() -> None:
            way.take()
            in_child()  # after it: to become another user undoes whose end is to be followed

        try:
            return self._start(argv, env, cwd, outputs, become)
        except PermissionError as error:
            raise Refused(
                f"the user {way.account.name} may not use {error.filename or argv[0]}: it, or a"
                " folder above it, is closed to others"
            ) from error

    def _start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        outputs: tuple[int, int],
        in_child: Callable[[], None],
    ) -> Started:
        self._unclaimed.clear()
        began: list[int] = []
        tracer = self._tracer()

        def before_exec(pid: int) -> None:
            began.append(family.start_ticks(pid))
            if tracer is not None:
                tracer.before_start(pid)

        mark = family.new_mark()
        pid = execution.execute(
            argv,
            env={**env, family.MARK: mark},
            cwd=cwd,
            streams=outputs,
            in_child=in_child,
            before_exec=before_exec if tracer is not None and tracer.is_set else None,
            meanwhile=self._collect,
        )
        ticks = began[0] if began else family.start_ticks(pid)
        # A traced one may have begun and ended while it was waited for, and be known to nobody
        # any more; any other is there until it is reaped.
        has_ended = pid in self._unclaimed
        if has_ended:
            self._ended.append((pid, self._unclaimed.pop(pid)))
        else:
            self._children.add(pid)
        return Started(pid, ticks, mark, has_ended)

    def remember(self, started: Started, *, takes_strays: bool) -> None:
        """Have its family known to requests; what is all gone of others is forgotten."""
        self.daemons.forget_ended(self._children)
        whole = self.family_of(started.pid, started.ticks, started.mark, takes_strays=takes_strays)
        self.daemons.add(started.pid, started.ticks, whole)

    def family_of(self, pid: int, ticks: int, mark: str, *, takes_strays: bool) -> family.Family:
        """All that is of a process that was started here, orphans falling to the caller."""
        return family.Family(
            pid,
            ticks,
            mark=mark,
            adopter=os.getpid(),
            started=lambda: self._children,
            takes_strays=takes_strays,
        )

    def reap(self) -> Iterator[tuple[int, int]]:
        """(pid, exit code or minus the signal) of every own process that has ended."""
        self._collect()
        ended, self._ended = self._ended, []
        for pid, status in ended:
            yield pid, execution.exit_code(status)

    def _collect(self) -> None:
        tracer = self._tracer()
        for pid, status in tracer.pump() if tracer is not None else execution.ended_children():
            if pid in self._children:
                self._children.remove(pid)
                self._ended.append((pid, status))
            else:
                self._unclaimed[pid] = status

    def _tracer(self) -> NodeClock | SyscallWatch | None:
        return self._tracing.now() if self._tracing is not None else None
