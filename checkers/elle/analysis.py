"""From inference to verdict: what every kind of value has in common.

A checker of one kind of value (:mod:`checkers.elle.list_append` and others) infers

- the data dependencies, added to a :class:`~checkers.elle.graph.Graph`;
- the anomalies that are no cycle (``G1a``, ``internal``, ...), as cases in words;
- for each edge a :class:`Reason`, asked for only where a proof tells of it.

Here the orders that the models asked for need are added, cycles are found, and the answer is
decided as Elle does (:mod:`checkers.elle.decide`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from checkers.elle.explain import Teller, cycle_anomaly, existence_anomaly, timeout_anomaly
from checkers.elle.graph import Graph
from checkers.elle.options import Options
from checkers.elle.search import Findings
from harness.history.record import Record
from harness.history.verdict import Anomaly, Budget, Verdict

NOTHING_DEPENDS: Final = (
    "no transaction depends on another one, so the history says nothing of isolation"
)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why one transaction comes before another.

    ``text`` is a clause with ``{a}`` and ``{b}`` for their names, without "because" and without
    a full stop: ``{b} observed {a}'s append of 3 to key 5``. ``data`` holds key, value and
    value' for machines.
    """

    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Reasons(Protocol):
    """Explains the data dependencies that an inference put into the graph."""

    def reason(self, label: int, before: int, after: int) -> Reason:
        """Why the edge ``before -> after`` with ``label`` (``WW``, ``WR`` or ``RW``) is there."""
        ...


@dataclass(kw_only=True)
class Inference:
    """What a checker of one kind of value found.

    ``anomalies`` are cases by type, without cycles. ``doubts`` are unknown-making finds, by name
    (``duplicate-appends``) with a sentence: with one of them nothing is valid. ``incomplete``
    is a sentence that says why the absence of anomalies proves nothing, empty if it does.
    """

    graph: Graph
    reasons: Reasons
    anomalies: dict[str, list[Anomaly]] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    incomplete: str = ""
    stats: dict[str, Any] = field(default_factory=dict)


def analyse(inference: Inference, options: Options, record: Record, budget: Budget) -> Verdict:
    """The verdict on what was inferred."""
    from checkers.elle.decide import decide
    from checkers.elle.search import search

    graph = inference.graph
    add_orders(graph, options)
    findings = search(graph, options, budget)
    cycles = told(findings, inference, options, record)
    if not graph.labels:
        cycles["empty-transaction-graph"] = [Anomaly(message=NOTHING_DEPENDS)]
    if options.directory is not None and findings.cycles:
        from checkers.elle.draw import draw_cycles

        draw_cycles(findings.cycles, inference, Teller(graph.transactions, record), options)
    return decide(inference, cycles, options, findings.stats)


def told(
    findings: Findings, inference: Inference, options: Options, record: Record
) -> dict[str, list[Anomaly]]:
    """The findings on cycles as cases by type."""
    teller = Teller(inference.graph.transactions, record)
    found: dict[str, list[Anomaly]] = {}
    for cycle in findings.cycles:
        case = cycle_anomaly(cycle, inference.reasons, teller)
        found.setdefault(cycle.type, []).append(case)
    for exists in findings.exists:
        kind, case = existence_anomaly(exists, teller)
        found.setdefault(kind, []).append(case)
    timeout_s = options.cycle_search_timeout_s
    for late in findings.timed_out:
        found.setdefault("cycle-search-timeout", []).append(timeout_anomaly(late, timeout_s))
    return found


def add_orders(graph: Graph, options: Options) -> None:
    """Process or realtime order, as the models asked for and the additional graphs need them."""
    orders = options.orders()
    if "process" in orders:
        graph.add_process_order()
    if "realtime" in orders:
        graph.add_realtime_order()
