"""Whether the clock of processes can be set on this machine: tried on a child of our own.

Run in a fresh small interpreter (one thread, so that it may fork), by :func:`refusal` on the
controller or by whoever keeps a node elsewhere. Cost: about 0.05 s.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import time

from . import node_clock

_SHIFT_NS = 10**15
_TIME = struct.Struct("<q")
_RIGHTS = (
    "run it as root, or with CAP_SYS_PTRACE (in a container: --cap-add SYS_PTRACE and a seccomp "
    "profile that allows ptrace)"
)


def main() -> None:
    """Print why not; nothing if it can be done."""
    why = refusal_here()
    if why is not None:
        sys.stdout.write(why)


def refusal_here() -> str | None:
    """Change the clock of a child, have it tell the time, undo it; why that failed, or ``None``."""
    asks, answers = _pipe_pair()
    child = os.fork()
    if child == 0:
        try:
            _tell_the_time(asks[0], answers[1])
        finally:
            os._exit(0)
    clock = node_clock.NodeClock(lambda: [child])
    try:
        clock.set({"shift_ns": _SHIFT_NS})
        skewed_ns = _ask(clock, asks[1], answers[0])
        clock.heal()
        true_ns = _ask(clock, asks[1], answers[0])
    except node_clock.Cannot as error:
        return f"{error}; try: {_RIGHTS}" if "ptrace" in str(error) else str(error)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not abs(skewed_ns - _SHIFT_NS - time.time_ns()) < _SHIFT_NS > abs(true_ns - time.time_ns()):
        return "a child whose clock was set did not read it"
    return None


def _pipe_pair() -> tuple[tuple[int, int], tuple[int, int]]:
    return os.pipe(), os.pipe()


def _tell_the_time(asked: int, answer: int) -> None:
    while os.read(asked, 1):
        os.write(answer, _TIME.pack(time.time_ns()))


def _ask(clock: node_clock.NodeClock, ask: int, answer: int) -> int:
    os.write(ask, b"?")
    clock.pump()
    (told_ns,) = _TIME.unpack(os.read(answer, _TIME.size))
    return int(told_ns)
