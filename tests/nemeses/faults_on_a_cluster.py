"""A run process of one provider's: every fault on real processes and real links.

``faults_on_a_cluster.py RUN_DIR OPTIONS``; what was measured goes to ``result.json`` in the run
folder, and the test that started this reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from random import Random
from typing import Any

from harness.cluster import providers
from harness.cluster.abilities import ABILITIES
from harness.cluster.provider import PROVIDER_VARIABLE, Request
from harness.contract.action import Action
from harness.contract.node import Disks
from harness.contract.system import Stage
from harness.history.faults import unhealed
from harness.history.ledger import Ledger, LedgerEntry
from harness.history.operation import NEMESIS, Operation
from harness.judge.counting import count_faults
from harness.plugins import Registry
from harness.run.nemesis import Nemesis
from nemeses.disk import failing
from nemeses.network import behaviours, packet, shapes
from tests.toys.gossip import PEER_PORT, Gossip
from tests.toys.honest_cluster import started

NODES = ("n1", "n2", "n3", "n4", "n5")
BITE_TIMEOUT_S = 40.0


class Trial:
    """Carries faults out one after the other and waits for each to bite."""

    def __init__(self, stage: Stage, run_dir: Path, faults: dict[str, Any]) -> None:
        self._news = threading.Condition()
        begun_ns = time.monotonic_ns()
        clock = lambda: time.monotonic_ns() - begun_ns  # noqa: E731
        self.ledger = Ledger(run_dir / "faults.jsonl", clock, listener=self._tell)
        self.stage = stage
        self.nemesis = Nemesis(list(faults.values()), stage, self.ledger)
        self.told: list[Operation] = []
        self._occurrence = 0

    def _tell(self, entry: LedgerEntry) -> None:
        with self._news:
            self._news.notify_all()

    def begin(self, fault: str, plan: dict[str, Any]) -> int:
        """Start a fault and wait until it bites."""
        self._occurrence += 1
        done = self._do(f"start-{fault}", {"occurrence": self._occurrence, "plan": plan})
        with self._news:
            self._news.wait_for(lambda: self._has(done.value["id"], "bit"), BITE_TIMEOUT_S)
        return self._occurrence

    def end(self, fault: str, occurrence: int) -> None:
        self._do(f"stop-{fault}", {"occurrence": occurrence})

    def once(self, fault: str, plan: dict[str, Any]) -> None:
        self.end(fault, self.begin(fault, plan))

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
        trial.once("partition", {"shape": name, "grudge": grudge})
    trial.once("partition", {"shape": "primaries", "fallback": "n1"})


def cut_again_and_again(trial: Trial) -> None:
    grudge = shapes.as_json(shapes.isolated(NODES, ["n2"]))
    trial.once("flapping", {"shape": "one", "grudge": grudge, "cut_s": 0.3, "open_s": 0.2})


def cut_at_a_port_and_clients_off(trial: Trial) -> None:
    """A cut at one port; a leader isolated in two steps; clients without the leader, on a side.

    The last two beside each other, while somebody asks every node for the time.
    """
    grudge = shapes.as_json(shapes.one_way(NODES, Random(1)))
    trial.once("partition", {"shape": "one-way", "grudge": grudge, "port": PEER_PORT})
    plan = {"target": "primaries", "order": list(NODES), "second_s": 0.2}
    trial.once("isolate", plan)
    with asking(trial.stage):
        lost = trial.begin("client-partition", {"target": "primaries", "order": list(NODES)})
        side = {"target": "side", "order": list(NODES), "with": "larger"}
        trial.once("client-partition", side)
        trial.end("client-partition", lost)


@contextlib.contextmanager
def asking(stage: Stage) -> Iterator[None]:
    """Have clients ask every node for its time, again and again."""
    over = threading.Event()

    def ask(node: Any) -> None:
        system: Any = stage.system
        while not over.is_set():
            with contextlib.suppress(OSError, ValueError):
                system.reported_time(node, 0.2)
            over.wait(0.02)

    clients = [threading.Thread(target=ask, args=(node,)) for node in stage.cluster.nodes]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()


def make_links_slow_and_lossy(trial: Trial) -> None:
    """Every behaviour, in every direction; the last beside a cut and another one."""
    for number, word in enumerate(behaviours.BEHAVIOURS):
        direction = packet.DIRECTIONS[number % len(packet.DIRECTIONS)]
        trial.once("packet", packet_plan(word, direction, "one"))
    cut = shapes.as_json(shapes.isolated(NODES, ["n5"]))
    late = trial.begin("packet", packet_plan("delay", packet.BOTH, "majority"))
    alone = trial.begin("partition", {"shape": "one", "grudge": cut})
    trial.once("packet", packet_plan("loss", packet.IN, "minority"))
    trial.end("packet", late)
    trial.end("partition", alone)


def packet_plan(behaviour: str, direction: str, word: str) -> dict[str, Any]:
    order = list(NODES)
    return {"behaviour": behaviour, "direction": direction, "target": word, "order": order}


def end_and_stop_processes(trial: Trial) -> None:
    for fault, word in [("kill", "one"), ("kill", "all"), ("pause", "majority")]:
        trial.once(fault, {"target": word, "order": list(NODES)})
    trial.once("pause", {"target": "primaries", "order": list(NODES)})


def cut_the_power(trial: Trial) -> None:
    """Of one node, and of most, with one of them paused and another dead meanwhile."""
    trial.once("power", {"target": "one", "order": list(NODES)})
    paused = trial.begin("pause", {"target": "one", "order": list(NODES)})
    trial.once("power", {"target": "majority", "order": list(NODES)})
    trial.end("pause", paused)


def fail_disks(trial: Trial) -> None:
    """Each way of failing, two of them beside each other on the same disks."""
    for word in failing.DEFAULTS:
        trial.once("disk", {"behaviour": word, "target": "one", "order": list(NODES)})
    some = trial.begin("disk", {"behaviour": "errors", "target": "majority", "order": list(NODES)})
    trial.once("disk", {"behaviour": "slow=0.1", "target": "all", "order": list(NODES)})
    trial.end("disk", some)


def restart_politely(trial: Trial) -> None:
    trial.once("restart", {"target": "minority", "order": list(NODES)})


def die_and_come_back(trial: Trial) -> None:
    """Again and again; one later than the others; one after the other, politely."""
    trial.once("crash-loop", {"target": "one", "order": list(NODES)})
    trial.once("slow-start", {"target": "majority", "order": list(NODES)})
    trial.once("rolling-restart", {"target": "minority", "order": list(NODES)})


def leave_and_change(trial: Trial) -> None:
    """A member leaves and joins; two get the other build, and get the first again."""
    trial.once("member", {"target": "primaries", "order": list(NODES), "number": 0})
    for _ in ("up", "down"):
        trial.once("upgrade", {"target": "minority", "order": list(NODES)})


def clock_plan(shape: str, word: str, **program: float) -> dict[str, Any]:
    programs = dict.fromkeys(NODES, program)
    return {"shape": shape, "target": word, "order": list(NODES), "programs": programs}


def set_clocks(trial: Trial) -> None:
    """Ahead and behind; set while a process is killed and comes back to the wrong time."""
    trial.once("clock", clock_plan("bump", "one", shift_ns=7_000_000_000))
    ahead = trial.begin("clock", clock_plan("bump", "majority", shift_ns=-90_000_000_000))
    trial.once("kill", {"target": "one", "order": list(NODES)})
    trial.once("pause", {"target": "one", "order": list(NODES)})
    trial.end("clock", ahead)


def all_at_once(trial: Trial) -> list[str]:
    """A cut, a pause and a kill of the paused; all left to the final heal."""
    grudge = shapes.as_json(shapes.isolated(NODES, ["n5"]))
    trial.begin("partition", {"shape": "one", "grudge": grudge})
    trial.begin("pause", {"target": "one", "order": list(NODES)})
    trial.begin("kill", {"target": "majority", "order": list(NODES)})
    return asyncio.run(trial.nemesis.heal_all())


TRIALS: dict[Callable[[Trial], Any], dict[str, int]] = {
    cut_in_every_shape: {"partition": 7},
    cut_again_and_again: {"flapping": 1},
    cut_at_a_port_and_clients_off: {"partition": 1, "isolate": 1, "client-partition": 2},
    make_links_slow_and_lossy: {"packet": len(behaviours.BEHAVIOURS) + 2, "partition": 1},
    end_and_stop_processes: {"kill": 2, "pause": 2},
    restart_politely: {"restart": 1},
    leave_and_change: {"member": 1, "upgrade": 2},
    die_and_come_back: {"crash-loop": 1, "slow-start": 1, "rolling-restart": 1},
    cut_the_power: {"power": 2, "pause": 1},
    fail_disks: {"disk": len(failing.DEFAULTS) + 2},
    set_clocks: {"clock": 2, "kill": 1, "pause": 1},
    all_at_once: {"partition": 1, "pause": 1, "kill": 1},
}
"""Each trial, and how often it does which fault; one of them where nodes cannot do all of these
is left out. The last heals all. A new fault has a line here, and is tried wherever it can be."""


def faults() -> dict[str, Any]:
    """Every built-in fault, by name; actions are no faults."""
    found = Registry().usable("nemeses").items()
    made = {name: one.factory({}) for name, one in found if one.origin == "built in"}
    return {name: fault for name, fault in made.items() if not isinstance(fault, Action)}


def begun(possible: Collection[str]) -> dict[str, int]:
    """How often each fault is done where these are possible."""
    counts: dict[str, int] = {}
    for does in TRIALS.values():
        for fault, count in does.items() if set(does) <= set(possible) else ():
            counts[fault] = counts.get(fault, 0) + count
    return counts


def abilities_of(cluster: Any, stage: Stage) -> list[str]:
    """Which of the abilities that providers declare these nodes really have."""
    declared = {ability for of_one in ABILITIES.values() for ability in of_one}
    found = [cluster, *cluster.nodes, *(d for of_node in stage.daemons.values() for d in of_node)]
    has = [ability for ability in declared if any(isinstance(x, ability) for x in found)]
    return sorted(ability.__name__ for ability in has)


def measure(cluster: Any, system: Any, run_dir: Path) -> dict[str, Any]:
    made = faults()
    refused = {name: fault.refusal(cluster, system) for name, fault in made.items()}
    if isinstance(cluster, Disks) and not cluster.disk_refusal():
        cluster.provide_disks()
    cluster.up()
    stage = started(cluster, system)
    trial = Trial(stage, run_dir, {name: made[name] for name in made if not refused[name]})
    not_healed: list[str] = []
    for work, does in TRIALS.items():
        if not any(refused[fault] for fault in does):
            not_healed += work(trial) or ()
    return {
        "abilities": abilities_of(cluster, stage),
        "refused": {name: why for name, why in refused.items() if why},
        "not_healed": not_healed,
        "unhealed": len(unhealed(trial.ledger.entries)),
        "errors": [f"{done.f}: {done.error}" for done in trial.told if done.error],
        "summary": count_faults(trial.ledger.entries, ()),
        "reachable": len(cluster.reachable()),
        "states": [daemon.state() for node in NODES for daemon in stage.daemons[node]],
    }


def main() -> None:
    run_dir, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    system: Any = Gossip()
    name = os.environ[PROVIDER_VARIABLE]
    request = Request(provider=name, nodes=NODES, system=system, options=options)
    cluster: Any = providers.of(name).cluster(request, run_dir)
    try:
        result = measure(cluster, system, run_dir)
    finally:
        cluster.down()
    (run_dir / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
