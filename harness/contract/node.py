"""What a node and a cluster can do, on every provider.

All calls block and are safe from any thread: they are made from worker threads, never on the
loop that serves the clients. ``argv`` are lists, never shell strings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, runtime_checkable

from harness.contract.links import CLIENTS as CLIENTS
from harness.contract.links import CutsClients as CutsClients
from harness.contract.links import CutsPorts as CutsPorts
from harness.contract.links import Grudge as Grudge
from harness.contract.links import Link as Link
from harness.contract.links import Partitionable as Partitionable
from harness.contract.links import PreparesCuts as PreparesCuts
from harness.linux.identity import ProcessIdentity as ProcessIdentity

ClockMethod = Literal["process", "machine"]
"""Whose clock is set: each process's of the node, or, where it is given up to the test, its own."""

Whom = Literal["client", "peer"]
"""Who is to reach a port: a client (which runs where the controller does), or another node."""


@dataclass(frozen=True)
class Port:
    """A port that a system has on each of its nodes, by the number that it usually has.

    Where nodes share an address it is another in truth: see :meth:`Node.listen`. ``clients``
    connect to it, ``peers`` (the other nodes) do. ``advertised`` is false where the others must be
    told the very address at which it listens: then no proxy can stand between them, and on
    ``local:plain`` no link be cut.
    """

    number: int
    clients: bool = False
    peers: bool = False
    advertised: bool = True


def split_address(address: str) -> tuple[str, int]:
    """The host (an IPv6 address without its brackets) and the port of a ``host:port``."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


User = str | int
"""An account of the node by its name, with its groups; or a number, with the group of that number.

A number needs no account. (Programs that ask for the name of their user need one: ``initdb`` does.)
"""

UNPRIVILEGED: Final = 65534
"""Some user that is not root, wherever that is: ``nobody`` on nearly every Linux.

Where nodes run as somebody else than root already, that user is as good and stays.
"""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What a command on a node gave."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Daemon(Protocol):
    """A long-running process on a node, whose output goes to a file, never to a pipe."""

    @property
    def name(self) -> str:
        """What it is called on its node; its log is ``<name>.log``."""
        ...

    @property
    def identity(self) -> ProcessIdentity:
        """Which process it is, for good."""
        ...

    def alive(self) -> bool:
        """Whether it runs (a stopped process is alive)."""
        ...

    def exit_status(self) -> int | None:
        """``None`` while it runs, its exit code, or minus the signal that ended it."""
        ...

    def state(self) -> str:
        """The letter of ``/proc/PID/stat`` (``T`` stopped), or ``"gone"``."""
        ...

    def signal(self, number: int) -> None:
        """Signal the daemon, only on a full identity match.

        SIGSTOP, SIGCONT and SIGKILL go to all that it started, too, in whatever session or group,
        and to what fell away from it, also when itself has ended; others to its process group.
        """
        ...

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the end; the exit status, or ``None`` at the time-out."""
        ...


@runtime_checkable
class HasProcesses(Protocol):
    """A daemon that can tell all that runs of it: itself, what it started, what fell away from it.

    The providers' daemons are such; it may be asked also once the daemon itself has ended.
    """

    def processes(self) -> Mapping[int, str]:
        """Each process's number to the letters of its threads' states (``T``: all are stopped)."""
        ...


@runtime_checkable
class SignalsAtOnce(Protocol):
    """A daemon that can be signalled within a millisecond, its node's answer being awaited later.

    For faults that strike at a moment (:mod:`harness.contract.shot`).
    """

    def prepare_signal(self, number: int) -> Callable[[], Callable[[], bool]]:
        """As ``signal``, made ready: called, it sends, and what that returns waits, once.

        It says whether something of the daemon ran then; both raise as ``signal`` does.
        """
        ...


