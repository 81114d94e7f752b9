"""From the graph to cycles: components, existence, and a search in each component.

Thousands of components of a broken database tell the same story. They are grouped by what
exists in them; of each group some are searched, within the budget, and all are counted. The
answer does not hang on the rest: that a cycle exists in them is known.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from checkers.elle.components import Tangle, tangle
from checkers.elle.cycles import Component, Cycle, Harvest, search_component
from checkers.elle.existence import PARTS, Existence, existence
from checkers.elle.graph import REALTIME, WW, Graph
from checkers.elle.inference import Edges
from checkers.elle.options import Options
from checkers.elle.transactions import Int32s
from checkers.proof.models import canonical, stronger_models
from harness.verdict.verdict import Budget

SEARCHED_OF_A_GROUP: Final = 50
RESERVED_SHARE: Final = 0.2
"""Of the budget's time, for what comes after the search."""


@dataclass(frozen=True)
class Exists:
    """A cycle against ``model`` exists among ``transactions``, in words in which part."""

    model: str
    part: str
    transactions: tuple[int, ...]


@dataclass(frozen=True)
class TimedOut:
    """The search in a component of ``size`` stopped at type ``at``; ``absent`` are ruled out."""

    size: int
    at: str
    absent: tuple[str, ...]


@dataclass
class Findings:
    """All that was found on cycles."""

    cycles: list[Cycle] = field(default_factory=list)
    exists: list[Exists] = field(default_factory=list)
    timed_out: list[TimedOut] = field(default_factory=list)
    unproved: frozenset[str] = frozenset()
    """Models against which no cycle was found, and none is no proof."""
    searched: frozenset[str] = frozenset()
    """Models whose every breach would have been found by a search that came to its end."""
    stats: dict[str, Any] = field(default_factory=dict)


def search(
    graph: Graph, options: Options, budget: Budget, guess: Callable[[], Edges] | None = None
) -> Findings:
    """Cycles of each type in each component, and which models a cycle exists against.

    ``guess`` as in :class:`checkers.elle.inference.Inference`.
    """
    found = tangle(graph)
    if found is None:
        return Findings(stats={"components": 0})
    there, knots = existence(found, graph.labels)
    findings = Findings(unproved=_unproved(graph, there, options, guess))
    last = budget.deadline - RESERVED_SHARE * budget.seconds
    told: Counter[tuple[str, ...]] = Counter()
    searched = 0
    for number, component in _components(graph, found, there):
        left_s = last - time.monotonic()
        exists = there[number]
        group = tuple(exists.smallest)
        told[group] += 1
        findings.exists.extend(_exists(found, exists) if told[group] == 1 else ())
        if told[group] > SEARCHED_OF_A_GROUP or (left_s <= 0 and searched):
            continue
        searched += 1
        timeout_s = min(options.cycle_search_timeout_s, max(left_s, 0.0))
        _take(findings, search_component(component, exists, knots, timeout_s), len(component))
    sizes = np.bincount(found.component[: found.transactions])
    if searched == found.count and not findings.timed_out and guess is None:
        findings.searched = frozenset(("PL-2+",))  # it forbids G1 and G-single, no more
    findings.stats = {
        "components": found.count,
        "searched_components": searched,
        "largest_component": int(sizes.max()),
    }
    return findings


def _unproved(
    graph: Graph,
    there: dict[int, Existence],
    options: Options,
    guess: Callable[[], Edges] | None,
) -> frozenset[str]:
    """Models of snapshots that hold by the edges found, and break with the guessed ones.

    Only where the answer hangs on one of them.
    """
    broken: frozenset[str] = frozenset().union(*(each.impossible for each in there.values()))
    asked = {canonical(model) for model in options.consistency_models} - broken
    open_ = frozenset(model for model, part in PARTS.items() if part.by_rw) - broken
    open_ &= stronger_models(asked)
    if guess is None or not open_:
        return frozenset()
    guessed = tangle(graph.with_edges(WW, *guess()))
    if guessed is None:
        return frozenset()
    now, _ = existence(guessed, graph.labels | WW)
    return open_ & frozenset().union(*(each.impossible for each in now.values()))


def _take(findings: Findings, harvest: Harvest, size: int) -> None:
    findings.cycles.extend(harvest.cycles)
    if harvest.unfinished:
        findings.timed_out.append(TimedOut(size, harvest.unfinished, tuple(harvest.absent)))


def _exists(found: Tangle, there: Existence) -> Iterator[Exists]:
    for model, members in there.smallest.items():
        transactions = tuple(found.member[members].tolist())
        yield Exists(model, PARTS[model].text, transactions)


def _components(
    graph: Graph, found: Tangle, there: dict[int, Existence]
) -> Iterator[tuple[int, Component]]:
    """Every component, those of a group together, the worst groups and small ones first."""
    drawn = np.flatnonzero(found.label != REALTIME)
    home = found.component[found.source[drawn]]
    order = np.argsort(home, kind="stable")
    drawn, home = drawn[order], home[order]
    starts = np.searchsorted(home, np.arange(found.count + 1))
    local = np.zeros(found.nodes, dtype=np.int32)
    members = list(found.members())
    depth = {model: place for place, model in enumerate(_models(there))}
    ranked = sorted(
        range(found.count),
        key=lambda n: ([depth[model] for model in there[n].smallest], len(members[n]), n),
    )
    for number in ranked:
        mine = members[number]
        local[mine] = np.arange(len(mine), dtype=np.int32)
        edges = drawn[starts[number] : starts[number + 1]]
        yield number, _component(graph, found, mine, edges, local)


def _models(there: dict[int, Existence]) -> list[str]:
    from checkers.proof.models import EXISTENCE

    present = {model for each in there.values() for model in each.smallest}
    return [model for model in EXISTENCE if model in present]


def _component(graph: Graph, found: Tangle, mine: Int32s, edges: Any, local: Int32s) -> Component:
    source, target = local[found.source[edges]], local[found.target[edges]]
    order = np.lexsort((found.label[edges], target, source))
    source = source[order]
    member = found.member[mine]
    rank, after, by_rank = _realtime(graph, member)
    return Component(
        member=member,
        node=mine,
        source=source,
        target=target[order],
        label=found.label[edges][order],
        first=np.searchsorted(source, np.arange(len(mine) + 1)).astype(np.int64),
        rank=rank,
        after=after,
        by_rank=by_rank,
    )


def _realtime(graph: Graph, member: Int32s) -> tuple[Int32s, Int32s, Int32s]:
    """Places in order of invocation, and from which place on each one comes before the others."""
    transactions = graph.transactions
    invoke, complete = transactions.invoke[member], transactions.complete[member]
    by_rank = np.argsort(invoke, kind="stable").astype(np.int32)
    by_rank = by_rank[invoke[by_rank] >= 0]
    rank = np.full(len(member), -1, dtype=np.int32)
    rank[by_rank] = np.arange(len(by_rank), dtype=np.int32)
    after = np.searchsorted(invoke[by_rank], complete).astype(np.int32)
    return rank, after, by_rank
