"""Redis, with Sentinel where there are several nodes, and Valkey: installed, started, spoken to.

The first node's server leads at first and the others follow it; a *Sentinel* on every node (or on
three nodes of their own, ``--sentinels apart``) watches, and promotes a replica where the primary
is down. A single node has no Sentinel. Data lie in the node's data folder and survive a restart.

``appendonly yes`` with ``appendfsync everysec`` is what Redis advises and the default here; each
setting has the vendor's name. Two are shorter than the vendor's, so that a failover fits into a
fault: ``down-after-milliseconds`` and ``failover-timeout``.

Where the program comes from: :mod:`systems.redis.install`. What its errors mean:
:mod:`systems.redis.errors`. What servers say of themselves: :mod:`systems.redis.members`, and in
their logs: :mod:`systems.redis.log`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

from harness.contract.client import SystemClient
from harness.contract.metrics import Gauge, Sample
from harness.contract.node import Daemon, Node, Port
from harness.contract.option import Option
from harness.contract.system import (
    FAITHFUL,
    Documentation,
    FinalStates,
    Role,
    Stage,
    TimeReading,
)
from harness.errors import NeedsError, UsageError
from systems.redis import members, metrics, settings, states
from systems.redis.asks import ANY, PRIMARY, Manner
from systems.redis.client import ABILITIES
from systems.redis.discovery import SUBSCRIBE
from systems.redis.install import REDIS, VALKEY, Product, find_binary, read_versions
from systems.redis.log import EXPECTED_LINES, LOG_PATTERNS, MILESTONES
from systems.redis.options import APART, NONE, OPTIONS
from systems.redis.places import PORT, SENTINEL_PORT, Places
from systems.redis.promises import documented
from systems.redis.speaker import RedisSpeaker

_STATUS_TIMEOUT_S: Final = 0.5
_FOLLOWED_TIMEOUT_S: Final = 15.0
_STOP_TIMEOUT_S: Final = 20.0
_FAILOVER_S: Final = 3.0
"""What a failover takes, once the primary is taken for down."""
_SENTINELS_APART: Final = 3


class Redis:
    """Servers and Sentinels.

    Also ``OfRoles``, ``Stops``, ``Primaries``, ``Ports``, ``FinalState``, ``LogPatterns``,
    ``Milestones``, ``MilestoneFigures``, ``Metrics``, ``FaultDurations``, ``ClockPath``,
    ``ReportsTime``, ``Documented``, ``Durability``.
    """

    name = "redis"
    product: ClassVar[Product] = REDIS
    options: tuple[Option, ...] = OPTIONS

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options: dict[str, Any] = {
            option.name: option.value(option.default)
            if options.get(option.name) is None
            else options[option.name]
            for option in self.options
        }
        self._places = Places()
        self._replicas = 0

    @cached_property
    def _binary(self) -> str:
        return find_binary(self.product, self._options["binary"])

    @cached_property
    def _versions(self) -> Mapping[str, str]:
        return read_versions(self.product, self._binary)

    # -- what it is --------------------------------------------------------------------------------

    def abilities(self) -> Sequence[type]:
        """All there are but ``Watches``."""
        return ABILITIES

    def claims(self) -> Sequence[str]:
        """What people take for granted of a server that executes one command after another."""
        return ("strict-serializable",)

    def documented(self) -> Documentation | None:
        """Less than that, where there are replicas or where a file is not forced to disk."""
        return documented(self._options, self._replicas)

    def not_durable(self) -> str | None:
        """What the user has given up by an option that has no other use."""
        if self._options["appendonly"] == "no":
            return "--appendonly no"
        return "--appendfsync no" if self._options["appendfsync"] == "no" else None

    def versions(self) -> Mapping[str, str]:
        """As ``redis-server --version`` says; ``NeedsError`` if there is none."""
        return self._versions

    def speaker(self) -> RedisSpeaker:
        """An honest server, for the conformance kit."""
        return RedisSpeaker()

    def ports(self) -> Sequence[Port]:
        """Where servers and Sentinels listen, for clients and for each other."""
        return (Port(PORT, clients=True, peers=True), Port(SENTINEL_PORT, clients=True, peers=True))

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        """Servers on all nodes, and Sentinels with them or, with ``apart``, on the last three."""
        servers, watching = placed(nodes, self._options["sentinels"])
        self._replicas = len(servers) - 1
        found = [Role(name=members.REDIS, nodes=servers)]
        if watching:
            after = [members.REDIS]
            found.append(
                Role(name=members.SENTINEL, nodes=watching, after=after, serves_clients=False)
            )
        return found

    # -- its life ----------------------------------------------------------------------------------

    def install(self, node: Node, role: str) -> None:
        """Prove that the program runs on ``node``; ``NeedsError`` says what is missing."""
        done = node.run([node.bring(Path(self._binary)), "--version"], check=False)
        if done.exit_code != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[:200]
            raise NeedsError(
                f"{node.name}: {self._binary} does not run there: {said}", self.product.hint
            )

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        """Start the server or the Sentinel of ``node``, with the data and settings that it has."""
        servers = members.nodes_of(stage, members.REDIS)
        watching = members.nodes_of(stage, members.SENTINEL)
        self._places = Places.of(servers, watching)
        is_first = not stage.daemons_of(node.name, role)
        program = node.bring(Path(self._binary))
        if role == members.REDIS:
            path = f"{node.data_dir}/{settings.SERVER_FILE}"
            if is_first:
                text = settings.of_server(node, servers[0], self._options)
                settings.put(node, settings.SERVER_FILE, text)
            return [node.start([program, path], name=role)]
        path = f"{node.data_dir}/{settings.SENTINEL_FILE}"
        if is_first:
            members.wait_for_replicas(servers, servers[0], _FOLLOWED_TIMEOUT_S)
            names = [each.name for each in watching]
            text = settings.of_sentinel(node, servers[0], names, self._options)
            settings.put(node, settings.SENTINEL_FILE, text)
        return [node.start([program, path, "--sentinel"], name=role)]

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once all agree on a primary, and a write through it reaches every replica."""
        members.wait_until_ready(stage, timeout_s)

    def stop(self, stage: Stage, node: Node, role: str) -> None:
        """SIGTERM: a server waits for its replicas, saves and ends."""
        stage.terminate(node.name, _STOP_TIMEOUT_S, role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        """Politely, with 0."""
        return (0,)

    # -- clients -----------------------------------------------------------------------------------

    def client(self, op_timeout_s: float) -> SystemClient:
        """A client with all abilities, not yet open."""
        from systems.redis.client import RedisClient

        return RedisClient(op_timeout_s, self._places, self._manner())

    def _manner(self) -> Manner:
        return Manner(
            read_from=ANY if self._options["read_from"] == ANY else PRIMARY,
            subscribes=self._options["discovery"] == SUBSCRIBE,
            wait=self._options["wait"],
            wait_timeout_s=self._options["wait_timeout"],
            lock_ttl_s=self._options["lock_ttl"],
        )

    # -- what it says of itself --------------------------------------------------------------------

    def primaries(self, stage: Stage, role: str) -> Sequence[str]:
        """Nodes whose server says that it is a primary; Sentinels have no leader for long."""
        if role != members.REDIS:
            return []
        return members.primaries(members.nodes_of(stage, role), _STATUS_TIMEOUT_S)

    def final_states(self, stage: Stage, timeout_s: float) -> FinalStates:
        """Every server's own keys and values."""
        return states.final_states(members.nodes_of(stage, members.REDIS), timeout_s)

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Bug reports, failed assertions, files that cannot be read."""
        return LOG_PATTERNS

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """A server that comes back before its sockets are free again ends by itself."""
        return EXPECTED_LINES

    def milestones(self) -> Mapping[str, Sequence[str]]:
        """Failovers and their steps, changes of roles, data loaded, replicas synchronized."""
        return MILESTONES

    def figure_names(self) -> Sequence[str]:
        """A server's role, how many replicas it has, and its link to its primary."""
        return ("role", "replicas", "primary-link")

    def milestone_figures(self, node: Node, timeout_s: float) -> Mapping[str, Any]:
        """By ``INFO replication``."""
        return members.figures(node, timeout_s)

    def gauges(self) -> Sequence[Gauge]:
        """What waits comes to nothing; a Sentinel's epoch rises."""
        return metrics.gauges(
            appends=self._options["appendonly"] == "yes",
            has_sentinels=self._options["sentinels"] != NONE and self._replicas > 0,
        )

    def metric_samples(self, node: Node, timeout_s: float) -> Iterable[Sample]:
        """Of the server and of the Sentinel of one node, whichever are there."""
        return metrics.samples(node, timeout_s)

    def clock_path(self) -> str:
        """It reads the time by the C library and waits for relative times alone."""
        return FAITHFUL

    def reported_time(self, node: Node, timeout_s: float) -> TimeReading:
        """By the command ``TIME``."""
        return members.reported_time(node, timeout_s)

    def least_duration_s(self, fault: str) -> float:
        """Until the primary is taken for down, and a failover."""
        return float(self._options["down_after_milliseconds"]) / 1000 + _FAILOVER_S


def placed(nodes: Sequence[str], placing: str) -> tuple[Sequence[str], Sequence[str]]:
    """The nodes of servers and those of Sentinels; ``UsageError`` if they are too few."""
    if placing == NONE or len(nodes) == 1:
        return nodes, ()
    if placing != APART:
        return nodes, nodes
    if len(nodes) <= _SENTINELS_APART:
        raise UsageError(
            f"{len(nodes)} nodes leave none for a server beside {_SENTINELS_APART} Sentinels on"
            " nodes of their own",
            f"--nodes {_SENTINELS_APART + 2} or more, or --sentinels together",
        )
    return nodes[:-_SENTINELS_APART], nodes[-_SENTINELS_APART:]


class Valkey(Redis):
    """Valkey, which was Redis up to version 7.2: all is the same but where it comes from."""

    name = "valkey"
    product: ClassVar[Product] = VALKEY


SYSTEMS = {"redis": Redis, "valkey": Valkey}
