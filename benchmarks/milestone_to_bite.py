"""From the moment that a milestone's line is written to the bite of the fault that waits for it.

``python benchmarks/milestone_to_bite.py [--repeats N] [--mode root|userns|plain] [--nodes N]
[--busy SHARE]``; the last line is JSON, milliseconds by fault as median, 99th percentile and worst.

On a real cluster of processes that talk all the time, a line is appended to a node's log and the
clock is read just before. ``fired`` is when the injection was begun and ``injected`` when it had
returned, by the ledger; ``felt`` is the ledger's proof that a killed process had ended or a paused
one stood still. A cut is felt once it is injected: the kernel has acknowledged the rules by then
(the ledger's proof waits besides for a packet to be dropped and probes every link). The processor
is kept busy for ``--busy`` of the time by a thread beside, as clients would.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ("kill", "pause", "partition")
LASTS_S = 0.3
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
        self.is_cut, self.begun_ns = fault.name == "partition", time.monotonic_ns()
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
        """Write one line: milliseconds until the fault was fired, was injected, and was felt."""
        self.until(lambda: self.armed(number))
        written_ns = self.now()
        self.log.write(b"tick %d\n" % number)
        self.until(lambda: self.times(number).get("healed"))
        times = self.times(number)
        felt_ns = times["injected" if self.is_cut else "bit"]
        found = {"fired": times["fire"], "injected": times["injected"], "felt": felt_ns}
        return {name: (at_ns - written_ns) / 1e6 for name, at_ns in found.items()}

    def armed(self, number: int) -> bool:
        """Whether all that wait are armed for the state of the cluster that there is now."""
        open_now = {e.id for e in self.ledger.entries if e.event == "intend"}
        open_now -= {e.id for e in self.ledger.entries if e.event in ("disarmed", "healed")}
        return bool(open_now) and self.times(number - 1).get("healed", 0) + 2e8 < self.now()

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
    from tests.toys.honest_cluster import started

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
            times = [bench.once(number) for number in range(1, repeats + 1)]
            bench.watch.stop()
            steps = ("fired", "injected", "felt")
            found[name] = {step: figures([each[step] for each in times]) for step in steps}
    finally:
        over.set()
        with contextlib.suppress(Exception):
            cluster.down()
    asked = {"mode": mode, "nodes": nodes, "repeats": repeats, "busy": busy}
    (run_dir / "result.json").write_text(json.dumps({**asked, "ms": found}))


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
