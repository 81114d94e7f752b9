"""The search for cycles finds the shortest of each type: against all cycles of random graphs."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from checkers.elle import cycles as cycles_module
from checkers.elle.components import tangle
from checkers.elle.cycles import SEARCHES, Cycle
from checkers.elle.graph import PROCESS, REALTIME, RW, WR, WW, Graph
from checkers.elle.kernels import FREE, has_numba, search_cycles
from checkers.elle.lists.dependencies import APPENDS
from checkers.elle.options import Options
from checkers.elle.search import search
from checkers.elle.transactions import OK, transactions
from checkers.proof.models import implied_anomalies
from harness.history.columns import columns
from harness.history.history import History
from harness.history.operation import Operation
from harness.verdict.verdict import Budget

Edge = tuple[int, int, int]


def spans(rng: Random, count: int) -> History:
    """Transactions that say nothing, each of its own process, at random times."""
    times = [sorted(rng.sample(range(10 * count), 2)) for _ in range(count)]
    records = []
    for process, (begin, end) in enumerate(times):
        records.append((begin, 2 * process, process, "invoke"))
        records.append((end, 2 * process + 1, process, "ok"))
    records.sort()
    return History(
        [
            Operation(index, index, process, kind, "txn", [["r", "x", []]])
            for index, (_, _, process, kind) in enumerate(records)
        ]
    )


def random_graph(rng: Random, count: int, edges: int, labels: list[int]) -> Graph:
    graph = Graph(transactions(columns(spans(rng, count)), APPENDS))
    for _ in range(edges):
        pair, label = np.array(rng.sample(range(count), 2)), rng.choice(labels)
        if label == PROCESS:
            pair.sort()  # process order makes no cycle of its own
        graph.add(label, pair[:1], pair[1:])
    if PROCESS not in labels and rng.random() < 0.5:
        graph.add_realtime_order()  # which real process order is a part of
    return graph


def completed_before(graph: Graph, first: int, second: int) -> bool:
    found = graph.transactions
    return bool(found.status[first] == OK and found.complete[first] < found.invoke[second])


def all_edges(graph: Graph) -> set[Edge]:
    """Every edge, realtime ones one by one; of parallel ones those that a search may use."""
    source, target, label = graph.edges(WW | WR | RW | PROCESS)
    found = set(zip(source.tolist(), target.tolist(), label.tolist(), strict=True))
    if graph.labels & REALTIME:
        every = range(graph.size)
        found |= {(a, b, REALTIME) for a in every for b in every if completed_before(graph, a, b)}
    return {
        (a, b, kind)
        for a, b, kind in found
        if not (kind != WW and (a, b, WW) in found) and not (kind == RW and (a, b, WR) in found)
    }


def simple_cycles(count: int, edges: set[Edge]) -> Iterator[Cycle]:
    after: dict[int, list[tuple[int, int]]] = {n: [] for n in range(count)}
    for a, b, kind in edges:
        after[a].append((b, kind))

    def go(path: list[int], labels: list[int]) -> Iterator[Cycle]:
        for nearer, kind in after[path[-1]]:
            if nearer == path[0]:
                yield Cycle(tuple(path), (*labels, kind))
            elif nearer > path[0] and nearer not in path:
                yield from go([*path, nearer], [*labels, kind])

    for start in range(count):
        yield from go([start], [])


def shortest_by_type(count: int, edges: set[Edge]) -> dict[str, int]:
    shortest: dict[str, int] = {}
    for cycle in simple_cycles(count, edges):
        length = len(cycle.transactions)
        shortest[cycle.type] = min(length, shortest.get(cycle.type, length))
    expected: dict[str, int] = {}
    implied: frozenset[str] = frozenset()
    for name in SEARCHES:
        if name in shortest and name not in implied:
            expected[name] = shortest[name]
            implied |= implied_anomalies([name])
    return expected


def found_by_type(graph: Graph) -> dict[str, int]:
    options = Options(cycle_search_timeout_s=60.0)
    findings = search(graph, options, Budget.start(600))
    assert findings.timed_out == []
    edges = all_edges(graph)
    for cycle in findings.cycles:
        follows = (*cycle.transactions[1:], cycle.transactions[0])
        steps = set(zip(cycle.transactions, follows, cycle.labels, strict=True))
        assert steps <= edges
        assert len(set(cycle.transactions)) == len(cycle.transactions)
    return {cycle.type: len(cycle.transactions) for cycle in findings.cycles}


def is_one_component(graph: Graph) -> bool:
    found = tangle(graph)
    return found is not None and found.count == 1


@pytest.mark.slow
@pytest.mark.parametrize("labels", [[WW, WR, RW], [RW], [WR, RW, RW], [WW, PROCESS, RW]])
def test_the_shortest_cycle_of_each_type_is_found(labels: list[int]) -> None:
    rng = Random(f"cycles {labels}")
    compared = 0
    for _ in range(300):
        count = rng.randint(2, 7)
        graph = random_graph(rng, count, rng.randint(2, 3 * count), labels)
        if not is_one_component(graph):
            continue  # each component is searched by itself; types would mix
        assert found_by_type(graph) == shortest_by_type(count, all_edges(graph))
        compared += 1
    assert compared > 50


@pytest.mark.skipif(not has_numba(), reason="needs numba")
def test_the_compiled_search_finds_what_the_plain_one_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = Random(11)
    graphs = [random_graph(rng, 40, 100, [WW, WR, RW, RW]) for _ in range(10)]
    plain = [search(graph, Options(), Budget.start(600)).cycles for graph in graphs]
    monkeypatch.setattr(cycles_module, "PLAIN_STEPS", 0)
    compiled = [search(graph, Options(), Budget.start(600)).cycles for graph in graphs]
    assert any(plain)
    assert compiled == plain


def test_a_search_goes_on_where_it_stopped() -> None:
    """Stopped after every beginning, it comes to the same cycle: 0 -> 1 -> 2 -> 0 and 0 -> 2."""
    first, target, label = [0, 2, 3, 4], [1, 2, 2, 0], [WW, WW, WW, WW]
    begins = [(0, 1), (0, 2)]
    progress, found = [0, 99, 0, 0], [0] * 20
    work = [[0] * 20 for _ in range(4)]
    for _ in begins:
        progress[3] = 1
        search_cycles(
            first, target, label, [-1] * 3, [0] * 3, [], WW, FREE,
            [a for a, _ in begins], [b for _, b in begins], progress, found, *work,
        )  # fmt: skip
    assert progress[:2] == [2, 2]
    assert found[:4:2] == [0, 2]


def test_a_component_without_the_time_to_search_gives_some_cycle() -> None:
    rng = Random(5)
    graph = random_graph(rng, 30, 90, [WW, WR, RW])
    findings = search(graph, Options(cycle_search_timeout_s=0.0), Budget.start(60))
    assert findings.cycles
    assert findings.exists


def test_thousands_of_components_are_counted_and_some_searched() -> None:
    count = 400
    graph = Graph(transactions(columns(spans(Random(1), count)), APPENDS))
    even = np.arange(0, count, 2)
    graph.add(WR, even, even + 1)
    graph.add(RW, even + 1, even)
    findings = search(graph, Options(), Budget.start(60))
    assert findings.stats["components"] == count // 2
    assert 0 < findings.stats["searched_components"] < count // 2
    assert {cycle.type for cycle in findings.cycles} == {"G-single-item"}
