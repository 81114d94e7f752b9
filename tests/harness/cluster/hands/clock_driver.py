"""Sets clocks of its own children, one way or another: ``clock_driver.py CASE``; prints JSON.

A process of its own, since whoever traces waits for every child of its process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[4]))

from harness.cluster.hands import node_clock, ptrace, vdso

SHIFT_NS = 10**13


class Child:
    """A fork of this process that tells the time when asked, or forks and tells whom."""

    def __init__(self) -> None:
        asked, self._ask = os.pipe()
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            while what := os.read(asked, 1):
                told = time.time_ns() if what == b"?" else os.fork()
                if told:
                    os.write(answer, b"%20d" % told)
            os._exit(0)

    def ahead_s(self) -> int:
        """How far its clock is ahead, in seconds, to the nearest hundred: its answer takes time."""
        os.write(self._ask, b"?")
        return 100 * round((int(os.read(self._answer, 20)) - time.time_ns()) / 1e11)

    def fork(self, meanwhile: Callable[[], object]) -> int:
        """Have it fork, its tracer at work ``meanwhile``; the new process, which does the same."""
        os.write(self._ask, b"f")
        while not select.select([self._answer], [], [], 0.001)[0]:
            meanwhile()
        return int(os.read(self._answer, 20))

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def through_ptrace() -> dict[str, Any]:
    """As where ``/proc/PID/mem`` may not be written."""
    child = Child()
    clock = node_clock.NodeClock(lambda: [child.pid], write_by_ptrace=True)
    refuse_memory_files()
    ahead = [child.ahead_s()]
    clock.set({"shift_ns": SHIFT_NS})
    clock.pump()
    ahead.append(child.ahead_s())
    state = clock.heal()
    ahead.append(child.ahead_s())
    child.end()
    return {"ahead": ahead, "pristine": state["pristine"]}


def falls_back() -> dict[str, Any]:
    """The file is tried, refused, and not tried again."""
    child = Child()
    tries = refuse_memory_files()
    clock = node_clock.NodeClock(lambda: [child.pid])
    clock.set({"shift_ns": SHIFT_NS})
    ahead = child.ahead_s()
    clock.heal()
    healed = child.ahead_s()
    child.end()
    return {"ahead": ahead, "healed": healed, "tries": len(tries)}


def refuse_memory_files() -> list[int]:
    """Have every write to a process's memory file fail from now on; the tries."""
    tries: list[int] = []

    def refused(pid: int, address: int, data: bytes) -> None:
        tries.append(pid)
        raise PermissionError(1, "not permitted")

    node_clock.write_memory = refused
    return tries


def all_or_nothing() -> dict[str, Any]:
    """The second of three processes has another vDSO: none is left changed."""
    children = [Child(), Child(), Child()]
    true_base = node_clock.base_of

    def base_of(pid: int, layout: vdso.Layout) -> int:
        if pid == children[1].pid:
            raise vdso.Unfit(f"process {pid} has another vDSO")
        return true_base(pid, layout)

    node_clock.base_of = base_of
    clock = node_clock.NodeClock(lambda: [child.pid for child in children])
    said = ""
    try:
        clock.set({"shift_ns": SHIFT_NS})
    except node_clock.Cannot as error:
        said = str(error)
    ahead = [child.ahead_s() for child in children]
    traced = [traced_by(child.pid) for child in children]
    for child in children:
        child.end()
    return {"said": said.replace(str(children[1].pid), "PID"), "ahead": ahead, "traced": traced}


