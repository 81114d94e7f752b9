"""The seam between a run and the place where its nodes come to exist.

A *provider* makes nodes: ``local`` in namespaces (``local:root``, ``local:userns``) or as plain
processes (``local:plain``), ``docker``, ``ssh``. The front and the run process know only this
page; what differs is behind :class:`Provider`::

    front                                      run process
      choose(request)   refuse, or a full name
      prepare(request)  images, connections
      spawn(argv)  ───────────────────────────►  cluster(request, run_dir)
      wait, kill                                 Life: cluster.up() … cluster.down()
      heal, down:  believed(registration), clean_up

A run process is always one of its own session that reads ``stop`` or the end of its standard
input (the front died) and writes events to a descriptor. Where namespaces end it, everything
ends with it; everywhere else (:mod:`harness.cluster.bare`) it takes its cluster down itself, and
if it was killed, ``clean_up`` does, called by the front or later by ``polygraph heal``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.contract.finding import Finding
from harness.contract.node import Cluster
from harness.contract.option import SystemOption
from harness.contract.roles import Role
from harness.contract.system import System
from harness.store.registration import Registration

MOST_NODES = 200
"""More than anybody tests; a run's subnet has 254 addresses, some of them the controller's."""

PROVIDER_VARIABLE = "POLYGRAPH_CHOSEN_PROVIDER"
"""How the front tells the run process which full name was chosen."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a run asks of its provider.

    ``provider`` is a name of :data:`NAMES`, ``nodes`` the node names, ``system`` what will run
    there, ``options`` the scenario's further keys, those that the provider declared included,
    ``faults`` the names of those that will be done.
    """

    provider: str
    nodes: Sequence[str]
    system: System
    options: Mapping[str, Any] = field(default_factory=dict)
    faults: Sequence[str] = ()


class RunProcess(Protocol):
    """A run process as the front sees it."""

    run_pid: int
    stdin_fd: int | None
    """The front's end of its standard input."""
    left_running: bool
    """Once it has ended: whether it left its cluster running on purpose."""

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code once all is gone (128 + n for signal n), ``None`` at the time-out."""
        ...

    def kill(self) -> None:
        """End it and its cluster, however it is; returns when all is gone. Safe twice.

        ``HealError`` names what could not be ended.
        """
        ...


class Provider(Protocol):
    """One way for nodes to come to exist. Its module exposes ``PROVIDER``."""

    options: tuple[SystemOption, ...]
    """Flags of its own; they become keys of the scenario and arrive in ``Request.options``."""

    grace_s: float
    """How long a run process whose front died may take to end by itself."""

    proof_of_end: str
    """What ``clean_up`` achieved, as the ledger notes it for faults that nobody healed."""

    def choose(self, request: Request) -> str:
        """The full name of how this machine can serve the request (``local`` -> ``local:root``).

        Really tried, quickly, with nothing left. ``NeedsError`` says what would change that,
        ``UsageError`` what is wrong with the request.
        """
        ...

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Get what must be there before the run (images); ``tell`` shows the progress, a line."""
        ...

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Start the run process and register the run in ``run_dir`` (``cluster.json``)."""
        ...

    def cluster(self, request: Request, run_dir: Path) -> Cluster:
        """In the run process: the cluster, not yet up. Its ``down`` ends faults and nodes alike.

        A cluster also has ``leave_running()``: outlive this process until ``polygraph down``.
        """
        ...

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The facts by which a run found in a folder is cleaned up, be it whoever's folder.

        Only what follows from where the run is, and what the user says in this call (``options``,
        the environment, files of his own); ``HealError`` where what is registered does not fit.
        """
        ...

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Whether a cluster that was left running on purpose is still there."""
        ...

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """End what a dead run left; a sentence for each thing that is still there. Safe twice.

        Its run process has ended. What ``registered`` says is the front's own or was ``believed``.
        The registration and the data folders are removed by the caller.
        """
        ...

    def strays(self, store: Path) -> list[str]:
        """End what runs of the store left that are registered no longer; a sentence for each rest.

        Nothing, with all providers whose runs can leave nothing behind their registration.
        """
        ...

    def examine(self, folder: Path) -> list[Finding]:
        """What ``polygraph doctor`` says: first whether the provider works, by its name."""
        ...


@runtime_checkable
class AsksFirst(Protocol):
    """A provider whose runs do something to what is not ours."""

    def warning(self, request: Request) -> str:
        """What a run would do there. It is begun only once the user has agreed to that."""
        ...


@runtime_checkable
class BringsNodes(Protocol):
    """A provider whose own options say how many nodes there are."""

    def settle(
        self, options: Mapping[str, Any], nodes: int | None
    ) -> tuple[dict[str, Any], int | None]:
        """The options as they are kept with the run, and the number of nodes if they say it.

        ``nodes`` is what the user asked for. ``UsageError`` where the two cannot be.
        """
        ...


@runtime_checkable
class PlacesRoles(Protocol):
    """A provider of nodes that have their roles already, whatever the system would give them."""

    def placed(
        self, options: Mapping[str, Any], nodes: Sequence[str], roles: Sequence[Role]
    ) -> Sequence[Role]:
        """The system's ``roles``, each on those of ``nodes`` that have it; ``UsageError``."""
        ...
