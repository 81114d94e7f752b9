"""Version orders of lists: compiled and numpy comparison, dense and sorted tables, agree."""

from __future__ import annotations

import sys
from random import Random
from types import ModuleType

import numpy as np
import pytest

from checkers.elle import kernels
from checkers.elle.kernels import has_numba, kernel, mark_mismatches
from checkers.elle.lists import versions as versions_module
from checkers.elle.lists.dependencies import APPENDS
from checkers.elle.lists.versions import NOBODY, Versions, Writers, version_orders
from checkers.elle.transactions import Transactions, transactions
from harness.history.columns import columns
from tests.checkers.elle.lists.drawing import drawn_lists
from tests.checkers.elle.lists.random_lists import random_history


def orders_of(drawing: str) -> tuple[Transactions, Versions]:
    found = transactions(columns(drawn_lists(drawing)), APPENDS)
    return found, version_orders(found)


def order(found: Transactions, versions: Versions, key: str) -> list[object]:
    place = list(found.keys).index(key)
    return [found.values[value] for value in versions.value[versions.order(place)].tolist()]


def test_the_longest_read_is_the_order() -> None:
    found, versions = orders_of("a: [ax1] [ax2] [ax3]\nb:   [rx1]  [rx12]")
    assert order(found, versions, "x") == [1, 2]


def test_a_single_append_that_nobody_read_is_an_order() -> None:
    found, versions = orders_of("a: [ax1 ay1 ay2]")
    assert order(found, versions, "x") == [1]
    assert order(found, versions, "y") == []


def test_an_element_that_stands_twice_counts_once() -> None:
    found, versions = orders_of("a: [ax1 ax2]\nb: [rx121]")
    assert order(found, versions, "x") == [1, 2]


def lists(rng: Random) -> tuple[np.ndarray, ...]:
    """Random lists, each a prefix of a model list, or nearly."""
    elements: list[int] = []
    starts, lengths, models = [], [], []
    for _ in range(rng.randint(0, 20)):
        model = [rng.randint(0, 3) for _ in range(rng.randint(1, 12))]
        at = len(elements)
        elements += model
        for _ in range(rng.randint(0, 4)):
            length = rng.randint(0, len(model))
            mine = model[:length]
            if mine and rng.random() < 0.3:
                mine[rng.randrange(length)] += 1
            starts.append(len(elements))
            lengths.append(length)
            models.append(at)
            elements += mine
    kinds = (np.int64, np.int32, np.int64, np.int32)
    columned = zip((starts, lengths, models, elements), kinds, strict=True)
    return tuple(np.array(column, dtype=kind) for column, kind in columned)


def test_slices_find_the_mismatches_that_the_loop_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_module, "_SLICE", 7)
    rng = Random(3)
    loops = [mark_mismatches]
    if has_numba():
        loops.append(kernel(mark_mismatches, 1 << 40))
    wrong = 0
    for _ in range(100):
        starts, lengths, models, elements = lists(rng)
        sliced = np.ones(len(starts), dtype=np.uint8)
        versions_module._mark_in_slices(starts, lengths, models, elements, sliced)
        for loop in loops:
            looped = np.ones(len(starts), dtype=np.uint8)
            loop(starts, lengths, models, elements, looped)
            assert looped.tolist() == sliced.tolist()
        wrong += int((sliced == 0).sum())
    assert wrong > 50


def test_sorted_pairs_find_the_writers_that_the_table_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = Random(4)
    for _ in range(50):
        found = transactions(columns(random_history(rng, 6)), APPENDS)
        key = rng.choices(range(int(found.key.max()) + 1), k=40)
        value = [rng.randint(0, len(found.values) + 3) for _ in key]
        asked = np.array(key, dtype=np.int32), np.array(value, dtype=np.int64)
        dense = Writers.of(found)
        with monkeypatch.context() as patch:
            patch.setattr(versions_module, "_ROOM", 0)
            patch.setattr(versions_module, "_SLICE", -1)
            sparse = Writers.of(found)
        assert dense.codes is None
        assert sparse.codes is not None
        assert dense.of_values(*asked).tolist() == sparse.of_values(*asked).tolist()
        assert (dense.of_values(*asked) != NOBODY).any() or not (found.f == 1).any()


def test_an_append_asked_for_twice_is_noticed_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = orders_of("a: [ax1]\nb: [ax1]\nc: [ax2]")
    assert Writers.of(found).duplicates
    monkeypatch.setattr(versions_module, "_ROOM", 0)
    monkeypatch.setattr(versions_module, "_SLICE", -1)
    assert Writers.of(found).duplicates


def test_loops_are_compiled_sooner_where_numba_is_there_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "has_numba", lambda: True)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    assert not kernels.is_worth_compiling(kernels.LOADED_FROM)
    assert kernels.is_worth_compiling(kernels.COMPILE_FROM)
    monkeypatch.setitem(sys.modules, "numba", ModuleType("numba"))
    assert kernels.is_worth_compiling(kernels.LOADED_FROM)
    assert not kernels.is_worth_compiling(kernels.LOADED_FROM - 1)
