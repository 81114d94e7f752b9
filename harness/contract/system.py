"""The database or service under test: how it is installed, started, made ready and spoken to."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from harness.contract.client import SystemClient
from harness.contract.node import Attached, Cluster, Daemon, Node, Port
from harness.contract.option import SystemOption as SystemOption
from harness.contract.roles import Place, checked
from harness.contract.roles import Role as Role
from harness.contract.traces import Collector
from harness.errors import NodeError
from harness.linux.identity import ProcessIdentity


class System(Protocol):
    """What every system has. Everything blocks, from worker threads; the client alone is async.

    It is also started: as an :class:`Alike` where all nodes are alike, or as one :class:`OfRoles`.
    A system module exposes ``SYSTEMS: dict[str, Factory]`` with ``Factory(options) -> System``
    and ``Factory.options: tuple[SystemOption, ...]``. A factory may have ``defaults``: options that
    every run has, by name (``{"op_timeout": 60.0}``), whose usual default does not suit the system.
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

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Return once all nodes agree and a write is served; ``NotReady`` names who did not.

        Asked after the start, and again after the faults, when it is the proof of recovery.
        """
        ...

    def client(self, op_timeout_s: float) -> SystemClient:
        """A new client, not yet open."""
        ...


@runtime_checkable
class Alike(Protocol):
    """A system that is the same on every node: it has one role, of its own name, on all of them."""

    def install(self, node: Node) -> None:
        """Make the program available on ``node``; ``NeedsError`` if it cannot be found."""
        ...

    def start(self, stage: Stage, node: Node) -> Sequence[Daemon]:
        """Start (or restart after a kill, keeping the data) on one node; returns its daemons.

        Called for all nodes beside each other. ``stage.daemons[node.name]`` is empty the first
        time, and holds the daemons of before, which have ended, after that.
        """
        ...


@runtime_checkable
class OfRoles(Protocol):
    """A system whose nodes are not all alike. What it is asked of a node names the role, too."""

    def roles(self, nodes: Sequence[str]) -> Sequence[Role]:
        """Who does what on ``nodes`` (names); ``UsageError`` if they are too few. Before set-up."""
        ...

    def install(self, node: Node, role: str) -> None:
        """As :meth:`Alike.install`, for each role of ``node``."""
        ...

    def start(self, stage: Stage, node: Node, role: str) -> Sequence[Daemon]:
        """Start the daemons of ``role`` on ``node``, as :meth:`Alike.start`; those alone.

        Roles start in the order of :attr:`Role.after`. Of the daemons of the other roles on this
        node nothing is touched; :meth:`Stage.daemons_of` tells of them.
        """
        ...


@runtime_checkable
class Forms(Protocol):
    """A system that is put together once: a replica set, a cluster's first shape, a database."""

    def form(self, stage: Stage, timeout_s: float) -> None:
        """Called once, when every daemon was started, before ``ready``; never after a restart.

        The daemons may not listen yet. ``NotReady`` tells what kept it from being done in time.
        """
        ...


@runtime_checkable
class Stops(Protocol):
    """A system that says how it is stopped politely, as an operator would for an upgrade.

    Of a system with roles both methods are asked with the role as a further, last argument.
    """

    def stop(self, stage: Stage, node: Node) -> None:
        """Have the daemons end by themselves, and return once they have; ``NodeError`` if not.

        :meth:`Stage.terminate` does it by SIGTERM. Never by force; safe where nothing runs.
        """
        ...

    def stop_statuses(self) -> Sequence[int]:
        """How they end then: exit codes, or minus a signal (``-15``). Any other end is a crash."""
        ...


