"""Random streams: pure in (stream, position), even, and unrelated to each other."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.generator.streams import Random, draw, split


def test_a_draw_depends_on_stream_and_position_alone() -> None:
    assert [draw(7, i) for i in range(5)] == [draw(7, i) for i in range(5)]
    assert len({draw(stream, i) for stream in range(20) for i in range(20)}) == 400


def test_draws_never_change_between_versions() -> None:
    """A seed in a report must mean the same run years later."""
    assert draw(0, 1) == 0xE220A8397B1DCDAF  # SplitMix64's first output for seed 0
    assert draw(0, 2) == 0x6E789E6AA1B965F4


def test_a_child_stream_is_no_draw_of_its_parent_or_sibling() -> None:
    drawn = {draw(1, i) for i in range(1000)}
    children = {split(1, i) for i in range(1000)}
    assert len(children) == 1000
    assert not drawn & children


def test_random_is_even() -> None:
    random = Random(3, 4)
    counts = Counter(random.below(8) for _ in range(8000))
    assert set(counts) == set(range(8))
    assert all(800 < n < 1200 for n in counts.values())
    assert 0.45 < sum(random.random() for _ in range(2000)) / 2000 < 0.55


def test_neighbouring_positions_are_unrelated() -> None:
    counts = Counter((Random(5, i).below(2), Random(5, i + 1).below(2)) for i in range(4000))
    assert all(850 < counts[pair] < 1150 for pair in [(0, 0), (0, 1), (1, 0), (1, 1)])


def test_choice_and_shuffle_keep_the_items() -> None:
    random = Random(1, 1)
    assert {random.choice("abc") for _ in range(100)} == set("abc")
    shuffled = random.shuffled(range(20))
    assert sorted(shuffled) == list(range(20)) != shuffled


def test_below_refuses_an_empty_range() -> None:
    with pytest.raises(ValueError, match="below"):
        Random(0).below(0)
