"""The few requests of ptrace(2) that the clock fault and the tracing of system calls need.

Every request must come from the thread that seized the tracee: the kernel ties the two together.
Errors are ``OSError`` with the kernel's number; ``ESRCH`` is a thread that ended, or that is not
stopped where the request wants it stopped. x86-64 registers.
"""

from __future__ import annotations

import ctypes
import os

SEIZE_OPTIONS = 0x02 | 0x04 | 0x08 | 0x10
"""PTRACE_O_TRACEFORK, VFORK, CLONE and EXEC: what a tracee starts is traced from its beginning."""
MARK_SYSCALLS = 0x01
"""PTRACE_O_TRACESYSGOOD: a stop at a system call is told from any other."""

EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_EXEC, EVENT_STOP = 1, 2, 3, 4, 128

WAIT_ALL = 0x40000000
"""``__WALL``: wait for threads too."""

_POKEDATA, _CONT, _SINGLESTEP, _GETREGS, _DETACH, _SYSCALL = 5, 7, 9, 12, 17, 24
_GETEVENTMSG, _SEIZE, _INTERRUPT, _LISTEN = 0x4201, 0x4206, 0x4207, 0x4208

_NAMES = ["r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx"]
_NAMES += ["rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base"]
_NAMES += ["ds", "es", "fs", "gs"]


class Registers(ctypes.Structure):
    """``struct user_regs_struct``."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in _NAMES]


def _request(number: int, tid: int, address: object = None, data: object = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    if libc.ptrace(number, tid, address, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), f"ptrace of {tid}")


def seize(tid: int, options: int = SEIZE_OPTIONS) -> None:
    """Become the tracer of a thread, without stopping it."""
    _request(_SEIZE, tid, None, options)


def interrupt(tid: int) -> None:
    """Have it stop; the stop is told by waitpid."""
    _request(_INTERRUPT, tid)


def resume(tid: int, signal_number: int = 0) -> None:
    """Let a stopped thread go on, delivering a signal to it."""
    _request(_CONT, tid, None, signal_number)


def resume_to_syscall(tid: int, signal_number: int = 0) -> None:
    """Let it go on until it enters or leaves a system call."""
    _request(_SYSCALL, tid, None, signal_number)


def listen(tid: int) -> None:
    """Leave a thread of a stopped process (SIGSTOP) stopped, and hear of its going on."""
    _request(_LISTEN, tid)


def step(tid: int) -> None:
    """Execute one instruction."""
    _request(_SINGLESTEP, tid)


def detach(tid: int, signal_number: int = 0) -> None:
    """Trace a stopped thread no longer; a process that was stopped stays stopped."""
    _request(_DETACH, tid, None, signal_number)


def registers(tid: int) -> Registers:
    """The registers of a stopped thread."""
    found = Registers()
    _request(_GETREGS, tid, None, ctypes.addressof(found))
    return found


def event_message(tid: int) -> int:
    """What belongs to the event at which it stands: the new child, or who it was before exec."""
    message = ctypes.c_ulong()
    _request(_GETEVENTMSG, tid, None, ctypes.addressof(message))
    return message.value


def poke(tid: int, address: int, word: bytes) -> None:
    """Write eight bytes into the memory of a stopped thread, protected or not."""
    _request(_POKEDATA, tid, address, int.from_bytes(word, "little"))
