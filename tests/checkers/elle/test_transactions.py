"""Transactions as columns: gathered alike by numpy, by the plain loop and by the compiled one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from random import Random
from typing import Any

import numpy as np
import pytest

from checkers.elle import transactions as module
from checkers.elle.kernels import has_numba, kernel
from checkers.elle.lists.dependencies import APPENDS
from checkers.elle.transactions import Transactions, transactions
from harness.history.columns import columns
from harness.history.history import History
from tests.checkers.elle.lists.random_lists import random_history

READS_ALONE: frozenset[str] = frozenset()


def as_lists(found: Transactions) -> dict[str, Any]:
    """All columns, as what can be compared."""
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in values.items()}


def plain(loop: Callable[..., Any], work: int) -> Callable[..., Any]:
    return loop


def compiled(loop: Callable[..., Any], work: int) -> Callable[..., Any]:
    return kernel(loop, 1 << 40)


def histories() -> list[History]:
    rng = Random(21)
    return [random_history(rng, rng.randint(1, 30)) for _ in range(60)]


@pytest.mark.parametrize("chooser", [plain, compiled])
@pytest.mark.parametrize("writes", [APPENDS, READS_ALONE])
def test_the_loop_gathers_what_numpy_gathers(
    chooser: Callable[..., Any], writes: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if chooser is compiled and not has_numba():
        pytest.skip("needs numba")
    views = [columns(history) for history in histories()]
    expected = [as_lists(transactions(view, writes)) for view in views]
    monkeypatch.setattr(module, "is_worth_compiling", lambda work: True)
    monkeypatch.setattr(module, "kernel", chooser)
    assert [as_lists(transactions(view, writes)) for view in views] == expected
    assert any(found["txn"] for found in expected)


def test_micro_operations_stand_in_order_of_transactions() -> None:
    for history in histories():
        found = transactions(columns(history), APPENDS)
        for txn in range(len(found)):
            span = slice(int(found.first[txn]), int(found.first[txn + 1]))
            assert set(found.txn[span].tolist()) <= {txn}
        assert found.first[-1] == len(found.f)
