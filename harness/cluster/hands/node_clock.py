"""The clock of one node: every process of it reads the same wrong time, or the true one.

Used by whatever is an ancestor of the node's processes (Yama lets nobody else trace them). While
a clock is set, every process is traced, so that what it starts is changed before its first
instruction; what the node's keeper itself starts goes through :meth:`NodeClock.before_start`.
Changing takes a stop of a few milliseconds of all threads of one process after the other, undoing
it the same. Where a process cannot be changed none is: the node has one clock.

The machine's clock is never touched: only memory of processes is written, and what they wait for
in the kernel stays true.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time

from . import ptrace, vdso
from .refused import Refused
from .tracer import Busy, Tracer, letter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_TRIES = 40
_MOST_TRIES = 2000
_RETRY_S = 0.005
_LONGEST_RETRY_S = 0.1
_BUSY_S = 5.0
_CLOSED = (errno.EPERM, errno.EACCES, errno.EIO)


class Cannot(Refused):
    """The clock of this node's processes cannot be set; says why."""


class Changed:
    """A process whose vDSO was changed: what it cost."""

    def __init__(self, threads: int, stop_ms: float) -> None:
        self.threads = threads
        self.stop_ms = stop_ms


class NodeClock:
    """``processes()`` lists the node's processes; ``write_by_ptrace`` avoids ``/proc/PID/mem``."""

    has_more = False
    """``pump`` leaves nothing undone."""

    def __init__(
        self, processes: Callable[[], Iterable[int]], *, write_by_ptrace: bool = False
    ) -> None:
        self._processes = processes
        self._write_by_ptrace = write_by_ptrace
        self._tracer = Tracer(self._change_new_program)
        self._layout: vdso.Layout | None = None
        self._program: Mapping[str, Any] | None = None
        self._changed: dict[int, Changed] = {}
        self._late: list[str] = []

    @property
    def is_set(self) -> bool:
        """Whether processes that are started now must be changed too."""
        return self._program is not None

    def set(self, program: Mapping[str, Any]) -> dict[str, Any]:
        """Set the clock of every process, as :func:`vdso.offset_ns` has it; the ``state`` then.

        ``base_ns`` is the node's true time now unless it is given. :class:`Cannot` where one
        cannot be changed, with all as they were before any clock was set.
        """
        program = {"base_ns": time.time_ns(), **program}
        try:
            if self._layout is None:
                self._layout = own_layout()
            vdso.words(program)
            self._program = program
            done: set[int] = set()
            while True:
                # What a process forked before it was changed is new, what it forks then is changed.
                new = set(self._running()) - done
                if not new:
                    return self.state()
                for pid in sorted(new):
                    self._change(pid)
                done |= new
        except (OSError, ValueError, vdso.Unfit, Busy) as error:
            left = self._undo_all()
            raise Cannot("; ".join([str(error), *left])) from error

    def heal(self) -> dict[str, Any]:
        """Have every process read the true time again and trace none; safe twice.

        :class:`Cannot` names the processes that still read a wrong one.
        """
        left = self._undo_all()
        if left:
            raise Cannot("; ".join(left))
        return self.state()

    def rehearse(self) -> dict[str, Any]:
        """Seize every process that runs and let it go unchanged; the ``state`` then.

        :class:`Cannot` where one cannot be seized, or could not be changed.
        """
        seized_before = self._tracer.processes()
        try:
            self._layout = self._layout or own_layout()
            for pid in self._running():
                self._tracer.seize(pid)
                threads = self._tracer.hold(pid)
                try:
                    if threads:
                        base_of(pid, self._layout)
                finally:
                    if pid in seized_before:
                        self._tracer.release(pid)
                    else:
                        self._tracer.let_go(pid)
        except ProcessLookupError:
            return self.state()  # it ended meanwhile
        except (OSError, vdso.Unfit, Busy) as error:
            raise Cannot(str(error)) from error
        return self.state()

    def state(self) -> dict[str, Any]:
        """The offset now, and how many processes are changed, and whole as the kernel made them.

        ``wall_ns`` is the node's true time: whoever asks may sit elsewhere.
        """
        spans = self._looked_at()
        wall_ns = time.time_ns()
        return {
            "wall_ns": wall_ns,
            "boot_id": boot_id(),
            "offset_ns": vdso.offset_ns(self._program, wall_ns) if self._program else 0,
            "program": dict(self._program) if self._program else None,
            "processes": len(spans),
            "changed": sum(written is True for written in spans.values()),
            "pristine": sum(written is False for written in spans.values()),
            "threads": sum(one.threads for one in self._changed.values()),
            "stop_ms": round(max([one.stop_ms for one in self._changed.values()], default=0.0), 3),
        }

    def before_start(self, pid: int) -> None:
        """Have a child that is about to execute a program changed before that begins."""
        if self.is_set:
            self._tracer.seize(pid)

    def pump(self) -> list[tuple[int, int]]:
        """Serve the traced processes; (pid, wait status) of every process that has ended."""
        self._tracer.pump()
        ended, self._tracer.ended = self._tracer.ended, []
        for pid, _ in ended:
            self._changed.pop(pid, None)
        return ended

    def _running(self) -> list[int]:
        return [pid for pid in self._processes() if letter(pid) not in "ZX"]

    def _change(self, pid: int) -> None:
        assert self._program is not None
        assert self._layout is not None
        self._rewrite(pid, self._layout.edits(self._program), self._layout.entries)
        if pid not in self._tracer.processes():
            self._changed.pop(pid, None)

    def _change_new_program(self, pid: int) -> None:
        """At its very first instruction. It stands already, in its only thread."""
        self._changed.pop(pid, None)
        if self._program is None or self._layout is None:
            return
        begun = time.monotonic()
        try:
            base = base_of(pid, self._layout)
            for offset, data in self._layout.edits(self._program):
                self._write(pid, pid, base + offset, data)
        except (OSError, vdso.Unfit) as error:
            self._late.append(f"{pid}: {error}")
            return
        self._changed[pid] = Changed(1, (time.monotonic() - begun) * 1000)

    def _undo_all(self) -> list[str]:
        """Pristine bytes and no tracer for every process; what went wrong."""
        self._program = None
        left: list[str] = []
        done: set[int] = set()
        # What a process forked before it was its turn is new, and changed and traced like it.
        while True:
            new = set(self._traced_or_marked()) - done
            if not new:
                break
            for pid in sorted(new):
                try:
                    self._layout = self._layout or own_layout()
                    self._undo(pid)
                except (OSError, vdso.Unfit, Busy) as error:
                    left.append(f"{pid}: {error}")
            done |= new
        if not left:
            left, self._late = self._late, []
        return left

    def _traced_or_marked(self) -> Iterable[int]:
        """Also what somebody before us changed, who was killed and traces nothing any more."""
        marked = {pid for pid in self._running() if bears_our_mark(pid)}
        return self._tracer.processes() | marked

    def _undo(self, pid: int) -> None:
        assert self._layout is not None
        layout = self._layout
        entries = layout.pristine()[:-1]
        # Also one that inherited the change by a fork, and was never changed itself.
        if pid in self._changed or self._written(pid) is not False:
            self._rewrite(pid, entries, layout.entries)
            self._rewrite(pid, layout.pristine(), [layout.routines])
        self._tracer.hold(pid)
        self._tracer.let_go(pid)
        self._changed.pop(pid, None)

    def _rewrite(self, pid: int, edits: list[vdso.Edit], spans: list[vdso.Span]) -> None:
        """Write while all threads stand elsewhere than in ``spans``; again if one does not.

        The process runs between tries, longer each time: where processors are scarce, a thread
        must first get one to leave its signal handler.
        """
        deadline = time.monotonic() + _BUSY_S
        pause_s = _RETRY_S
        while True:
            try:
                return self._rewrite_once(pid, edits, spans)
            except Busy:
                if time.monotonic() > deadline:
                    raise
            self._pump_for(pause_s)
            pause_s = min(1.5 * pause_s, _LONGEST_RETRY_S)

    def _pump_for(self, wait_s: float) -> None:
        """Let the traced processes run: each stops at a signal, until it is pumped."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            self._tracer.pump()
            time.sleep(min(_RETRY_S, wait_s))

    def _rewrite_once(self, pid: int, edits: list[vdso.Edit], spans: list[vdso.Span]) -> None:
        assert self._layout is not None
        self._tracer.seize(pid)
        begun = time.monotonic()
        threads = self._tracer.hold(pid)
        try:
            if not threads:
                return
            base = base_of(pid, self._layout)
            self._tracer.clear(pid, [(base + begin, base + end) for begin, end in spans])
            for offset, data in edits:
                self._write(pid, threads[0], base + offset, data)
        except ProcessLookupError:
            return  # killed meanwhile
        finally:
            self._tracer.release(pid)
        self._changed[pid] = Changed(len(threads), (time.monotonic() - begun) * 1000)

    def _write(self, pid: int, tid: int, address: int, data: bytes) -> None:
        if not self._write_by_ptrace:
            try:
                return write_memory(pid, address, data)
            except OSError as error:
                if error.errno not in _CLOSED:
                    raise
                self._write_by_ptrace = True
        begin = address & ~7
        end = (address + len(data) + 7) & ~7
        whole = bytearray(read_memory(pid, begin, end - begin))
        whole[address - begin : address - begin + len(data)] = data
        for at in range(0, len(whole), 8):
            ptrace.poke(tid, begin + at, bytes(whole[at : at + 8]))

    def _looked_at(self) -> dict[int, bool | None]:
        """What :meth:`_written` says of every process, those aside that were about to end.

        One that ends, or begins another program, has no memory for a moment before it is gone.
        """
        found = {pid: self._written(pid) for pid in self._running()}
        for attempt in range(_MOST_TRIES):
            doubtful = [pid for pid, written in found.items() if written is None]
            if attempt >= _TRIES:  # such a moment is long where the machine has none to spare
                doubtful = [pid for pid in doubtful if not has_memory(pid)]
            if not doubtful:
                break
            self._tracer.pump()
            time.sleep(_RETRY_S)
            running = set(self._running())
            for pid in doubtful:
                if pid in running:
                    found[pid] = self._written(pid)
                else:
                    del found[pid]
        return found

    def _written(self, pid: int) -> bool | None:
        """Whether a process's vDSO is changed; ``None`` if it has ended or is neither."""
        if self._layout is None:
            return None if bears_our_mark(pid) else False
        try:
            begin, end = vdso.own_range(_maps(pid))
            found = read_memory(pid, begin, end - begin)
        except (OSError, vdso.Unfit):
            return None
        if found == self._layout.image:
            return False
        edits = self._layout.edits(self._program or {})
        return all(found[at : at + len(data)] == data for at, data in edits) or None


