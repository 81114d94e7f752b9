"""The memory of the compiled frontier and its two hash tables; imported only with numba.

A configuration ``i`` is a row of ``words`` 64-bit words of ``work`` (a bit per slot, a slot for
each open operation) and ``state[i]``. One table finds a configuration that is there already, the
other one those that differ from it in costs only, among which the dominated are not admitted
(see :mod:`checkers.linearizable.frontier`). Entries of old tables are known by their stamp, so
nothing is ever cleared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from harness.history.compiling import numba

Function = TypeVar("Function", bound=Callable[..., Any])

(PHASE, EVENT, FRONT_SIZE, SIZE, CURSOR, RESULTS, VERSION, STAMP, VISITED) = range(9)
(SLICE_END, ACTIVE, LOOKING, FREE, ROWS, WANTED, PRUNES, WORDS, IS_REGISTER) = range(9, 18)
REGISTERS: Final = 18

ODD: Final = np.uint64(0x9E3779B97F4A7C15)
ONE: Final = np.uint64(1)
_SHIFT: Final = np.uint64(29)
_COMPARISONS: Final = 64


def compiled(function: Function) -> Function:
    """``function`` through numba, kept on disk.

    Without reference counts, which a :class:`Space` would pay for at each call (ten times
    slower); therefore nothing that is compiled here may allocate.
    """
    options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
    result: Function = numba.njit(**options)(function)
    return result


class Space(NamedTuple):
    """All arrays of a search; rows of the two-dimensional ones are named in the comments."""

    r: Any
    events: Any
    kind: Any  # of each operation
    rank: Any  # place among all completions
    slot: Any
    is_unknown: Any
    seen: Any  # of each kind
    made: Any
    looks: Any
    active: Any  # slots of open changes
    looking: Any  # slots of open looks
    free: Any
    holder: Any  # slot to operation
    block: Any  # slot to the bits of equal operations that go first
    unknown_bits: Any
    look_bits: Any
    fixed: Any  # what dominance compares: bits that must be equal,
    costs: Any  # bits that cost something,
    done_looks: Any  # and those of them that cost if they are not set
    front: Any
    front_state: Any
    work: Any
    state: Any
    results: Any
    order: Any
    sizes: Any
    chain: Any
    table: Any
    stamps: Any
    groups: Any
    group_stamps: Any
    fit: Any  # state (or its row) to the bits of open looks that fit
    row_of: Any  # of each state, valid if row_version is now's
    row_version: Any
    rows: Any  # row and slot to the next state
    known_keys: Any  # transitions: state and kind
    known_states: Any


@compiled
def place(p: Space, i: int) -> Any:
    """Where configuration ``i`` belongs in the hash table, or -1 if it is there."""
    words, stamp = p.r[WORDS], p.r[STAMP]
    h = np.uint64(p.state[i] + 1) * ODD
    for w in range(words):
        h = (h ^ p.work[i, w]) * ODD
        h ^= h >> _SHIFT
    mask = np.uint64(len(p.table) - 1)
    at = h & mask
    while p.stamps[at] == stamp:
        j = p.table[at]
        if p.state[j] == p.state[i]:
            same = True
            for w in range(words):
                if p.work[j, w] != p.work[i, w]:
                    same = False
                    break
            if same:
                return -1
        at = (at + ONE) & mask
    return np.int64(at)


@compiled
def _is_covered(p: Space, i: int, j: int) -> bool:
    """Whether the cost of ``j`` is a subset of that of ``i``."""
    for w in range(p.r[WORDS]):
        mine = (p.work[i, w] ^ p.done_looks[w]) & p.costs[w]
        other = (p.work[j, w] ^ p.done_looks[w]) & p.costs[w]
        if other & mine != other:
            return False
    return True


@compiled
def _is_group(p: Space, i: int, j: int) -> bool:
    """Whether two configurations differ in costs only."""
    differs = p.state[j] != p.state[i]
    for w in range(p.r[WORDS]):
        differs = differs or (p.work[j, w] ^ p.work[i, w]) & p.fixed[w] != 0
    return not differs


@compiled
def is_minimal(p: Space, i: int) -> bool:
    """Whether no configuration admitted so far dominates ``i``; then it is admitted."""
    stamp = p.r[STAMP]
    h = np.uint64(p.state[i] + 1) * ODD
    for w in range(p.r[WORDS]):
        h = (h ^ (p.work[i, w] & p.fixed[w])) * ODD
        h ^= h >> _SHIFT
    mask = np.uint64(len(p.groups) - 1)
    at = h & mask
    p.chain[i] = -1
    while p.group_stamps[at] == stamp:
        first = p.groups[at]
        if _is_group(p, i, first):
            compared = 0
            j = first
            while j >= 0:
                if _is_covered(p, i, j):
                    return False
                compared += 1
                j = p.chain[j]
            if compared < _COMPARISONS:
                p.chain[i] = p.chain[first]
                p.chain[first] = i
            return True
        at = (at + ONE) & mask
    p.groups[at] = i
    p.group_stamps[at] = stamp
    return True


@compiled
def admit(p: Space, i: int) -> int:
    """1 if configuration ``i`` is new and not dominated, else 0."""
    at = place(p, i)
    if at < 0 or (p.r[PRUNES] and not is_minimal(p, i)):
        return 0
    p.table[at] = i
    p.stamps[at] = p.r[STAMP]
    return 1


@compiled
def readmit(p: Space) -> None:
    """Put all configurations at work into the tables, which have become new ones."""
    for i in range(p.r[SIZE]):
        at = place(p, i)
        p.table[at] = i
        p.stamps[at] = p.r[STAMP]
        if p.r[PRUNES]:
            is_minimal(p, i)
