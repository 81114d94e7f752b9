"""A plug-in for the tests of whole runs: etcds that go wrong in ways of their own."""

from __future__ import annotations

from typing import Any

from harness.contract.system import Stage
from systems.etcd import Etcd


class Forgetful:
    """A client that passes everything on, and reads nothing from any key."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def read(self, key: Any) -> None:
        """Ask, and forget the answer."""
        await self._client.read(key)


class ForgetfulEtcd(Etcd):
    """An etcd whose reads find nothing."""

    name = "forgetful-etcd"

    def client(self, op_timeout_s: float) -> Any:
        """A forgetful client."""
        return Forgetful(super().client(op_timeout_s))


class BrokenEtcd(Etcd):
    """An etcd whose adapter has a defect."""

    name = "broken-etcd"

    def ready(self, stage: Stage, timeout_s: float) -> None:
        """Raise."""
        raise ZeroDivisionError("the adapter divides by zero")


SYSTEMS = {"forgetful-etcd": ForgetfulEtcd, "broken-etcd": BrokenEtcd}
