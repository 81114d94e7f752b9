"""From the moment that a milestone's line is written to the bite of the fault that waits for it.

``python benchmarks/milestone_to_bite.py [--repeats N] [--mode root|userns|plain] [--nodes N]
[--busy SHARE]``; the last line is JSON, milliseconds by fault as median, 99th percentile and worst.

On a real cluster of processes that talk all the time, a line is appended to a node's log and the
clock is read just before. ``fired`` is when the injection was begun, by the ledger; ``sent`` when
all of it had been sent; ``bite`` is what a process beside sees of the victim: that a killed one has
ended (the kernel tells) or that a paused one stands still (it looks each half millisecond). A cut
bites when it is sent: the kernel has taken the rules before it returns. ``proved`` is the ledger's
own proof; for a cut that waits besides for a packet to be dropped and probes every link. ``bare``
is what a mere message to the agent of a node and back takes at the same time, from the same
process: what the machine costs. The processor is kept busy for ``--busy`` of the time by a thread
beside, as clients would.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import select
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ("kill", "pause", "partition")
LASTS_S = 0.6
PATIENCE_S = 20.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--mode", default="userns")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--busy", type=float, default=0.3)
    parser.add_argument("--run-dir", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run_dir is not None:
        measure(asked.run_dir, asked.mode, asked.nodes, asked.repeats, asked.busy)
        return
    from harness.cluster.namespaces.enter import spawn

    with tempfile.TemporaryDirectory() as folder:
        own = [sys.executable, __file__, "--run-dir", folder, "--mode", asked.mode]
        own += ["--nodes", str(asked.nodes), "--repeats", str(asked.repeats)]
        os.environ["PYTHONPATH"] = str(ROOT)
        entered = spawn([*own, "--busy", str(asked.busy)], mode=asked.mode, run_dir=Path(folder))
        entered.wait()
        print((Path(folder) / "result.json").read_text())


class Talker:
    """The gossiping system of our tests, with a milestone."""

    def __new__(cls) -> Any:
        """One that declares its milestone."""
        from tests.toys.gossip import Gossip

        gossip: Any = Gossip()
        gossip.milestones = lambda: {"tick": [r"^tick (?P<number>\d+)$"]}
        return gossip


class Bench:
    """A schedule of one fault after each tick, lived on a real cluster."""

    def __init__(self, cluster: Any, stage: Any, run_dir: Path, fault: Any, repeats: int) -> None:
        from harness.evidence.milestones import MilestoneWatch
        from harness.history.ledger import Ledger
        from harness.run.lines import Lines
        from harness.run.nemesis import Nemesis
        from harness.run.schedule import AfterMilestone, Occurrence, Schedule

        names = [node.name for node in cluster.nodes]
        grudge = {names[0]: names[1:], **{name: [names[0]] for name in names[1:]}}
        plans = {"partition": {"shape": "one", "grudge": grudge}}
        plan = plans.get(fault.name, {"target": "one", "order": names})
        occurrences = tuple(
            Occurrence(
                name=f"{fault.name}-{number}",
                fault=fault.name,
                begin=AfterMilestone(milestone="tick", nth=number),
                lasts_ns=round(LASTS_S * 1e9),
                plan=plan,
            )
            for number in range(1, repeats + 1)
        )
        self.fault, self.begun_ns = fault.name, time.monotonic_ns()
        self.agent = cluster._links[names[0]] if hasattr(cluster, "_links") else None
        self.news = threading.Condition()
        folder = run_dir / fault.name
        folder.mkdir()
        self.ledger = Ledger(folder / "faults.jsonl", self.now, lambda entry: self._tell())
        nemesis = Nemesis([fault], stage, self.ledger)
        plan_of_all = Schedule(seed=0, occurrences=occurrences)
        record: Any = lambda operation: operation  # noqa: E731
        self.lines = Lines(plan_of_all, nemesis, record, self.now, 1e5, [fault])
        path = folder / "milestones.jsonl"
        system, tell = stage.system, lambda m: self.lines.reached(m.name, m.node, m.time)
        self.watch = MilestoneWatch(path, system, cluster, self.now, tell, print, is_awaited=True)
        self.log = (cluster.nodes[-1].log_dir / "ticks.log").open("ab", buffering=0)
        self.watch.start()
        self.lines.start()

    def now(self) -> int:
        """Nanoseconds since the start."""
        return time.monotonic_ns() - self.begun_ns

    def once(self, number: int) -> dict[str, float]:
        """Write one line: milliseconds until the fault was fired, was sent, and bit."""
        self.until(lambda: self.armed(number))
        with watching(self.fault, self.armed_processes()) as seen:
            written_ns = self.now()
            self.log.write(b"tick %d\n" % number)
            self.until(lambda: self.times(number).get("healed"))
        found = self.times(number)
        sent_ns = self.shot_ns(number) or found["injected"]
        bite_ns = sent_ns if seen is None else seen() - self.begun_ns
        told = {
            "fired": found["fire"],
            "sent": sent_ns,
            "bite": bite_ns,
            "proved": found.get("bit", found["healed"]),
        }
        return {name: (at_ns - written_ns) / 1e6 for name, at_ns in told.items()}

    def bare(self) -> float:
        """Milliseconds that a message to an agent and its answer take."""
        begun_ns = time.monotonic_ns()
        if self.agent is not None:
            self.agent.ask("look", processes=[])
        return (time.monotonic_ns() - begun_ns) / 1e6

    def armed_processes(self) -> list[int]:
        """Those that the armed fault is aimed at."""
        last = [e for e in self.ledger.entries if e.event == "intend"][-1]
        return [p["pid"] for of in last.detail.get("processes", {}).values() for p in of]

    def shot_ns(self, number: int) -> int | None:
        """When all had been sent, if the ledger tells."""
        own = [e for e in self.ledger.entries if e.detail.get("occurrence") == number - 1]
        return next((e.detail["shot_ns"] for e in own if "shot_ns" in e.detail), None)

    def armed(self, number: int) -> bool:
        """Whether the next one waits, armed for the state of the cluster that there is now."""
        is_ready = getattr(self.lines, "is_ready", lambda occurrence: True)(number - 1)
        open_now = {e.id for e in self.ledger.entries if e.event == "intend"}
        open_now -= {e.id for e in self.ledger.entries if e.event in ("disarmed", "healed")}
        is_calm = self.times(number - 1).get("healed", 0) + 2e8 < self.now()
        return bool(open_now) and is_ready and is_calm

    def times(self, number: int) -> dict[str, int]:
        """Events of the occurrence that the tick of that number set off, to their times."""
        own = {
            entry.id
            for entry in self.ledger.entries
            if entry.detail.get("occurrence") == number - 1
        }
        return {e.event: e.time for e in self.ledger.entries if e.id in own}

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for it."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(self.ledger.entries[-3:])
            with self.news:
                self.news.wait(0.05)

    def _tell(self) -> None:
        with self.news:
            self.news.notify_all()


def measure(run_dir: Path, mode: str, nodes: int, repeats: int, busy: float) -> None:
    """Be the run process: every fault, one after the other."""
    from harness.cluster.namespaces.cluster import LocalCluster
    from harness.cluster.plain.cluster import PlainCluster
    from harness.plugins import Registry
    from harness.run import beside
    from tests.toys.honest_cluster import started

    getattr(beside, "be_prompt", lambda: None)()
    names, system = [f"n{i + 1}" for i in range(nodes)], Talker()
    cluster: Any = PlainCluster(run_dir, names, system) if mode == "plain" else None
    cluster = cluster or LocalCluster(run_dir, names, mode)
    over = threading.Event()
    threading.Thread(target=keep_busy, args=(busy, over), daemon=True).start()
    found: dict[str, dict[str, dict[str, float]]] = {}
    cluster.up()
    try:
        stage = started(cluster, system)
        for name in FAULTS:
            fault = Registry().get("nemeses", name)({})
            bench = Bench(cluster, stage, run_dir, fault, repeats)
            times = []
            for number in range(1, repeats + 1):
                times.append(bench.once(number) | {"bare": bench.bare()})
            bench.watch.stop()
            found[name] = {step: figures([each[step] for each in times]) for step in times[0]}
    finally:
        over.set()
        with contextlib.suppress(Exception):
            cluster.down()
    load = os.getloadavg()[0]
    asked = {"load": load, "mode": mode, "nodes": nodes, "repeats": repeats, "busy": busy}
    (run_dir / "result.json").write_text(json.dumps({**asked, "ms": found}))


@contextlib.contextmanager
def watching(fault: str, pids: list[int]) -> Iterator[Callable[[], int] | None]:
    """Have a process beside see when all of these have bitten; its answer is a monotonic time."""
    looks = {"kill": all_ended, "pause": all_stopped}
    if fault not in looks:
        yield None
        return
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    watcher = multiprocessing.get_context("fork").Process(
        target=lambda: theirs.send(looks[fault](pids, theirs))
    )
    watcher.start()
    ours.recv()  # it watches
    yield ours.recv
    watcher.join()


def all_ended(pids: list[int], ready: Any) -> int:
    """When the last of them had ended."""
    waiting = {os.pidfd_open(pid) for pid in pids}
    ready.send(None)
    while waiting:
        waiting -= set(select.select(list(waiting), [], [])[0])
    return time.monotonic_ns()


def all_stopped(pids: list[int], ready: Any) -> int:
    """When every thread of each was first seen to stand."""
    ready.send(None)
    while not all(stands(pid) for pid in pids):
        time.sleep(0.0005)
    return time.monotonic_ns()


def stands(pid: int) -> bool:
    """Whether no thread of it runs."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return all((t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in tasks)


def figures(times_ms: list[float]) -> dict[str, float]:
    """Median, 99th percentile and worst."""
    ordered = sorted(times_ms)
    last = len(ordered) - 1
    at = {"median": last // 2, "p99": round(last * 0.99), "worst": last}
    return {name: round(ordered[place], 2) for name, place in at.items()}


def keep_busy(share: float, over: threading.Event) -> None:
    """Compute for ``share`` of each ten milliseconds, holding the interpreter as clients would."""
    while share and not over.is_set():
        until = time.monotonic() + share * 0.01
        while time.monotonic() < until:
            sum(range(500))
        time.sleep((1 - share) * 0.01)


if __name__ == "__main__":
    main()
