"""Clients that lack what their system says they have are told of before the set-up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.client import Registers, Target, Transactions
from harness.errors import SetupError, UsageError
from harness.plugins import Registry
from harness.run.initial_state import make_initial_state, refuse_lacking_clients
from harness.run.preparation import prepare
from harness.run.scenario import resolve
from tests.toys.transactional_store import TransactionalStore


class OldStore:
    def transaction(self) -> Any: ...


def parts(client: Any, *needs: type) -> Any:
    return SimpleNamespace(
        system=SimpleNamespace(name="toy", client=lambda timeout_s: client),
        workload=SimpleNamespace(needs=needs),
        scenario=SimpleNamespace(op_timeout=1.0),
    )


def test_a_client_without_what_its_system_says_it_has_is_refused() -> None:
    refuse_lacking_clients(parts(TransactionalStore(), Transactions))
    with pytest.raises(SetupError, match="lacks read, write, compare_and_set"):
        refuse_lacking_clients(parts(TransactionalStore(), Registers))


def test_a_client_of_an_earlier_contract_is_told_what_changed() -> None:
    with pytest.raises(SetupError) as caught:
        refuse_lacking_clients(parts(OldStore(), Transactions))
    assert "lacks begin" in caught.value.message
    assert "version 3" in (caught.value.hint or "")
    assert "client.transaction()" in (caught.value.hint or "")


class Driver:
    """Blocks, as most libraries do, and was given as it is."""

    def open(self, target: Any) -> None: ...

    def close(self) -> None: ...

    def read(self, key: Any) -> Any: ...

    async def write(self, key: Any, value: Any) -> None: ...

    async def compare_and_set(self, key: Any, old: Any, new: Any) -> bool: ...


def test_a_driver_that_blocks_is_told_from_a_client_with_a_defect(tmp_path: Path) -> None:
    made = parts(Driver(), Registers)
    made.workload.name = "toy"
    with pytest.raises(SetupError) as caught:
        asyncio.run(make_initial_state(made, Target("n1:1"), tmp_path, 0.0))
    assert "of Driver are no coroutines" in caught.value.message
    assert "open, close, read of" in caught.value.message
    assert "BlockingClient(Driver(...))" in (caught.value.hint or "")


HALF = """
from systems.etcd import Etcd

POLYGRAPH_CONTRACT = 3

class Half(Etcd):
    name = "half"
    ready = None

SYSTEMS = {"half": Half}
"""


def test_a_system_that_lacks_what_every_system_has_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "half.py").write_text(HALF)
    registry = Registry([tmp_path / "half.py"])
    with pytest.raises(UsageError, match=r"the system 'half' \(Half\) lacks ready"):
        prepare(resolve({"system": "half", "workload": "register"}, registry), registry)
