"""The checker of counters: bounds with ups, downs, and changes of unknown outcome."""

from __future__ import annotations

import pytest

from checkers.objects.counter import Counter
from tests.checkers.scripted import judged, kinds


@pytest.mark.parametrize(
    "script",
    [
        "0 add 1\n0 add 2\n0 read = 3",
        "0 add 5\n0 add -2\n0 read = 3",
        "0 add 5\n1 add -2 ?\n0 read = 5\n0 read = 3",
        "0 add 5\n0 add 4 !\n0 read = 5",
        "0 + add 1\n1 read = 0\n1 read = 1\n0 - ok",
        "0 increment\n0 decrement\n0 dec 2\n0 read = -2",
        "1 + read\n0 add 1\n0 add 1\n1 - ok 1",
    ],
)
def test_what_can_be_is_valid(script: str) -> None:
    assert judged(Counter, script).valid is True


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("0 add 1\n0 add 2\n0 read = 2", "too-low"),
        ("0 add 1\n0 read = 2", "too-high"),
        ("0 add 5\n0 add 4 !\n0 read = 9", "too-high"),
        ("0 add -3\n0 read = -1", "too-high"),
        ("0 add -3\n0 read = -4", "too-low"),
        ("0 add 5\n1 add -2 ?\n0 read = 4", "unreachable"),
        ("1 add 5 ?\n2 add 3 ?\n0 read = 4", "unreachable"),
        ("1 add -5 ?\n2 add -3 ?\n0 read = -4", "unreachable"),
        ("0 read = 1\n0 add 1", "too-high"),
    ],
)
def test_what_cannot_be_is_told(script: str, kind: str) -> None:
    verdict = judged(Counter, script)
    assert verdict.valid is False
    assert kinds(verdict) == {kind: 1}
    assert "contradiction" in verdict.anomalies[kind][0].message


def test_the_initial_value_counts() -> None:
    assert judged(Counter, "0 add 1\n0 read = 11", {"initial": 10}).valid is True
    assert judged(Counter, "0 add 1\n0 read = 1", {"initial": 10}).valid is False


def test_a_low_read_rules_out_linearizability_and_a_high_one_everything() -> None:
    low = judged(Counter, "0 add 1\n0 read = 0")
    assert low.not_ == ("linearizable", "strong-snapshot-isolation")
    assert judged(Counter, "0 add 1\n0 read = 2").not_ == ()


def test_the_figures_are_jepsens() -> None:
    stats = judged(Counter, "0 add 1\n1 add 5 ?\n0 read = 1\n0 read = 9").stats
    assert stats["reads"] == [[1, 1, 6], [1, 9, 6]]
    assert stats["errors"] == [[1, 9, 6]]


def test_values_that_are_no_integers_are_unknown() -> None:
    assert judged(Counter, '0 add "x"\n0 read = 1').valid == "unknown"
    assert judged(Counter, "0 add 1\n0 read = [1]").valid == "unknown"
