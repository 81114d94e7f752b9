"""Numbers of versions: each pair of a key and a value once, sorted by key, nil before all values.

Looked up by binary search, millions of pairs each miss the processor's cache some twenty times. So
they are not where that can be helped: values that are written to one key alone, as those of nearly
every long history are, lead to their pair by a table of values; few keys with few values have a
table of all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from checkers.elle.slices import sorted_once
from checkers.elle.transactions import Int32s, Int64s, Numbers

_NOBODY: Final = -1
_ROOM: Final = 1 << 16


@dataclass(frozen=True, eq=False)
class Numbering:
    """``key`` and ``value`` of each version (value -1: nil), the version ``of`` each row, and the
    version ``nil`` of each key.
    """

    key: Int32s
    value: Int32s
    of: Int64s
    nil: Int64s


def numbering(keys: int, key: Numbers, value: Numbers) -> Numbering:
    """The versions of rows of a key below ``keys`` and a value of at least -1 (nil)."""
    width = int(value.max(initial=_NOBODY)) + 2
    return (
        _by_value(keys, width, key, value)
        or _by_pair(keys, width, key, value)
        or _by_search(keys, width, key, value)
    )


def _by_value(keys: int, width: int, key: Numbers, value: Numbers) -> Numbering | None:
    """Where every value but nil is of one key."""
    home = np.full(width, _NOBODY, dtype=np.int32)
    home[value + 1] = key
    home[0] = _NOBODY
    if not np.array_equal(home[value + 1], np.where(value < 0, _NOBODY, key)):
        return None
    used = np.flatnonzero(home >= 0)
    kind = np.uint16 if keys <= 1 << 16 else np.int32  # the short ones are sorted by counting
    used = used[np.argsort(home[used].astype(kind), kind="stable")]
    owner = home[used]
    # Before a key's first value stand the values and the nils of the keys before it, and its nil.
    number = np.arange(len(used)) + owner + 1
    before = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=keys))[:-1]))
    nil = np.arange(keys, dtype=np.int64) + before[:keys]
    place = np.zeros(width, dtype=np.int64)
    place[used] = number
    of = place[value + 1]
    blank = np.flatnonzero(value < 0)
    of[blank] = nil[key[blank]]
    table_key = np.empty(len(used) + keys, dtype=np.int32)
    table_value = np.full(len(table_key), _NOBODY, dtype=np.int32)
    table_key[number], table_key[nil] = owner, np.arange(keys)
    table_value[number] = used - 1
    return Numbering(table_key, table_value, of, nil)


def _by_pair(keys: int, width: int, key: Numbers, value: Numbers) -> Numbering | None:
    """Where there are few pairs that could be."""
    if keys * width > 4 * len(key) + _ROOM:
        return None
    codes = key.astype(np.int64) * width + (value + 1)
    nils = np.arange(keys, dtype=np.int64) * width
    is_there = np.zeros(keys * width, dtype=np.bool_)
    is_there[codes] = True
    is_there[nils] = True
    place = np.cumsum(is_there, dtype=np.int64) - 1
    return _of_table(np.flatnonzero(is_there), width, place[codes], place[nils])


def _by_search(keys: int, width: int, key: Numbers, value: Numbers) -> Numbering:
    """Whatever the pairs are."""
    codes = key.astype(np.int64) * width + (value + 1)
    nils = np.arange(keys, dtype=np.int64) * width
    table = sorted_once(np.concatenate((codes, nils)))
    return _of_table(table, width, np.searchsorted(table, codes), np.searchsorted(table, nils))


def _of_table(table: Int64s, width: int, of: Int64s, nil: Int64s) -> Numbering:
    key, value = (table // width).astype(np.int32), (table % width - 1).astype(np.int32)
    return Numbering(key, value, of, nil)
