"""Systems that come by the time in different ways, as a plug-in for ``doctor --clock``."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from harness.contract.system import BYPASSES, FAITHFUL, WAITS_ON_TRUE_CLOCK
from harness.errors import SetupError

PROGRAM = """
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
class Pair(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("parts", ctypes.c_long)]
def reads():
    time.time(), libc.time(None)
def waits():
    until = time.time_ns() + 10**7
    libc.clock_nanosleep(0, 1, ctypes.byref(Pair(*divmod(until, 10**9))), None)
def bypasses():
    libc.syscall(228, 0, ctypes.byref(Pair()))
def go():
    time.sleep(0.01)  # by the monotonic clock
    for step in sys.argv[1:]:
        globals()[step]()
go()  # so that whoever is ready has done all of it, however short the trace is
print("ready", flush=True)
while True:
    go()
"""


class Toy:
    """One process a node that does some steps all the while, and declares something."""

    options = ()
    steps: tuple[str, ...] = ()
    path = FAITHFUL

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._logs: list[Any] = []

    def abilities(self) -> Sequence[type]:
        return ()

    def install(self, node: Any) -> None: ...

    def start(self, stage: Any, node: Any) -> Sequence[Any]:
        self._logs.append(node.log_dir / "toy.log")
        return [node.start([sys.executable, "-S", "-c", PROGRAM, *self.steps], name="toy")]

    def ready(self, stage: Any, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not all("ready" in log.read_text() for log in self._logs):
            if time.monotonic() > deadline:
                raise SetupError("a toy does not start")
            time.sleep(0.05)
        time.sleep(0.05)

    def ports(self) -> Sequence[Any]:
        return ()

    def clock_path(self) -> str:
        return self.path


class Faithful(Toy):
    name, steps = "toy-faithful", ("reads",)


class Waits(Toy):
    name, steps, path = "toy-waits", ("reads", "waits"), WAITS_ON_TRUE_CLOCK


class Bypasses(Toy):
    name, steps, path = "toy-bypasses", ("bypasses",), BYPASSES


class Liar(Toy):
    name, steps = "toy-liar", ("reads", "waits")


SYSTEMS = {toy.name: toy for toy in (Faithful, Waits, Bypasses, Liar)}
