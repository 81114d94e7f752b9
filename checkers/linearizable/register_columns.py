"""Long histories of registers as columns: what :mod:`~.register_entries` says, in numpy.

One row an operation, of all keys at once, in order of its first record: key, interval, the value
that it saw and the one that it made. A value is numbered within its key, so that two rows speak of
the same register's same value exactly if the numbers are equal; the numbers 0, 1, 2 ... of the
keys are their initial values. What a row means and what is left out is as in
:mod:`checkers.linearizable.register_entries`; whatever is out of the ordinary (a value that fits no
model, an integer beyond 60 bits) is left to that module, which says what is wrong with it.

Cost: some passes over the columns, about 0.2 us an operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.linearizable.register_entries import BEFORE_ALL, NEVER, NOTHING, initial_of, json_name
from checkers.linearizable.register_models import CAS, READ, Model
from harness.history.columns import INTEGER, NIL, Columns
from harness.history.operation import INVOKE, OK, TYPES

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_LIMIT: Final = 1 << 60
_NIL: Final = -(1 << 62)
_OTHERS: Final = -(1 << 61)
"""The token of an integer is itself; nil and the other values lie below all of these."""


@dataclass(frozen=True)
class Rows:
    """Operations of all keys; see the module's text. ``keys[key[i]]`` is the key of row ``i``."""

    keys: Sequence[Any]
    values: int
    """How many value numbers there are."""
    key: Ints
    at: Ints
    invoke: Ints
    complete: Ints
    seen: Ints
    made: Ints

    def __len__(self) -> int:
        return len(self.at)

    def tests(self) -> int:
        """Rows whose answers could have been wrong."""
        return int(((self.seen != NOTHING) & (self.complete != NEVER)).sum())

    def take(self, chosen: Ints) -> Rows:
        """The rows at some places."""
        columns = (self.key, self.at, self.invoke, self.complete, self.seen, self.made)
        return Rows(self.keys, self.values, *(column[chosen] for column in columns))

    def where(self, chosen: Bools) -> Rows:
        """The chosen rows."""
        return self if chosen.all() else self.take(np.flatnonzero(chosen))

    def cut(self, ends: Ints) -> Rows:
        """Each key up to and including the record at its position in ``ends``."""
        end = ends[self.key]
        complete = np.where(self.complete <= end, self.complete, NEVER)
        columns = (self.key, self.at, self.invoke, complete, self.seen, self.made)
        begun = self.invoke <= end
        return Rows(self.keys, self.values, *(column[begun] for column in columns))

    def without_idle_infos(self) -> Rows:
        """See :func:`checkers.linearizable.register_entries.without_idle_infos`."""
        is_open = self.complete == NEVER
        unsettled = np.flatnonzero(is_open & (self.made != NOTHING) & (self.seen != self.made))
        kept = ~is_open
        if len(unsettled):
            is_needed = np.zeros(self.values + 1, np.bool_)  # the last one is NOTHING's
            is_needed[self.seen[kept]] = True
            is_needed[NOTHING] = False
            kept[_needed(unsettled, self.seen, self.made, is_needed)] = True
        return self.where(kept)


def _needed(unsettled: Ints, seen: Ints, made: Ints, is_needed: Bools) -> list[int]:
    """The rows of unknown outcome that make what a needed row sees."""
    makers: dict[int, list[int]] = {}
    for row, value in zip(unsettled.tolist(), made[unsettled].tolist(), strict=True):
        makers.setdefault(value, []).append(row)
    left = [value for value in makers if is_needed[value]]
    found: list[int] = []
    while left:
        rows = makers.pop(left.pop(), ())
        found += rows
        left += [value for row in rows if (value := int(seen[row])) in makers]
    return found


def rows_of(
    view: Columns,
    model: Model,
    *,
    independent: bool,
    initial: Any = None,
    nil_read_is_unknown: bool = False,
) -> Rows | None:
    """The rows of ``view``, or ``None`` if there is something that only objects can tell."""
    tokens = _Tokens(view)
    asked = _asked(view, independent)
    if asked is None or not set(asked.functions(view)) <= model.functions:
        return None
    if any(type(value) is not str and ".0" in repr(value) for value in view.values):
        return None  # numbers that may equal integers
    is_read = asked.is_f(view, READ)
    is_cas = asked.is_f(view, CAS)
    answer, value = tokens.at(asked.answer), tokens.at(asked.first)
    is_silent = (value == _NIL) & ~is_read
    if is_silent.any() and _brings_unknown(is_silent, asked.is_known, answer):
        return None
    value = np.where(value == _NIL, answer, value)
    seen = np.where(is_read, answer, _NIL)
    made = np.where(is_read, _NIL, value)
    if is_cas.any():
        pairs = tokens.pairs(value[is_cas])
        if pairs is None:
            return None
        seen[is_cas], made[is_cas] = pairs
    if tokens.too_large:
        return None
    speaks = ~is_read | asked.is_known
    if nil_read_is_unknown:
        speaks &= ~is_read | (answer != _NIL)
    first = [initial_of(initial, key, independent) for key in asked.keys]
    numbered = _numbered(
        asked,
        np.array([tokens.of(value) for value in first], np.int64),
        (seen, made),
        (is_read | is_cas, ~is_read),
    )
    return numbered.where(speaks)


def _brings_unknown(is_silent: Bools, is_known: Bools, answer: Ints) -> bool:
    """Whether what was written is told by answers alone, and one of these is missing."""
    is_told = is_silent & is_known & (answer != _NIL)
    return bool(is_told.any() and (is_silent & ~is_known & (answer == _NIL)).any())


