"""Forks a child and executes a program in it, in a session of its own.

Not by :mod:`subprocess`, because somebody may have to do something to the child before its program
begins (its clock is set then), and because whoever calls this reaps all of its children itself.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

_NOT_EXECUTED = 127


def execute(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    outputs: tuple[int, int],
    before_exec: Callable[[int], None] | None,
) -> int:
    """Execute ``argv`` with empty input; its pid, once the program is loaded.

    ``before_exec(pid)`` is called in the parent while the child waits. ``OSError`` names what
    could not be entered or executed.
    """
    told, tell = os.pipe()
    waits, goes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(goes)
        _become(argv, env, cwd, outputs, (waits, tell))
    os.close(tell)
    os.close(waits)
    try:
        if before_exec is not None:
            before_exec(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(told)
        raise
    finally:
        os.close(goes)
    with open(told, "rb") as pipe:
        refused = pipe.read()
    if refused:
        os.waitpid(pid, 0)
        number, _, what = refused.partition(b" ")
        raise OSError(int(number), os.strerror(int(number)), os.fsdecode(what))
    return pid


def _become(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    outputs: tuple[int, int],
    pipes: tuple[int, int],
) -> NoReturn:
    waits, tell = pipes
    what = cwd
    try:
        os.read(waits, 1)
        os.setsid()
        signal.set_wakeup_fd(-1)
        # Python ignores these two, and an ignored signal stays ignored across exec.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.chdir(cwd)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        what = argv[0]
        os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        os.write(tell, b"%d %s" % (error.errno or 0, os.fsencode(what)))
    finally:
        os._exit(_NOT_EXECUTED)
