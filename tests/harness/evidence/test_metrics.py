"""Sampling the nodes of a cluster in memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.cluster.hands.usage import total
from harness.contract.metrics import Gauge, Sample
from harness.contract.system import Stage
from harness.evidence.metrics import MetricWatch
from harness.store.untrusted import Folder
from harness.verdict.metrics import Series, read_metrics
from tests.toys.honest_cluster import HonestCluster, HonestDaemon, HonestSystem


class Told:
    """A daemon that tells what it has in use."""

    def __init__(self, daemon: HonestDaemon) -> None:
        self.identity = daemon.identity

    def usage(self) -> Mapping[str, int]:
        return {"processes": 1, "threads": 3, "open_files": 7, "memory_bytes": 4096}


class System(HonestSystem):
    """Tells a figure of each node; n2 is silent until it is woken, and answers by ``value``."""

    def __init__(self) -> None:
        super().__init__()
        self.value = 5.0
        self.awake = threading.Event()
        self.awake.set()

    def gauges(self) -> Sequence[Gauge]:
        return (Gauge(name="pending", returns_to=0, within_s=5.0),)

    def metric_samples(self, node: Any, timeout_s: float) -> Iterable[Sample]:
        if node.name == "n2" and not self.awake.is_set():
            raise OSError("down")
        return (
            Sample(name="pending", value=self.value, labels={"to": "n1"}),
            Sample(name="of-no-gauge", value=1),
        )


def watch_of(tmp_path: Path, system: System) -> tuple[MetricWatch, Stage]:
    cluster: Any = HonestCluster(2)
    stage = Stage(cluster, system)
    for number, node in enumerate(cluster.nodes):
        daemon: Any = Told(HonestDaemon(node.name, 100 + number))
        stage.hold(node.name, system.name, [daemon])
    begun = time.monotonic_ns()
    path = tmp_path / "evidence" / "metrics.jsonl"
    return MetricWatch(path, stage, lambda: time.monotonic_ns() - begun, print), stage


def series_of(tmp_path: Path) -> dict[tuple[str, str], Series]:
    found = read_metrics(Folder(tmp_path))
    assert found is not None
    assert found.odd == 0
    return {(each.node, each.name): each for each in found.series}


def test_every_node_is_sampled_before_the_load_and_until_what_was_promised_is_so(
    tmp_path: Path,
) -> None:
    system = System()
    watch, stage = watch_of(tmp_path, system)
    watch.start()
    again: Any = Told(HonestDaemon("n1", 900))
    stage.hold("n1", system.name, [again])
    lower = threading.Timer(0.5, setattr, (system, "value", 0.0))
    lower.start()
    watch.settle()
    assert system.value == 0  # it was waited for
    watch.stop()
    found = series_of(tmp_path)
    assert {name for _, name in found} == {
        *("pending", "process_count", "process_threads", "process_open_files"),
        "process_memory_bytes",
    }
    pending = found["n1", "pending"]
    assert (pending.value[0], pending.value[-1], dict(pending.labels)) == (5, 0, {"to": "n1"})
    assert (pending.life[0], pending.life[-1]) == (0, 1)
    assert set(found["n2", "pending"].life) == {0}
    assert set(found["n2", "process_open_files"].value) == {7}


def test_a_node_that_is_silent_holds_up_nobody_for_ever(tmp_path: Path) -> None:
    system = System()
    watch, _ = watch_of(tmp_path, system)
    system.awake.clear()
    watch.start()
    watch.settle(lambda: True)
    watch.stop()
    found = series_of(tmp_path)
    assert ("n1", "pending") in found
    assert ("n2", "pending") not in found
    assert ("n2", "process_count") in found


def test_what_this_very_process_has_in_use_is_told() -> None:
    before = total([os.getpid()])
    with open(os.devnull) as one, open(os.devnull) as another:
        during = total([os.getpid()])
        assert one.fileno() != another.fileno()
    assert during["open_files"] == before["open_files"] + 2
    assert before["processes"] == 1
    assert before["threads"] >= 1
    assert before["memory_bytes"] > 1 << 20
    assert total([]) == {"processes": 0, "threads": 0, "open_files": 0, "memory_bytes": 0}


def test_lines_of_another_shape_are_passed_over_and_counted(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    line = '{"time":1,"node":"n1","name":"x","labels":{},"value":1.5,"life":0}'
    odd = ['{"time":1}', "nonsense", line.replace("1.5", "1e999"), line.replace("n1", "n" * 999)]
    (tmp_path / "evidence/metrics.jsonl").write_text("\n".join([line, *odd, line]))
    found = read_metrics(Folder(tmp_path))
    assert found is not None
    assert (found.odd, [len(each) for each in found.series]) == (4, [2])