@dataclass(frozen=True)
class _Asked:
    """Client operations that did not fail: their records and their keys."""

    keys: Sequence[Any]
    key: Ints
    first: Ints
    answer: Ints
    """The record of the completion, the first record itself if there is none."""
    is_known: Bools
    is_lost: Bools
    """The invocation is missing."""

    def functions(self, view: Columns) -> list[str]:
        return [view.f_names[f] for f in np.unique(view.f[self.first])]

    def is_f(self, view: Columns, name: str) -> Bools:
        number = view.f_names.index(name) if name in view.f_names else -1
        found: Bools = view.f[self.first] == number
        return found


def _asked(view: Columns, independent: bool) -> _Asked | None:
    is_client = view.process >= 0
    has_pair = view.pair >= 0
    begins = is_client & (view.type == TYPES.index(INVOKE))
    is_lost = is_client & ~has_pair & (view.type == TYPES.index(OK))
    first = np.flatnonzero(begins | is_lost)
    pair = view.pair[first].astype(np.int64)
    answer = np.where(pair >= 0, pair, first)
    kind = view.type[answer]
    key = np.zeros(len(first), np.int64)
    keys: Sequence[Any] = (None,)
    if independent:
        keys = view.keys
        key = np.where(view.key[first] >= 0, view.key[first], view.key[answer]).astype(np.int64)
        other = view.key[answer]
        if (len(key) and key.min() < 0) or ((other >= 0) & (other != key)).any():
            return None
    happened = (kind == TYPES.index(OK)) | (kind == TYPES.index("info")) | (kind == 0)
    is_known = kind == TYPES.index(OK)
    columns = (key, first, answer, is_known, is_lost[first])
    return _Asked(keys, *(column[happened] for column in columns))


class _Tokens:
    """An integer for each value of the history, equal exactly for equal JSON."""

    def __init__(self, view: Columns) -> None:
        self.view = view
        self.too_large = False
        self._positions: dict[Any, int] | None = None
        self._more = len(view.values)

    def at(self, records: Ints) -> Ints:
        """The tokens of the values of some records."""
        kind, value = self.view.value_kind[records], self.view.value[records]
        is_integer = kind == INTEGER
        if (np.abs(value[is_integer]) >= _LIMIT).any():
            self.too_large = True
        found: Ints = np.where(is_integer, value, np.where(kind == NIL, _NIL, _OTHERS - value))
        return found

    def of(self, value: Any) -> int:
        """The token of one value."""
        if value is None:
            return _NIL
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and abs(value) < _LIMIT:
            return value
        if self._positions is None:
            names = map(json_name, self.view.values)
            self._positions = {name: position for position, name in enumerate(names)}
        position = self._positions.setdefault(json_name(value), self._more)
        self._more += position == self._more
        return _OTHERS - position

    def pairs(self, tokens: Ints) -> tuple[Ints, Ints] | None:
        """Old and new value of each ``[old, new]``; ``None`` if one is something else."""
        distinct, inverse = np.unique(tokens, return_inverse=True)
        olds, news = [], []
        for token in distinct.tolist():
            position = _OTHERS - token
            value = self.view.values[position] if 0 <= position < len(self.view.values) else None
            if not isinstance(value, list | tuple) or len(value) != 2:
                return None
            olds.append(self.of(value[0]))
            news.append(self.of(value[1]))
        return np.array(olds, np.int64)[inverse], np.array(news, np.int64)[inverse]


def _numbered(
    asked: _Asked, first: Ints, tokens: tuple[Ints, Ints], has: tuple[Bools, Bools]
) -> Rows:
    """Rows with value numbers, those of the keys' ``first`` values first.

    ``tokens`` are what was seen and made by the operations that see and make, by ``has``.
    """
    (seen, made), (sees, makes), count = tokens, has, len(first)
    every = np.concatenate([first, seen[sees], made[makes]])
    owner = np.concatenate([np.arange(count), asked.key[sees], asked.key[makes]])
    number = _dense(every, owner, count)
    values = int(number.max(initial=-1)) + 1
    others = np.ones(values, np.bool_)
    others[number[:count]] = False
    place = np.empty(values, np.int64)
    place[number[:count]] = np.arange(count)
    place[others] = np.arange(count, values)
    number = place[number]
    of_seen, of_made = np.full(len(seen), NOTHING), np.full(len(made), NOTHING)
    of_seen[sees] = number[count : count + int(sees.sum())]
    of_made[makes] = number[count + int(sees.sum()) :]
    complete = np.where(asked.is_known, asked.answer, NEVER)
    invoke = np.where(asked.is_lost, BEFORE_ALL, asked.first)
    return Rows(asked.keys, values, asked.key, asked.first, invoke, complete, of_seen, of_made)


def _dense(tokens: Ints, owner: Ints, owners: int) -> Ints:
    """Numbers from 0 that are equal exactly where token and owner are."""
    low, high = int(tokens.min(initial=0)), 0
    real = tokens[tokens > _OTHERS // 2]
    if len(real):
        low, high = int(real.min()), int(real.max())
    if len(real) < len(tokens) or (high - low) * owners > 8 * len(tokens):
        tokens = np.unique(tokens, return_inverse=True)[1]
        low, high = 0, int(tokens.max(initial=0))
    pairs = owner * (high - low + 1) + (tokens - low)
    if (high - low + 1) * owners > 8 * len(tokens):
        sparse: Ints = np.unique(pairs, return_inverse=True)[1]
        return sparse
    used = np.zeros((high - low + 1) * owners, np.bool_)
    used[pairs] = True
    number = np.cumsum(used) - 1
    dense: Ints = number[pairs]
    return dense
