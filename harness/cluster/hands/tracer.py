"""Traces processes, and all that they start, without being noticed.

A tracee runs freely; it stops for a moment where it gets a signal, makes a thread or process,
or executes a program, and goes on at once. So whoever traces a node's processes meets each new
program before its first instruction (``on_exec``), and can have any process stand still, thread
by thread (``hold``), to change its memory. A process that was stopped by SIGSTOP stays stopped,
also while and after it is traced; SIGKILL ends a tracee as ever.

One thread makes all calls. The tracer waits for *every* child of its process (``pump``); ends of
processes that it finds on the way are kept in ``ended`` for whoever reaps.

See ptrace(2), "Group-stop" and "Death under ptrace". Cost: about 0.05 ms a stop.
"""

from __future__ import annotations

import errno
import os
import signal
import time

from . import ptrace, signal_frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .vdso import Span

HOLD_S = 5.0
_STOPPING = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_MOST_STEPS = 500
_POLL_S = 0.0002
_STEPPED = signal.SIGTRAP << 8


class Busy(Exception):
    """A thread stands where something is to be written, and does not leave; try again."""


class Tracer:
    """Traces processes. ``on_exec(pid)`` is called before a new program's first instruction.

    ``on_syscall(tid)``, if given, is called at the beginning and the end of every system call.
    """

    def __init__(
        self,
        on_exec: Callable[[int], None],
        on_syscall: Callable[[int], None] | None = None,
    ) -> None:
        self.ended: list[tuple[int, int]] = []
        self._on_exec = on_exec
        self._on_syscall = on_syscall
        self._process_of: dict[int, int] = {}
        self._stops: dict[int, int | None] = {}
        self._held: set[int] = set()

    def processes(self) -> set[int]:
        """Every process that is traced."""
        return set(self._process_of.values())

    def seize(self, pid: int) -> None:
        """Trace every thread of a process; nothing where it has ended.

        ``PermissionError`` where the machine forbids it, or somebody else traces the process.
        """
        options = ptrace.SEIZE_OPTIONS
        if self._on_syscall is not None:
            options |= ptrace.MARK_SYSCALLS
        tried: set[int] = set()
        while True:
            new = set(threads(pid)) - tried - set(self._process_of)
            if not new:
                return
            for tid in new:
                self._seize_one(pid, tid, options)
            tried.update(new)

    def pump(self, most: int | None = None) -> bool:
        """Handle everything that has happened, or the first ``most``; never waits.

        Whether there may be more.
        """
        handled = 0
        while most is None or handled < most:
            try:
                tid, status = os.waitpid(-1, os.WNOHANG | ptrace.WAIT_ALL)
            except ChildProcessError:
                return False
            if tid == 0:
                return False
            self._take(tid, status)
            handled += 1
        return True

    def hold(self, pid: int) -> list[int]:
        """Have every thread of a traced process stand still; its threads, none if it has ended.

        ``release`` lets it go on. ``TimeoutError`` if a thread does not stop (it hangs in the
        kernel); then nothing is held.
        """
        self._held.add(pid)
        deadline = time.monotonic() + HOLD_S
        try:
            while True:
                self.seize(pid)
                if not self._ask_to_stop(pid):
                    return self._threads_of(pid)
                self._await_stops(pid, deadline)
        except BaseException:
            self.release(pid)
            raise

    def release(self, pid: int) -> None:
        """Let a held process go on as it was: run, or stay stopped."""
        self._held.discard(pid)
        for tid in self._threads_of(pid):
            self._let_go_on(tid)

    def let_go(self, pid: int) -> None:
        """Trace a held process no longer; it goes on as it was."""
        self._held.discard(pid)
        for tid in self._threads_of(pid):
            status = self._stops[tid]
            if status is not None:
                _unless_gone(ptrace.detach, tid, _signal_to_deliver(status))
            self._forget(tid)

    def clear(self, pid: int, spans: Iterable[Span]) -> None:
        """Have no thread of a held process stand in ``spans``, or return into them from a signal.

        Threads that do are taken on, instruction by instruction. :class:`Busy` if that fails.
        """
        spans = list(spans)
        for tid in self._threads_of(pid):
            place = ptrace.registers(tid)
            if _is_within(place.rip, spans):
                self._step_out(tid, spans)
                place = ptrace.registers(tid)
            returns = signal_frames.return_places(pid, place.rsp)
            if any(_is_within(at, spans) for at in returns):
                raise Busy(f"thread {tid} of process {pid} is in a signal handler")

    def _seize_one(self, pid: int, tid: int, options: int) -> None:
        try:
            ptrace.seize(tid, options)
        except PermissionError:
            if letter(tid) in "ZX":
                return
            if _status_field(tid, b"TracerPid:") != os.getpid():
                raise
        except ProcessLookupError:
            return
        self._process_of[tid] = pid
        self._stops[tid] = None

    def _take(self, tid: int, status: int) -> None:
        if not os.WIFSTOPPED(status):
            self._forget(tid)
            self.ended.append((tid, status))
            return
        if tid not in self._process_of:
            self._process_of[tid] = process_of(tid)
        self._stops[tid] = status
        try:
            self._note_event(tid, status >> 16)
        except ProcessLookupError:
            return  # killed while it stood; its end comes next
        if self._on_syscall is not None and _is_syscall(status):
            _unless_gone(self._on_syscall, tid)
        if self._process_of[tid] not in self._held:
            self._let_go_on(tid)

    def _note_event(self, tid: int, event: int) -> None:
        if event in (ptrace.EVENT_FORK, ptrace.EVENT_VFORK, ptrace.EVENT_CLONE):
            child = ptrace.event_message(tid)
            if child not in self._process_of and os.path.exists(f"/proc/{child}"):
                self._process_of[child] = process_of(child)
                self._stops[child] = None
        elif event == ptrace.EVENT_EXEC:
            for other in self._threads_of(tid):
                if other != tid:
                    self._forget(other)
            self._forget(ptrace.event_message(tid), but=tid)
            self._process_of[tid] = tid
            self._on_exec(tid)

    def _let_go_on(self, tid: int) -> None:
        status = self._stops.get(tid)
        if status is None:
            return
        self._stops[tid] = None
        if _is_group_stop(status):
            _unless_gone(ptrace.listen, tid)
        elif self._on_syscall is not None:
            _unless_gone(ptrace.resume_to_syscall, tid, _signal_to_deliver(status))
        else:
            _unless_gone(ptrace.resume, tid, _signal_to_deliver(status))

    def _ask_to_stop(self, pid: int) -> list[int]:
        """Interrupt the threads that run; those that will stop."""
        running = [tid for tid in self._threads_of(pid) if self._stops[tid] is None]
        for tid in running:
            if not _unless_gone(ptrace.interrupt, tid):
                self._forget(tid)
        return [tid for tid in running if tid in self._stops]

    def _await_stops(self, pid: int, deadline: float) -> None:
        while True:
            self.pump()
            if all(self._stops[tid] is not None for tid in self._threads_of(pid)):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} does not stand still")
            time.sleep(_POLL_S)

    def _step_out(self, tid: int, spans: list[Span]) -> None:
        was_stopped = _is_group_stop(self._stops[tid] or 0)
        pending = _signal_to_deliver(self._stops[tid] or 0)
        for _ in range(_MOST_STEPS):
            if pending:
                break  # its handler would run first
            ptrace.step(tid)
            _, status = os.waitpid(tid, ptrace.WAIT_ALL)
            if not os.WIFSTOPPED(status):
                self._forget(tid)
                self.ended.append((tid, status))
                return
            self._stops[tid] = _STEPPED
            if status != _STEPPED | 0x7F:
                self._stops[tid] = status
                pending = _signal_to_deliver(status)
            if not _is_within(ptrace.registers(tid).rip, spans):
                break
        if was_stopped:
            # Its process is stopped: that it was taken on must not set it going.
            _unless_gone(ptrace.interrupt, tid)
        if _is_within(ptrace.registers(tid).rip, spans):
            raise Busy(f"thread {tid} stays in the vDSO")

    def _threads_of(self, pid: int) -> list[int]:
        return [tid for tid, process in self._process_of.items() if process == pid]

    def _forget(self, tid: int, but: int = 0) -> None:
        if tid != but:
            self._process_of.pop(tid, None)
            self._stops.pop(tid, None)


