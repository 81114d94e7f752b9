"""Forks a child and executes a program in it, in a session of its own; reaps those that ended.

Not by :mod:`subprocess`, because somebody may have to do something to the child before its program
begins (its clock is set then), and because whoever calls this reaps all of its children itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NoReturn

_NOT_EXECUTED = 127
_SERVE_EACH_MS = 1


def execute(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None = None,
    streams: tuple[int, int] | None = None,
    keep: Sequence[int] = (),
    in_child: Callable[[], None] = lambda: None,
    before_exec: Callable[[int], None] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> int:
    """Fork and execute ``argv``; its pid once the program is loaded.

    With ``streams`` its outputs go there and its input is empty, else all three are inherited.
    Descriptors in ``keep`` stay open under their numbers. ``in_child()`` is called in the child
    before anything else. ``before_exec(pid)`` is called in the parent while the child waits, and
    then ``meanwhile`` again and again until the program is loaded, since a traced child may stop
    on the way. ``OSError`` names what could not be entered or executed.
    """
    os.get_exec_path(env)  # imports what the child, as another user, may not be able to read
    told, tell = os.pipe()
    waits, goes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(goes)
        _become(argv, env, cwd, streams, keep, in_child, (waits, tell))
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
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while before_exec is not None and not poll.poll(_SERVE_EACH_MS):
            meanwhile()
        refused = pipe.read()
    if refused:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        number, _, what = refused.partition(b" ")
        raise OSError(int(number), os.strerror(int(number)), os.fsdecode(what))
    return pid


def _become(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str | None,
    streams: tuple[int, int] | None,
    keep: Sequence[int],
    in_child: Callable[[], None],
    pipes: tuple[int, int],
) -> NoReturn:
    waits, tell = pipes
    what = argv[0]
    try:
        os.read(waits, 1)
        in_child()
        os.setsid()
        signal.set_wakeup_fd(-1)
        # Python ignores these two, and an ignored signal stays ignored across exec.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if cwd is not None:
            what = cwd
            os.chdir(cwd)
        if streams is not None:
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(streams[0], 1)
            os.dup2(streams[1], 2)
        for fd in keep:
            os.set_inheritable(fd, True)
        what = argv[0]
        os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        os.write(tell, b"%d %s" % (error.errno or 0, os.fsencode(what)))
    except BaseException as error:  # a defect of ours, which must not look like the program's end
        os.write(tell, b"%d %s" % (errno.EINVAL, f"{type(error).__name__}: {error}".encode()))
    finally:
        os._exit(_NOT_EXECUTED)


def ended_children() -> Iterator[tuple[int, int]]:
    """Reap: (pid, wait status) of every child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def exit_code(status: int) -> int:
    """The exit code in a wait status, or minus the signal that ended the process."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
