"""Where the system's processes send spans in a run with ``--traces``, and how long they may."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.contract.system import Stage, System
from harness.contract.traces import OTLP_GRPC, ReachesController, Traces
from harness.errors import SetupError, UsageError
from harness.evidence.receiver import NAME, Receiver
from harness.wording import shown

GRPC_HINT: Final = "pip install 'polygraph-db[traces]'"


def refuse_traces(system: System) -> None:
    """``UsageError`` where no span of ``system`` could be taken, whatever runs it."""
    protocols = system.trace_protocols() if isinstance(system, Traces) else ()
    if not protocols:
        raise UsageError(
            f"the system {shown(system.name)} sends no spans, so there are none to collect",
            "leave out --traces",
        )
    if OTLP_GRPC in protocols and importlib.util.find_spec("grpc") is None:
        raise UsageError(
            f"{shown(system.name)} sends spans over gRPC, which needs the package grpcio", GRPC_HINT
        )


class Tracing:
    """Listens from before the system is started until what it did last was sent."""

    def __init__(self, run_dir: Path, warn: Callable[[str], None]) -> None:
        self._path = run_dir / "evidence" / NAME
        self._warn = warn
        self._receiver: Receiver | None = None

    def open(self, stage: Stage) -> None:
        """Listen, and have ``stage`` know where. ``SetupError`` where nodes cannot reach us."""
        cluster, system = stage.cluster, stage.system
        if not isinstance(cluster, ReachesController):
            raise SetupError(
                f"the nodes of {cluster.provider} cannot send spans to this process",
                "--provider local, or leave out --traces",
            )
        assert isinstance(system, Traces)
        hosts = {node.name: cluster.controller_host() for node in cluster.nodes}
        self._receiver = Receiver(self._path, hosts, system.trace_protocols(), self._warn)
        try:
            stage.collectors = self._receiver.open()
        except OSError as error:
            raise SetupError(f"spans cannot be listened for: {error}") from error

    def begin(self, now: Callable[[], int]) -> None:
        """The history begins; ``now`` is its clock."""
        if self._receiver is not None:
            self._receiver.begin(now)

    def close(self) -> None:
        """Wait for the last spans, and listen no more. Blocks; safe twice."""
        if self._receiver is not None:
            self._receiver.close()
            if self._receiver.count == 0:
                self._warn("the system sent no spans")
            if self._receiver.refused:
                self._warn(f"{self._receiver.refused} messages with spans were not understood")
            self._receiver = None
