"""From inference to verdict: what every kind of value has in common.

A checker of one kind of value (:mod:`checkers.elle.lists.dependencies` and others) infers

- the data dependencies, added to a :class:`~checkers.elle.graph.Graph`;
- the anomalies that are no cycle (``G1a``, ``internal``, ...), as cases in words;
- for each edge a :class:`~checkers.elle.inference.Reason`, asked for where a proof tells of it.

Here the orders that the models asked for need are added, cycles are found, and the answer is
decided as Elle does (:mod:`checkers.elle.decide`).
"""

from __future__ import annotations

from typing import Final

from checkers.elle.explain import Explainer, cycle_anomaly, existence_anomaly, timeout_anomaly
from checkers.elle.graph import Graph
from checkers.elle.inference import Inference, Reason, Reasons
from checkers.elle.options import Options
from checkers.elle.search import Findings
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly, Budget, Verdict

NOTHING_DEPENDS: Final = (
    "no transaction depends on another one, so the history says nothing of isolation"
)

__all__ = ["Inference", "Reason", "Reasons", "analyse"]


def analyse(inference: Inference, options: Options, record: Record, budget: Budget) -> Verdict:
    """The verdict on what was inferred."""
    from checkers.elle.decide import decide
    from checkers.elle.search import search

    graph = inference.graph
    add_orders(graph, options)
    findings = search(graph, options, budget, inference.guess)
    cycles = cycle_anomalies(findings, inference, options, record)
    if not graph.labels:
        cycles["empty-transaction-graph"] = [Anomaly(message=NOTHING_DEPENDS)]
    if options.directory is not None and findings.cycles:
        from checkers.elle.draw import draw_cycles

        draw_cycles(findings.cycles, inference, Explainer(graph.transactions, record), options)
    return decide(inference, cycles, options, findings)


def cycle_anomalies(
    findings: Findings, inference: Inference, options: Options, record: Record
) -> dict[str, list[Anomaly]]:
    """The findings on cycles as cases by type."""
    explainer = Explainer(inference.graph.transactions, record)
    found: dict[str, list[Anomaly]] = {}
    for cycle in findings.cycles:
        case = cycle_anomaly(cycle, inference.reasons, explainer)
        found.setdefault(cycle.type, []).append(case)
    for exists in findings.exists:
        kind, case = existence_anomaly(exists, explainer)
        found.setdefault(kind, []).append(case)
    timeout_s = options.cycle_search_timeout_s
    for late in findings.timed_out:
        found.setdefault("cycle-search-timeout", []).append(timeout_anomaly(late, timeout_s))
    return found


def add_orders(graph: Graph, options: Options) -> None:
    """Process or realtime order, as the models asked for and the additional graphs need them.

    Realtime order includes that of each process, and tells it where every begin is known.
    """
    orders = options.orders()
    if "process" in orders or ("realtime" in orders and graph.transactions.lacks_begins):
        graph.add_process_order()
    if "realtime" in orders:
        graph.add_realtime_order()
