"""What must be so of the order of versions, drawn until nothing more follows.

For a version *a* of a key, a reader *r* of it, and another writer *c* of the key:

- if c commits before r begins, c comes before a: else r had not found a (ww, C_c → B_a);
- if c cannot come after a, because c must begin before a commits, it comes before it;
- if c comes before a, who read c begins before a commits (rw).

Of the writers in one chain only the last that comes before a is looked at: the others follow. And
of those, only the ones that none of the others follow. What must come before what is told by clocks
(:mod:`checkers.isolation.rw_register.vector_clocks`); a round looks at the writes again for which
some clock changed. A circle is the proof that no order explains the history
(:mod:`checkers.isolation.rw_register.derivation`). That there is none proves nothing yet.

Who reads the initial state of a key begins before any of its writers commits: that goes through one
more node for each key, its *gate*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from checkers.elle.graph import RW
from checkers.elle.kernels import kernel
from checkers.isolation.rw_register.begin_commit_graph import KNOWN, Edges, Turns
from checkers.isolation.rw_register.problem import INITIAL, Int64s, firsts
from checkers.isolation.rw_register.saturation_kernels import infer, latest_before
from checkers.isolation.rw_register.vector_clocks import EVERY_CHAIN, Clocks, clocks, last_of_chains
from harness.verdict.verdict import Budget

MOST_AT_ONCE: Final = 1 << 20
"""Edges inferred before what they tell is carried on."""
_STEPS_EACH: Final = 300
"""Steps of the loop for each write, as a guess."""


@dataclass(frozen=True, eq=False)
class Groups:
    """The writers of a key by chain, and the readers of a version, as loops want them."""

    key_groups: Int64s
    group_chain: Int64s
    group_first: Int64s
    members: Int64s
    begins: Int64s
    """Where each member begins in its chain."""
    reader_first: Int64s
    readers: Int64s
    widest: int
    by_key: Int64s
    """All writes by key: those of one look at the same clocks."""


def saturate(graph: Turns, budget: Budget) -> Clocks:
    """Add to ``graph`` all that follows; the clocks at the end, which tell of a circle."""
    now = clocks(graph)
    if now.is_circular:
        return now
    gates = with_gates(graph, now)
    now.spread(gates.source)
    groups = groups_of(now)
    news = np.full(len(graph.problem.write_txn), EVERY_CHAIN)
    past = KNOWN
    while not now.is_circular and news.any():
        budget.spend_check("what follows of the order of versions")
        now.changed[:] = 0
        past += 1
        fresh, left = _inferred(now, groups, news, past)
        if len(fresh):
            graph.edges = graph.edges.with_more(fresh)
            now.spread(fresh.source)
        news = _news(now, left)
    return now


def _inferred(now: Clocks, groups: Groups, news: Int64s, past: int) -> tuple[Edges, Int64s]:
    """What the rules say of writes with ``news``, and those that are left for want of room."""
    problem, level = now.graph.problem, now.graph.level
    waiting = groups.by_key[news[groups.by_key] != 0]
    out = np.empty((6, MOST_AT_ONCE), dtype=np.int32)
    room = np.empty((2, max(groups.widest, 1)), dtype=np.int64)
    loop = kernel(infer, _STEPS_EACH * len(waiting), latest_before)
    count, stopped = loop(
        *(level.turns, level.kind, waiting, news[waiting]),
        *(problem.write_txn, problem.write_key, problem.read_txn),
        *(groups.key_groups, groups.group_chain, groups.group_first),
        *(groups.members, groups.begins),
        *(groups.reader_first, groups.readers, now.chain, now.place, now.clock),
        *(room[0], room[1], out),
    )
    source, target, label, what, later, because = (column[:count].copy() for column in out)
    rounds = np.full(count, past, dtype=np.int32)
    return Edges(source, target, label, what, later, because, rounds), waiting[stopped:]


def _news(now: Clocks, left: Int64s) -> Int64s:
    """For each write the chains, as bits, of which some rule may say more of it now."""
    graph, problem = now.graph, now.graph.problem
    found: Int64s = now.changed[graph.commit(problem.write_txn)]
    reads = np.flatnonzero(problem.read_from != INITIAL)
    bits = now.changed[graph.begin(problem.read_txn[reads])]
    some = np.flatnonzero(bits)
    np.bitwise_or.at(found, problem.read_from[reads[some]], bits[some])
    found[left] = EVERY_CHAIN
    return found


def groups_of(now: Clocks) -> Groups:
    """The groups of all writes, by the chains of ``now``."""
    problem = now.graph.problem
    chain = now.chain[problem.write_txn].astype(np.int64)
    tracked = np.flatnonzero(chain >= 0)
    place = now.place[problem.write_txn[tracked]]
    order = tracked[np.lexsort((place, chain[tracked], problem.write_key[tracked]))]
    key, of = problem.write_key[order].astype(np.int64), chain[order]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (key[1:] != key[:-1]) | (of[1:] != of[:-1])
    at = np.flatnonzero(starts)
    known = np.flatnonzero(problem.read_from != INITIAL)
    last = known[last_of_chains(now, problem.read_txn[known], problem.read_from[known])]
    source = problem.read_from[last]
    return Groups(
        key_groups=firsts(key[at], problem.keys),
        group_chain=of[at],
        group_first=np.append(at, len(order)).astype(np.int64),
        members=order.astype(np.int64),
        begins=now.graph.turns * now.place[problem.write_txn[order]].astype(np.int64),
        by_key=np.argsort(problem.write_key, kind="stable"),
        reader_first=firsts(source, len(problem.write_txn)),
        readers=last[np.argsort(source, kind="stable")].astype(np.int64),
        widest=int(np.bincount(key[at], minlength=1).max(initial=0)),
    )


def with_gates(graph: Turns, now: Clocks) -> Edges:
    """Add that readers of an initial state begin before any writer of the key commits."""
    problem = graph.problem
    reads = np.flatnonzero(problem.read_from == INITIAL)
    reads = reads[last_of_chains(now, problem.read_txn[reads], problem.read_key[reads])]
    width = problem.keys
    is_read = np.zeros(width, dtype=bool)
    is_read[problem.read_key[reads]] = True
    writes = np.flatnonzero(is_read[problem.write_key])
    own = np.isin(
        problem.write_txn[writes] * np.int64(width) + problem.write_key[writes],
        problem.read_txn[reads] * np.int64(width) + problem.read_key[reads],
    )
    updates, blind = writes[own], writes[~own]
    blind = blind[
        last_of_chains(now, problem.write_txn[blind], problem.write_key[blind], first=True)
    ]
    gate = np.cumsum(is_read) - 1 + graph.nodes
    graph.gates = np.flatnonzero(is_read)
    direct = _pairs(problem.read_key[reads], problem.write_key[updates], width)
    one, other = reads[direct[0]], updates[direct[1]]
    apart = problem.read_txn[one] != problem.write_txn[other]
    one, other = one[apart], other[apart]
    more = Edges.of(
        graph.begin(problem.read_txn[reads]), gate[problem.read_key[reads]], RW, reads
    ).with_more(
        Edges.of(
            gate[problem.write_key[blind]],
            graph.commit(problem.write_txn[blind]),
            RW,
            later=blind,
        ),
        Edges.of(
            graph.begin(problem.read_txn[one]),
            graph.commit(problem.write_txn[other]),
            RW,
            one,
            other,
        ),
    )
    graph.edges = graph.edges.with_more(more)
    return more


def _pairs(one: Any, other: Any, width: int) -> tuple[Int64s, Int64s]:
    """Positions in both columns wherever the two have the same key."""
    first = firsts(other, width)
    order = np.argsort(other, kind="stable")
    count = (first[1:] - first[:-1])[one]
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(one)), count), order[np.repeat(first[one], count) + within]
