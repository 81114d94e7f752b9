"""The local provider with namespaces: ``local:root`` and ``local:userns``.

The run process starts inside the namespaces (:mod:`harness.cluster.namespaces.enter`), and with its
first process the kernel ends all of it, so there is nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.cluster.namespaces.reaper import GRACE_S
from harness.cluster.places import ports_of
from harness.cluster.provider import PROVIDER_VARIABLE, Request, RunProcess
from harness.contract.option import SystemOption
from harness.linux import identity

if TYPE_CHECKING:
    from harness.cluster.namespaces.cluster import LocalCluster
    from harness.cluster.namespaces.enter import Mode
    from harness.contract.finding import Finding
    from harness.store.registration import Registration


class LocalProvider:
    """Nodes in namespaces of this machine (``Provider``)."""

    options: tuple[SystemOption, ...] = ()
    grace_s = 2 * GRACE_S
    proof_of_end = "the run's namespaces, and with them its processes, mounts and cuts, are gone"

    def choose(self, request: Request) -> str:
        """``local:root`` or ``local:userns``, whichever this machine lets us make."""
        from harness.cluster.namespaces.enter import choose_mode

        return f"local:{choose_mode(request.provider)}"

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
        """Start the run process in namespaces of its own."""
        from harness.cluster.namespaces import enter

        told = {**env, PROVIDER_VARIABLE: request.provider}
        mode = _mode(request.provider)
        return enter.spawn(argv, mode=mode, run_dir=run_dir, pass_fds=pass_fds, env=told)

    def cluster(self, request: Request, run_dir: Path) -> LocalCluster:
        """The cluster, made inside of the run's namespaces."""
        from harness.cluster.namespaces.cluster import LocalCluster

        mode, ports = _mode(request.provider), ports_of(request.system)
        return LocalCluster(run_dir, request.nodes, mode, ports=ports)

    def believed(
        self, run_dir: Path, registered: Registration, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Nothing is needed: each process proves itself."""
        return {}

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Whether its reaper lives."""
        return identity.is_running(registered.reaper)

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """Nothing: all of it ended with the reaper."""
        return []

    def strays(self, store: Path) -> list[str]:
        """None: what a run makes is known by its registration."""
        return []

    def examine(self, folder: Path) -> list[Finding]:
        """Each mode, rehearsed, and what stands in its way."""
        from harness.cluster.namespaces.examination import examine_local

        return examine_local()


def _mode(provider: str) -> Mode:
    return cast("Mode", provider.partition(":")[2])