class Node(Protocol):
    """One machine of the cluster, real or not."""

    @property
    def name(self) -> str:
        """``n1``, ``n2``, …; also its host name where it has one."""
        ...

    def listen(self, port: int) -> str:
        """The address (``host:port``) at which a service of it binds ``port``.

        ``port`` is one of those that the system declared (:class:`~.system.Ports`); where several
        nodes share an address, the number in the answer is another one. ``NodeError`` where it
        must be declared and is not.
        """
        ...

    def reach(self, port: int, whom: Whom) -> str:
        """The address (``host:port``) to give away, at which clients or the other nodes reach it.

        Another than that of :meth:`listen` where a published port or a proxy stands between.
        """
        ...

    @property
    def client_address(self) -> str:
        """Where a client is led: ``reach`` of the first port that the system declared for clients.

        The bare host where it declared none.
        """
        ...

    @property
    def data_dir(self) -> str:
        """A folder for the system's data, as seen inside the node; empty at first."""
        ...

    @property
    def log_dir(self) -> Path:
        """The controller's folder for this node's logs (``nodes/<name>/`` of the run)."""
        ...

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        user: User | None = None,
    ) -> Completed:
        """Run a short command; ``NodeError`` at the time-out or, if ``check``, on a bad exit.

        ``user`` as in :meth:`start`.
        """
        ...

    def start(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
    ) -> Daemon:
        """Start a daemon; both outputs are appended to ``log_dir/<name>.log``.

        As ``user`` where one is given: the data folder is then that user's, and its ``HOME``. What
        it executes must be open to it. ``NodeError`` where nobody here can become that user.
        """
        ...

    def bring(self, program: Path) -> str:
        """Make a program file of the controller executable on the node; its path there.

        Copied at most once (a node that shares the controller's files has it already).
        """
        ...

    def upload(self, source: Path, destination: str) -> None:
        """Copy a file of the controller to the node."""
        ...

    def download(self, source: str, destination: Path) -> None:
        """Copy a file of the node to the controller."""
        ...


class Cluster(Protocol):
    """The nodes of one run."""

    @property
    def nodes(self) -> Sequence[Node]:
        """All of them, in order."""
        ...

    @property
    def provider(self) -> str:
        """As printed in verdict and report, e.g. ``local:userns``."""
        ...

    def node(self, name: str) -> Node:
        """The node of that name."""
        ...

    def up(self) -> None:
        """Bring all nodes up, or raise ``SetupError`` with nothing left behind."""
        ...

    def down(self) -> None:
        """End everything that ``up`` made, faults included. Safe twice."""
        ...

    def leave_running(self) -> None:
        """Have the cluster outlive this process and the front, until ``polygraph down``."""
        ...


@runtime_checkable
class RunsAlready(Protocol):
    """A cluster that somebody else runs: nothing is installed, started or stopped.

    Its logs come where it says so (:class:`harness.contract.theirs.MayHaveLogs`).
    """

    def adopt(self) -> Mapping[str, str]:
        """Have the system keep what this run writes apart (``Adopts``), and say what it is.

        Before anything is written. ``down`` removes it all again.
        """
        ...


@runtime_checkable
class Attached(Protocol):
    """A cluster that runs already (:class:`RunsAlready`) and whose processes are known.

    So faults can be done to them. The system starts none of them, neither first nor again.
    """

    def running(self, node: str, role: str) -> Sequence[Daemon]:
        """What runs of ``role`` on ``node``, as it was found when the cluster came up."""
        ...

    def start_again(self, node: str, role: str) -> Sequence[Daemon]:
        """Have what was ended there run again, by whoever runs it; returns once it does.

        ``NodeError`` if it does not come back, or comes back elsewhere.
        """
        ...


@runtime_checkable
class MayRefuseSignals(Protocol):
    """A cluster whose processes are not ours to signal, or to have started again, everywhere."""

    def signal_refusal(self) -> str | None:
        """Why its processes cannot be signalled, and what would allow it, or ``None``.

        Asked before set-up, as the next.
        """
        ...

    def end_refusal(self, politely: bool) -> str | None:
        """Why nobody would start again what was ended, by SIGTERM if ``politely``, or ``None``."""
        ...


LinkShape = Mapping[str, float]
"""What is done to the packets of a link; see :mod:`harness.cluster.hands.shaper`."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What datagrams met on a link: of ``sent`` so many ``came``, some in ``copies`` besides.

    ``overtaken`` came after a later one; seconds are those on the way, ``took_s`` is from the first
    sending to the last arrival.
    """

    sent: int
    came: int
    copies: int
    corrupted: int
    overtaken: int
    least_s: float
    median_s: float
    took_s: float
    size_bytes: int


