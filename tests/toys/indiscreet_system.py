"""A plug-in whose system tells its password to everybody: its log, its errors, its last words."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.contract.client import Failed, Indeterminate
from harness.contract.option import PASSWORD, TLS, USER
from harness.errors import NotReady

_spec = importlib.util.spec_from_file_location(
    "indiscreet_memory", Path(__file__).with_name("memory_system.py")
)
assert _spec is not None
assert _spec.loader is not None
memory = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(memory)

LINE = "logged in with $PW, inherited ${POLYGRAPH_PASSWORD-nothing}"
TELLS = f'while :; do echo "{LINE}"; sleep 0.2; done'


class IndiscreetClient(memory.MemoryClient):  # type: ignore[name-defined, misc]
    """Now and then an operation fails, with the whole address in the error."""

    async def _take_a_moment(self) -> None:
        await super()._take_a_moment()
        url = f"http://admin:{self.system.password}@127.0.0.1/"
        if self.system.requests % 20 == 0:
            raise Indeterminate(["request", f"no answer from {url}"])
        if self.system.requests % 21 == 0:
            raise Failed(f"refused by {url}")


class Indiscreet(memory.MemorySystem):  # type: ignore[name-defined, misc]
    """Registers in memory, with a daemon that logs the password."""

    name = "indiscreet"
    options = (*memory.MemorySystem.options, USER, PASSWORD, *TLS)

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.password = options["password"]

    def start(self, stage: Any, node: Any) -> Sequence[Any]:
        return [node.start(["sh", "-c", TELLS], name="indiscreet", env={"PW": self.password})]

    def ready(self, stage: Any, timeout_s: float) -> None:
        if self.misbehave == "refuse":
            raise NotReady(f"the login admin:{self.password} was refused")
        super().ready(stage, timeout_s)

    def client(self, op_timeout_s: float) -> IndiscreetClient:
        return IndiscreetClient(self)


SYSTEMS = {"indiscreet": Indiscreet}
