"""What a cluster over ssh costs, and that nothing of one stays however its controller is killed.

    python -m benchmarks.ssh_cluster --nodes 5 --kills 100        (as root: it makes hosts)

Hosts are sshds in namespaces of this machine, so the network adds nothing. Printed as JSON, times
in milliseconds, medians: bringing all nodes up and taking them down, beside ``ssh HOST true`` on
all of them at once (``up_to_ssh`` is the ratio); one request to a keeper, one command, one on all
nodes at once; a cut into halves, its counters, and the matrix of links whole and under the cut.

Each of ``--kills`` rounds starts a controller that brings a cluster up, cuts it and pauses a
daemon, and kills it with SIGKILL at a random moment; then ``heal`` must leave nothing on any host.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness.cluster import leftovers
from harness.cluster.provider import Request
from harness.cluster.ssh.cluster import SshCluster
from harness.cluster.ssh.provider import PROVIDER, facts_of
from harness.linux.identity import identify
from harness.store import registration
from tests.harness.cluster.ssh.lab import standing

PAUSE = ["python3", "-S", "-c", "import signal; signal.pause()"]
LONGEST_LIFE_S = 2.0


def request(options: dict[str, str], count: int) -> Request:
    """What a run on ``count`` hosts asks of the provider."""
    names = [f"n{number}" for number in range(1, count + 1)]
    return Request(provider="ssh", nodes=names, system=None, options=options)  # type: ignore[arg-type]


def median_ms(times: int, work: Callable[[], object]) -> float:
    """The median duration of ``work``."""
    spans = []
    for _ in range(times):
        begun = time.monotonic()
        work()
        spans.append((time.monotonic() - begun) * 1000)
    return round(median(spans), 2)


def plain_ssh(options: dict[str, str], hosts: Sequence[str]) -> None:
    """``ssh HOST true`` on all hosts at once."""
    argv = ["ssh", "-F", options["ssh_config"]]
    calls = [subprocess.Popen([*argv, host, "true"]) for host in hosts]
    assert [call.wait() for call in calls] == [0] * len(calls)


def life(asked: Request, folder: Path, rounds: int) -> dict[str, float]:
    """Up and down."""
    spans: dict[str, list[float]] = {"up_ms": [], "down_ms": []}
    for number in range(rounds):
        cluster = PROVIDER.cluster(asked, folder / f"life{number}")
        for name, step in (("up_ms", cluster.up), ("down_ms", cluster.down)):
            begun = time.monotonic()
            step()
            spans[name].append((time.monotonic() - begun) * 1000)
    return {name: round(median(found), 1) for name, found in spans.items()}


def commands(cluster: SshCluster) -> dict[str, float]:
    """Requests, commands, cuts and probes on a cluster that is up."""
    from harness.cluster.ssh.link import on_all

    node, daemon = cluster.nodes[0], cluster.nodes[0].start(PAUSE, name="db")
    names = [each.name for each in cluster.nodes]
    half = frozenset(names[: len(names) // 2])
    other = frozenset(names) - half
    halves = {name: other if name in half else half for name in names}
    assert cluster.cut_refusal() is None
    found = {
        "request_ms": median_ms(500, daemon.state),
        "command_ms": median_ms(50, lambda: node.run(["true"])),
        "command_on_all_ms": median_ms(
            20,
            lambda: on_all(
                cluster._links,
                lambda name, link: link.ask("run", argv=["true"], cwd="/", limit_s=9.0),
            ),
        ),
        "cut_ms": median_ms(20, lambda: cluster.cut(halves)),
        "dropped_ms": median_ms(20, cluster.dropped),
        "matrix_cut_ms": median_ms(3, cluster.reachable),
        "heal_ms": median_ms(1, cluster.heal_cuts),
        "matrix_whole_ms": median_ms(20, cluster.reachable),
    }
    assert len(cluster.reachable()) == len(names) * (len(names) - 1)
    return found


def control(options: dict[str, str], count: int, run_dir: Path) -> None:
    """Be a controller that is killed in the middle of something."""
    asked = request(options, count)
    own = identify(os.getpid())
    assert own is not None
    registration.write(run_dir, "ssh", own, facts_of(asked))
    cluster = PROVIDER.cluster(asked, run_dir)
    assert cluster.cut_refusal() is None
    cluster.up()
    daemons = [node.start(PAUSE, name="db") for node in cluster.nodes]
    while True:
        cluster.cut({"n1": frozenset({"n2"}), "n2": frozenset({"n1"})})
        daemons[0].signal(signal.SIGSTOP)
        cluster.heal_cuts()
        daemons[0].signal(signal.SIGCONT)


def kills(options: dict[str, str], count: int, folder: Path, rounds: int, seed: int) -> Any:
    """Kill controllers at random moments; what was left after ``heal``."""
    rng = random.Random(seed)
    left, slowest_s = [], 0.0
    for number in range(rounds):
        run_dir = folder / "store" / "system" / "workload" / f"run{number}"
        argv = [sys.executable, "-m", "benchmarks.ssh_cluster", "--nodes", str(count)]
        argv += ["--control", str(run_dir), json.dumps(options)]
        victim = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * LONGEST_LIFE_S)
        victim.kill()
        victim.wait()
        begun = time.monotonic()
        left += leftovers.heal(folder / "store")
        slowest_s = max(slowest_s, time.monotonic() - begun)
        left += [f"{run_dir}: {what}" for what in traces(folder)]
    return {"rounds": rounds, "left": left, "slowest_heal_s": round(slowest_s, 2)}


def traces(folder: Path) -> list[str]:
    """Keepers, daemons and folders of runs that are still there, seen from outside."""
    found = [str(path) for path in (folder / "lab" / "var-tmp").glob("polygraph-*/*")]
    mark = b"POLYGRAPH_NODE="
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if (mark in environ or b"hands import keeper" in command) and b"run" in environ + command:
            found.append(f"process {pid}: {command[-60:]!r}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; exit code 1 if anything was left."""
    parser = argparse.ArgumentParser(description="A cluster over ssh: what it costs and leaves.")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", nargs=2, metavar=("RUN", "OPTIONS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.control:
        run_dir, options = arguments.control
        control(json.loads(options), arguments.nodes, Path(run_dir))
    names = tuple(f"n{number}" for number in range(1, arguments.nodes + 1))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with standing(folder, names) as options:
            asked = request(options, arguments.nodes)
            hosts = Path(options["nodes_file"]).read_text().split()
            found: dict[str, Any] = {
                "nodes": arguments.nodes,
                "load": round(os.getloadavg()[0], 1),
                "ssh_ms": median_ms(arguments.rounds, lambda: plain_ssh(options, hosts)),
                **life(asked, folder, arguments.rounds),
            }
            found["up_to_ssh"] = round(found["up_ms"] / found["ssh_ms"], 2)
            found["down_to_ssh"] = round(found["down_ms"] / found["ssh_ms"], 2)
            cluster = PROVIDER.cluster(asked, folder / "commands")
            cluster.up()
            found |= commands(cluster)
            cluster.down()
            found["kills"] = kills(
                options, arguments.nodes, folder, arguments.kills, arguments.seed
            )
    print(json.dumps(found, indent=1))
    return 1 if found["kills"]["left"] else 0


if __name__ == "__main__":
    sys.exit(main())
