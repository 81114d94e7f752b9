"""The database or service under test: how it is installed, started, made ready and spoken to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from harness.contract.client import SystemClient
from harness.contract.node import Cluster, Daemon, Node, Port
from harness.contract.option import SystemOption as SystemOption


class System(Protocol):
    """Everything here blocks and is called from worker threads; the client alone is async.

    A system module exposes ``SYSTEMS: dict[str, Factory]`` with ``Factory(options) -> System``
    and ``Factory.options: tuple[SystemOption, ...]``.
    """

    name: str

    def abilities(self) -> Sequence[type]:
        """The abilities of :mod:`harness.contract.client` that its clients have."""
        ...

    def claims(self) -> Sequence[str] | Mapping[type, Sequence[str]]:
        """The consistency models promised with the options given, strongest first.

        Where it promises different things of different abilities, a mapping from ability (of
        :mod:`harness.contract.client`) to such a list: a run is judged against what is promised of
        those that its workload needs. A name that is no model's is refused before set-up.
        """
        ...

    def versions(self) -> Mapping[str, str]:
        """What is under test, e.g. ``{"etcd": "3.5.1"}``; known before ``start``."""
        ...

    def install(self, node: Node) -> None:
        """Make the program available on ``node``; ``NeedsError`` if it cannot be found."""
        ...

    def start(self, node: Node, cluster: Cluster) -> Sequence[Daemon]:
        """Start (or restart after a kill, keeping the data) on one node; returns its daemons."""
        ...

    def ready(self, cluster: Cluster, timeout_s: float) -> None:
        """Return once all nodes agree and a write is served; ``NotReady`` names who did not."""
        ...

    def stop(self, node: Node) -> None:
        """End it politely. Safe twice."""
        ...

    def client(self, op_timeout_s: float) -> SystemClient:
        """A new client, not yet open."""
        ...


@runtime_checkable
class WithoutDaemons(Protocol):
    """A system that runs inside of its clients (a library, a file): ``start`` gives no daemons."""

    def without_daemons(self) -> bool:
        """Whether, with the options given, there is no process that a fault could hit."""
        ...


@runtime_checkable
class Durability(Protocol):
    """A system that can be told to give up durability: what it acknowledged may then be lost.

    Without this protocol every acknowledged write must survive, whatever isolation is claimed.
    """

    def not_durable(self) -> str | None:
        """Why acknowledged writes may be lost with the options given, as the user would say it.

        ``"synchronous_commit=off"``; ``None`` where nothing may be lost. It stands in the
        history's header, and losses are then told as permitted and make no verdict invalid.
        """
        ...


@runtime_checkable
class Primaries(Protocol):
    """A system that can tell which nodes lead now."""

    def primaries(self, cluster: Cluster) -> Sequence[str]:
        """Names of the nodes that believe they lead; empty if nobody can tell."""
        ...


@dataclass(frozen=True, kw_only=True)
class FinalStates:
    """What every node holds in the end: node to key (as text) to its JSON value and version.

    ``states`` maps a node to ``{key: {"value": ..., "version": ...}}``; ``unread`` a node whose
    state could not be had to why; ``waited_s`` is how long they were given to agree.
    """

    states: Mapping[str, Mapping[str, Mapping[str, Any]]]
    unread: Mapping[str, str]
    waited_s: float


@runtime_checkable
class FinalState(Protocol):
    """A system whose nodes can each be asked for all they hold, without asking the others."""

    def final_states(self, cluster: Cluster, timeout_s: float) -> FinalStates:
        """Every node's own state, once all are equal or the time is over. Never raises for that."""
        ...


@runtime_checkable
class LogPatterns(Protocol):
    """A system that knows what in its logs must not happen; the checker ``logs`` scans for it."""

    def log_patterns(self) -> Mapping[str, Sequence[str]]:
        """Kind of finding to regular expressions; of two kinds that match the first counts.

        Panics, fatal lines, data races: each kind is a type of anomaly of its own.
        """
        ...

    def expected_lines(self) -> Mapping[str, Sequence[str]]:
        """Effect to regular expressions of lines that are expected after it.

        An effect is one of :data:`harness.history.effects.WORDS`: ``ends``, ``stops``, ``cuts``,
        ``shifts-clock``; the name of a fault of one's own is understood as well. Such a line is no
        finding, and an exit beside it, while the fault was in force or shortly after, no crash.
        """
        ...


@runtime_checkable
class FaultDurations(Protocol):
    """A system that needs some faults to last longer than half an interval."""

    def least_duration_s(self, fault: str) -> float:
        """Seconds that ``fault`` must last to matter (failure detection and election)."""
        ...


@runtime_checkable
class Ports(Protocol):
    """A system that says which ports it has, and binds and tells them as its nodes say.

    It listens at ``node.listen(port)`` and tells others ``node.reach(port, ...)``. So a provider
    knows beforehand what to publish, several members can share one host, and a proxy can stand in
    front of each, which cuts links between them.
    """

    def ports(self) -> Sequence[Port]:
        """Every port, the one that clients are given first."""
        ...


FAITHFUL = "faithful"
WAITS_ON_TRUE_CLOCK = "waits on the true clock"
BYPASSES = "bypasses"
CLOCK_PATHS = (FAITHFUL, WAITS_ON_TRUE_CLOCK, BYPASSES)


@runtime_checkable
class ClockPath(Protocol):
    """A system that declares how it comes by the time, without which its clock is not set.

    A process's clock is set by changing what it *reads*; what the kernel waits for stays true.
    ``polygraph doctor --clock SYSTEM`` checks the declaration by tracing system calls.
    """

    def clock_path(self) -> str:
        """``FAITHFUL``: it reads the time in the usual way, its waits are relative or monotonic.

        ``WAITS_ON_TRUE_CLOCK``: it also waits until a wall-clock time, which comes when it comes
        in truth. ``BYPASSES``: it reads the time by raw system calls or the processor's counter.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TimeReading:
    """What a system said the time was: at least ``earliest_ns``, less than ``latest_ns``."""

    earliest_ns: int
    latest_ns: int


@runtime_checkable
class ReportsTime(Protocol):
    """A system that tells the wall-clock time as its own process reads it."""

    def reported_time(self, node: Node, timeout_s: float) -> TimeReading:
        """The time that the system's process on ``node`` reads while this is called.

        In nanoseconds since 1970, as wide as the precision of the report. Raises if it does not
        answer within ``timeout_s``.
        """
        ...
