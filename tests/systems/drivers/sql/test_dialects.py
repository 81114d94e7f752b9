"""What errors mean, and how statements are spelled."""

from __future__ import annotations

import pytest

from systems.drivers.sql.postgresql import POSTGRESQL
from systems.drivers.sql.tables import Tables, under


@pytest.mark.parametrize(
    "state", ["40001", "40P01", "23505", "25006", "42P01", "22003", "55P03", "0A000"]
)
def test_the_servers_own_word_that_it_rolled_back_is_definite(state: str) -> None:
    assert POSTGRESQL.is_definite(state)


@pytest.mark.parametrize(
    "state", ["40003", "08006", "57P01", "57014", "53100", "XX000", "58030", "F0000", "", "4"]
)
def test_what_leaves_doubt_is_not_definite(state: str) -> None:
    assert not POSTGRESQL.is_definite(state)


def test_marks_are_numbered() -> None:
    assert POSTGRESQL.spelled("SELECT ? WHERE k = ?") == "SELECT $1 WHERE k = $2"


def test_keys_are_spread_over_the_tables_for_good() -> None:
    tables = Tables(POSTGRESQL, spread=3)
    held = {str(key): tables.holding(str(key)) for key in range(100)}
    assert set(held.values()) == set(tables.keyed)
    assert held == {key: Tables(POSTGRESQL, spread=3).holding(key) for key in held}


def test_a_prefix_is_a_range_of_stored_keys() -> None:
    low, high = under("ab")
    assert low <= '"ab"' < high
    assert low <= '"abz"' < high
    assert not low <= '"ac"' < high
    assert not low <= '"aa"' < high
    everything = under("")
    assert everything[0] <= '"x"' < everything[1]
