"""The rules of :mod:`checkers.linearizable.zones` on columns: a million operations in 0.2 s.

All keys are decided in the same passes, by numbers of records that grow with the key, so many
short keys cost no more than one long one. Chains are found by doubling: every value points at the
value that its compare-and-set replaced, and pointers are followed 1, 2, 4 ... steps at a time; what
has not arrived at the beginning of a chain after as many doublings as the number of values has
digits goes round in a circle. The first impossible completion of each key is found by bisection in
step, each round over the keys that are wrong. Cost: O(n log n).

Why blocks of operations glued by compare-and-sets may be treated as units is proved in
:mod:`checkers.linearizable.zones`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.linearizable.register_columns import Bools, Ints, Rows
from checkers.linearizable.register_entries import NEVER, NOTHING

_BEFORE = -3
"""The interval of whatever made the initial values, before every record."""


def has_unique_values(rows: Rows) -> Bools:
    """For each key, whether no value is made twice, the initial one included."""
    needed = rows.without_idle_infos()
    makers = needed.made[needed.made != NOTHING]
    counts = np.bincount(makers, minlength=rows.values)
    counts[: len(rows.keys)] += 1
    is_unique = np.ones(len(rows.keys), np.bool_)
    twice = (needed.made != NOTHING) & (counts[needed.made] > 1)
    is_unique[needed.key[twice]] = False
    return is_unique


def impossible(rows: Rows) -> Bools:
    """For each key whether it has no order; its values must be unique."""
    needed = rows.without_idle_infos()
    is_wrong = np.zeros(len(rows.keys), np.bool_)
    chains = _chains(needed, is_wrong)
    needed = needed.where(~is_wrong[needed.key])
    if not len(needed):
        return is_wrong
    blocks = _blocks(needed, chains, is_wrong)
    _torn(blocks, is_wrong)
    return is_wrong


def first_impossible(rows: Rows, is_wrong: Bools) -> Ints:
    """For each wrong key the record of its first impossible completion (-1 for the others)."""
    if not is_wrong.any():
        return np.full(len(rows.keys), -1)
    rows = rows.where(is_wrong[rows.key])
    answered = np.sort(_spread(rows.key, rows.complete)[rows.complete != NEVER])
    wide = int(_WIDTH)
    low = np.searchsorted(answered, np.arange(len(rows.keys)) * wide)
    high = np.searchsorted(answered, np.arange(1, len(rows.keys) + 1) * wide) - 1
    while (searching := is_wrong & (low < high)).any():
        middle = (low + high) // 2
        ends = np.where(searching, answered[np.minimum(middle, len(answered) - 1)] % wide, -1)
        found = impossible(rows.where(searching[rows.key]).cut(ends))
        high = np.where(searching & found, middle, high)
        low = np.where(searching & ~found, middle + 1, low)
    last = answered[np.clip(low, 0, len(answered) - 1)] % wide
    return np.where(is_wrong, last, -1)


_WIDTH = np.int64(1 << 33)
"""More than any number of records."""


def _spread(key: Ints, position: Ints) -> Ints:
    """Positions that never meet those of another key."""
    spread: Ints = key * _WIDTH + np.minimum(position, _WIDTH - 8)
    return spread


@dataclass(frozen=True)
class _Chains:
    """For each value the first value of its chain, and how many replacements it is from it."""

    root: Ints
    depth: Ints


def _chains(rows: Rows, is_wrong: Bools) -> _Chains:
    """The chains; keys where one cannot be are marked wrong."""
    keys, values = len(rows.keys), rows.values
    is_made = np.zeros(values, np.bool_)
    is_made[:keys] = True
    is_made[rows.made[rows.made != NOTHING]] = True
    sees = rows.seen != NOTHING
    is_wrong[rows.key[sees][~is_made[rows.seen[sees]]]] = True  # nobody made it
    glues = sees & (rows.made != NOTHING)
    root, depth = np.arange(values), np.zeros(values, np.int64)
    if not glues.any():
        return _Chains(root, depth)
    old, new = rows.seen[glues], rows.made[glues]
    twice = np.bincount(old, minlength=values)[old] > 1
    is_wrong[rows.key[glues][twice]] = True  # replaced twice
    root[new] = old
    depth[new] = 1
    for _ in range(int(values).bit_length() + 1):
        if (root[root] == root).all():
            break
        depth += depth[root]
        root = root[root]
    is_wrong[rows.key[glues][depth[root[new]] != 0]] = True  # a circle
    return _Chains(root, depth)


@dataclass(frozen=True)
class _Blocks:
    """Chains as units: key, first completion, last invocation."""

    key: Ints
    first: Ints
    last: Ints


def _blocks(rows: Rows, chains: _Chains, is_wrong: Bools) -> _Blocks:
    """The chains of values that somebody used; keys are marked where one goes backwards.

    Each level (what made a value; the reads of it) is an entry of an array in the order of chains,
    so that one running maximum tells of each level the last invocation below it.
    """
    keys, values = len(rows.keys), rows.values
    is_change = rows.made != NOTHING
    level = np.where(is_change, 2 * rows.made, 2 * rows.seen + 1)
    first = np.full(2 * values, NEVER)
    last = np.full(2 * values, _BEFORE - 1)
    np.minimum.at(first, level, rows.complete)
    np.maximum.at(last, level, rows.invoke)
    starts = np.arange(keys)
    first[2 * starts] = last[2 * starts] = _BEFORE
    owner = np.full(values, -1)
    owner[:keys] = starts
    owner[rows.made[is_change]] = rows.key[is_change]
    used = np.flatnonzero(owner >= 0)
    if chains.depth.any():
        used = used[np.lexsort((chains.depth[used], chains.root[used]))]
    root = chains.root[used]
    begins = np.concatenate([[True], root[1:] != root[:-1]])
    chain = np.cumsum(begins) - 1
    levels = np.repeat(2 * used, 2) + np.tile([0, 1], len(used))
    lifted = np.repeat(chain, 2) * _WIDTH + last[levels]
    below = np.maximum.accumulate(lifted)[:-1] - np.repeat(chain, 2)[1:] * _WIDTH
    backwards = first[levels][1:] < below
    backwards &= np.repeat(chain, 2)[1:] == np.repeat(chain, 2)[:-1]
    is_wrong[np.repeat(owner[used], 2)[1:][backwards]] = True
    bounds = 2 * np.flatnonzero(begins)
    return _Blocks(
        owner[used][begins],
        np.minimum.reduceat(first[levels], bounds),
        np.maximum.reduceat(last[levels], bounds),
    )


def _torn(blocks: _Blocks, is_wrong: Bools) -> None:
    """Mark keys where two chains would each have to come before the other."""
    first, last = _spread(blocks.key, blocks.first), _spread(blocks.key, blocks.last)
    is_forward = blocks.first < blocks.last
    forward = np.flatnonzero(is_forward)
    forward = forward[np.argsort(first[forward], kind="stable")]
    start, end = first[forward], last[forward]
    is_wrong[blocks.key[forward[1:]][start[1:] < end[:-1]]] = True
    inner = np.flatnonzero(~is_forward)
    host = np.searchsorted(start, last[inner], side="right") - 1
    inside = (host >= 0) & (first[inner] < np.append(end, -1)[host])
    is_wrong[blocks.key[inner[inside]]] = True
