"""A plug-in with the system ``memory``: registers in the run process, on an honest cluster or any.

Loaded by ``--plugin`` and by the tests, which bend it with the option ``misbehave``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.contract.client import Registers
from harness.contract.metrics import Gauge, Sample
from harness.contract.option import SystemOption
from harness.errors import NotReady

_PATH = Path(__file__).with_name("honest_cluster.py")
_SPEC = importlib.util.spec_from_file_location("honest_cluster_for_memory", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
honest = sys.modules.setdefault(_SPEC.name, importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(honest)

TICK_S = 0.001


class MemoryClient:
    """A register client; ``misbehave`` says what is wrong with the registers."""

    def __init__(self, system: MemorySystem) -> None:
        self.system = system

    async def open(self, address: str) -> None:
        return None

    async def close(self) -> None:
        return None

    async def read(self, key: Any) -> Any:
        await self._take_a_moment()
        versions = self.system.versions_of(key)
        stale = self.system.misbehave == "stale" and len(versions) > 3
        return versions[-3 if stale else -1]

    async def write(self, key: Any, value: Any) -> None:
        await self._take_a_moment()
        self.system.versions_of(key).append(value)

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool:
        await self._take_a_moment()
        versions = self.system.versions_of(key)
        if versions[-1] != old:
            return False
        versions.append(new)
        return True

    async def _take_a_moment(self) -> None:
        self.system.requests += 1
        is_leaked = self.system.misbehave == "leak" and self.system.requests % 400 == 0
        self.system.pending += 1
        try:
            await self._serve()
        finally:
            self.system.pending -= not is_leaked

    async def _serve(self) -> None:
        if self.system.misbehave == "block" and self.system.requests == 50:
            self.system.unblocked.wait()
        if self.system.misbehave == "hang" and self.system.requests % 50 == 0:
            await asyncio.Event().wait()
        if isinstance(self.system.cluster, honest.HonestCluster):  # on a real one nobody counts it
            self.system.cluster.talk()
        await asyncio.sleep(TICK_S)


class MemorySystem(honest.HonestSystem):  # type: ignore[name-defined, misc]
    """Linearizable registers in memory, unless asked to misbehave."""

    name = "memory"
    pending = 0
    options = (SystemOption(name="misbehave", kind=str, default="no", help="what is wrong"),)

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.misbehave = options.get("misbehave", "no")
        self.cluster: Any = None
        self.requests = 0
        self.readies = 0
        self.unblocked = threading.Event()
        self._versions: dict[Any, list[Any]] = {}

    def versions_of(self, key: Any) -> list[Any]:
        return self._versions.setdefault(key, [None])

    def abilities(self) -> Sequence[type]:
        return (Registers,)

    def claims(self) -> Sequence[str]:
        return ("linearizable",)

    def versions(self) -> Mapping[str, str]:
        return {"memory": "1"}

    def install(self, node: Any) -> None:
        return None

    def ready(self, stage: Any, timeout_s: float) -> None:
        self.cluster = stage.cluster
        self.readies += 1
        if self.misbehave == "defect" and self.readies > 1:
            raise KeyError("a defect in the plug-in")
        if self.misbehave == "never-ready" or (self.misbehave == "no-return" and self.readies > 1):
            raise NotReady("n1 does not answer")

    def gauges(self) -> Sequence[Gauge]:
        return (Gauge(name="pending", help="requests under way", returns_to=0, within_s=1.0),)

    def metric_samples(self, node: Any, timeout_s: float) -> Sequence[Sample]:
        return (Sample(name="pending", value=self.pending),)

    def client(self, op_timeout_s: float) -> MemoryClient:
        return MemoryClient(self)


SYSTEMS = {"memory": MemorySystem}
