"""What setting the clock of processes costs, and how exact it is: ``python -m benchmarks.clock``.

A child with four threads that ask for the time all the while is changed and healed again and
again. Printed: how long all its threads stood (median, worst), how far its clock was from what
was asked (the brackets of a raw system call before and after), and what reading the time costs
before, during and after. Takes about five seconds; x86-64 Linux.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.cluster.hands.node_clock import NodeClock

ROUNDS = 50
READS = 200_000
CHILD = """
import ctypes, json, sys, threading, time
libc = ctypes.CDLL(None)
class Pair(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("parts", ctypes.c_long)]
def true_ns():
    pair = Pair()
    libc.syscall(228, 0, ctypes.byref(pair))
    return pair.seconds * 10**9 + pair.parts
for _ in range(3):
    threading.Thread(target=lambda: [time.sleep(0.0001) for _ in iter(int, 1)], daemon=True).start()
for line in sys.stdin:
    best = [0, 1 << 62]
    for _ in range(20):
        before = true_ns(); told = time.time_ns(); after = true_ns()
        if after - before < best[1] - best[0]:
            best = [told - after, told - before]
    begun = time.perf_counter_ns()
    for _ in range(int(line)):
        time.time_ns()
    print(json.dumps([*best, (time.perf_counter_ns() - begun) / max(1, int(line))]), flush=True)
"""


class Child:
    """The process whose clock is set."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, "-c", CHILD], stdin=pipe, stdout=pipe)
        self.pid = self._process.pid

    def tell(self, reads: int) -> list[float]:
        """How far ahead it is (between the two, ns), and the ns of one read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{reads}\n".encode())
        self._process.stdin.flush()
        told: list[float] = json.loads(self._process.stdout.readline())
        return told


def main() -> None:
    """Measure, and print a line each."""
    child = Child()
    clock = NodeClock(lambda: [child.pid])
    plain_ns = child.tell(READS)[2]
    stops, errors, whole = [], [], []
    for number in range(1, ROUNDS + 1):
        shift_ns = number * 86_400 * 10**9 * (-1) ** number
        begun = time.perf_counter()
        state = clock.set({"shift_ns": shift_ns})
        whole.append((time.perf_counter() - begun) * 1000)
        stops.append(state["stop_ms"])
        low, high, _ = child.tell(0)
        errors.append(max(abs(low - shift_ns), abs(high - shift_ns)))
        clock.pump()
        if number < ROUNDS:
            clock.heal()
    changed_ns = child.tell(READS)[2]
    clock.heal()
    healed_ns = child.tell(READS)[2]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {state['threads']} threads")
    print(f"threads stood {statistics.median(stops):.2f} ms, worst {max(stops):.2f} ms")
    print(f"setting took {statistics.median(whole):.2f} ms, worst {max(whole):.2f} ms")
    print(
        f"off by at most {statistics.median(errors) / 1000:.2f} us, worst {max(errors) / 1000:.2f}"
    )
    print(f"a read costs {plain_ns:.0f} ns; set {changed_ns:.0f} ns; healed {healed_ns:.0f} ns")
    os.kill(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
