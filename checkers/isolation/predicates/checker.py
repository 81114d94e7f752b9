"""The checker ``predicates``: did conditions find every row that they had to find?

Rows of a closed universe: all that a row can be is known from the history, so what a condition
did *not* find says something, too (after Elle's closed predicates). If a row has one value that
would have matched, and it was not found, then the reader saw the row before it was inserted, and
so came before the transaction that inserted it. Looked for:

- ``predicate-read-miss``: every version that a row ever had matches, and it was not found (only
  where it is told what there was at first, by an ``init`` operation, ``-i`` or the header; else not
  being there yet explains it)
- ``predicate-mismatch``: a row was found that does not match the condition
- ``thin-air`` / ``G1a`` / ``G1b``: a row was found with a value that nobody wrote, or only a failed
  transaction, or one that its transaction overwrote (which read uncommitted allows)
- ``future-read``: only the reader itself wrote it, and later; ``own-write-unread``: what it wrote
  itself it did not find; ``own-write-overwritten``: or it found another one's; ``internal``: no one
  version of a row explains all that one transaction was told of it
- cycles of dependencies: ``G1c``, ``G-single``, ``G-nonadjacent``, ``G2``, with the order of each
  process (``-process``) or of time (``-realtime``) where the model asks for it. An edge over a
  condition makes it the plain name.
- ``no-serial-order``: of a small group, where the claim is serializability (session, strict), no
  order of the transactions explains all reads: all are tried

:mod:`checkers.isolation.predicates.groups` says what operations there are and what becomes of
others. A row that is changed more than once tells nothing of its order, except that what was there
at first comes first. Sound; complete for serializability of groups whose orders could all be tried.

Cost: transactions times rows of a group (or of the whole history, without independent keys); for
all orders at most :data:`checkers.isolation.predicates.orders.MOST_STEPS` steps a group.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, Final

from checkers.isolation import impossible_reads
from checkers.isolation.predicates.groups import STEPS, Group, Txn, matches, taken_in
from checkers.isolation.predicates.orders import Limit, has_order
from checkers.isolation.predicates.reads import MISMATCH, MISS, Edge, Reader
from checkers.isolation.register_transactions import foreign_operations
from checkers.proof.cases import Cases
from checkers.proof.claim import Meaning, claims, judged
from checkers.proof.models import PROCESS_CYCLES, REALTIME_CYCLES, canonical, prohibited
from checkers.proof.prose import proof
from harness.history.operation import FAIL, OK
from harness.verdict.record import Record
from harness.verdict.steps import OTHER_MODEL
from harness.verdict.verdict import Anomaly, Budget, Checker, Verdict, untested

__all__ = ["CHECKERS", "PredicateReads", "matches"]

CYCLES: Final = ("G1c", "G-single", "G-single-item", "G-nonadjacent", "G-nonadjacent-item", "G2")
NO_ORDER: Final = "no-serial-order"
SERIAL: Final = (("PL-3", ""), ("strong-session-serializable", "process"), ("PL-SS", "realtime"))
"""Serial models with the order that each keeps, the weakest first."""
MEANINGS: Final = {
    **impossible_reads.MEANINGS,
    MISS: Meaning(anomalies=(MISS,)),
    MISMATCH: Meaning(models=("PL-1",)),
    **{
        name: Meaning(anomalies=(name,))
        for base in (*CYCLES, "G2-item")
        for name in (base, f"{base}-process", f"{base}-realtime")
    },
}
MAIN: Final = (MISS, MISMATCH, impossible_reads.THIN_AIR, impossible_reads.OWN_UNREAD)
ORDERS: Final = ("realtime", "process")
MOST_STARTS: Final = 1_000
"""Edges from which a shortest cycle is looked for, once it is known that there is one."""
DEFAULT: Final = ("strict-serializable",)


class PredicateReads:
    """Judges reads by condition in closed universes."""

    name = "predicates"
    reads = frozenset({"history"})
    needs_no_times = True
    micro_operations = STEPS

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all ok transactions of ``record``."""
        intake = taken_in(record)
        if intake.foreign:
            return foreign_operations(self.name, intake.foreign, ", ".join(sorted(STEPS)))
        if not intake.groups:
            return untested("the history has no transaction over rows", settle=OTHER_MODEL)
        asked = claims(record, self.options) or DEFAULT
        cases, meanings, reads = Cases(), dict(MEANINGS), 0
        odd, limit = intake.odd, Limit()
        for group in intake.groups.values():
            budget.spend_check(self.name)
            if group.doubt():
                odd = odd or group.doubt()
                continue
            reads += _look_at(record, cases, group, asked, budget)
            model = "" if cases.counts else _unordered(group, asked, limit)
            if model and cases.wants(NO_ORDER):
                meanings[NO_ORDER] = Meaning(models=(model,))
                cases.keep(NO_ORDER, _no_order(record, group, model))
        return judged(
            record,
            self.options,
            cases,
            meanings,
            stats={"group-count": len(intake.groups), "predicate-reads": reads},
            unknown=odd,
            tested=MAIN if reads else (),
            untested="no condition was answered",
        )


