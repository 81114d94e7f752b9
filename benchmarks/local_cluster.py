"""How long a local cluster takes to come up, to go down, and to be gone after ``kill -9``.

``python benchmarks/local_cluster.py [--repeats N] [--mode root|userns|plain] [--nodes N]``; the
last line is JSON, seconds as median and worst. "Gone" is measured from the kill until no process
of the run is left, zombies that the machine's init has not yet reaped aside; the namespaces,
mounts, links and firewall rules end with the processes. ``at a random moment`` kills the front
anywhere between its start and the cluster's being up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "POLYGRAPH_BENCHMARK_TOKEN"
KILLS = (("front",), ("run",), ("front", "run"), ("reaper",))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mode", default="userns")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as", dest="part", choices=("front", "run"), help=argparse.SUPPRESS)
    parser.add_argument("--run-dir", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part == "run":
        be_run_process(asked.run_dir, asked.mode, asked.nodes)
    elif asked.part == "front":
        be_front(asked.run_dir, asked.mode, asked.nodes)
    else:
        print(json.dumps(measure(asked.mode, asked.nodes, asked.repeats, asked.seed)))


class Nobody:
    """A system that is not started, and has two ports."""

    name = "nobody"

    def ports(self) -> Sequence[Any]:
        """One for clients, one for peers."""
        from harness.contract.node import Port

        return Port(7001, clients=True), Port(7000, peers=True)


def be_run_process(run_dir: Path, mode: str, nodes: int) -> None:
    """Up, say how long it took, wait for a word, down, say how long that took."""
    from harness.cluster.namespaces.cluster import LocalCluster
    from harness.cluster.plain.cluster import PlainCluster

    names = [f"n{i + 1}" for i in range(nodes)]
    system: Any = Nobody()
    start_s = time.monotonic()
    cluster: Any = PlainCluster(run_dir, names, system) if mode == "plain" else None
    cluster = cluster or LocalCluster(run_dir, names, mode)
    cluster.up()
    up_s = time.monotonic() - start_s
    for node in cluster.nodes:
        node.start([sys.executable, "-S", "-c", "import signal; signal.pause()"], name="db")
    print(json.dumps({"up": up_s, "run": os.getpid()}), flush=True)
    if not sys.stdin.readline():
        # The worst case: one that does not heed the end of its input.
        signal.pause()
    start_s = time.monotonic()
    cluster.down()
    print(json.dumps({"down": time.monotonic() - start_s}), flush=True)


def be_front(run_dir: Path, mode: str, nodes: int) -> None:
    """Spawn the run process with our own input and output, and wait for it."""
    from harness.cluster.namespaces.enter import spawn

    start_s = time.monotonic()
    own = [sys.executable, __file__, "--as", "run", "--run-dir", str(run_dir), "--mode", mode]
    entered = spawn([*own, "--nodes", str(nodes)], mode=mode, run_dir=run_dir)  # type: ignore[arg-type]
    spawned_s = time.monotonic() - start_s
    pids = {"spawn": spawned_s, "reaper": entered.pid, "run": entered.run_pid}
    print(json.dumps(pids), flush=True)
    if sys.stdin.readline():
        # The run process may have been killed.
        with contextlib.suppress(BrokenPipeError):
            os.write(entered.stdin_fd or 1, b"down\n")
    entered.wait()


def measure(mode: str, nodes: int, repeats: int, seed: int) -> dict[str, object]:
    """All figures."""
    found: dict[str, list[float]] = {}
    rng = random.Random(seed)
    for _ in range(repeats):
        for name, seconds in whole_life(mode, nodes).items():
            found.setdefault(name, []).append(seconds)
        for who in KILLS:
            gone_s = killed(mode, nodes, who)
            found.setdefault(f"gone after kill of {' and '.join(who)}", []).append(gone_s)
        gone_s = killed(mode, nodes, ("front",), after_s=rng.uniform(0.0, 0.5))
        found.setdefault("gone after kill of front at a random moment", []).append(gone_s)
    summary = {
        name: {"median": round(statistics.median(values), 3), "worst": round(max(values), 3)}
        for name, values in found.items()
    }
    return {"mode": mode, "nodes": nodes, "repeats": repeats, "seconds": summary}


class Front:
    """One front in a process of its own, with a cluster."""

    def __init__(self, mode: str, nodes: int, run_dir: str) -> None:
        self.token = uuid.uuid4().hex
        own = [sys.executable, __file__, "--as", "front", "--run-dir", run_dir, "--mode", mode]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [*own, "--nodes", str(nodes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, TOKEN: self.token},
        )

    def word(self) -> dict[str, float]:
        """The next line that the front or the run process said."""
        assert self.process.stdout is not None
        word: dict[str, float] = json.loads(self.process.stdout.readline())
        return word

    def say(self, word: bytes) -> None:
        """Tell the front something."""
        assert self.process.stdin is not None
        self.process.stdin.write(word)
        self.process.stdin.flush()

    def left(self) -> int:
        """How many processes of this run there are, the front's own zombie and others aside."""
        mark = f"{TOKEN}={self.token}".encode()
        found = 0
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    found += mark in Path(f"/proc/{name}/environ").read_bytes()
                except OSError:
                    continue
        return found


def whole_life(mode: str, nodes: int) -> dict[str, float]:
    """Seconds to spawn, up and down of one run."""
    with tempfile.TemporaryDirectory() as run_dir:
        front = Front(mode, nodes, run_dir)
        spawned, up = front.word(), front.word()
        front.say(b"down\n")
        down = front.word()
        front.process.communicate()
        return {"spawn": spawned["spawn"], "up": up["up"], "down": down["down"]}


def killed(mode: str, nodes: int, who: Sequence[str], after_s: float | None = None) -> float:
    """Seconds from the kill until nothing is left."""
    with tempfile.TemporaryDirectory() as run_dir:
        front = Front(mode, nodes, run_dir)
        pids: dict[str, float] = {}
        if after_s is None:
            pids = front.word()
            front.word()
        else:
            time.sleep(after_s)
        start_s = time.monotonic()
        for name in who:
            os.kill(front.process.pid if name == "front" else int(pids[name]), signal.SIGKILL)
        if "front" not in who:
            front.say(b"\n")
        while front.left():
            time.sleep(0.002)
        gone_s = time.monotonic() - start_s
        front.process.kill()
        front.process.communicate()
        return gone_s


if __name__ == "__main__":
    main()