def traced_by(pid: int) -> int:
    """Who traces it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("TracerPid")).split()[1])


def traced_by_another() -> dict[str, Any]:
    """A child that somebody else traces cannot be changed, and it is said."""
    child = Child()
    ready, tell = os.pipe()
    other = os.fork()
    if other == 0:
        ptrace.seize(child.pid)
        os.write(tell, b".")
        signal.pause()
    os.read(ready, 1)
    try:
        node_clock.NodeClock(lambda: [child.pid]).set({"shift_ns": SHIFT_NS})
        said = ""
    except node_clock.Cannot as error:
        said = str(error)
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    child.end()
    return {"said": said.replace(str(child.pid), "PID")}


def heals_what_another_set() -> dict[str, Any]:
    """Whoever set a clock was killed: who comes next sees that it is wrong, and undoes it."""
    child = Child()
    ready, tell = os.pipe()
    other = os.fork()
    if other == 0:
        node_clock.NodeClock(lambda: [child.pid]).set({"shift_ns": SHIFT_NS})
        os.write(tell, b".")
        signal.pause()
    os.read(ready, 1)
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    clock = node_clock.NodeClock(lambda: [child.pid])
    ahead, pristine = [child.ahead_s()], [clock.state()["pristine"]]
    pristine.append(clock.heal()["pristine"])
    ahead.append(child.ahead_s())
    traced = traced_by(child.pid)
    child.end()
    return {"ahead": ahead, "pristine": pristine, "traced": traced}


def ends_while_set() -> dict[str, Any]:
    """A process that is killed meanwhile is told of, once, and costs nothing."""
    child, rest = Child(), Child()
    clock = node_clock.NodeClock(lambda: [child.pid, rest.pid])
    clock.set({"shift_ns": SHIFT_NS})
    os.kill(child.pid, signal.SIGKILL)
    ended: list[tuple[int, int]] = []
    while not ended:
        ended += clock.pump()
    ahead = rest.ahead_s()
    state = clock.heal()
    rest.end()
    mine = [os.waitstatus_to_exitcode(status) for pid, status in ended if pid == child.pid]
    return {"ended": mine, "ahead": ahead, "processes": state["processes"]}


def ends_while_looked_at() -> dict[str, Any]:
    """One that has no memory any more when it is looked at counts for nothing once it is gone."""
    child, rest = Child(), Child()
    clock = node_clock.NodeClock(lambda: [child.pid, rest.pid])
    clock.set({"shift_ns": SHIFT_NS})
    clock.heal()
    child.end()
    looks = [[child.pid, rest.pid]] * (2 * node_clock._TRIES)
    clock._running = lambda: looks.pop(0) if looks else [rest.pid]  # type: ignore[method-assign]
    state = clock.state()
    rest.end()
    return {"looks_left": len(looks), **{key: state[key] for key in ("processes", "pristine")}}


def forks_while_healed() -> dict[str, Any]:
    """The last process to be healed forks while the first one is."""
    children = sorted([Child(), Child()], key=lambda child: child.pid)
    pids = [child.pid for child in children]
    clock = node_clock.NodeClock(lambda: pids)
    clock.set({"shift_ns": SHIFT_NS})
    undo = clock._undo

    def forking_undo(pid: int) -> None:
        if len(pids) == 2:
            pids.append(children[1].fork(clock._tracer.pump))
        undo(pid)

    clock._undo = forking_undo  # type: ignore[method-assign]
    state = clock.heal()
    traced = [traced_by(pid) for pid in pids]
    os.kill(pids[2], signal.SIGKILL)
    for child in children:
        child.end()
    return {"traced": traced, **{key: state[key] for key in ("processes", "pristine")}}


def takes_threads_out() -> dict[str, Any]:
    """A thread that stands within our routines is taken on until it stands outside."""
    pid = os.fork()
    if pid == 0:
        while True:
            time.time_ns()
    clock = node_clock.NodeClock(lambda: [pid])
    clock.set({"shift_ns": SHIFT_NS})
    tracer, layout = clock._tracer, node_clock.own_layout()
    base = node_clock.base_of(pid, layout)
    span = (base + layout.routines[0], base + layout.routines[1])
    met = inside_after = 0
    while met < 20:
        tracer.hold(pid)
        met += span[0] <= ptrace.registers(pid).rip < span[1]
        tracer.clear(pid, [span])
        inside_after += span[0] <= ptrace.registers(pid).rip < span[1]
        tracer.release(pid)
        time.sleep(0.001)  # who is stopped again before it has got the processor never gets on
    pristine = clock.heal()["pristine"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return {"met": met, "inside_after": inside_after, "pristine": pristine}


def is_or_was_in_a_handler() -> dict[str, Any]:
    """Threads that a signal met within our routines: some still in its handler, some no longer."""
    node_clock._BUSY_S = 0.3
    return {how: heal_beside_handler(how) for how in ("was", "own", "same", "nested")}


def heal_beside_handler(how: str) -> list[Any]:
    """Whether it is healed at once, what is said, and whether once the handler has returned."""
    argv = [sys.argv[2], how]
    toy = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert toy.stdin is not None
    assert toy.stdout is not None
    clock = node_clock.NodeClock(lambda: [toy.pid])
    clock.set({"shift_ns": SHIFT_NS})
    toy.stdin.write(b"g")
    while not select.select([toy.stdout], [], [], 0.0005)[0]:
        clock.pump()
    toy.stdout.read(1)
    time.sleep(0.05)
    clock.pump()
    said = try_to_heal(clock)
    toy.stdin.write(b"r")
    then = try_to_heal(clock) if said else ""
    pristine = clock.state()["pristine"]
    told = toy.stdout.read(1).decode()  # it crashes if its routine was taken from under it
    toy.stdin.close()
    return ["signal handler" in said, then, pristine, told, toy.wait()]


def try_to_heal(clock: node_clock.NodeClock) -> str:
    """What is said against it."""
    try:
        clock.heal()
    except node_clock.Cannot as error:
        return str(error)
    return ""


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
