"""What a docker cluster costs, and that nothing of one stays however its controller is killed.

    python -m benchmarks.docker_cluster --nodes 5 --kills 100

Printed as JSON, times in milliseconds, medians: bringing all nodes up and taking them down, beside
compose on the same five nodes (``up_to_compose`` and ``down_to_compose`` are the ratios; needs a
compose program); starting a daemon, one request to a side-car, a cut into halves, its counters,
and the matrix of links whole and under the cut.

Each of ``--kills`` rounds starts a controller that brings a cluster up, cuts it and pauses a
daemon, and kills it with SIGKILL at a random moment; then ``heal`` must leave nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from harness.cluster import leftovers
from harness.cluster.docker import engine, images
from harness.cluster.docker.cluster import DockerCluster
from harness.cluster.docker.engine import project_of
from harness.cluster.docker.provider import PROVIDER
from harness.cluster.provider import Request

LONGEST_LIFE_S = 4.0
ROOT = Path(__file__).parents[1]


def request(count: int) -> Request:
    """What a run on ``count`` nodes asks of the provider."""
    names = [f"n{number}" for number in range(1, count + 1)]
    return Request(provider="docker", nodes=names, system=None)  # type: ignore[arg-type]


def took_ms(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    begun = time.monotonic()
    work()
    return (time.monotonic() - begun) * 1000


def median_ms(times: int, work: Callable[[], object]) -> float:
    """The median duration of ``work``."""
    return round(median(took_ms(work) for _ in range(times)), 2)


def compose_ms(times: int) -> tuple[float, float]:
    """Medians of ``up -d`` and ``down -v`` of the compose file."""
    program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    argv = [*program, "-f", str(ROOT / "docker-compose.yml"), "-p", "polygraph-benchmark"]
    env = {
        **os.environ,
        "POLYGRAPH_NODE_IMAGE": images.node_image(),
        "POLYGRAPH_SUBNET": "10.239.200",
    }

    def run(*words: str) -> float:
        call = [*argv, *words]
        return took_ms(lambda: subprocess.run(call, env=env, check=True, capture_output=True))

    spans = [(run("up", "-d", "--no-build"), run("down", "-v", "-t", "0")) for _ in range(times)]
    ups, downs = zip(*spans, strict=True)
    return round(median(ups), 2), round(median(downs), 2)


def costs(folder: Path, count: int, times: int) -> dict[str, float]:
    """Every figure but the kills."""
    ups, downs = [], []
    for number in range(times):
        cluster = PROVIDER.cluster(request(count), folder / f"run{number}")
        ups.append(took_ms(cluster.up))
        figures = in_use(cluster, times)
        downs.append(took_ms(cluster.down))
    up, down = round(median(ups), 2), round(median(downs), 2)
    compose_up, compose_down = compose_ms(times)
    return {
        "up_ms": up,
        "down_ms": down,
        "compose_up_ms": compose_up,
        "compose_down_ms": compose_down,
        "up_to_compose": round(up / compose_up, 2),
        "down_to_compose": round(down / compose_down, 2),
        **figures,
    }


def in_use(cluster: DockerCluster, times: int) -> dict[str, float]:
    """What working with a cluster that is up costs."""
    node, names = cluster.nodes[0], [node.name for node in cluster.nodes]
    half = frozenset(names[: len(names) // 2])
    rest = frozenset(names) - half
    grudge = {name: rest if name in half else half for name in names}
    daemons = []
    figures = {
        "start_daemon_ms": round(
            took_ms(lambda: daemons.append(node.start(["sleep", "1000"], name="sleep"))), 2
        ),
        "state_ms": median_ms(20, lambda: daemons[0].state()),
        "command_ms": median_ms(20, lambda: node.run(["true"])),
        "links_whole_ms": median_ms(times, cluster.reachable),
        "cut_ms": median_ms(times, lambda: cluster.cut(grudge)),
        "counters_ms": median_ms(times, cluster.dropped),
        "links_cut_ms": median_ms(times, cluster.reachable),
        "heal_ms": median_ms(times, cluster.heal_cuts),
    }
    daemons[0].signal(signal.SIGKILL)
    figures["end_known_ms"] = round(took_ms(lambda: daemons[0].wait(30)), 2)
    return figures


def live(run_dir: Path, count: int) -> None:
    """A run process that comes as far as it may until it is killed."""
    cluster = PROVIDER.cluster(request(count), run_dir)
    cluster.up()
    daemon = cluster.nodes[0].start(["sleep", "1000"], name="sleep")
    cluster.cut({"n1": frozenset({"n2"})})
    daemon.signal(signal.SIGSTOP)
    signal.pause()


def kills(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Kill a controller that many times; what ``heal`` left, and what the engine still holds."""
    client = engine.connect()
    left: list[str] = []
    for number in range(rounds):
        run_dir = folder / "store" / "system" / "workload" / f"kill{number}"
        argv = [sys.executable, "-m", "benchmarks.docker_cluster", "--live", str(run_dir)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = PROVIDER.spawn(
            [*argv, "--nodes", str(count)],
            request=request(count),
            run_dir=run_dir,
            pass_fds=[],
            env=env,
        )
        time.sleep(random.uniform(0.2, LONGEST_LIFE_S))
        os.kill(run.run_pid, signal.SIGKILL)
        os.waitpid(run.run_pid, 0)
        left += leftovers.heal(folder / "store")
        left += [f"round {number}: {name}" for name in still_held(client, project_of(run_dir))]
    return {"kills": rounds, "left": left}


def still_held(client: Any, project: str) -> list[str]:
    """All in the engine that is the project's."""
    found = engine.everything(client, f"{engine.PROJECT_LABEL}={project}")
    return [name for names in found for name in names]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--live", type=Path)
    asked = parser.parse_args()
    if asked.live:
        live(asked.live, asked.nodes)
        return
    images.ensure_node_image(engine.connect(), lambda line: print(line, file=sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, Any] = {"load": os.getloadavg()[0], "nodes": asked.nodes}
        figures |= costs(Path(folder), asked.nodes, asked.times)
        if asked.kills:
            figures |= kills(Path(folder), asked.nodes, asked.kills)
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
