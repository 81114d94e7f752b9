"""What tests of whole families of processes do inside a run: ``family_inside.py CASE …``.

The toy daemon answers from processes that a signal to its group would miss: a session of its own,
one that was forked twice, one that was forked twice and wears another environment, and one that
forks again and again. Each says that it lives by appending its kind to a file.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inside import Inside, python

from harness.contract.system import Stage
from nemeses.process.kill import Kill
from nemeses.process.pause import Pause

KINDS = ("main", "session", "twice", "bare", "forker", "forked")
QUIET_S = 0.3
TOY = """
import os, sys, time

def live(kind, seconds=1000.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fd = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, (kind + chr(10)).encode())
        os.close(fd)
        time.sleep(0.005)
    os._exit(0)

def twice(then):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            then()
        os._exit(0)
    os.waitpid(pid, 0)

if len(sys.argv) > 1:
    live(sys.argv[1])
if os.fork() == 0:
    os.setsid()
    live("session")
twice(lambda: live("twice"))
twice(lambda: os.execve(sys.executable, [sys.executable, "-S", "-c", SELF, "bare"], {}))
if os.fork() == 0:
    while True:
        if os.fork() == 0:
            os.setsid()
            live("forked", 0.05)
        time.sleep(0.004)
        live_once = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(live_once, b"forker" + bytes([10]))
        os.close(live_once)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
live("main")
"""


class Toys:
    """Starts the toy on a node, as a system does."""

    name = "toys"

    def start(self, stage: Any, node: Any) -> list[Any]:
        program = f"SELF = {TOY!r}\n" + TOY
        return [node.start(python(program), name="toy")]


def said(node: Any) -> list[str]:
    try:
        return Path(node.log_dir, "data", "said").read_text().split()
    except FileNotFoundError:
        return []


def all_said(node: Any, since: int = 0) -> bool:
    deadline = time.monotonic() + 30
    while set(said(node)[since:]) < set(KINDS):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def in_time(measure: Callable[[], Any]) -> Any:
    """The first proof that holds: a signal takes a moment."""
    deadline = time.monotonic() + 10
    while not (proof := measure()).holds and time.monotonic() < deadline:
        time.sleep(0.01)
    return proof


def goes_quiet(node: Any) -> bool:
    before = len(said(node))
    time.sleep(QUIET_S)
    return len(said(node)) == before


def is_hit(inside: Inside) -> dict[str, Any]:
    """Pause the toy, let it go on, pause and kill it, and start it again."""
    found: dict[str, Any] = {}
    with inside.up(("n1", "n2")) as cluster:
        system: Any = Toys()
        stage = Stage(cluster, system)
        for node in cluster.nodes:
            stage.start(node.name, "toys")
        n1, n2 = cluster.nodes
        found["began"] = all_said(n1) and all_said(n2)
        pause, plan = Pause({}), {"target": "one", "order": ["n1", "n2"]}
        targets, detail = pause.resolve(plan, stage)
        pause.inject(stage, targets, detail)
        proof = in_time(lambda: pause.bit(stage, targets, detail))
        found["paused"] = [proof.holds, states(proof.figures), goes_quiet(n1), goes_quiet(n2)]
        pause.heal(stage, targets, detail)
        found["healed"] = pause.healed(stage, targets, detail).holds
        found["went_on"] = all_said(n1, len(said(n1)))
        kill = Kill({})
        targets, detail = kill.resolve(plan, stage)
        kill.inject(stage, targets, detail)
        proof = kill.bit(stage, targets, detail)
        found["killed"] = [proof.holds, proof.what, goes_quiet(n1), goes_quiet(n2)]
        kill.heal(stage, targets, detail)
        found["back"] = [kill.healed(stage, targets, detail).holds, all_said(n1, len(said(n1)))]
    return found


def states(figures: Mapping[str, Any]) -> list[Any]:
    letters = figures["states"]["n1"]
    return [len(letters) >= 5, sorted(set(letters))]


def leaves_processes_behind(inside: Inside) -> dict[str, Any]:
    """The daemon itself ends and what it started runs on: the heal of a kill ends that first."""
    with inside.up(("n1",)) as cluster:
        system: Any = Toys()
        stage = Stage(cluster, system)
        node, (daemon,) = cluster.nodes[0], stage.start("n1", "toys")
        began = all_said(node)
        daemon.signal(15)
        status = daemon.wait(10.0)
        left = len(daemon.processes())
        kill, detail = Kill({}), {"processes": {"n1": [asdict(daemon.identity)]}}
        kill.heal(stage, ["n1"], detail)
        after = daemon.processes()
        return {
            "began": began,
            "status": status,
            "left": left > 0,
            "after": len(after),
            "runs": kill.healed(stage, ["n1"], detail).holds,
        }


def main() -> None:
    """Run one case of this file."""
    case, run_dir, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    result = globals()[case](Inside(run_dir, settings))
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