def _look_at(
    record: Record, cases: Cases, group: Group, asked: tuple[str, ...], budget: Budget
) -> int:
    """Look for all but missing orders; how many conditions were answered."""
    versions = group.versions()
    edges: list[Edge] = []
    reads = 0
    for number, txn in enumerate(group.txns):
        if txn.status == OK:
            budget.spend_check(PredicateReads.name)
            reads += sum(step.f == "rp" for step in txn.steps)
            edges += Reader(record, cases, group, versions, number).edges()
    wanted = prohibited(asked)
    orders: list[list[Edge]] = [[]]
    if wanted & REALTIME_CYCLES:  # which is the order of each process as well
        orders.append(_in_time(group.txns))
    elif wanted & PROCESS_CYCLES:
        orders.append(_in_sessions(group.txns))
    _look_for_cycles(record, cases, group, edges, orders)
    return reads


def _unordered(group: Group, asked: tuple[str, ...], limit: Limit) -> str:
    """The weakest serial model of those asked for that no order of a small group keeps, if any."""
    names = {canonical(name) for name in asked}
    wanted = [place for place, (model, _) in enumerate(SERIAL) if model in names]
    if not wanted or has_order(group, SERIAL[wanted[-1]][1], limit) is not False:
        return ""
    for model, kept in SERIAL[: wanted[-1]]:
        if has_order(group, kept, limit) is False:
            return model
    return SERIAL[wanted[-1]][0]


def _no_order(record: Record, group: Group, model: str) -> Anomaly:
    named = {
        f"T{number}": txn.end
        for number, txn in enumerate((txn for txn in group.txns if txn.status != FAIL), 1)
    }
    step = "no order of all these transactions explains what each of them read"
    step += {"PL-3": "", "PL-SS": " and keeps to the order of time"}.get(
        model, " and keeps to the order of each process"
    )
    return proof(record, named, [f"{step}, as trying them all showed"])


def _in_sessions(txns: list[Txn]) -> list[Edge]:
    why = "the same process did {a} before {b}"
    found: list[Edge] = []
    latest: dict[Any, int] = {}
    for number, txn in enumerate(txns):  # in order of their last records, and one after the other
        if txn.process in latest and txn.status != FAIL:
            found.append(Edge(latest[txn.process], number, why, "process"))
        if txn.status == OK:
            latest[txn.process] = number
    return found


def _in_time(txns: list[Txn]) -> list[Edge]:
    """Enough of the order of time for all the rest to follow."""
    why = "{a} had completed before {b} was invoked"
    later = sorted((txn.begun, number) for number, txn in enumerate(txns) if txn.status != FAIL)
    found: list[Edge] = []
    for a, first in enumerate(txns):
        if first.status != OK:
            continue
        soonest = -1
        for begun, b in later[bisect_right(later, (first.answered, len(txns))) :]:
            if 0 <= soonest < begun:
                break
            found.append(Edge(a, b, why, "realtime"))
            if txns[b].status == OK:
                soonest = txns[b].answered if soonest < 0 else min(soonest, txns[b].answered)
    return found


def _look_for_cycles(
    record: Record, cases: Cases, group: Group, edges: list[Edge], orders: list[list[Edge]]
) -> None:
    """A shortest cycle of the worst kind there is, first without any order of the history."""
    for more in orders:
        cycle = _worst_cycle(edges, more)
        if cycle:
            kind = _named(cycle)
            if cases.wants(kind):
                cases.keep(kind, _cycle_anomaly(record, group, cycle))
            return


