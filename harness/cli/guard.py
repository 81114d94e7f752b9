"""Keeps a plug-in from ending a command line in a code that stands for a verdict.

Plug-ins are loaded and asked in the process that gives the exit code, and any of them may end that
process by ``os._exit(0)``: while it is loaded, when its factory is called, from a thread of its
own. Nothing within a process can prevent that, so where code of third parties may be loaded, the
command line is carried out by a child, and this process only waits. A code counts if the child
told it at its very end; otherwise there was no verdict, whatever the child ended in.

The child has a session of its own: so a Ctrl-C of the terminal, and every other signal, comes here
alone and is passed on exactly once. It reads and writes the terminal as before, and the kernel
ends it with this process. Cost: a fork before anything is imported, a millisecond.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from harness.errors import EXIT_INFRASTRUCTURE

LOADING: Final = frozenset(
    {"test", "soak", "compare", "check", "list", "explain", "validate", "doctor"}
)
"""The verbs that look for plug-ins."""
NAMING: Final = ("--plugin", "--scenario")
"""The flags that name files with code, or files that name those."""
PASSED_ON: Final = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGTSTP,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
LOOK_AGAIN_S: Final = 1.0


def may_load_plugins(argv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether this command line may load code of third parties; loads none to find out."""
    verb = next((word for word in argv if not word.startswith("-")), "")
    if sys.platform != "linux" or verb not in LOADING:
        return False
    if verb == "validate" or any(word.startswith(NAMING) for word in argv):
        return True
    if any(environment.get(f"POLYGRAPH_{flag[2:].upper()}") for flag in NAMING):
        return True
    from harness.plugins import Registry

    return Registry().is_extended()


def guarded(work: Callable[[], int]) -> int:
    """The exit code that ``work`` came to in a child process; in the child it returns as well."""
    reader, writer = os.pipe()
    parent = os.getpid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        os.close(reader)
        return _carried_out(work, writer, parent, mask)
    os.close(writer)
    status = _status_of(child)
    if os.WIFSIGNALED(status):
        _end_as(os.WTERMSIG(status))
    return _judged(reader, os.waitstatus_to_exitcode(status))


def _carried_out(work: Callable[[], int], writer: int, parent: int, mask: set[int]) -> int:
    """In the child: do the work, and tell its code unless somebody else does so for us."""
    from harness.linux.kernel import end_with_this_parent

    own = os.getpid()
    os.setsid()
    end_with_this_parent(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    code = work()
    if os.getpid() == own:  # a copy that a plug-in made has no say
        os.write(writer, str(code).encode())
    return code


def _status_of(child: int) -> int:
    """Wait for the child's end, passing on what signals come meanwhile."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        caught = signal.sigtimedwait({*PASSED_ON, signal.SIGCHLD}, LOOK_AGAIN_S)
        if caught is None or caught.si_signo == signal.SIGCHLD:
            continue
        if caught.si_signo != signal.SIGTSTP:
            os.kill(child, caught.si_signo)
            continue
        os.kill(child, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # until the shell lets us go on
        os.kill(child, signal.SIGCONT)


def _end_as(number: int) -> None:
    """End by the signal that ended the child, so that whoever waits sees the same."""
    with contextlib.suppress(OSError):  # SIGKILL has no handler
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)


def _judged(reader: int, status: int) -> int:
    """The child's exit code if it was told, else that of a defect."""
    os.set_blocking(reader, False)  # what the child started may still hold the other end
    try:
        told = os.read(reader, 16)
    except BlockingIOError:
        told = b""
    if told == str(status).encode():
        return status
    why = f"a plug-in ended the command with exit code {status}"
    print(f"polygraph: {why}: there is no verdict", file=sys.stderr)
    return EXIT_INFRASTRUCTURE
