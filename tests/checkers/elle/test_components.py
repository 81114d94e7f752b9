"""Components: against drawing every edge, however found, and with hundreds of parallel edges."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from checkers.elle import components
from checkers.elle.components import strong_components, tangle
from checkers.elle.graph import RW, WR, WW, Graph
from checkers.elle.kernels import has_numba
from checkers.elle.lists.dependencies import APPENDS
from checkers.elle.transactions import transactions
from harness.history.columns import columns
from harness.history.history import History
from harness.history.operation import Operation

BY_HAND, BY_SCIPY, COMPILED = 1_000_000, -1, -2
WAYS = [BY_HAND, BY_SCIPY, *([COMPILED] if has_numba() else [])]


def choose(way: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have components found in plain Python, by scipy or by compiled code."""
    monkeypatch.setattr(components, "_SMALL", max(way, -1))
    monkeypatch.setattr(components, "is_worth_compiling", lambda work: way == COMPILED)


def history(rng: Random, count: int) -> History:
    """Transactions at random times; of some nobody knows what became, or when they began."""
    records = []
    for process in range(count):
        begin, end = sorted(rng.sample(range(10 * count), 2))
        records.append((begin, process, "invoke"))
        if rng.random() < 0.8:
            records.append((end, process, rng.choice(("ok", "ok", "ok", "info"))))
    return History(
        [
            Operation(index, index, process, kind, "txn", [["r", "x", []]])
            for index, (_, process, kind) in enumerate(sorted(records))
        ]
    )


def random_graph(rng: Random) -> Graph:
    count = rng.randint(2, 12)
    graph = Graph(transactions(columns(history(rng, count)), APPENDS))
    for _ in range(rng.randint(1, 2 * count)):
        pair = np.array(rng.sample(range(count), 2))
        graph.add(rng.choice((WW, WR, RW)), pair[:1], pair[1:])
    if rng.random() < 0.7:
        graph.add_realtime_order()
    return graph


def on_cycles(graph: Graph) -> set[frozenset[int]]:
    """Sets of transactions that reach one another, by walking every edge."""
    source, target, _ = graph.edges()
    after: dict[int, set[int]] = {node: {node} for node in range(graph.nodes)}
    for _ in range(graph.nodes):
        for a, b in zip(source.tolist(), target.tolist(), strict=True):
            after[a] |= after[b]
    sets = {
        frozenset(b for b in range(graph.size) if b in after[a] and a in after[b])
        for a in range(graph.size)
    }
    return {each for each in sets if len(each) > 1}


def in_tangle(graph: Graph) -> set[frozenset[int]]:
    found = tangle(graph)
    if found is None:
        return set()
    return {frozenset(found.member[mine].tolist()) for mine in found.members()}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_tangle_is_all_that_lies_on_cycles(way: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(way, monkeypatch)
    rng = Random(77)
    knotted = 0
    for _ in range(500):
        graph = random_graph(rng)
        expected = on_cycles(graph)
        assert in_tangle(graph) == expected
        knotted += bool(expected)
    assert 100 < knotted < 450


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("parallel", [1, 255, 256, 257, 65536])
def test_parallel_edges_never_add_up_to_none(
    way: int, parallel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(way, monkeypatch)
    there = np.zeros(parallel, dtype=np.int32)
    source, target = np.append(there, 1), np.append(there + 1, 0)
    assert strong_components(2, source, target).tolist() == [0, 0]


def test_components_have_the_same_numbers_however_they_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(100):
        nodes = int(rng.integers(1, 60))
        source, target = rng.integers(0, nodes, (2, int(rng.integers(0, 2 * nodes))))
        found = []
        for way in WAYS:
            choose(way, monkeypatch)
            found.append(strong_components(nodes, source, target).tolist())
        assert all(each == found[0] for each in found)
        assert found[0][0] == 0
