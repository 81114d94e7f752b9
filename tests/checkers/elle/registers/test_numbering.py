"""Numbers of versions, whichever way they are found, against sorting pairs in plain Python."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from checkers.elle.registers import numbering


def plainly(keys: int, rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """All versions in order."""
    return sorted({*rows, *((key, -1) for key in range(keys))})


def drawn(random: Random, *, apart: bool) -> tuple[int, list[tuple[int, int]]]:
    keys = random.randint(1, 6)
    rows = []
    for _ in range(random.randint(0, 30)):
        key = random.randrange(keys)
        value = random.randint(-1, 8)
        rows.append((key, value * keys + key if apart and value >= 0 else value))
    return keys, rows


@pytest.mark.parametrize("apart", [True, False])
def test_versions_are_numbered_in_order_of_keys_and_values(apart: bool) -> None:
    random, ways = Random(7), set()
    for _ in range(500):
        keys, rows = drawn(random, apart=apart)
        key = np.array([row[0] for row in rows], dtype=np.int32)
        value = np.array([row[1] for row in rows], dtype=np.int64)
        width = int(value.max(initial=-1)) + 2
        versions = plainly(keys, rows)
        for way in ("_by_value", "_by_pair", "_by_search"):
            found = getattr(numbering, way)(keys, width, key, value)
            if found is None:
                continue
            ways.add(way)
            assert list(zip(found.key, found.value, strict=True)) == versions, way
            assert [versions[of] for of in found.of] == rows, way
            assert [versions[of] for of in found.nil] == [(k, -1) for k in range(keys)], way
    assert ways >= {"_by_pair", "_by_search"}
    assert "_by_value" in ways or not apart


def test_a_value_of_two_keys_has_no_table_of_values() -> None:
    key, value = np.array([0, 1], dtype=np.int32), np.array([5, 5], dtype=np.int64)
    assert numbering._by_value(2, 7, key, value) is None
    assert numbering.numbering(2, key, value).of.tolist() == [1, 3]


def test_many_pairs_are_looked_for() -> None:
    key = np.array([0, 4_000, 4_000], dtype=np.int32)
    value = np.array([900_000, 900_000, -1], dtype=np.int64)
    found = numbering.numbering(5_000, key, value)
    assert found.of.tolist() == [1, 4_002, 4_001]
    assert len(found.key) == 5_002
