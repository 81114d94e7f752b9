"""What the options of PostgreSQL promise, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.contract.client import Registers, Transactions
from harness.contract.system import Durability
from harness.errors import UsageError
from systems.drivers.sql.promotion import Leadership
from systems.postgresql import Postgresql


def test_transactions_are_claimed_by_level_and_statements_linearizable() -> None:
    for level, model in (
        ("read-committed", "read-committed"),
        ("repeatable-read", "snapshot-isolation"),
        ("serializable", "serializable"),
    ):
        claims = Postgresql({"isolation": level}).claims()
        assert claims[Transactions] == (model,)
        assert claims[Registers] == ("linearizable",)


def test_of_standbys_the_manual_promises_less() -> None:
    options = {"isolation": "repeatable-read", "reads": "any"}
    assert Postgresql(options).claims()[Registers] == ("linearizable",)
    documented = Postgresql(options).documented()
    assert documented is not None
    assert isinstance(documented.models, Mapping)
    assert documented.models[Registers] == ("read-committed",)
    assert documented.models[Transactions] == ("parallel-snapshot-isolation",)
    assert documented.not_durable is None
    assert Postgresql({"isolation": "repeatable-read"}).documented() is None


def test_asynchronous_commits_may_be_lost_only_by_the_manual() -> None:
    off = {"synchronous_commit": "off"}
    assert not isinstance(Postgresql(off), Durability)
    documented = Postgresql(off).documented()
    assert documented is not None
    assert documented.not_durable == "synchronous_commit=off"
    assert documented.models == Postgresql(off).claims()


def test_serializable_reads_on_standbys_are_refused() -> None:
    with pytest.raises(UsageError, match="SERIALIZABLE"):
        Postgresql({"reads": "any"})


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(UsageError, match="NAME=VALUE"):
        Postgresql({"settings": ["fsync"]})


def test_the_first_node_is_the_primary() -> None:
    system = Postgresql({})
    assert [role.name for role in system.roles(["n1"])] == ["primary"]
    primary, standby = system.roles(["n1", "n2", "n3"])
    assert (list(primary.nodes), list(standby.nodes)) == (["n1"], ["n2", "n3"])
    assert standby.after == ("primary",)


def a_node(name: str) -> Any:
    return SimpleNamespace(name=name, reach=lambda port, whom: f"{name}:{port}")


def test_only_clients_of_the_node_left_behind_stay_with_the_old_primary() -> None:
    leadership = Leadership()
    for name in ("n1", "n2"):
        leadership.note(cast(Any, a_node(name)), 5432)
    leadership.primary = "n1"
    assert leadership.address_for("n2") == "n1:5432"
    leadership.move("n2", leaving="n1")
    assert leadership.address_for("n1") == "n1:5432"
    assert leadership.address_for("n2") == "n2:5432"
    assert leadership.address_for(None) == "n2:5432"
    leadership.all_have_heard()
    assert leadership.address_for("n1") == "n2:5432"