def boot_id() -> str:
    """The kernel's name for the time since its start: who shares it shares the true clock."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def own_layout() -> vdso.Layout:
    """The layout of this machine's vDSO, from this very process's; ``Unfit`` says why not."""
    vdso.refuse_other_processors()
    begin, end = vdso.own_range(_maps("self"))
    return vdso.Layout(ctypes.string_at(begin, end - begin))


def base_of(pid: int, layout: vdso.Layout) -> int:
    """Where a process's vDSO begins; ``Unfit`` if it is another than this one's."""
    begin, end = vdso.own_range(_maps(pid))
    start = read_memory(pid, begin, 64)
    if end - begin != len(layout.image) or start != layout.image[:64]:
        raise vdso.Unfit(f"process {pid} has another vDSO than this one (is it a 32-bit program?)")
    return begin


def bears_our_mark(pid: int) -> bool:
    """Whether a process's vDSO holds routines of ours, whoever has written them there."""
    try:
        begin, end = vdso.own_range(_maps(pid))
        return vdso.MAGIC in read_memory(pid, begin, end - begin)
    except (OSError, vdso.Unfit):
        return False


def has_memory(pid: int) -> bool:
    """Whether a process has an address space; not while it ends."""
    try:
        return bool(_maps(pid))
    except OSError:
        return False


def read_memory(pid: int, address: int, size: int) -> bytes:
    """Memory of another process."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, address)
    finally:
        os.close(fd)


def write_memory(pid: int, address: int, data: bytes) -> None:
    """Write into another process; kernels may be built or started to forbid this way."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        written = os.pwrite(fd, data, address)
    finally:
        os.close(fd)
    if written != len(data):
        raise OSError(errno.EIO, os.strerror(errno.EIO), f"/proc/{pid}/mem")


def _maps(pid: int | str) -> str:
    with open(f"/proc/{pid}/maps") as maps:
        return maps.read()
