"""How a node's processes come by the time, seen in their system calls.

A process's clock is set by rewriting what it reads through the vDSO. Two things get round that:
reading the wall clock by a system call of one's own, and waiting in the kernel until a wall-clock
time (an absolute time-out by ``CLOCK_REALTIME``). Both show in the system calls, which are
traced here one by one: too slow for a run, good enough for a look. Reading the processor's tick
counter shows in no system call. x86-64.
"""

from __future__ import annotations

from . import ptrace, vdso
from .tracer import Tracer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

READS = "reads the wall clock by a system call"
WAITS = "waits until a wall-clock time"
SETS = "sets the machine's clock"

_WALL_CLOCKS = (0, 5, 8, 11)
"""CLOCK_REALTIME, its coarse and alarm forms, and TAI."""
_MOST_AT_ONCE = 200
_ENOSYS = (1 << 64) - 38
_ABSOLUTE = 1
_FUTEX_REALTIME = 256
_LOCK_PI, _WAIT_BITSET, _WAIT_REQUEUE_PI, _LOCK_PI2 = 6, 9, 11, 13

_CLOCK_GETTIME, _GETTIMEOFDAY, _TIME = 228, 96, 201
_CLOCK_NANOSLEEP, _FUTEX, _FUTEX_WAITV, _TIMERFD_SETTIME, _TIMER_SETTIME = 230, 202, 449, 286, 223
_MQ_TIMEDSEND, _MQ_TIMEDRECEIVE = 242, 243
_SETTERS = {227: "setting", 164: "setting", 159: "adjusting", 305: "adjusting"}


class SyscallWatch:
    """Traces every system call of processes; serves in a node's agent in the place of its clock.

    ``processes()`` lists those that run when the watch begins; what they start is traced too.
    """

    is_set = True

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self.has_more = False
        self._calls = 0
        self._kinds: dict[str, dict[str, int]] = {READS: {}, WAITS: {}, SETS: {}}
        self._tracer = Tracer(lambda pid: None, self._look)
        self._own: dict[int, tuple[int, int]] = {}
        for pid in processes():
            self._tracer.seize(pid)
            if self._tracer.hold(pid):  # from a stop on it is told of every call
                self._tracer.release(pid)

    def before_start(self, pid: int) -> None:
        """Have a child that is about to execute a program traced from its first call on."""
        self._tracer.seize(pid)
        self._tracer.hold(pid)
        self._tracer.release(pid)

    def pump(self) -> list[tuple[int, int]]:
        """Serve the traced processes; (pid, wait status) of every process that has ended.

        Not all that has happened at once: they may call faster than they are served.
        """
        self.has_more = self._tracer.pump(_MOST_AT_ONCE)
        ended, self._tracer.ended = self._tracer.ended, []
        return ended

    def state(self) -> dict[str, Any]:
        """How many calls were seen, and of those that matter each kind with its calls."""
        return {"calls": self._calls, "kinds": self._kinds}

    def _look(self, tid: int) -> None:
        registers = ptrace.registers(tid)
        if registers.rax != _ENOSYS:
            return  # on its way out of the call
        self._calls += 1
        found = kind_of(registers, tid)
        if found is not None and not (found[0] == READS and self._is_vdso(tid, registers.rip)):
            calls = self._kinds[found[0]]
            calls[found[1]] = calls.get(found[1], 0) + 1

    def _is_vdso(self, tid: int, place: int) -> bool:
        """Whether the call came from the vDSO itself: where its clock source fails it asks."""
        try:
            with open(f"/proc/{tid}/maps") as maps:
                begin, end = vdso.own_range(maps.read())
        except (OSError, vdso.Unfit):
            return False
        return begin <= place < end


def kind_of(call: Any, tid: int) -> tuple[str, str] | None:
    """(kind, name) of a system call that goes round a process's own clock, else ``None``.

    ``call`` has the registers at its entry, ``tid`` the thread whose descriptors and timers it may
    be about.
    """
    number = call.orig_rax
    if number in (_GETTIMEOFDAY, _TIME) or (number == _CLOCK_GETTIME and call.rdi in _WALL_CLOCKS):
        return READS, {_GETTIMEOFDAY: "gettimeofday", _TIME: "time"}.get(number, "clock_gettime")
    if number in _SETTERS:
        return SETS, f"{_SETTERS[number]} it"
    waited = _wait(call, tid)
    return None if waited is None else (WAITS, waited)


def _wait(call: Any, tid: int) -> str | None:
    """The name of a wait until an absolute wall-clock time."""
    number = call.orig_rax
    if number == _CLOCK_NANOSLEEP and call.rdi in _WALL_CLOCKS and call.rsi & _ABSOLUTE:
        return "clock_nanosleep"
    if number == _FUTEX and call.r10 and _is_wall_futex(call.rsi):
        return "futex"
    if number == _FUTEX_WAITV and call.r10 and call.r8 in _WALL_CLOCKS:
        return "futex_waitv"
    if number in (_MQ_TIMEDSEND, _MQ_TIMEDRECEIVE) and call.r8:
        return "mq_timedsend" if number == _MQ_TIMEDSEND else "mq_timedreceive"
    if number == _TIMERFD_SETTIME and call.rsi & _ABSOLUTE and _is_wall_timerfd(tid, call.rdi):
        return "timerfd_settime"
    if number == _TIMER_SETTIME and call.rsi & _ABSOLUTE and _is_wall_timer(tid, call.rdi):
        return "timer_settime"
    return None


def _is_wall_futex(operation: int) -> bool:
    command = operation & 0x7F
    if command == _LOCK_PI:  # its time-out has always been by the wall clock
        return True
    absolute = (_WAIT_BITSET, _WAIT_REQUEUE_PI, _LOCK_PI2)
    return command in absolute and bool(operation & _FUTEX_REALTIME)


def _is_wall_timerfd(tid: int, fd: int) -> bool:
    return _field(f"/proc/{tid}/fdinfo/{fd}", "clockid:") in _WALL_CLOCKS


def _is_wall_timer(tid: int, timer: int) -> bool:
    """By the kernel's list of a process's timers; a timer that is not in it may be one."""
    try:
        with open(f"/proc/{tid}/timers") as timers:
            blocks = timers.read().split("ID: ")
    except OSError:
        return True
    for block in blocks:
        if block.split("\n", 1)[0].strip() == str(timer):
            _, _, clock = block.partition("ClockID: ")
            return int(clock.split()[0]) in _WALL_CLOCKS
    return True


def _field(path: str, name: str) -> int | None:
    try:
        with open(path) as file:
            return next((int(line.split()[1]) for line in file if line.startswith(name)), None)
    except (OSError, ValueError):
        return 0  # closed meanwhile: it may have been one
