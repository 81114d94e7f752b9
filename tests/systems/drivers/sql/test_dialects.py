"""What errors mean, and how statements are spelled."""

from __future__ import annotations

import pytest

from systems.drivers.sql.adopted import prefix_of
from systems.drivers.sql.mysql import MARIADB, TIDB
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


@pytest.mark.parametrize("number", ["1020", "1205", "1213", "1062", "1290", "1792"])
def test_mariadbs_own_word_is_definite(number: str) -> None:
    assert MARIADB.is_definite(number)


@pytest.mark.parametrize("number", ["1180", "1053", "1317", "1927", "1047", "1105", "8501", "0"])
def test_what_mariadb_leaves_open_is_not(number: str) -> None:
    assert not MARIADB.is_definite(number)


def test_tidbs_errors_are_those_of_its_list() -> None:
    assert all(TIDB.is_definite(number) for number in ("8002", "8005", "8022", "8028", "9007"))
    assert not any(TIDB.is_definite(number) for number in ("8501", "9001", "9005"))
    assert not MARIADB.is_definite("9007")


def test_a_run_has_tables_of_its_own_name() -> None:
    prefix = prefix_of("polygraph-0123456789abcdef/")
    assert prefix == "polygraph_0123456789abcdef_"
    assert all(name.startswith(prefix) for name in Tables(MARIADB, prefix, 2).all())