@runtime_checkable
class Shapeable(Protocol):
    """A cluster whose directed links can be made slow or lossy."""

    def shape_refusal(self) -> str | None:
        """Why not here and now, and what would allow it, or ``None``. Asked before set-up."""
        ...

    def shape(self, shapes: Mapping[Link, LinkShape]) -> None:
        """Shape these links, all others not at all, instead of any earlier shapes."""
        ...

    def shaped(self) -> Mapping[Link, Mapping[str, int]]:
        """Per shaped link the database's ``packets`` that the kernel handed over, and more."""
        ...

    def measure(
        self, links: Collection[Link], count: int, wait_s: float
    ) -> Mapping[Link, Measured]:
        """Send so many datagrams over each link at once; wait ``wait_s`` at most for the last."""
        ...


@runtime_checkable
class MayRefuseCuts(Protocol):
    """A cluster of which only a look at its hosts tells whether links can be cut there."""

    def cut_refusal(self) -> str | None:
        """Why links cannot be cut, and what would allow it, or ``None``. Asked before set-up."""
        ...


@runtime_checkable
class LogsElsewhere(Protocol):
    """A cluster whose logs are not written into the run's folder, but fetched."""

    def collect(self) -> Sequence[str]:
        """Fetch into each node's ``log_dir`` what is new; a sentence for each that did not come."""
        ...


@runtime_checkable
class Losable(Protocol):
    """A cluster that can lose nodes by nobody's order: a host reboots, an engine dies."""

    def lost(self) -> Sequence[str]:
        """A sentence for each node that is lost for good; nothing can be concluded any more."""
        ...


@runtime_checkable
class Clocks(Protocol):
    """A cluster whose nodes are all :class:`ClockSettable`."""

    def clock_refusal(self, method: ClockMethod) -> str | None:
        """Why the clock of a node cannot be set here, and what would allow it, or ``None``.

        Asked before set-up, so also of a cluster that is not up yet.
        """
        ...


@runtime_checkable
class ClockSettable(Protocol):
    """A node whose processes can be made to read a wrong wall clock.

    A clock program is JSON: ``shift_ns``; ``rate`` (seconds gained a second, from ``base_ns`` of
    true wall time on); ``delta_ns`` (added in every other ``period_ns`` since ``base_ns``); each 0
    if not given, ``base_ns`` the node's true time now. Each call answers with the clock as it
    then is: ``program`` (``None`` if true), ``offset_ns`` at ``wall_ns`` of the node's true
    clock, ``boot_id`` of its machine, and how many ``processes`` there are, are ``changed`` and are
    ``pristine``, and the longest ``stop_ms`` of one.
    """

    def set_clock(self, program: Mapping[str, Any], method: ClockMethod) -> Mapping[str, Any]:
        """Set it for every process, and for what they start, instead of any earlier program.

        ``NodeError`` if one of them cannot be changed; then all read the true time.
        """
        ...

    def heal_clock(self) -> Mapping[str, Any]:
        """Have every process read the true time again, its memory as before. Safe twice."""
        ...

    def read_clock(self) -> Mapping[str, Any]:
        """How it is now."""
        ...


@runtime_checkable
class Disks(Protocol):
    """A cluster whose nodes can have disks of their own, each then a :class:`Disk`."""

    def disk_refusal(self) -> str | None:
        """Why not here, and what would allow it, or ``None``. Asked before set-up."""
        ...

    def provide_disks(self) -> None:
        """Have ``up`` give every node one, below its data folder. Called before ``up``."""
        ...


@runtime_checkable
class Disk(Protocol):
    """A node whose data folder is a disk of its own that can fail, if its cluster provides it.

    ``NodeError`` where it does not.
    """

    def sync_disk(self) -> None:
        """Have it keep all that it holds now: what was installed is there for good."""
        ...

    def lose_power(self) -> Mapping[str, Any]:
        """Take back all that nobody asked it to keep (fsync and its like).

        Nothing may run on it. ``lost`` says how many ``files``, ``pages`` of them and ``names``
        were taken back; ``kept`` whether a page of ours that was synced is there, ``gone`` whether
        one that was written and not synced is not.
        """
        ...

    def set_disk(self, rules: Mapping[str, Mapping[str, Any]]) -> None:
        """Have it do this to calls, and nothing else (:mod:`harness.cluster.hands.disk_rules`)."""
        ...

    def try_disk(self, count: int) -> Mapping[str, Any]:
        """Try it, and say what the last ``trial`` since its rules were set gave, ``None`` if none.

        By call its ``errors`` by number and ``median_s``. ``met`` counts calls of others than us
        that each rule met, ``calls`` all.
        """
        ...
