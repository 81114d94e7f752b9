"""Clients that lack what their system says they have are told of before the set-up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.contract.client import Registers, Transactions
from harness.errors import SetupError
from harness.run.initial_state import refuse_lacking_clients
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
