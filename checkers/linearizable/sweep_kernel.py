"""The inner loop of the compiled frontier; imported only where numba is installed.

What it computes is described in :mod:`checkers.linearizable.frontier`; here it is on flat arrays.
An open operation has a *slot*; a configuration ``i`` is ``words`` 64-bit words of ``work`` (a bit
per slot) and ``state[i]``. The loop allocates nothing: where an array is full or a transition is
not known it returns a code, and :mod:`checkers.linearizable.sweep` provides and calls again; all
that must be remembered in between is in the registers ``r``, so it goes on where it stopped.

    phase NEXT    the next record: an invocation takes a slot; a completion begins
          CHECK   has every configuration done it already? then only its bit goes
          FRONT   the old frontier becomes the work list, open looks done
          EXPAND  each configuration of the work list goes through every open change, once
                  those that did it, pruned, become the frontier
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from checkers.linearizable.sweep_space import (
    ACTIVE,
    CURSOR,
    EVENT,
    FREE,
    FRONT_SIZE,
    IS_REGISTER,
    LOOKING,
    ODD,
    ONE,
    PHASE,
    PRUNES,
    RESULTS,
    ROWS,
    SIZE,
    SLICE_END,
    STAMP,
    VERSION,
    VISITED,
    WANTED,
    WORDS,
    Space,
    admit,
    compiled,
    is_minimal,
)

DONE: Final = 0
STUCK: Final = 1
SLICE: Final = 2
"""Enough for now: look at the clock and call again."""
GROW: Final = 3
"""No room for another configuration."""
GROW_ROWS: Final = 4
"""No room for another state's row of transitions."""
NEED: Final = 5
"""The transitions of state ``r[WANTED]`` for the open operations are not known."""


NEXT: Final = 0
CHECK: Final = 1
FRONT: Final = 2
EXPAND: Final = 3


