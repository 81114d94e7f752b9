"""Nun-db: one node each, a primary elected among them, spoken to over TCP or HTTP.

A primary says ``ok`` before any other node has a change, and a secondary as soon as it has passed
it on; its author promises eventual consistency. The figure ``pending_ops`` of a primary counts what
the secondaries have not acknowledged: once nobody writes it must come to 0. (Before commit 7a16bd9
it did not: a secondary could acknowledge a message before the primary had registered it, and the
data never differed. Only the figure shows that.)

There are no versions, so ``--release`` names a commit. What nodes say of themselves:
:mod:`systems.nundb.members`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.contract.client import SystemClient
from harness.contract.metrics import Gauge, Sample
from harness.contract.node import Daemon, Node, Port
from harness.contract.option import Duration, Option
from harness.contract.system import FAITHFUL, Documentation, FinalStates, Stage
from harness.errors import NeedsError
from systems.nundb import members
from systems.nundb.asks import Manner
from systems.nundb.client import ABILITIES, NunDbClient
from systems.nundb.log import EXPECTED_LINES, LOG_PATTERNS, MILESTONES
from systems.nundb.places import HTTP, PASSWORD, PORTS, TCP, USER, WEB_SOCKET
from systems.nundb.speaker import NunDbSpeaker

PRIMARY: Final = "primary"
OWN: Final = "own"
_HINT: Final = "--binary PATH of a build of Nun-db"
_STATUS_TIMEOUT_S: Final = 0.5
_STOP_TIMEOUT_S: Final = 20.0
_ELECTION_S: Final = 5.0

OPTIONS: Final = (
    Option(
        name="binary",
        kind=Path,
        help="path of the nun-db program (default: the one on the nodes' PATH)",
    ),
    Option(name="release", help="which Nun-db it is, as a commit: it says none itself"),
    Option(
        name="ask",
        default=PRIMARY,
        choices=(PRIMARY, OWN),
        help="whom clients ask: the primary, or the node that they were opened on",
    ),
    Option(name="protocol", default="tcp", choices=("tcp", "http"), help="how clients ask"),
    Option(
        name="start_apart",
        kind=Duration,
        default=2.0,
        least=0,
        help="how long one node is started after the other: the oldest wins the election",
    ),
    Option(
        name="join_by_hand",
        kind=bool,
        default=True,
        help="where nodes come up as several primaries, have the first take the others in, once",
    ),
    Option(name="log_level", default="warn", help="NUN_LOG_LEVEL; at info every command is a line"),
)


class NunDb:
    """A cluster of Nun-db.

    Also ``Stops``, ``Primaries``, ``Ports``, ``FinalState``, ``LogPatterns``, ``Milestones``,
    ``Metrics``, ``Documented``, ``FaultDurations``, ``ClockPath``.
    """

    name = "nundb"
    options: tuple[Option, ...] = OPTIONS

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options: dict[str, Any] = {
            option.name: option.value(option.default)
            if options.get(option.name) is None
            else options[option.name]
            for option in self.options
        }
        self._manner = Manner(
            primary=self._options["ask"] == PRIMARY and self._options["protocol"] == "tcp",
            http=self._options["protocol"] == "http",
        )

    def abilities(self) -> Sequence[type]:
        """Registers, sets and counters."""
        return ABILITIES

    def claims(self) -> Sequence[str]:
        """What people take for granted of one primary that everybody asks."""
        return ("linearizable",)

    def documented(self) -> Documentation | None:
        """Less than that: eventual consistency, which none of the models here is."""
        return Documentation(
            not_durable="replication is asynchronous",
            source="https://github.com/mateusfreira/nun-db",
        )

    def versions(self) -> Mapping[str, str]:
        """As the user says."""
        return {"nundb": self._options["release"] or "a commit that nobody named"}

    def speaker(self) -> NunDbSpeaker:
        """An honest node, for the conformance kit."""
        return NunDbSpeaker()

    def ports(self) -> Sequence[Port]:
        """For clients and for each other alike, over TCP; HTTP and web sockets for clients."""
        return PORTS

    def install(self, node: Node) -> None:
        """Prove that the program runs on ``node``."""
        done = node.run([self._program(node), "--help"], check=False)
        if done.exit_code != 0 or b"Nun-db" not in done.stdout:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-200:]
            raise NeedsError(f"{node.name}: nun-db does not run there: {said}", _HINT)

    def start(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        """Start the node; at first each a while after the one before, as the election wants it."""
        nodes = stage.cluster.nodes
        if not stage.daemons[node.name]:
            time.sleep(
                [each.name for each in nodes].index(node.name) * self._options["start_apart"]
            )
        self._manner = self._manner_on(nodes)
        peers = ",".join(each.reach(TCP, "peer") for each in nodes)
        argv = [self._program(node), "-u", USER, "-p", PASSWORD, "start"]
        argv += ["--tcp-address", node.listen(TCP), "--http-address", node.listen(HTTP)]
        argv += ["--ws-address", node.listen(WEB_SOCKET), "--replicate-address", peers]
        env = {"NUN_DBS_DIR": node.data_dir, "NUN_LOG_LEVEL": self._options["log_level"]}
        return [node.start(argv, name="nundb", env=env, cwd=node.data_dir)]

    def form(self, stage: Stage, timeout_s: float) -> None:
        """Have nodes that came up apart taken in by hand, as their operator would."""
        if self._options["join_by_hand"]:
            members.join_by_hand(stage.cluster, timeout_s)

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once all name one primary; a split brain is told as what it is."""
        members.wait_until_ready(stage, timeout_s)

    def stop(self, stage: Stage, node: Node) -> None:
        """SIGINT, after which it saves and ends."""
        for daemon in stage.daemons[node.name]:
            if daemon.alive():
                daemon.signal(signal.SIGINT)
                daemon.signal(signal.SIGCONT)
                daemon.wait(_STOP_TIMEOUT_S)

    def stop_statuses(self) -> Sequence[int]:
        """With 0."""
        return (0,)

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client with all abilities, not yet open."""
        return NunDbClient(op_timeout_s, self._manner)

    def primaries(self, stage: Stage) -> Sequence[str]:
        """Nodes that call themselves the primary."""
        return members.primaries(stage.cluster, _STATUS_TIMEOUT_S)

    def final_states(self, stage: Stage, timeout_s: float) -> FinalStates:
        """Every node's own keys and values."""
        return members.final_states(stage.cluster, timeout_s)

    def gauges(self) -> Sequence[Gauge]:
        """``pending_ops`` comes to 0 once nobody writes; the log of operations grows."""
        return (
            Gauge(
                name="pending_ops",
                help="changes that not all secondaries have acknowledged",
                returns_to=0.0,
                within_s=6.0,
            ),
            Gauge(name="op_log_file_size", unit="bytes", grows=True),
            Gauge(name="op_log_count", grows=True),
        )

    def metric_samples(self, node: Node, timeout_s: float) -> Iterable[Sample]:
        """By ``metrics-state``."""
        told = members.metrics(node, timeout_s)
        names = [gauge.name for gauge in self.gauges()]
        return [Sample(name=name, value=told[name]) for name in names if name in told]

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Panics."""
        return LOG_PATTERNS

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """One that comes back before its sockets are free again ends by itself."""
        return EXPECTED_LINES

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Elections, and two primaries that hear of each other."""
        return MILESTONES

    def clock_path(self) -> str:
        """Rust reads the time by the C library and waits by the monotonic clock."""
        return FAITHFUL

    def least_duration_s(self, fault: str) -> float:
        """Until an election is over."""
        return _ELECTION_S

    def _program(self, node: Node) -> str:
        binary = self._options["binary"]
        return "nun-db" if binary is None else node.bring(Path(binary))

    def _manner_on(self, nodes: Sequence[Node]) -> Manner:
        return Manner(
            primary=self._manner.primary,
            http=self._manner.http,
            tcp={node.reach(TCP, "peer"): node.reach(TCP, "client") for node in nodes},
            names={node.reach(TCP, "peer"): node.name for node in nodes},
        )


SYSTEMS = {"nundb": NunDb}
