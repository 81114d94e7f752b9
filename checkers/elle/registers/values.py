"""What the values of registers are: lists are values like others, and some state was there first.

A micro-operation's value is a number here (-1: the initial state), equal where the values are.
The columns keep a list apart, as elements, for whom lists are something to append to; a register
that holds a list just holds that list, so it is told from nil, and from other lists.

The *initial state* is nil, or what the header (``polygraph check -i``) declares: one value for all
keys, or a map from key to value (keys it does not name begin with nil). A read of the declared
value is a read of the initial state. A read of nil there is then a read of a value like any other:
nobody may see it unless somebody wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from checkers.elle.transactions import Int64s, Transactions
from harness.history.values import key_text

_PLAIN = frozenset((str, int, float, bool, list, tuple, dict))


@dataclass(frozen=True, eq=False)
class Values:
    """``of``: for each micro-operation a position in ``names``, or -1 for the initial state.

    ``initial``: the declared initial value, by key, where that is not nil.
    """

    of: Int64s
    names: Sequence[Any]
    initial: Mapping[int, Any] = field(default_factory=dict)


def values(found: Transactions, initial: Any = None) -> Values:
    """The values of all micro-operations of ``found``."""
    of = found.value.astype(np.int64)
    names: Sequence[Any] = found.values
    lists = np.flatnonzero(found.list_start >= 0)
    if len(lists):
        of, names = _with_lists(found, of, lists)
    declared = _declared(found.keys, initial)
    if not declared:
        return Values(of, names)
    return _with_initial(found, of, names, declared)


def _with_lists(found: Transactions, of: Int64s, rows: Int64s) -> tuple[Int64s, Sequence[Any]]:
    """Each different list as one more value."""
    names = list(found.values)
    places: dict[tuple[int, ...], int] = {}
    for row in rows.tolist():
        start = int(found.list_start[row])
        items = tuple(found.elements[start : start + int(found.length[row])].tolist())
        if items not in places:
            places[items] = len(names)
            names.append([found.values[item] for item in items])
        of[row] = places[items]
    return of, names


def _declared(keys: Sequence[Any], initial: Any) -> dict[int, Any]:
    """The declared initial value of each key (by position) where it is not nil.

    The keys of a map are text, those of a history often numbers or keywords: ``1`` is meant by
    ``"1"``, and ``:x`` by ``"x"``, unless the history has that text as a key of its own.
    """
    if initial is None:
        return {}
    if not isinstance(initial, Mapping):
        return dict.fromkeys(range(len(keys)), initial)
    texts = {key for key in keys if type(key) is str}
    found: dict[int, Any] = {}
    for place, key in enumerate(keys):
        name = key_text(key)
        if (type(key) is str or name not in texts) and initial.get(name) is not None:
            found[place] = initial[name]
    return found


def _with_initial(
    found: Transactions, of: Int64s, names: Sequence[Any], declared: Mapping[int, Any]
) -> Values:
    """The declared values as -1, and what was nil on their keys as a value of its own."""
    names = names[: int(of.max(initial=-1)) + 1]  # of a large file: every number there might be
    codes: dict[str, int] = {}
    plain = {value for value in declared.values() if isinstance(value, str | int | float)}
    for code, name in enumerate(names):
        if isinstance(name, list | tuple | dict) or name in plain:
            codes.setdefault(_identity(name), code)
    code_of = np.full(len(found.keys), -2, dtype=np.int64)
    is_declared = np.zeros(len(found.keys), dtype=bool)
    for key, value in declared.items():
        code_of[key] = codes.get(_identity(value), -2)
        is_declared[key] = True
    was_nil = (of < 0) & is_declared[found.key]
    out = np.where(of == code_of[found.key], -1, of)
    out[was_nil] = len(names)
    return Values(out, [*names, None], declared)


def _identity(value: Any) -> str:
    """Equal for equal JSON; a whole number is one however it is written."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    kind = "" if value is None or type(value) in _PLAIN else type(value).__name__
    return kind + json.dumps(value, sort_keys=True, default=str)
