"""Long columns are worked on a slice at a time; where the slices end must not matter."""

from __future__ import annotations

from dataclasses import fields
from random import Random
from typing import Any

import numpy as np
import pytest

from checkers.elle import slices as module
from checkers.elle.lists.dependencies import APPENDS, infer
from checkers.elle.lists.versions import version_orders
from checkers.elle.slices import collected, mapped, places, slices
from checkers.elle.transactions import transactions
from checkers.isolation.list_append.checker import ListAppend
from harness.history.columns import columns, outcomes
from harness.history.history import History
from harness.verdict.record import Record
from harness.verdict.verdict import Budget
from tests.checkers.elle.lists.random_lists import random_history


def histories() -> list[History]:
    rng = Random(31)
    return [random_history(rng, rng.randint(1, 30), rng.choice(("x", "xyz"))) for _ in range(40)]


def as_lists(found: Any) -> dict[str, Any]:
    """All fields of a dataclass, as what can be compared."""
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
        if name not in ("columns", "writers")
    }


def everything(history: History) -> list[Any]:
    """Transactions, versions, edges and the verdict."""
    found = transactions(columns(history), APPENDS)
    versions = version_orders(found)
    record = Record(history=history)
    graph = infer(found, versions, record).graph
    graph.add_realtime_order()
    edges = [(label, *map(np.ndarray.tolist, part)) for label, *part in graph.parts]
    verdict = ListAppend({}).check(record, Budget.start(60))
    places = [*graph.transaction_places.tolist(), *graph.barrier_places.tolist()]
    writers = versions.writers.rows.tolist(), versions.writers.duplicates
    return [as_lists(found), as_lists(versions), writers, edges, places, verdict]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_results_are_the_same_wherever_slices_end(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [everything(history) for history in histories()]
    monkeypatch.setattr(module, "SLICE", rows)
    for history, expected in zip(histories(), whole, strict=True):
        assert everything(history) == expected
    assert {expected[-1].valid for expected in whole} >= {True, False}


def test_outcomes_are_counted_wherever_slices_end(monkeypatch: pytest.MonkeyPatch) -> None:
    views = [columns(history) for history in histories()]
    whole = [outcomes(view) for view in views]
    monkeypatch.setattr("harness.history.columns._TOGETHER", 3)
    assert [outcomes(view) for view in views] == whole


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 8, 9])
def test_slices_cover_every_row_once(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE", 4)
    rows = np.arange(length)
    assert [row for some in slices(length) for row in rows[some]] == rows.tolist()
    assert places(length, lambda some: rows[some] % 3 == 0).tolist() == rows[::3].tolist()
    assert mapped(length, np.int8, lambda some: 2 * rows[some]).tolist() == (2 * rows).tolist()
    odd, double = collected(length, 2, lambda some: (rows[some][1::2], 2 * rows[some][1::2]))
    assert odd.tolist() == rows[1::2].tolist()
    assert double.tolist() == (2 * rows[1::2]).tolist()