@compiled
def _open(p: Space, x: int) -> None:
    """Give operation ``x`` a slot."""
    r = p.r
    r[FREE] -= 1
    s = p.free[r[FREE]]
    p.holder[s] = x
    p.slot[x] = s
    word, bit = s // 64, ONE << np.uint64(s % 64)
    kind = p.kind[x]
    if p.looks[kind]:
        p.looking[r[LOOKING]] = s
        r[LOOKING] += 1
        p.look_bits[word] |= bit
        if r[IS_REGISTER]:
            p.fit[p.seen[kind], word] |= bit
        return
    for w in range(r[WORDS]):
        p.block[s, w] = 0
    for a in range(r[ACTIVE]):
        t = p.active[a]
        y = p.holder[t]
        if p.kind[y] == kind:
            if p.rank[y] < p.rank[x]:
                p.block[s, t // 64] |= ONE << np.uint64(t % 64)
            else:
                p.block[t, word] |= bit
    p.active[r[ACTIVE]] = s
    r[ACTIVE] += 1
    if p.is_unknown[x]:
        p.unknown_bits[word] |= bit


@compiled
def _close(p: Space, x: int) -> None:
    """Take the slot of operation ``x`` back."""
    r = p.r
    s = p.slot[x]
    word, bit = s // 64, ONE << np.uint64(s % 64)
    p.free[r[FREE]] = s
    r[FREE] += 1
    if p.looks[p.kind[x]]:
        r[LOOKING] -= 1
        _drop(p.looking, r[LOOKING], s)
        p.look_bits[word] &= ~bit
        if r[IS_REGISTER]:
            p.fit[p.seen[p.kind[x]], word] &= ~bit
        return
    r[ACTIVE] -= 1
    _drop(p.active, r[ACTIVE], s)
    for a in range(r[ACTIVE]):
        p.block[p.active[a], word] &= ~bit


@compiled
def _drop(slots: Any, last: int, s: int) -> None:
    for a in range(last):
        if slots[a] == s:
            slots[a] = slots[last]
            return


@compiled
def _row(p: Space, st: int) -> Any:
    """The row of a state in ``fit`` (and ``rows``); below 0 the negative of a code."""
    r = p.r
    if r[IS_REGISTER]:
        return st
    if p.row_version[st] == r[VERSION]:
        return p.row_of[st]
    here = r[ROWS]
    if here == len(p.rows):
        return -GROW_ROWS
    for w in range(r[WORDS]):
        p.fit[here, w] = 0
    for a in range(r[LOOKING]):
        s = p.looking[a]
        ns = _known(p, st, p.kind[p.holder[s]])
        if ns < -1:
            r[WANTED] = st
            return -NEED
        if ns >= 0:
            p.fit[here, s // 64] |= ONE << np.uint64(s % 64)
    for a in range(r[ACTIVE]):
        s = p.active[a]
        ns = _known(p, st, p.kind[p.holder[s]])
        if ns < -1:
            r[WANTED] = st
            return -NEED
        p.rows[here, s] = ns
    p.row_of[st] = here
    p.row_version[st] = r[VERSION]
    r[ROWS] = here + 1
    return here


@compiled
def _known(p: Space, st: int, kind: int) -> Any:
    """The state after ``kind``, -1 if it does not fit, -2 if nobody said yet."""
    key = np.int64(st) * len(p.looks) + kind + 1
    mask = np.uint64(len(p.known_keys) - 1)
    at = (np.uint64(key) * ODD >> np.uint64(20)) & mask
    while p.known_keys[at] != 0:
        if p.known_keys[at] == key:
            return p.known_states[at]
        at = (at + ONE) & mask
    return -2


@compiled
def learn(p: Space, st: int, kind: int, ns: int) -> None:
    """Say what :func:`_known` answers from now on."""
    key = np.int64(st) * len(p.looks) + kind + 1
    mask = np.uint64(len(p.known_keys) - 1)
    at = (np.uint64(key) * ODD >> np.uint64(20)) & mask
    while p.known_keys[at] != 0 and p.known_keys[at] != key:
        at = (at + ONE) & mask
    p.known_keys[at] = key
    p.known_states[at] = ns


@compiled
def _begin(p: Space, x: int) -> Any:
    """CHECK. 1 if every configuration has done ``x`` and is past it, 0 if there is work to do."""
    r = p.r
    word, bit = p.slot[x] // 64, ONE << np.uint64(p.slot[x] % 64)
    words = r[WORDS]
    for j in range(r[FRONT_SIZE]):
        here = _row(p, p.front_state[j])
        if here < 0:
            return here
        if not (p.front[j, word] | p.fit[here, word]) & bit:
            r[PRUNES] = 0
            for w in range(words):
                if p.unknown_bits[w]:
                    r[PRUNES] = 1
            _set_costs(p)
            r[STAMP] += 1
            r[CURSOR] = 0
            r[SIZE] = 0
            return 0
    for j in range(r[FRONT_SIZE]):
        here = _row(p, p.front_state[j])
        for w in range(words):
            p.front[j, w] |= p.fit[here, w]
        p.front[j, word] &= ~bit
    return 1


@compiled
def _set_costs(p: Space) -> None:
    for w in range(p.r[WORDS]):
        p.done_looks[w] = p.look_bits[w]
        p.costs[w] = p.unknown_bits[w] | p.look_bits[w]
        p.fixed[w] = ~p.costs[w]


@compiled
def _take_front(p: Space) -> Any:
    """FRONT. The frontier with open looks done becomes the work list."""
    r = p.r
    while r[CURSOR] < r[FRONT_SIZE]:
        j, n = r[CURSOR], r[SIZE]
        if n + 1 >= len(p.state):
            return GROW
        here = _row(p, p.front_state[j])
        if here < 0:
            return -here
        for w in range(r[WORDS]):
            p.work[n, w] = p.front[j, w] | p.fit[here, w]
        p.state[n] = p.front_state[j]
        r[SIZE] = n + admit(p, n)
        r[CURSOR] += 1
    r[CURSOR] = 0
    r[RESULTS] = 0
    return 0


@compiled
def _expand(p: Space, x: int) -> Any:
    """EXPAND. Through every open change from every configuration that has not done ``x``."""
    r = p.r
    word, bit = p.slot[x] // 64, ONE << np.uint64(p.slot[x] % 64)
    while r[CURSOR] < r[SIZE]:
        i = r[CURSOR]
        if p.work[i, word] & bit:
            p.results[r[RESULTS]] = i
            r[RESULTS] += 1
            r[CURSOR] += 1
            continue
        if r[VISITED] >= r[SLICE_END]:
            return SLICE
        here = _row(p, p.state[i])
        if here < 0:
            return -here
        for a in range(r[ACTIVE]):
            code = _move(p, i, here, p.active[a])
            if code:
                return code
        r[VISITED] += 1
        r[CURSOR] += 1
    return 0


@compiled
def _move(p: Space, i: int, here: int, s: int) -> Any:
    """Let the operation in slot ``s`` take effect in configuration ``i``, if it can."""
    r = p.r
    words = r[WORDS]
    word, bit = s // 64, ONE << np.uint64(s % 64)
    if p.work[i, word] & bit:
        return 0
    x, st = p.holder[s], p.state[i]
    if r[IS_REGISTER]:
        kind = p.kind[x]
        if p.seen[kind] >= 0 and p.seen[kind] != st:
            return 0
        ns = p.made[kind]
    else:
        ns = p.rows[here, s]
        if ns < 0:
            return 0
    if ns == st and p.is_unknown[x]:
        return 0
    for w in range(words):
        if p.block[s, w] & ~p.work[i, w]:
            return 0
    n = r[SIZE]
    if n + 1 >= len(p.state):
        return GROW
    there = _row(p, ns)
    if there < 0:
        return -there
    for w in range(words):
        p.work[n, w] = p.work[i, w] | p.fit[there, w]
    p.work[n, word] |= bit
    p.state[n] = ns
    r[SIZE] = n + admit(p, n)
    return 0


@compiled
def _cost(p: Space, i: int) -> int:
    """How many bits the cost of a configuration has."""
    count = 0
    for w in range(p.r[WORDS]):
        bits = (p.work[i, w] ^ p.done_looks[w]) & p.costs[w]
        while bits:
            bits &= bits - ONE
            count += 1
    return count


@compiled
def _settle(p: Space, s: int) -> None:
    """The results, without the bit of slot ``s`` and pruned, become the frontier."""
    r = p.r
    word, bit = s // 64, ONE << np.uint64(s % 64)
    words, count = r[WORDS], r[RESULTS]
    _set_costs(p)
    is_costly = False
    for w in range(words):
        is_costly = is_costly or p.costs[w] != 0
    for n in range(count):
        p.work[p.results[n], word] &= ~bit
    if is_costly and count > 1:
        _sort_by_cost(p, count)
    r[STAMP] += 1
    kept = 0
    for n in range(count):
        i = p.results[n]
        if is_costly and count > 1 and not is_minimal(p, i):
            continue
        for w in range(words):
            p.front[kept, w] = p.work[i, w]
        p.front_state[kept] = p.state[i]
        kept += 1
    r[FRONT_SIZE] = kept


@compiled
def _sort_by_cost(p: Space, count: int) -> None:
    sizes = p.sizes
    sizes[:] = 0
    for n in range(count):
        p.order[n] = p.results[n]
        sizes[_cost(p, p.results[n]) + 1] += 1
    for c in range(len(sizes) - 1):
        sizes[c + 1] += sizes[c]
    for n in range(count):
        cost = _cost(p, p.order[n])
        p.results[sizes[cost]] = p.order[n]
        sizes[cost] += 1


@compiled
def go(p: Space) -> Any:
    """Go on until something is decided or something is needed; the code of it."""
    r = p.r
    while True:
        if r[PHASE] == NEXT:
            if r[EVENT] == len(p.events):
                return DONE
            r[VERSION] += 1
            r[ROWS] = 0
            if p.events[r[EVENT]] >= 0:
                _open(p, p.events[r[EVENT]])
                r[EVENT] += 1
                continue
            r[PHASE] = CHECK
        x = ~p.events[r[EVENT]]
        if r[PHASE] == CHECK:
            code = _begin(p, x)
            if code < 0:
                return -code
            r[PHASE] = NEXT if code else FRONT
            if code:
                _close(p, x)
                r[EVENT] += 1
                continue
        if r[PHASE] == FRONT:
            code = _take_front(p)
            if code:
                return code
            r[PHASE] = EXPAND
        code = _expand(p, x)
        if code:
            return code
        if r[RESULTS] == 0:
            return STUCK
        s = p.slot[x]
        _close(p, x)
        _settle(p, s)
        r[EVENT] += 1
        r[PHASE] = NEXT
