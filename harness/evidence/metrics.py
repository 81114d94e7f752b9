"""Samples figures of all nodes through a run, and writes ``evidence/metrics.jsonl``.

One object a line, ``{"time", "node", "name", "labels", "value", "life"}``: the figures that the
system tells (:class:`harness.contract.metrics.Metrics`), and of every node what its daemons have in
use (processes, threads, open files, memory), whatever the system says. ``life`` counts how often
the node's daemons were started again, so that what begins anew with them is not compared.

Each node is asked from a thread of its own, twice a second at first and ever less often in a long
run; a node that is slow, or dear to ask, is asked less. After the load :meth:`MetricWatch.settle`
waits until what was promised of the quiet is so, or was not in its time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from harness.confidential import cleared
from harness.contract.metrics import BASELINE, Gauge, Metrics, Sample, TellsUsage
from harness.contract.node import Daemon, Node
from harness.contract.system import Stage, System
from harness.errors import StoreError, cannot_write
from harness.verdict.evidence import GaugeFacts
from harness.verdict.metrics import MOST_TEXT, MetricLine

NAME: Final = "metrics.jsonl"
INTERVAL_S: Final = 0.5
QUIET_INTERVAL_S: Final = 0.2
SLOWER: Final = 1 / 600
"""Of the time that a run has taken, the interval is at least this part."""
SHARE: Final = 20
"""For so many times the time of the processor that asking a node took here it is left alone."""
ASK_TIMEOUT_S: Final = 1.0
LAST_SAMPLE_S: Final = 2.0
"""In the end one more sample of every node is waited for, and no longer than this."""
MOST_SERIES: Final = 200
"""Of one node; labels that are never the same again would fill the disk."""

OF_PROCESSES: Final[Sequence[Gauge]] = (
    Gauge(name="process_count", help="processes of the node's daemons"),
    Gauge(name="process_threads", help="their threads"),
    Gauge(name="process_open_files", help="their open files and connections"),
    Gauge(name="process_memory_bytes", help="their resident memory", unit="bytes", grows=True),
)
"""What is sampled of every node. Memory rises with the data that a database is given."""
_USAGE: Final = {
    "processes": "process_count",
    "threads": "process_threads",
    "open_files": "process_open_files",
    "memory_bytes": "process_memory_bytes",
}

Key = tuple[str, str, tuple[tuple[str, str], ...]]
"""A series: node, name, labels."""


def gauges_of(system: System) -> list[Gauge]:
    """What is sampled in a run of ``system``: its own gauges, then those of processes."""
    own = list(system.gauges()) if isinstance(system, Metrics) else []
    named = {gauge.name for gauge in own}
    return own + [gauge for gauge in OF_PROCESSES if gauge.name not in named]


def as_json(gauges: Iterable[Gauge]) -> list[GaugeFacts]:
    """As they stand in ``evidence/run.json``, for whoever judges the run later."""
    return [cast(GaugeFacts, asdict(gauge)) for gauge in gauges]


@dataclass
class MetricWatch:
    """Samples all nodes of ``stage``, from :meth:`start` to :meth:`stop`. Any thread.

    A folder that cannot be written is told by ``warn``.
    """

    path: Path
    stage: Stage
    now: Callable[[], int]
    warn: Callable[[str], None]
    count: int = 0
    _latest: dict[Key, tuple[int, float]] = field(default_factory=dict)
    _before: dict[Key, float] = field(default_factory=dict)
    _answered: dict[str, int] = field(default_factory=dict)
    _lives: dict[str, tuple[int, frozenset[Any]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _hurry: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _is_broken: bool = False
    _has_begun: bool = False

    def __post_init__(self) -> None:
        self.gauges = {gauge.name: gauge for gauge in gauges_of(self.stage.system)}

    @property
    def is_of_use(self) -> bool:
        """Whether there is anything to sample."""
        daemons = self.stage.daemons.values()
        return isinstance(self.stage.system, Metrics) or any(
            isinstance(daemon, TellsUsage) for of_node in daemons for daemon in of_node
        )

    def start(self) -> None:
        """Begin; returns once every node was asked, or a second later: that is the baseline."""
        if not self.is_of_use:
            return
        self._threads = [
            threading.Thread(
                target=partial(self._watch, node), name=f"metrics of {node.name}", daemon=True
            )
            for node in self.stage.cluster.nodes
        ]
        for thread in self._threads:
            thread.start()
        self._wait(lambda: len(self._answered) == len(self._threads), ASK_TIMEOUT_S)
        with self._lock:
            self._has_begun = True

    def settle(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """The load is over and all is healed: wait for what is promised of that.

        At least until every node was asked once more, and at most as long as a gauge that is not
        where it should be may take.
        """
        if not self._threads:
            return
        since_ns, begun = self.now(), time.monotonic()
        self._hurry.set()
        self._wait(lambda: is_stopped() or self._all_answered(since_ns), LAST_SAMPLE_S)
        while not is_stopped():
            late = [self.gauges[name].within_s for name in self._unsettled(since_ns)]
            left_s = max(late, default=0.0) + QUIET_INTERVAL_S - (time.monotonic() - begun)
            if not late or left_s <= 0:
                break
            self._over.wait(min(left_s, QUIET_INTERVAL_S / 2))
        last_ns = self.now()
        self._wait(lambda: is_stopped() or self._all_answered(last_ns), LAST_SAMPLE_S)

    def stop(self) -> None:
        """Sample no more. Safe twice."""
        self._over.set()
        self._hurry.set()
        for thread in self._threads:
            thread.join(2 * ASK_TIMEOUT_S)
        self._threads = []

    def _wait(self, is_so: Callable[[], bool], most_s: float) -> None:
        deadline = time.monotonic() + most_s
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _all_answered(self, since_ns: int) -> bool:
        with self._lock:
            return len(self._answered) == len(self._threads) and all(
                asked_ns >= since_ns for asked_ns in self._answered.values()
            )

    def _unsettled(self, since_ns: int) -> set[str]:
        """Names of gauges that are not where they were promised to be by now."""
        with self._lock:
            latest, before = dict(self._latest), dict(self._before)
        found = set()
        seen: dict[tuple[str, tuple[tuple[str, str], ...]], set[float]] = {}
        for (node, name, labels), (time_ns, value) in latest.items():
            gauge = self.gauges[name]
            floor = before.get((node, name, labels)) if gauge.returns_to == BASELINE else None
            floor = gauge.returns_to if isinstance(gauge.returns_to, int | float) else floor
            if floor is not None and (time_ns < since_ns or value > floor + gauge.slack):
                found.add(name)
            if gauge.same_everywhere:
                seen.setdefault((name, labels), set()).add(value)
        return found | {name for (name, _), values in seen.items() if len(values) > 1}

    # -- one node ------------------------------------------------------------------------------

    def _watch(self, node: Node) -> None:
        while not self._over.is_set():
            asked_ns, begun, cpu_s = self.now(), time.monotonic(), time.thread_time()
            self._keep(node.name, list(self._samples(node)), asked_ns)
            took_s = max(time.monotonic() - begun, SHARE * (time.thread_time() - cpu_s))
            if self._hurry.is_set():
                self._over.wait(QUIET_INTERVAL_S)
            else:
                self._hurry.wait(max(INTERVAL_S, took_s, self.now() / 1e9 * SLOWER))

    def _samples(self, node: Node) -> Iterable[Sample]:
        """What the node tells; one that is down, or cut off, tells nothing for now."""
        system = self.stage.system
        if isinstance(system, Metrics):
            with contextlib.suppress(Exception):
                yield from system.metric_samples(node, ASK_TIMEOUT_S)
        for role in self.stage.roles_on(node.name):
            labels = {"role": role} if self.stage.has_roles else {}
            used: dict[str, int] = {}
            for daemon in self.stage.daemons_of(node.name, role):
                with contextlib.suppress(Exception):
                    for name, value in _usage_of(daemon).items():
                        used[name] = used.get(name, 0) + value
            if used.get("processes"):
                for name, value in used.items():
                    yield Sample(name=_USAGE[name], value=value, labels=labels)

    def _life_of(self, node: str) -> int:
        """How often what runs on the node was replaced so far."""
        running = frozenset(daemon.identity for daemon in self.stage.daemons[node])
        life, known = self._lives.get(node, (0, running))
        if known != running:
            life += 1
        self._lives[node] = (life, running)
        return life

    def _keep(self, node: str, samples: Sequence[Sample], asked_ns: int) -> None:
        time_ns, life, lines = self.now(), self._life_of(node), []
        with self._lock:
            of_node = sum(key[0] == node for key in self._latest)
            for sample in samples:
                key = (node, sample.name, tuple(sorted(sample.labels.items())))
                is_new = key not in self._latest
                if sample.name not in self.gauges or (is_new and of_node >= MOST_SERIES):
                    continue
                of_node += is_new
                self._latest[key] = (asked_ns, float(sample.value))
                if not self._has_begun:
                    self._before[key] = max(sample.value, self._before.get(key, sample.value))
                labels = {k[:MOST_TEXT]: v[:MOST_TEXT] for k, v in sample.labels.items()}
                labels = cleared(labels)
                lines.append(
                    MetricLine(time_ns, node, sample.name, labels, float(sample.value), life)
                )
            self._answered[node] = asked_ns
        self._write(lines)

    def _write(self, lines: Sequence[MetricLine]) -> None:
        if not lines:
            return
        with self._lock:
            self.count += len(lines)
            if self._is_broken:
                return
            try:
                self.path.parent.mkdir(exist_ok=True)
                with self.path.open("ab") as file:
                    file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            except OSError as error:
                self._is_broken = True
                why: StoreError = cannot_write(f"{self.path} cannot be written", error)
                self.warn(f"metrics are no longer kept: {why.message}")


def _usage_of(daemon: Daemon) -> Mapping[str, int]:
    return daemon.usage() if isinstance(daemon, TellsUsage) else {}
