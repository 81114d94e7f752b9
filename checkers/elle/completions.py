"""Do answers answer? What a completion holds, laid beside what its invocation asked.

An ``ok`` transaction's answer has the micro-operations that were asked: as many, of the same
kinds, on the same keys, with the same writes, in the same order. Only what was read is new. An
answer of another key, or with another value written, tells of something that nobody asked for:
neither a pass nor an accusation can be built on it. An invocation without micro-operations asked
for nothing that could be compared, which is fine; and what only *may* have happened was what the
invocation asked, whatever its completion repeats of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.kernels import is_worth_compiling, kernel, mark_unlike
from checkers.elle.slices import slices
from harness.history.columns import NONE, Columns, MicroColumns

Bools = NDArray[np.bool_]
_READ: Final = 0


def unlike(columns: Columns, invoke: Any, answer: Any, table: Any) -> Bools:
    """Which transactions' answers are not the micro-operations that were asked.

    ``invoke`` and ``answer`` are positions of records, -1 where there is none; ``table`` has the
    code of each name of a micro-operation. Records without micro-operations are like any.
    """
    micro = columns.micro
    begin = np.zeros(len(columns) + 1, dtype=np.int32)
    odd = np.zeros(len(invoke), dtype=np.uint8)
    is_fast = is_worth_compiling(len(micro.txn))
    mark = kernel(mark_unlike, len(micro.txn)) if is_fast else _mark_in_numpy
    source = micro.txn, table, micro.f, micro.key, micro.value, micro.list_start
    mark(invoke, answer, begin, *source, odd)
    for at in np.flatnonzero(odd == _LISTS).tolist():
        asked, told = int(begin[invoke[at]]), int(begin[answer[at]])
        count = int(begin[answer[at] + 1]) - told
        odd[at] = _differ(columns, asked, told, count, table)
    return np.asarray(odd != 0)


_LISTS: Final = 2
"""Alike but for writes of lists, which are to be compared one by one."""


def _mark_in_numpy(invoke: Any, answer: Any, begin: Any, record: Any, *rest: Any) -> None:
    """:func:`checkers.elle.kernels.mark_unlike` in numpy."""
    *source, odd = rest
    np.cumsum(np.bincount(record, minlength=len(begin) - 1), out=begin[1:])
    for some in slices(len(invoke)):
        asked, told = invoke[some], answer[some]
        pairs = np.flatnonzero((asked >= 0) & (told >= 0) & (asked != told))
        asked, told = asked[pairs], told[pairs]
        count = begin[told + 1] - begin[told]
        wanted = begin[asked + 1] - begin[asked]
        both = (count > 0) & (wanted > 0)
        odd[pairs[both & (count != wanted)] + some.start] = 1
        same = np.flatnonzero(both & (count == wanted))
        marks = _marks(begin[asked[same]], begin[told[same]], count[same], *source)
        odd[pairs[same] + some.start] = marks


def _marks(
    asked: Any, told: Any, count: Any, table: Any, f: Any, key: Any, value: Any, start: Any
) -> NDArray[np.uint8]:
    """The marks of so many micro-operations from ``told`` on beside those from ``asked`` on."""
    owner = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    a, b = asked[owner] + within, told[owner] + within
    code = table[f[b]]
    differs = (code != table[f[a]]) | (key[a] != key[b])
    writes = code != _READ
    lists = writes & ((start[a] >= 0) | (start[b] >= 0))
    differs |= writes & ((value[a] != value[b]) | ((start[a] >= 0) != (start[b] >= 0)))
    odd = np.zeros(len(count), dtype=np.uint8)
    odd[owner[lists]] = _LISTS
    odd[owner[differs]] = 1
    return odd


def _differ(columns: Columns, asked: int, told: int, count: int, table: Any) -> bool:
    """Whether some list that was written is another one in the answer."""
    micro = columns.micro
    return any(
        table[micro.f[told + n]] != _READ
        and _elements(micro, asked + n) != _elements(micro, told + n)
        for n in range(count)
    )


def _elements(micro: MicroColumns, row: int) -> list[int]:
    found: list[int] = micro.elements[micro.list_start[row] : micro.list_end[row]].tolist()
    return found if micro.list_start[row] >= 0 else []


def were_open(columns: Columns, record: Any, first: Any, txn: Any, rows: Any) -> Any:
    """Those of micro-operations ``rows``, answered, whose invocation left the answer open.

    What an invocation held already is no answer. ``record`` is a transaction's, ``first`` its first
    micro-operation, ``txn`` a micro-operation's transaction.
    """
    micro, invoked = columns.micro, columns.pair[record[txn[rows]]]
    if not len(rows):
        return rows
    asked = np.searchsorted(micro.txn, invoked) + rows - first[txn[rows]]
    asked = np.minimum(asked, len(micro.txn) - 1)
    is_there = (invoked >= 0) & (micro.txn[asked] == invoked)
    held = (micro.value[asked] >= 0) | (micro.list_start[asked] >= 0)
    return rows[~(is_there & held)]


class Values(Sequence[Any]):
    """The values of a history, with some more at places of their own."""

    def __init__(self, known: Sequence[Any], more: Mapping[int, Any]) -> None:
        self._known = known
        self._more = more

    def __len__(self) -> int:
        return len(self._known) + len(self._more)

    def __getitem__(self, place: Any) -> Any:
        return self._more[place] if place in self._more else self._known[place]


def whole_values(columns: Columns, rows: Any, start: Any, length: Any, value: Any) -> Sequence[Any]:
    """Give each of the micro-operations ``rows`` one value, where it is a list or nil.

    As an element of a list that was read, a list (or nil) is a value like any other, and so it is
    where it was written. ``start``, ``length`` and ``value`` are changed; returns all values.
    """
    known: Sequence[Any] = columns.values
    if not len(rows):
        return known
    kinds = () if isinstance(known, range) else known  # integers alone hold no list
    table = {
        _text(item): n
        for n, item in enumerate(kinds)
        if item is None or isinstance(item, list | tuple)
    }
    more: dict[int, Any] = {}
    # A large file's values are a range of integers that leaves but one place behind it, and of
    # those integers the largest are not in use.
    free = itertools.count(len(known), -1 if isinstance(known, range) else 1)
    for row in rows.tolist():
        item: Any = None
        if start[row] >= 0:
            low = int(start[row])
            item = [known[n] for n in columns.micro.elements[low : low + int(length[row])].tolist()]
        text = _text(item)
        if text not in table:
            more[next(free)] = item
            table[text] = next(reversed(more))
        value[row], start[row], length[row] = table[text], NONE, 0
    return Values(known, more) if more else known


def _text(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str)
