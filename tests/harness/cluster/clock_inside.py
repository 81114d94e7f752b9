"""What the clock tests do in a run: ``clock_inside.py CASE RUN_DIR SETTINGS``, in every local mode.

The programs whose clocks are set measure themselves: a raw system call gives the true time, so
each tells how far ahead of it the ordinary ways to ask for the time are.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inside import Inside, python, wait_until

from harness.contract.node import Daemon, Node
from harness.errors import NodeError
from harness.linux.identity import state

LOOK = """
import ctypes, json, os, subprocess, sys, threading, time
libc = ctypes.CDLL(None)
# The coarse clock is as old as the last tick, which on a busy virtual machine may come late.
LAG = 200_000_000
libc.time.restype = ctypes.c_long
class Pair(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("parts", ctypes.c_long)]
def true_ns():
    pair = Pair()
    libc.syscall(228, 0, ctypes.byref(pair))
    return pair.seconds * 10**9 + pair.parts
def ways():
    pair = Pair()
    libc.gettimeofday(ctypes.byref(pair), None)
    yield "clock_gettime", time.time_ns(), 0
    yield "coarse", time.clock_gettime_ns(5), LAG
    yield "gettimeofday", pair.seconds * 10**9 + pair.parts * 1000, 1000
    yield "time", libc.time(None) * 10**9, 10**9 + LAG
def look(who):
    before = true_ns()
    told = list(ways())
    after = true_ns()
    ahead = {way: [ns - after, ns - before + slack] for way, ns, slack in told}
    os.write(1, (json.dumps({"who": who, "ahead": ahead}) + chr(10)).encode())
"""
ONCE = LOOK + "look('once')\n"
WATCH = (
    LOOK
    + """
def spin():
    while True:
        time.time()
threading.Thread(target=spin, daemon=True).start()
old = os.fork()
me = "child" if old == 0 else "parent"
while True:
    look(me)
    if old and os.path.exists("fork"):
        os.remove("fork")
        if os.fork() == 0:
            look("forked")
            os._exit(0)
        look_again = [sys.executable, "-S", "-c", os.environ["ONCE"].replace("once", "executed")]
        subprocess.run(look_again)
    time.sleep(0.02)
"""
)


class Watched:
    """A daemon that looks at the time all the while, and what it says."""

    def __init__(self, node: Node, name: str) -> None:
        self.daemon: Daemon = node.start(python(WATCH), name=name, env={"ONCE": ONCE})
        self._node = node
        self._log = node.log_dir / f"{name}.log"

    def says(self, who: str, within: tuple[int, int] | None = None) -> dict[str, Any]:
        """The next thing that ``who`` says from now on (within these bounds, in ns)."""
        # What it says next it may have seen before.
        return self._says(who, self._end_of_log(), 1, within)

    def fork(self) -> dict[str, Any]:
        """Have it fork, and execute a program; what the two say, each of them once."""
        said = {}
        for who in ("forked", "executed"):
            begin = self._end_of_log()
            Path(self._node.log_dir, "data", "fork").touch()
            said[who] = self._says(who, begin, 0)
        return said

    def _end_of_log(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _says(
        self, who: str, begin: int, passed_over: int, within: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def has_said() -> bool:
            with self._log.open() as log:
                log.seek(begin)
                lines = [line for line in log if line.endswith("}\n") and line.startswith("{")]
            said = [one["ahead"] for one in map(json.loads, lines) if one["who"] == who]
            found[:] = said[passed_over:]
            return bool(found) and (within is None or holds(found[-1], *within))

        if not wait_until(has_said):
            raise TimeoutError(
                f"{who} does not say so; it said {found} and {self._log.read_text()}"
            )
        return found[-1]


def holds(ahead: Mapping[str, list[int]], low_ns: int, high_ns: int) -> bool:
    """Whether every way may be ahead by something between."""
    return bool(ahead) and all(low <= high_ns and high >= low_ns for low, high in ahead.values())


def moves_clocks(inside: Inside) -> dict[str, Any]:
    """A shift of one node: threads, old and new children, programs, commands; and the others."""
    shift_ns = inside.options["shift_ns"]
    with inside.up(("n1", "n2")) as cluster:
        n1, n2 = cluster.nodes
        watched, other = Watched(n1, "db"), Watched(n2, "db")
        before = watched.says("parent")
        watched.says("child")
        pid = watched.daemon.identity.pid
        state = n1.set_clock({"shift_ns": shift_ns}, "process")
        found = {"before": before, "state": state}
        found["during"] = {who: watched.says(who) for who in ("parent", "child")}
        found["during"] |= watched.fork()
        found["during"]["command"] = json.loads(n1.run(python(ONCE)).stdout)["ahead"]
        found["traced"] = traced_by(pid) != 0
        found["others"] = {"n2": other.says("parent"), "run": n2.read_clock()["offset_ns"]}
        watched.daemon.signal(signal.SIGKILL)
        found["killed"] = watched.daemon.wait(30)
        again = Watched(n1, "again")
        found["restarted"] = {who: again.says(who) for who in ("parent", "child")}
        found["healed_state"] = n1.heal_clock()
        n1.heal_clock()
        found["healed"] = {who: again.says(who) for who in ("parent", "child")} | again.fork()
        found["traced_after"] = traced_by(again.daemon.identity.pid) != 0
        return found


def traced_by(pid: int) -> int:
    """Who traces a process, 0 if nobody does."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("TracerPid:"))