@dataclass(eq=False)
class Stage:
    """What a system runs on and a fault acts on: the cluster, its roles, and what runs now.

    Safe from any thread. ``roles`` are those of :func:`roles_of`, which are taken if not given.
    ``collectors`` is where each node's processes send spans (``--traces``; else empty).
    """

    cluster: Cluster
    system: System
    roles: Sequence[Role] = ()
    collectors: Mapping[str, Collector] = field(default_factory=dict)
    _running: dict[Place, tuple[Daemon, ...]] = field(default_factory=dict)
    _ending: set[ProcessIdentity] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if not self.roles:
            self.roles = roles_of(self.system, [node.name for node in self.cluster.nodes])

    @property
    def daemons(self) -> Mapping[str, Sequence[Daemon]]:
        """Each node's daemons, of all its roles; one that ended stays until it is started again."""
        found: dict[str, tuple[Daemon, ...]] = {node.name: () for node in self.cluster.nodes}
        with self._lock:
            for (node, _), daemons in self._running.items():
                found[node] = (*found.get(node, ()), *daemons)
        return MappingProxyType(found)

    def daemons_of(self, node: str, role: str) -> Sequence[Daemon]:
        """The daemons of one role on one node, in the order in which it gave them."""
        with self._lock:
            return self._running.get((node, role), ())

    def role_of(self, node: str, process: ProcessIdentity) -> str | None:
        """Whose daemon exactly this process is; ``None`` if it is none's, or was replaced."""
        with self._lock:
            held = list(self._running.items())
        return next(
            (
                role
                for (at, role), daemons in held
                if at == node and any(daemon.identity == process for daemon in daemons)
            ),
            None,
        )

    def is_ending(self, process: ProcessIdentity) -> bool:
        """Whether a fault has begun to end exactly this process: another is not aimed at it."""
        with self._lock:
            return process in self._ending

    def note_ending(self, process: ProcessIdentity) -> None:
        """A fault begins to end this process, which may take a while where it is asked politely."""
        with self._lock:
            self._ending.add(process)

    def note_spared(self, process: ProcessIdentity) -> None:
        """No fault is ending this process any more: it has ended, or it runs on."""
        with self._lock:
            self._ending.discard(process)

    def role(self, name: str) -> Role:
        """The role of that name; ``KeyError`` if there is none."""
        return {role.name: role for role in self.roles}[name]

    def roles_on(self, node: str) -> list[str]:
        """Names of the roles that ``node`` holds."""
        return [role.name for role in self.roles if node in role.nodes]

    @property
    def has_roles(self) -> bool:
        """Whether there is more than one, so that it must be told which is meant."""
        return len(self.roles) > 1

    def install(self, node: str, role: str) -> None:
        """Have the system install one role on one node."""
        self._call("install", self.cluster.node(node), role=role)

    def start(self, node: str, role: str) -> Sequence[Daemon]:
        """Have the system start one role on one node, and keep its daemons. Raises what it does.

        Where the cluster runs already, whoever runs it has that role started again.
        """
        if isinstance(self.cluster, Attached):
            return self.hold(node, role, self.cluster.start_again(node, role))
        found = self._call("start", self, self.cluster.node(node), role=role)
        return self.hold(node, role, found)

    def hold(self, node: str, role: str, daemons: Sequence[Daemon]) -> Sequence[Daemon]:
        """From now on these are the daemons of that role on that node."""
        with self._lock:
            self._running[node, role] = tuple(daemons)
            return self._running[node, role]

    def stop(self, node: str, role: str) -> None:
        """Have the system stop one role on one node politely; it is one that :class:`Stops`."""
        self._call("stop", self, self.cluster.node(node), role=role)

    def stop_statuses(self, role: str) -> Sequence[int]:
        """How the daemons of a role end when they are stopped politely, as the system says."""
        found: Sequence[int] = self._call("stop_statuses", role=role)
        return found

    def primaries(self, role: str) -> Sequence[str]:
        """Who believes to lead in a role; the system is one that can tell its :class:`Primaries`.

        Names of nodes; raises what the system raises.
        """
        found: Sequence[str] = self._call("primaries", self, role=role)
        return found

    def terminate(self, node: str, timeout_s: float, role: str | None = None) -> None:
        """SIGTERM to the daemons of a role on a node (of all, if not said), and wait for each.

        One that stands still is let go on, else it would not take the signal. Those that outlive
        ``timeout_s`` are named in a ``NodeError``, and nothing more is done to them.
        """
        roles = self.roles_on(node) if role is None else [role]
        running = [d for each in roles for d in self.daemons_of(node, each) if d.alive()]
        for daemon in running:
            for number in (signal.SIGTERM, signal.SIGCONT):
                try:
                    daemon.signal(number)
                except Exception:  # a provider's own, and it may have just ended
                    if daemon.alive():
                        raise
        deadline = time.monotonic() + timeout_s
        for daemon in running:
            daemon.wait(max(0.0, deadline - time.monotonic()))
        left = [f"{daemon.name} ({daemon.identity.pid})" for daemon in running if daemon.alive()]
        if left:
            raise NodeError(f"{node}: {', '.join(left)} outlived SIGTERM by {timeout_s:g} s")

    def _call(self, method: str, *arguments: Any, role: str) -> Any:
        """Call a method of the system that is given the role, too, where the system has roles."""
        call = getattr(self.system, method)
        return call(*arguments, role) if isinstance(self.system, OfRoles) else call(*arguments)


