"""Unique ids: every process asks for ids, and no two may be equal. After Jepsen's unique-ids."""

from __future__ import annotations

from typing import ClassVar

from harness.contract.client import Ids
from harness.contract.option import SystemOption
from harness.contract.workload import WorkloadOptions
from harness.generator import Generator, invoke, repeat
from harness.history.operation import OK, Operation
from workloads.kit import completed


class UniqueIds:
    """The workload ``unique-ids``."""

    name = "unique-ids"
    needs = (Ids,)
    checkers = ("unique-ids",)
    model = "unique-ids"
    independent = False
    options: ClassVar[tuple[SystemOption, ...]] = ()

    def __init__(self, options: WorkloadOptions) -> None:
        pass

    async def setup(self, client: Ids) -> None:
        """Proves that an id can be had."""
        await client.generate_id()

    def generator(self) -> Generator:
        """Endless."""
        return repeat(invoke("generate"))

    def final_generator(self) -> None:
        """Nothing to read."""

    async def invoke(self, client: Ids, operation: Operation) -> Operation:
        """One call of the client."""
        return completed(operation, OK, await client.generate_id())


WORKLOADS = {UniqueIds.name: UniqueIds}