def threads(pid: int) -> list[int]:
    """The threads of a process; none if it has ended."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return []


def process_of(tid: int) -> int:
    """The process that a thread belongs to; itself if it has ended."""
    return _status_field(tid, b"Tgid:") or tid


def _status_field(tid: int, name: bytes) -> int:
    """A number in ``/proc/TID/status``, 0 if the thread has ended."""
    try:
        with open(f"/proc/{tid}/status", "rb") as status:
            return next((int(line.split()[1]) for line in status if line.startswith(name)), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def letter(pid: int) -> str:
    """The letter of a process or thread in ``/proc``, ``X`` if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _is_group_stop(status: int) -> bool:
    return status >> 16 == ptrace.EVENT_STOP and os.WSTOPSIG(status) in _STOPPING


def _is_syscall(status: int) -> bool:
    return os.WSTOPSIG(status) == signal.SIGTRAP | 0x80


def _signal_to_deliver(status: int) -> int:
    """The signal at whose delivery a thread stands; 0 at any other stop."""
    if status >> 16 or _is_syscall(status) or status == _STEPPED:
        return 0
    return os.WSTOPSIG(status)


def _unless_gone(request: Callable[..., None], tid: int, *arguments: int) -> bool:
    """Make the request; ``False`` if the thread was killed meanwhile."""
    try:
        request(tid, *arguments)
    except OSError as error:
        if error.errno != errno.ESRCH:
            raise
        return False
    return True


def _is_within(place: int, spans: Iterable[Span]) -> bool:
    return any(begin <= place < end for begin, end in spans)