def roles_of(system: System, nodes: Sequence[str]) -> Sequence[Role]:
    """The roles of a system on ``nodes`` (names): one of its own name where it tells none.

    ``UsageError`` where they make no sense (:func:`harness.contract.roles.checked`).
    """
    if isinstance(system, OfRoles):
        return checked(system.name, system.roles(nodes), nodes)
    return (Role(name=system.name, nodes=tuple(nodes)),)


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


@dataclass(frozen=True, kw_only=True)
class Documentation:
    """What a vendor's own pages promise of the settings in use, where users expect more.

    ``models`` as :meth:`System.claims`; none where no model of consistency is promised.
    ``not_durable`` says why what was acknowledged may be lost, in the vendor's sense. ``source`` is
    where that stands: the address of a page.
    """

    models: Sequence[str] | Mapping[type, Sequence[str]] = ()
    not_durable: str | None = None
    source: str = ""


@runtime_checkable
class Documented(Protocol):
    """A system whose documentation promises less than its users take for granted.

    ``claims()`` is what they take for granted, and what a run is judged against;
    ``--claims documented`` is against the documentation instead. Either verdict tells both.
    """

    def documented(self) -> Documentation | None:
        """The documentation's promise with the options given; ``None`` if it is no less."""
        ...


@runtime_checkable
class Primaries(Protocol):
    """A system that can tell which nodes lead now.

    One with roles is asked for each, ``primaries(stage, role)``: many have leaders of their own.
    """

    def primaries(self, stage: Stage) -> Sequence[str]:
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

    def final_states(self, stage: Stage, timeout_s: float) -> FinalStates:
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
class Survives(Protocol):
    """A system that does not survive every fault: such a one is in no mix (``--nemesis all``)."""

    def not_survived(self) -> Mapping[str, str]:
        """Faults after which it promises nothing, by the word for ``--nemesis``, each with why."""
        ...


@runtime_checkable
class FaultDurations(Protocol):
    """A system that needs some faults to last longer than half an interval."""

    def least_duration_s(self, fault: str) -> float:
        """Seconds that ``fault`` must last to matter (failure detection and election)."""
        ...


@runtime_checkable
class Adopts(Protocol):
    """A system that can be tested where somebody else runs it, beside what others keep there.

    There its nodes are the endpoints that clients are given (``--endpoint``), or what is attached
    to (``--attach``), of which the daemons are known. ``install`` and ``start`` are never called.
    """

    def adopt(self, cluster: Cluster, namespace: str) -> Mapping[str, str]:
        """From now on all that its clients and it itself write and read lies under ``namespace``.

        Called once, before anything is written; nothing is under that name yet. ``namespace`` is
        text of letters, digits, ``-`` and a ``/`` at its end, of a run alone. Returns the versions
        that run there, as :meth:`System.versions` does elsewhere.
        """
        ...

    def clear(self, cluster: Cluster, namespace: str) -> None:
        """Remove all that lies under ``namespace``, and nothing else. Safe twice.

        Called at the end, perhaps in another process, on a system that was never asked to adopt.
        Raises a ``PolygraphError`` where something may be left.
        """
        ...


@runtime_checkable
class StartsAgain(Protocol):
    """A system that says how an operator has it started again on a host where it runs already."""

    def start_command(self, node: str, role: str) -> Sequence[str]:
        """The words of a command that returns once it is started; none where there is no usual one.

        Asked only over ssh with ``--attach``; ``--start-command`` is taken before it.
        """
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
