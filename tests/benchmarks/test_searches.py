"""The histories of the benchmark for searches are what they are said to be."""

from __future__ import annotations

import pytest

from benchmarks import register_histories as made
from benchmarks.searches import decide, mixed
from harness.history.columns import Columns


def infos(view: Columns) -> int:
    return int(((view.type == made.INFO) | ((view.type == made.INVOKE) & (view.pair < 0))).sum())


@pytest.mark.parametrize("clients", [1, 4, 8])
def test_a_mixed_history_is_valid_until_it_is_spoiled(clients: int) -> None:
    assert decide(mixed(300, clients, 3))
    assert not decide(mixed(300, clients, 3, spoil=77))
    assert infos(mixed(300, clients)) == 0


def test_a_unique_history_is_valid_and_has_infos() -> None:
    view = made.unique(2_000, infos=0.05)
    assert decide(view)
    assert infos(view) > 20


def test_the_same_seed_makes_the_same_history() -> None:
    assert made.mixed(200, 5, infos=2) == made.mixed(200, 5, infos=2)
    assert made.mixed(200, 5, seed=1) != made.mixed(200, 5, seed=2)
