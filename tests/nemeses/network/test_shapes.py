"""Every partition shape, for every size of cluster that people run."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemeses.network import shapes

sizes = st.integers(3, 9)
seeds = st.integers(0, 2**32)


def names(count: int) -> list[str]:
    return [f"n{i}" for i in range(1, count + 1)]


def hears(nodes: list[str], drops: shapes.Grudge) -> dict[str, frozenset[str]]:
    """Whom each node hears, itself included."""
    return {node: frozenset(nodes) - drops.get(node, frozenset()) for node in nodes}


@given(st.sampled_from(sorted(shapes.SHAPES)), sizes, seeds)
def test_every_shape_cuts_some_link_between_known_nodes(shape: str, count: int, seed: int) -> None:
    nodes = names(count)
    drops = shapes.SHAPES[shape](nodes, Random(seed))
    cut = shapes.cut_links(drops)
    assert cut
    assert cut <= shapes.links(nodes)
    assert all(drops.values())
    assert shapes.from_json(shapes.as_json(drops)) == drops == shapes.from_links(cut)


@given(st.sampled_from(sorted(shapes.SHAPES)), sizes, seeds)
def test_equal_seeds_give_equal_grudges(shape: str, count: int, seed: int) -> None:
    draw = shapes.SHAPES[shape]
    assert draw(names(count), Random(seed)) == draw(names(count), Random(seed))


@pytest.mark.parametrize("shape", sorted(set(shapes.SHAPES) - set(shapes.LEAST_NODES)))
def test_shapes_that_need_no_third_node_cut_two(shape: str) -> None:
    assert shapes.cut_links(shapes.SHAPES[shape](["n1", "n2"], Random(1)))


@given(sizes, seeds)
def test_in_a_majorities_ring_every_node_hears_a_majority_and_none_the_same(
    count: int, seed: int
) -> None:
    nodes = names(count)
    heard = hears(nodes, shapes.majorities_ring(nodes, Random(seed)))
    least = count // 2 + 1
    assert len(set(heard.values())) == count
    if count <= 5:
        assert {len(group) for group in heard.values()} == {least}
    else:
        sizes_heard = sorted(len(group) for group in heard.values())
        assert sizes_heard[:-1] == [least] * (count - 1)
        assert sizes_heard[-1] in (least, least + 1)


@given(st.integers(4, 9), seeds)
def test_links_of_a_majorities_ring_of_more_than_three_work_both_ways(
    count: int, seed: int
) -> None:
    nodes = names(count)
    cut = shapes.cut_links(shapes.majorities_ring(nodes, Random(seed)))
    assert cut == {(target, source) for source, target in cut}


@given(sizes, seeds)
def test_a_bridge_alone_hears_and_is_heard_by_two_halves(count: int, seed: int) -> None:
    nodes = names(count)
    drops = shapes.bridge(nodes, Random(seed))
    cut = shapes.cut_links(drops)
    bridges = [node for node in nodes if not any(node in link for link in cut)]
    assert len(bridges) == 1
    sides = {heard - set(bridges) for node, heard in hears(nodes, drops).items() if node in drops}
    assert len(sides) == 2
    assert sorted(map(len, sides)) == [(count - 1) // 2, count // 2]


@given(sizes, seeds)
def test_halves_are_a_minority_and_the_rest(count: int, seed: int) -> None:
    nodes = names(count)
    split = shapes.groups(nodes, shapes.halves(nodes, Random(seed)))
    assert split is not None
    assert [len(group) for group in split] == [count - count // 2, count // 2]


@given(sizes, seeds)
def test_one_isolates_exactly_one_node_both_ways(count: int, seed: int) -> None:
    nodes = names(count)
    drops = shapes.one(nodes, Random(seed))
    split = shapes.groups(nodes, drops)
    assert split is not None
    assert [len(group) for group in split] == [count - 1, 1]
    assert shapes.outsiders(nodes, drops) == split[1]


@given(sizes, seeds)
def test_one_way_makes_one_node_deaf_or_mute_and_never_both(count: int, seed: int) -> None:
    nodes = names(count)
    cut = shapes.cut_links(shapes.one_way(nodes, Random(seed)))
    sources, targets = {s for s, _ in cut}, {t for _, t in cut}
    assert sorted((len(sources), len(targets))) == [1, count - 1]
    assert not sources & targets


def test_one_way_draws_both_directions() -> None:
    drawn = [shapes.one_way(names(3), Random(seed)) for seed in range(20)]
    assert {len(drops) for drops in drawn} == {1, 2}


def test_several_primaries_are_each_alone() -> None:
    nodes = names(5)
    drops = shapes.isolated(nodes, ["n2", "n4"])
    assert shapes.groups(nodes, drops) == [["n1", "n3", "n5"], ["n2"], ["n4"]]
    assert shapes.describe(nodes, drops) == "n1 n3 n5 | n2 | n4"


def test_a_cut_that_is_no_split_is_told_link_by_link() -> None:
    drops = shapes.from_links([("n1", "n3"), ("n2", "n3")])
    assert shapes.groups(names(3), drops) is None
    assert shapes.describe(names(3), drops) == "n3 hears not n1 n2"
    assert shapes.outsiders(names(3), drops) == ["n3"]
