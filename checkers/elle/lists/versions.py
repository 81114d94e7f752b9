"""Version orders of lists: in which order was everything appended to a key?

Every read of a list tells the order of all appends before it, so the longest read of a key is
the version order, and every other read must be a prefix of it (Elle, section 3). A key that was
appended to once and never read has that one version. What was appended and never read comes
after all that was: such appends have no place among themselves.

Reads of transactions that were committed count, all of them, second reads of a key as well.
Committed is what is ``ok``; and what may have happened is once a committed transaction has read one
of its appends (for nobody may read what was not committed: not so at read uncommitted alone). Reads
of others prove nothing, and neither does a read that is no list.

All of it in flat arrays, O(elements read). The one long loop compares each read with the longest
of its key; numba runs it in a few nanoseconds an element, numpy in slices otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.completions import were_open
from checkers.elle.kernels import is_worth_compiling, kernel, mark_mismatches
from checkers.elle.slices import mapped, places, slices
from checkers.elle.transactions import (
    FAIL,
    INFO,
    OK,
    READ,
    WRITE,
    Bools,
    Int32s,
    Int64s,
    Numbers,
    Transactions,
)

NOBODY: Final = -1
_SLICE: Final = 1 << 20
_ROOM: Final = 4


@dataclass(frozen=True, eq=False)
class Writers:
    """Who appended a value to a key: micro-operations found by (key, value).

    Values of a key mostly are close together, so a table with room for each value of each key
    does; where they are far apart, the pairs are sorted and searched.
    """

    rows: NDArray[Any]
    lowest: Int64s
    highest: Int64s
    offset: Int64s
    codes: Int64s | None
    duplicates: tuple[int, ...]

    @classmethod
    def of(cls, found: Transactions) -> Writers:
        """The appends of all transactions, failed ones too."""
        keys = int(found.key.max()) + 1 if len(found.key) else 0
        lowest = np.full(keys, np.iinfo(np.int64).max)
        highest = np.full(keys, -1, dtype=np.int64)
        count = 0
        for _, key, value in _appends(found):
            np.minimum.at(lowest, key, value)
            np.maximum.at(highest, key, value)
            count += len(key)
        width = np.where(highest >= 0, highest - lowest + 1, 0)
        offset = np.concatenate(([0], np.cumsum(width)))
        if offset[-1] <= _ROOM * count + _SLICE:
            table, again = _table(found, offset - np.append(lowest, 0), int(offset[-1]))
            return cls(table, lowest, highest, offset[:-1], None, again[:8])
        rows = np.flatnonzero(found.f == WRITE)
        codes = found.key[rows].astype(np.int64) << 32 | found.value[rows]
        order = np.argsort(codes, kind="stable")
        codes, rows = codes[order], rows[order]
        again = rows[1:][codes[1:] == codes[:-1]]
        return cls(rows, lowest, highest, offset[:-1], codes, tuple(again[:8].tolist()))

    def of_values(self, key: Int32s, value: NDArray[Any]) -> Int32s:
        """For each (key, value) the micro-operation that appended it, or ``NOBODY``."""
        return mapped(len(key), np.int32, lambda some: self._of(key[some], value[some]))

    def _of(self, key: Int32s, value: NDArray[Any]) -> Int32s:
        found = np.full(len(key), NOBODY, dtype=np.int32)
        if not len(self.lowest) or not len(key):
            return found
        value = value.astype(np.int64)
        known = np.flatnonzero((value >= self.lowest[key]) & (value <= self.highest[key]))
        key, value = key[known], value[known]
        if self.codes is None:
            found[known] = self.rows[self.offset[key] + value - self.lowest[key]]
            return found
        codes = key.astype(np.int64) << 32 | value
        place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        hit = self.codes[place] == codes
        found[known[hit]] = self.rows[place[hit]]
        return found


def _appends(found: Transactions) -> Iterator[tuple[Int64s, Int32s, Int64s]]:
    """Rows, keys and values of all appends, some at a time."""
    for some in slices(len(found.f)):
        here = np.flatnonzero(found.f[some] == WRITE)
        yield here + some.start, found.key[some][here], found.value[some][here].astype(np.int64)


def _table(found: Transactions, base: Int64s, size: int) -> tuple[Int32s, tuple[int, ...]]:
    """The first append of each (key, value), at ``base[key] + value``; and all later ones."""
    table = np.full(size + 1, NOBODY, dtype=np.int32)
    again: list[int] = []
    for rows, key, value in _appends(found):
        slot = base[key] + value
        free = np.flatnonzero(table[slot] == NOBODY)[::-1]  # of equal ones the first stays
        table[slot[free]] = rows[free]
        again += rows[table[slot] != rows].tolist()
    return table, tuple(again)


@dataclass(frozen=True, eq=False)
class Versions:
    """Version orders and each micro-operation's place in them.

    ``value[first[k]:first[k + 1]]`` is the version order of key ``k``, ``append`` the
    micro-operation that made each version (``NOBODY``: thin air). ``longest[k]`` is the
    micro-operation of the longest read or -1.

    One entry a transaction: ``committed`` - it certainly happened.

    One entry a micro-operation: ``known`` - a read whose result counts; ``matches`` - it is a
    prefix of the order; ``after`` - how many versions are there after it (0 after a read of
    nothing, -1 if it has no place in the order); ``last`` - for a known read the micro-operation
    that appended its last element.
    """

    first: Int64s
    value: Int32s
    key: Int32s
    append: Int32s
    longest: Int32s
    committed: Bools
    known: NDArray[np.bool_]
    matches: NDArray[np.bool_]
    after: Int32s
    last: Int32s
    writers: Writers

    def order(self, key: int) -> slice:
        """The stretch of ``value`` and ``append`` that is the order of ``key``."""
        return slice(int(self.first[key]), int(self.first[key + 1]))

    def lengths(self) -> Int64s:
        """How many versions each key has."""
        return np.diff(self.first)


def version_orders(found: Transactions, *, reading_proves: bool = True) -> Versions:
    """The version order of every key.

    ``reading_proves``: what a committed transaction read was committed itself.
    """
    writers = Writers.of(found)
    committed = found.status == OK
    known = mapped(len(found.f), np.bool_, lambda some: _are_known(found, committed, some))
    if reading_proves:
        committed, known = _proved(found, writers, committed, known)
    keys = int(found.key.max()) + 1 if len(found.key) else 0
    longest = _longest(found, known, keys)
    matches = _matches(found, known, longest)
    first, key, value = _orders(found, longest, keys)
    append = writers.of_values(key, value)
    first, key, value, append = _without_repeats(first, key, value, append, len(found.f))
    if reading_proves:
        committed = _with_shown(found, committed, append, key, longest)
    after, last = _places(found, known, first, append, writers)
    return Versions(
        first, value, key, append, longest, committed, known, matches, after, last, writers
    )


def _are_known(found: Transactions, committed: Bools, some: slice) -> Bools:
    """Which micro-operations are reads whose result counts.

    Nil is the answer of an ``ok`` alone: elsewhere it may stand for what was never filled in.
    """
    txn = found.txn[some]
    holds = found.list_start[some] >= 0
    told = (found.status[txn] == OK) & (found.value[some] == NOBODY)
    return np.asarray((found.f[some] == READ) & committed[txn] & (holds | told))


def _proved(
    found: Transactions, writers: Writers, committed: Bools, known: Bools
) -> tuple[Bools, Bools]:
    """``committed`` and ``known`` with all that committed transactions read from."""
    unsure = found.status == INFO
    if not unsure.any():
        return committed, known

    def tells(some: slice) -> Bools:
        held = (found.f[some] == READ) & (found.list_start[some] >= 0)
        held &= unsure[found.txn[some]]
        return np.asarray(held & found.answered(found.txn[some]))

    telling = were_open(
        found.columns, found.record, found.first, found.txn, places(len(found.f), tells)
    )
    if not len(telling):
        return committed, known  # none has a read that could count
    committed, known = committed.copy(), known.copy()
    rows = places(len(known), lambda some: known[some] & (found.length[some] > 0))
    while len(rows):
        seen = np.zeros(len(found), dtype=bool)
        for low in range(0, len(rows), _SLICE >> 4):
            _mark_writers(found, writers, rows[low : low + (_SLICE >> 4)], seen)
        new = seen & unsure & ~committed
        committed |= new
        rows = telling[new[found.txn[telling]]]
        known[rows] = True
    return committed, known


def _with_shown(
    found: Transactions, committed: Bools, append: Int32s, key: Int32s, longest: Int32s
) -> Bools:
    """``committed`` with whoever may have made an append that a read shows."""
    if not (found.status == INFO).any():
        return committed
    shown = found.txn[append[(longest[key] >= 0) & (append >= 0)]]
    committed = committed.copy()
    committed[shown] = found.status[shown] != FAIL
    return committed


def _mark_writers(found: Transactions, writers: Writers, rows: Int32s, seen: Bools) -> None:
    """Mark whose appends the lists of ``rows`` hold."""
    length = found.length[rows].astype(np.int64)
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    elements = found.elements[np.repeat(found.list_start[rows], length) + within]
    append = writers.of_values(np.repeat(found.key[rows], length), elements)
    seen[found.txn[append[append >= 0]]] = True


def _lists(
    found: Transactions, known: NDArray[np.bool_]
) -> Iterator[tuple[Int64s, Int32s, Int32s]]:
    """Rows, keys and lengths of all known reads of something, some at a time."""
    for some in slices(len(found.f)):
        length = found.length[some]
        here = np.flatnonzero(known[some] & (length > 0))
        yield here + some.start, found.key[some][here], length[here]


def _longest(found: Transactions, known: NDArray[np.bool_], keys: int) -> Int32s:
    """For each key the first of its longest reads, or -1."""
    most = np.zeros(keys, dtype=np.int32)
    for _, key, length in _lists(found, known):
        np.maximum.at(most, key, length)
    longest = np.full(keys, -1, dtype=np.int32)
    for rows, key, length in _lists(found, known):
        first = np.flatnonzero((length == most[key]) & (longest[key] < 0))[::-1]
        longest[key[first]] = rows[first]
    return longest


def _matches(found: Transactions, known: NDArray[np.bool_], longest: Int32s) -> NDArray[np.bool_]:
    """Whether each known read is a prefix of the longest one of its key."""
    work = len(found.elements)
    mark = kernel(mark_mismatches, work) if is_worth_compiling(work) else _mark_in_slices
    matches = np.ones(len(found.f), dtype=bool)
    for rows, key, length in _lists(found, known):
        model = longest[key]
        other = np.flatnonzero(rows != model)
        rows, model = rows[other], model[other]
        result = np.ones(len(rows), dtype=np.uint8)
        starts, model_starts = found.list_start[rows], found.list_start[model]
        mark(starts, length[other], model_starts, found.elements, result)
        matches[rows] = result != 0
    return matches


def _mark_in_slices(
    starts: Numbers, lengths: Int32s, model_starts: Numbers, elements: Int32s, result: NDArray[Any]
) -> None:
    """:func:`checkers.elle.kernels.mark_mismatches` in numpy, a million elements at a time."""
    ends = np.cumsum(lengths, dtype=np.int64)
    begin = 0
    while begin < len(starts):
        done = int(ends[begin - 1]) if begin else 0
        stop = max(begin + 1, int(np.searchsorted(ends, done + _SLICE)))
        length = lengths[begin:stop]
        owner = np.repeat(np.arange(begin, stop), length)
        within = np.arange(len(owner)) - np.repeat(ends[begin:stop] - length - done, length)
        differs = elements[starts[owner] + within] != elements[model_starts[owner] + within]
        result[owner[differs]] = 0
        begin = stop


def _orders(found: Transactions, longest: Int32s, keys: int) -> tuple[Int64s, Int32s, Int32s]:
    """The longest reads end to end; a key that was never read and appended to once has that."""
    count = np.zeros(keys, dtype=np.int64)
    only = np.full(keys, -1, dtype=np.int32)
    for rows, key, value in _appends(found):
        possible = found.status[found.txn[rows]] != FAIL
        np.add.at(count, key[possible], 1)
        only[key[possible]] = value[possible]
    single = (longest < 0) & (count == 1)
    length = np.where(longest >= 0, found.length[longest], single).astype(np.int64)
    first = np.concatenate(([0], np.cumsum(length)))
    key = np.repeat(np.arange(keys, dtype=np.int32), length)

    def shown(some: slice) -> Int32s:
        home = key[some]
        value = only[home]
        read = np.flatnonzero(longest[home] >= 0)
        home = home[read]
        within = read + some.start - first[home]
        value[read] = found.elements[found.list_start[longest[home]] + within]
        return value

    return first, key, mapped(len(key), np.int32, shown)


def _without_repeats(
    first: Int64s, key: Int32s, value: Int32s, append: Int32s, micros: int
) -> tuple[Int64s, Int32s, Int32s, Int32s]:
    """The orders with only the first of equal versions."""
    if _are_distinct(append, micros):
        return first, key, value, append
    place = np.arange(len(append))
    earliest = np.full(int(append.max()) + 1 if len(append) else 0, len(append))
    real = append >= 0
    np.minimum.at(earliest, append[real], place[real])
    keep = np.ones(len(append), dtype=bool)
    keep[real] = earliest[append[real]] == place[real]
    odd = np.flatnonzero(~real)
    _, firsts = np.unique(key[odd].astype(np.int64) << 32 | value[odd], return_index=True)
    keep[odd] = False
    keep[odd[firsts]] = True
    counted = np.concatenate(([0], np.cumsum(keep)))
    return counted[first], key[keep], value[keep], append[keep]


def _places(
    found: Transactions,
    known: NDArray[np.bool_],
    first: Int64s,
    append: Int32s,
    writers: Writers,
) -> tuple[Int32s, Int32s]:
    """``after`` and ``last`` of :class:`Versions`."""
    after = np.full(len(found.f), -1, dtype=np.int32)
    for some in slices(len(append)):
        real = np.flatnonzero(append[some] >= 0)
        mine = append[some][real]
        after[mine] = real + (some.start + 1) - first[found.key[mine]]
    last = np.full(len(found.f), NOBODY, dtype=np.int32)
    for rows, key, length in _lists(found, known):
        ends = found.elements[found.list_start[rows] + length - 1]
        last[rows] = writers.of_values(key, ends)
        seen = rows[last[rows] >= 0]
        after[seen] = after[last[seen]]
    for some in slices(len(after)):
        after[some][known[some] & (found.length[some] == 0)] = 0
    return after, last


def _are_distinct(append: Int32s, micros: int) -> bool:
    """Whether every version is an append, each another one."""
    seen = np.zeros(micros, dtype=bool)
    for some in slices(len(append)):
        if (append[some] < 0).any():
            return False
        seen[append[some]] = True
    return int(np.count_nonzero(seen)) == len(append)
