"""A guess: one order of all turns, put together greedily, that may explain every read.

Turns are had in the order in which the record lets us expect them, each as soon as it is safe
(:mod:`checkers.isolation.rw_register.greedy_schedule_kernel`). What the record says of time is a
hint here and no more: whether a guess is right is for :mod:`checkers.isolation.rw_register.replay`
to say. A commit is expected when the transaction completed; its begin just before, or when it was
invoked, or halfway: each is tried. One that only reads is expected when it was invoked, for it is
in nobody's way. Where no times are known, a file that goes from session to session may have been
written as things happened, so its order is tried, and then that sessions go on evenly.

Cost: linear in turns, edges, reads and writes, but for a heap of the turns that may be had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from checkers.elle.kernels import is_worth_compiling, kernel
from checkers.isolation.rw_register.begin_commit_graph import Turns
from checkers.isolation.rw_register.greedy_schedule_kernel import (
    have_turns,
    let_go,
    obstacle,
    push,
    settle_top,
    take,
    wake,
)
from checkers.isolation.rw_register.problem import INITIAL, SNAPSHOT, Int64s, Problem, grouped

BEGINS: Final = (0.0, 1.0, 0.5)
"""How early begins are expected, from the completion (0) to the invocation (1)."""
_EVENLY: Final = 1 << 30
_STEPS_EACH: Final = 60
"""Steps of the loop for each turn, as a guess."""


@dataclass(frozen=True, eq=False)
class Guess:
    """``order``: all turns (nodes of the graph) in order, as far as it came.

    ``harm``: how often a read was not explained or a turn not safe; 0 is an order to be replayed,
    -1 tells that turns wait for each other in a circle.
    """

    order: Int64s
    harm: int


def guess(graph: Turns, *, patient: bool = False) -> Guess:
    """An order of all turns; it ends at the first unsafe one unless it is ``patient``."""
    problem = graph.problem
    has_begins = graph.level.kind == SNAPSHOT and problem.found.are_timed
    best: Guess | None = None
    for early, ends in _expected(problem, BEGINS if has_begins else BEGINS[:1]):
        made = _guess(graph, _wishes(graph, ends, early), patient=patient)
        if made.harm <= 0:
            return made
        if best is None or made.harm < best.harm:
            best = made
    assert best is not None
    return best


def _guess(graph: Turns, wishes: Int64s, *, patient: bool) -> Guess:
    problem = graph.problem
    by_rank = np.argsort(wishes, kind="stable")
    rank = np.empty(graph.nodes, dtype=np.int64)
    rank[by_rank] = np.arange(graph.nodes)
    first, to = graph.slices()
    writes = len(problem.write_key)
    unread = np.bincount(
        np.where(
            problem.read_from == INITIAL,
            writes + problem.read_key.astype(np.int64),
            problem.read_from,
        ),
        minlength=writes + problem.keys,
    )
    most = int(np.diff(problem.first_read).max(initial=0))
    most += 2 * int(np.diff(problem.first_write).max(initial=0))
    order = np.full(graph.nodes, -1, dtype=np.int64)
    columns: list[Any] = [
        *(by_rank, rank, first, to, np.bincount(graph.edges.target, minlength=graph.nodes)),
        *(problem.first_write, problem.write_key, problem.first_read, problem.read_key),
        *(problem.read_from, np.full(problem.keys, INITIAL, dtype=np.int64), unread),
        *(np.zeros(problem.keys, dtype=np.int64), np.full(problem.keys, -1, dtype=np.int64)),
        *(np.full(graph.nodes, -1, dtype=np.int64), np.full(graph.nodes, -1, dtype=np.int64)),
        *(np.zeros(graph.nodes, dtype=np.int64), np.zeros(graph.nodes, dtype=np.int64)),
        *(np.zeros(graph.nodes, dtype=np.int8), np.zeros(most + 1, dtype=np.int64)),
    ]
    work = _STEPS_EACH * graph.nodes
    loop = kernel(have_turns, work, obstacle, take, wake, let_go, push, settle_top)
    if not is_worth_compiling(work):  # plain loops are quicker on lists
        columns = [column.tolist() for column in columns]
        into = order.tolist()
        harm = loop(graph.turns, graph.level.kind, int(patient), graph.moments, *columns, into)
        return Guess(np.array(into, dtype=np.int64), harm)
    harm = loop(graph.turns, graph.level.kind, int(patient), graph.moments, *columns, order)
    return Guess(order, harm)


def _expected(problem: Problem, begins: Sequence[float]) -> Iterator[tuple[float, Int64s]]:
    """How early begins may be expected, and when each transaction to have taken effect."""
    if problem.found.are_timed:
        ends = _ends(problem)
        yield from ((early, ends) for early in begins)
        return
    if _is_interleaved(problem):
        yield 0.0, np.arange(1, len(problem) + 1, dtype=np.int64)
    yield 0.0, _evenly(problem)


def _is_interleaved(problem: Problem) -> bool:
    """Whether the file comes back to sessions after others."""
    process = problem.process
    switches = int(np.count_nonzero(process[1:] != process[:-1]))
    return switches >= 2 * len(np.unique(process))


def _wishes(graph: Turns, ends: Int64s, early: float) -> Int64s:
    """When each turn is expected, as a number that only compares; ``ends`` is when each transaction
    takes effect, ``early`` where a begin is between the completion (0) and the invocation (1).
    """
    problem = graph.problem
    only_reads = np.diff(problem.first_write) == 0
    wishes = np.zeros(graph.nodes, dtype=np.int64)
    commits = graph.commit(np.arange(len(problem)))
    at = np.where(only_reads & problem.found.are_timed, problem.invoke + 1, ends)
    if graph.turns == 2:
        if problem.found.are_timed:
            since = np.maximum(at - 1 - np.maximum(problem.invoke, 0), 0)
            begins = at - (since * early).astype(np.int64)
        else:
            begins = np.minimum(at, _overwritten(problem, at))
        wishes[graph.begin(np.arange(len(problem)))] = 4 * begins
    wishes[commits] = 4 * at + 1
    wishes[graph.moments : graph.moments + len(graph.upto)] = 4 * (graph.upto + 1) + 2
    return wishes


def _overwritten(problem: Problem, ends: Int64s) -> Int64s:
    """When the first of what each transaction reads is expected to be overwritten."""
    found = np.full(len(problem), np.iinfo(np.int64).max >> 3)
    writer = problem.write_txn
    if not len(writer):  # nothing that was read is ever overwritten
        return found
    order = np.lexsort((ends[writer], problem.write_key))
    key = problem.write_key[order]
    following = np.full(len(order), INITIAL, dtype=np.int64)
    same = np.flatnonzero(key[1:] == key[:-1])
    following[order[same]] = order[same + 1]
    first = np.full(problem.keys, INITIAL, dtype=np.int64)
    first[key[::-1]] = order[::-1]  # of equal places the last one stays
    later = np.where(
        problem.read_from == INITIAL, first[problem.read_key], following[problem.read_from]
    )
    some = np.flatnonzero(later != INITIAL)
    some = some[writer[later[some]] != problem.read_txn[some]]
    np.minimum.at(found, problem.read_txn[some], ends[writer[later[some]]])
    return found


def _ends(problem: Problem) -> Int64s:
    """When each transaction is expected to have taken effect, by its times."""
    never = problem.found.never
    ends = problem.complete.copy()
    open_ = np.flatnonzero(ends >= never)
    if len(open_):  # before those that read from it
        known = problem.read_from != INITIAL
        writer = problem.write_txn[problem.read_from[known]]
        first = np.full(len(problem), never, dtype=np.int64)
        np.minimum.at(first, writer, ends[problem.read_txn[known]])
        ends[open_] = first[open_]
    return ends + 1


def _evenly(problem: Problem) -> Int64s:
    """How far each process had come."""
    _, inverse, counts = np.unique(problem.process, return_inverse=True, return_counts=True)
    first, order = grouped(inverse, len(counts))
    place = np.empty(len(problem), dtype=np.int64)
    place[order] = np.arange(len(problem)) - first[inverse[order]]
    return place * _EVENLY // np.maximum(counts[inverse], 1)