def drifts_and_strobes(inside: Inside) -> dict[str, Any]:
    """Clocks that go fast or slow, or jump to and fro."""
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        watched = Watched(node, "db")
        found: dict[str, Any] = {"drift": [], "strobe": []}
        for rate in (0.5, -0.5):
            node.set_clock({"rate": rate}, "process")
            for _ in range(5):
                before = node.read_clock()["offset_ns"]
                ahead = watched.says("parent")["clock_gettime"]
                found["drift"].append([rate, before, ahead, node.read_clock()["offset_ns"]])
        strobe = {"delta_ns": 10**12, "period_ns": 10**7}
        node.set_clock(strobe, "process")
        found["strobe"] = [
            watched.says("parent", near)["clock_gettime"]
            for near in ((-(10**8), 10**8), (10**12 - 10**8, 10**12 + 10**8))
        ]
        node.heal_clock()
        found["healed"] = watched.says("parent")
        return found


def moves_clocks_of_stopped_processes(inside: Inside) -> dict[str, Any]:
    """Stopped, set, continued; stopped, healed, continued: it stays stopped in between."""
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        watched = Watched(node, "db")
        watched.says("child")
        found: dict[str, Any] = {"stops": []}
        for step in (lambda: node.set_clock({"shift_ns": 10**13}, "process"), node.heal_clock):
            watched.daemon.signal(signal.SIGSTOP)
            wait_until(lambda: watched.daemon.state() in "Tt")
            step()
            found["stops"].append(stands_still(node, watched))
            watched.daemon.signal(signal.SIGCONT)
            found["stops"].append(watched.says("parent"))
        node.set_clock({"shift_ns": 10**13}, "process")
        watched.daemon.signal(signal.SIGSTOP)
        found["stopped_while_set"] = wait_until(lambda: watched.daemon.state() in "Tt")
        node.heal_clock()
        found["still"] = stands_still(node, watched)
        watched.daemon.signal(signal.SIGKILL)
        found["killed"] = watched.daemon.wait(30)
        return found


def stands_still(node: Node, watched: Watched) -> list[Any]:
    """The state, and whether nothing is said while others would say much."""
    log = node.log_dir / "db.log"
    before = log.stat().st_size
    node.run(python("import time; time.sleep(0.2)"))
    return [state(watched.daemon.identity), log.stat().st_size - before]


def refuses(inside: Inside) -> dict[str, Any]:
    """What cannot be done says so, and leaves every clock true."""
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        watched = Watched(node, "db")
        asked: dict[str, Callable[[], object]] = {
            "machine": lambda: node.set_clock({"shift_ns": 1}, "machine"),
            "calendar": lambda: node.set_clock({"shift_ns": 2 * 10**18}, "process"),
        }
        said = {}
        for name, action in asked.items():
            try:
                action()
            except NodeError as error:
                said[name] = str(error)
        clock = node.read_clock()
        return {"said": said, "clock": clock, "ahead": watched.says("parent")}


def keeps_the_machine_clock(inside: Inside) -> dict[str, Any]:
    """How far the machine's wall clock moves against its monotonic one over a whole clock fault."""
    with inside.up(("n1",)) as cluster:
        node = cluster.node("n1")
        watched = Watched(node, "db")
        before_ns = time.time_ns() - time.monotonic_ns()
        node.set_clock({"shift_ns": 10**13}, "process")
        ahead = watched.says("parent")
        during_ns = time.time_ns() - time.monotonic_ns()
        node.heal_clock()
        after_ns = time.time_ns() - time.monotonic_ns()
        return {"ahead": ahead, "moved_ns": [during_ns - before_ns, after_ns - before_ns]}


def main() -> None:
    """Run one case of this file."""
    case, run_dir, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    result = globals()[case](Inside(run_dir, settings))
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
