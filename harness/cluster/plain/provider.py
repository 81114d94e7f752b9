"""The local provider without namespaces: ``local:plain``.

The same reaper as elsewhere starts the run process, the agents and the link proxies; without a
pid namespace it ends them itself (:mod:`harness.cluster.namespaces.reaper`). Should even the reaper
and its launcher be killed, every process of the run still carries the run's folder in its
environment, by which ``polygraph heal`` finds and ends it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cluster import belonging
from harness.cluster.namespaces.reaper import GRACE_S
from harness.cluster.provider import PROVIDER_VARIABLE, Request, RunProcess
from harness.contract.option import SystemOption
from harness.errors import NeedsError, UsageError
from harness.linux import identity
from harness.linux.identity import ProcessIdentity

if TYPE_CHECKING:
    from harness.cluster.plain.cluster import PlainCluster
    from harness.contract.finding import Finding
    from harness.store.registration import Registration

NAME = "local:plain"
_END_TIMEOUT_S = 30.0


class PlainProvider:
    """Nodes that are plain processes of this machine (``Provider``)."""

    options: tuple[SystemOption, ...] = ()
    grace_s = 4 * GRACE_S
    proof_of_end = "the run's processes, and with them its cuts and clocks, are gone"

    def choose(self, request: Request) -> str:
        """``local:plain``, for a system that lets its addresses be chosen."""
        from harness.cluster.plain.cluster import refusal_of_system

        if not sys.platform.startswith("linux"):
            raise NeedsError("the local provider needs Linux", "--provider docker or ssh")
        refusal = refusal_of_system(request.system)
        if refusal is not None:
            raise UsageError(f"{NAME}: {refusal}", "--provider local:root, local:userns or docker")
        return NAME

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Nothing: the kernel has it all."""

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Start the run process below a reaper of its own."""
        from harness.cluster.namespaces import enter

        told = {**env, PROVIDER_VARIABLE: NAME}
        return enter.spawn(argv, mode=enter.PLAIN, run_dir=run_dir, pass_fds=pass_fds, env=told)

    def cluster(self, request: Request, run_dir: Path) -> PlainCluster:
        """The cluster, made below the run's reaper."""
        from harness.cluster.plain.cluster import PlainCluster

        return PlainCluster(run_dir, request.nodes, request.system)

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Nothing is needed: each process proves itself."""
        return {}

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Whether its reaper lives."""
        return identity.is_running(registered.reaper)

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """End what outlived even the reaper and its launcher, and what it starts meanwhile."""
        stuck: set[ProcessIdentity] = set()
        while new := set(belonging.processes_of(run_dir)) - stuck:
            stuck |= {who for who in new if not belonging.end(who, run_dir, _END_TIMEOUT_S)}
        return [f"the process {who.pid} could not be ended" for who in stuck]

    def strays(self, store: Path) -> list[str]:
        """None: what a run makes is known by its registration."""
        return []

    def examine(self, folder: Path) -> list[Finding]:
        """Whether plain processes can run here, and their clocks be set."""
        from harness.cluster.plain.cluster import ALLOWING_CUTS
        from harness.contract.finding import Finding

        detail = f"processes on loopback, links cut by proxies; real packets: {ALLOWING_CUTS}"
        return [Finding(NAME, sys.platform.startswith("linux"), detail)]


PROVIDER = PlainProvider()
