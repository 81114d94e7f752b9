"""The docker provider: not in this version yet, and refused as such."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cluster.providers import Request, RunProcess
from harness.errors import UsageError
from harness.system import SystemOption

if TYPE_CHECKING:
    from harness.cluster.doctor import Finding
    from harness.cluster.node import Cluster
    from harness.cluster.registration import Registration


class DockerProvider:
    """Refuses every request (``Provider``)."""

    options: tuple[SystemOption, ...] = ()
    grace_s = 10.0
    proof_of_end = "nothing was started"

    def choose(self, request: Request) -> str:
        """Always refuses."""
        raise UsageError("the provider 'docker' is not built yet", "--provider local")

    def prepare(self, request: Request, tell: Callable[[str], None]) -> None:
        """Always refuses."""
        self.choose(request)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        request: Request,
        run_dir: Path,
        pass_fds: Sequence[int],
        env: Mapping[str, str],
    ) -> RunProcess:
        """Always refuses."""
        raise UsageError("the provider 'docker' is not built yet", "--provider local")

    def cluster(self, request: Request, run_dir: Path) -> Cluster:
        """Always refuses."""
        raise UsageError("the provider 'docker' is not built yet", "--provider local")

    def is_up(self, run_dir: Path, registered: Registration) -> bool:
        """Never."""
        return False

    def clean_up(self, run_dir: Path, registered: Registration) -> list[str]:
        """Nothing can be left."""
        return []

    def examine(self, folder: Path) -> list[Finding]:
        """Whether the engine answers."""
        from harness.cluster.doctor import examine_docker

        return [examine_docker()]


PROVIDER = DockerProvider()
