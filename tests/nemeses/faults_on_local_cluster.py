"""Run inside a local cluster's run process: every fault on real processes and real links.

A gossip program stands for the database: it sends a datagram to every other node all the time,
and has a thread and a child process of its own. What was measured goes to ``result.json`` in the
run folder; the test that started this reads it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from harness.cluster.local import LocalCluster
from harness.fault import Stage
from harness.history.operation import NEMESIS, Operation
from harness.history.record import LedgerEntry
from harness.run.judge import count_faults
from harness.run.ledger import Ledger, unhealed
from harness.run.nemesis import Nemesis
from nemeses import shapes
from nemeses.kill import Kill
from nemeses.partition import Partition
from nemeses.pause import Pause

NODES = ["n1", "n2", "n3", "n4", "n5"]
GOSSIP = """
import os, signal, socket, sys, threading, time
if os.fork() == 0:  # not by vfork, in which a parent cannot be stopped before its child goes on
    signal.pause()
threading.Thread(target=threading.Event().wait, daemon=True).start()
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.bind(("0.0.0.0", 7000))
while True:
    for peer in sys.argv[1:]:
        link.sendto(b"gossip", (peer, 7000))
    time.sleep(0.01)
"""


class Gossip:
    """A system whose only deed is to talk; n3 leads."""

    name = "gossip"

    def start(self, node: Any, cluster: Any) -> Sequence[Any]:
        peers = [other.peer_address for other in cluster.nodes if other.name != node.name]
        return [node.start([sys.executable, "-c", GOSSIP, *peers], name="gossip")]

    def primaries(self, cluster: Any) -> Sequence[str]:
        return ["n3"]


class Trial:
    """Carries faults out one after the other and waits for each to bite."""

    def __init__(self, stage: Stage, run_dir: Path) -> None:
        self._news = threading.Condition()
        begun_ns = time.monotonic_ns()
        clock = lambda: time.monotonic_ns() - begun_ns  # noqa: E731
        self.ledger = Ledger(run_dir / "faults.jsonl", clock, listener=self._tell)
        self.nemesis = Nemesis([Partition({}), Kill({}), Pause({})], stage, self.ledger)
        self.told: list[Operation] = []

    def _tell(self, entry: LedgerEntry) -> None:
        with self._news:
            self._news.notify_all()

    def begin(self, fault: str, number: int, plan: dict[str, Any]) -> None:
        """Start a fault and wait until it bites."""
        done = self._do(f"start-{fault}", {"occurrence": number, "plan": plan})
        with self._news:
            self._news.wait_for(lambda: self._has(done.value["id"], "bit"), timeout=20)

    def end(self, fault: str, number: int) -> None:
        self._do(f"stop-{fault}", {"occurrence": number})

    def _has(self, id: int, event: str) -> bool:
        return any(entry.id == id and entry.event == event for entry in self.ledger.entries)

    def _do(self, f: str, value: Any) -> Operation:
        operation = Operation(-1, 0, NEMESIS, "info", f, value)
        done = asyncio.run(self.nemesis.invoke(operation))
        self.told.append(done)
        return done


def cut_in_every_shape(trial: Trial) -> None:
    for number, (name, shape) in enumerate(shapes.SHAPES.items()):
        grudge = shapes.as_json(shape(NODES, Random(number)))
        trial.begin("partition", number, {"shape": name, "grudge": grudge})
        trial.end("partition", number)
    trial.begin("partition", 100, {"shape": "primaries", "fallback": "n1"})
    trial.end("partition", 100)


def end_and_stop_processes(trial: Trial) -> None:
    for number, (fault, word) in enumerate(
        [("kill", "one"), ("kill", "all"), ("pause", "majority"), ("pause", "primaries")], 200
    ):
        trial.begin(fault, number, {"target": word, "order": NODES})
        trial.end(fault, number)


def all_at_once(trial: Trial) -> list[str]:
    """A cut, a pause and a kill of the paused; all left to the final heal."""
    grudge = shapes.as_json(shapes.isolated(NODES, ["n5"]))
    trial.begin("partition", 300, {"shape": "one", "grudge": grudge})
    trial.begin("pause", 301, {"target": "one", "order": NODES})
    trial.begin("kill", 302, {"target": "majority", "order": NODES})
    return asyncio.run(trial.nemesis.heal_all())


def main() -> None:
    run_dir, mode = Path(sys.argv[1]), sys.argv[2]
    cluster: Any = LocalCluster(run_dir, NODES, mode)
    cluster.up()
    try:
        system: Any = Gossip()
        daemons = {node.name: list(system.start(node, cluster)) for node in cluster.nodes}
        stage = Stage(cluster=cluster, system=system, daemons=daemons)
        trial = Trial(stage, run_dir)
        cut_in_every_shape(trial)
        end_and_stop_processes(trial)
        result = {
            "not_healed": all_at_once(trial),
            "unhealed": len(unhealed(trial.ledger.entries)),
            "errors": [f"{done.f}: {done.error}" for done in trial.told if done.error],
            "summary": count_faults(trial.ledger.entries, ()),
            "reachable": len(cluster.reachable()),
            "states": [daemon.state() for node in NODES for daemon in stage.daemons[node]],
        }
        (run_dir / "result.json").write_text(json.dumps(result))
    finally:
        cluster.down()


main()
