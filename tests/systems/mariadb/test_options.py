"""What the options of MariaDB promise by its users' view, and by its manual."""

from __future__ import annotations

from typing import Any

from harness.contract.client import Registers, Transactions
from harness.contract.system import Documentation
from systems.mariadb import Mariadb


def documented(**options: Any) -> Documentation | None:
    return Mariadb(options).documented()


def test_a_level_is_claimed_by_its_name() -> None:
    claims = Mariadb({"isolation": "repeatable-read"}).claims()
    assert claims[Transactions] == ("repeatable-read",)
    assert claims[Registers] == ("linearizable",)


def test_with_snapshot_isolation_there_is_nothing_to_take_back() -> None:
    on = {"isolation": "repeatable-read", "innodb_snapshot_isolation": "on"}
    assert Mariadb(on).claims()[Transactions] == ("snapshot-isolation",)
    assert documented(**on) is None
    assert documented(isolation="serializable") is None


def test_repeatable_read_without_it_is_less_by_the_manual() -> None:
    found = documented(isolation="repeatable-read")
    assert found is not None
    assert isinstance(found.models, dict)
    assert found.models[Transactions] == ("read-committed",)
    assert found.models[Registers] == ("linearizable",)
    assert found.not_durable is None


def test_of_replicas_and_of_a_log_that_is_not_flushed_too() -> None:
    found = documented(isolation="read-committed", reads="any")
    assert found is not None
    assert isinstance(found.models, dict)
    assert found.models[Registers] == ("read-committed",)
    lost = documented(isolation="serializable", innodb_flush_log_at_trx_commit="0")
    assert lost is not None
    assert lost.models == Mariadb({"isolation": "serializable"}).claims()
    assert lost.not_durable == "innodb_flush_log_at_trx_commit=0"