def _worst_cycle(edges: list[Edge], ordered: list[Edge]) -> list[Edge]:
    read = [edge for edge in edges if edge.kind != "rw"]
    plain = read + ordered
    against = [edge for edge in edges if edge.kind == "rw"]
    searches = ((read, plain), (against, plain), (against, [*plain, *against]))
    for starts, allowed in searches:
        after: dict[int, list[Edge]] = {}
        for edge in allowed:
            after.setdefault(edge.before, []).append(edge)
        home = _components(after)
        inside = [edge for edge in starts if home.get(edge.before, -1) == home.get(edge.after)]
        cycles = [
            [edge, *path]
            for edge in inside[:MOST_STARTS]
            if (path := _path(after, edge)) is not None
        ]
        if cycles:
            return min(cycles, key=len)
    return []


def _components(after: Mapping[int, list[Edge]]) -> dict[int, int]:
    """For each node the strongly connected component that it lies in (Tarjan's)."""
    found: dict[int, int] = {}
    place: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    for root in after:
        if root in place:
            continue
        work = [(root, iter(after.get(root, ())))]
        place[root] = low[root] = len(place)
        stack.append(root)
        while work:
            node, edges = work[-1]
            for edge in edges:
                if edge.after not in place:
                    place[edge.after] = low[edge.after] = len(place)
                    stack.append(edge.after)
                    work.append((edge.after, iter(after.get(edge.after, ()))))
                    break
                if edge.after not in found:
                    low[node] = min(low[node], place[edge.after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == place[node]:
                    while True:
                        member = stack.pop()
                        found[member] = node
                        if member == node:
                            break
    return found


def _path(after: Mapping[int, list[Edge]], edge: Edge) -> list[Edge] | None:
    """The shortest way from the end of ``edge`` back to its beginning."""
    came: dict[int, Edge | None] = {edge.after: None}
    queue = deque([edge.after])
    while queue:
        at = queue.popleft()
        if at == edge.before:
            path: list[Edge] = []
            step = came[at]
            while step is not None:
                path.append(step)
                step = came[step.before]
            return path[::-1]
        for step in after.get(at, ()):
            if step.after not in came:
                came[step.after] = step
                queue.append(step.after)
    return None


def _named(cycle: list[Edge]) -> str:
    """The anomaly that a cycle is, by its edges."""
    against = [edge.kind == "rw" for edge in cycle]
    count = sum(against)
    adjacent = any(
        one and other for one, other in zip(against, [*against[1:], against[0]], strict=True)
    )
    item = "" if any(edge.is_predicate and edge.kind == "rw" for edge in cycle) else "-item"
    late = next((f"-{kind}" for kind in ORDERS if any(edge.kind == kind for edge in cycle)), "")
    if not count:
        return f"G1c{late}"
    if count == 1:
        return f"G-single{item}{late}"
    return f"{'G2' if adjacent else 'G-nonadjacent'}{item}{late}"


def _cycle_anomaly(record: Record, group: Group, cycle: list[Edge]) -> Anomaly:
    cycle = [  # of two steps in time the first tells all: time is transitive
        edge
        for kind, run in groupby(_from_a_read(cycle), key=lambda edge: edge.kind)
        for edge in ([_joined(list(run))] if kind in ORDERS else run)
    ]
    numbers = [edge.before for edge in cycle]
    names = {number: f"T{place}" for place, number in enumerate(numbers, 1)}
    named = {names[number]: group.txns[number].end for number in numbers}
    steps = []
    for edge in cycle:
        a, b = names[edge.before], names[edge.after]
        steps.append(f"{a} < {b}, because {edge.why.format(a=a, b=b)}")
    return proof(record, named, steps)


def _from_a_read(cycle: list[Edge]) -> list[Edge]:
    """The cycle, begun where no run of steps in time is cut in two."""
    at = next(n for n, edge in enumerate(cycle) if edge.kind not in ORDERS)
    return cycle[at:] + cycle[:at]


def _joined(run: list[Edge]) -> Edge:
    return Edge(run[0].before, run[-1].after, run[0].why, run[0].kind)


CHECKERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Checker]]] = {
    PredicateReads.name: PredicateReads
}
