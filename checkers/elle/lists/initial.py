"""Lists that were not empty when the history began, as its header or ``-i`` declares.

A declared state is one list for every key, or a map from key to list (``null`` is the empty list).
Every read of such a key begins with it, and what comes after is what the history tells of: so it
is taken off. A read that does not begin with it cannot be, whatever it shows besides; it is told
of, and nothing else is built on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from checkers.elle.explain import Explainer, show
from checkers.elle.slices import places
from checkers.elle.transactions import OK, READ, WRITE, Bools, Transactions
from harness.history.calls import name
from harness.history.values import key_text
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly
from harness.verdict.wording import shown

Lists = Mapping[int, Sequence[Any]]
"""By key (its position): the elements that it begins with."""


class NoLists(Exception):
    """What is declared is no state of lists; the message says why."""


def declared(found: Transactions, initial: Any) -> Lists:
    """The lists that are not empty at the beginning; raises :class:`NoLists`."""
    if initial is None:
        return {}
    if isinstance(initial, list):
        lists = dict.fromkeys(range(len(found.keys)), initial) if initial else {}
        used = np.unique(found.key).tolist() if initial else []
        return {key: lists[key] for key in used}
    if not isinstance(initial, Mapping):
        raise NoLists(
            f"the declared initial state {shown(initial)} is no list, and no map of lists"
        )
    for key, state in initial.items():
        if not (state is None or isinstance(state, list)):
            raise NoLists(
                f"the declared initial state of key {shown(key)} is {shown(state)}, which is no"
                " list"
            )
    names = {name(key): state for key, state in initial.items() if state}
    found_keys = {key: found.keys[key] for key in np.unique(found.key).tolist()}
    return {
        key: names.get(name(given), names.get(key_text(given), []))
        for key, given in found_keys.items()
        if names.get(name(given), names.get(key_text(given)))
    }


def without_initial(found: Transactions, lists: Lists) -> tuple[Transactions, list[int]]:
    """``found`` as if all lists had begun empty, and reads of ``ok`` that begin otherwise."""
    start, length, value = found.list_start.copy(), found.length.copy(), found.value.copy()
    odd: list[int] = []
    for key, state in lists.items():
        for row in np.flatnonzero((found.key == key) & (found.f == READ)).tolist():
            if value[row] >= 0 or (start[row] < 0 and found.status[found.txn[row]] != OK):
                continue  # no list, or not known to be one
            items = found.items(row) or []
            if list(map(name, items[: len(state)])) == list(map(name, state)):
                start[row] += len(state)
                length[row] -= len(state)
                continue
            start[row], length[row], value[row] = -1, 0, 0
            if found.status[found.txn[row]] == OK:
                odd.append(row)
    return replace(found, list_start=start, length=length, value=value), odd


def appended_again(found: Transactions, lists: Lists) -> int:
    """An append of what its list began with, or -1."""
    for key, state in lists.items():
        names = set(map(name, state))
        for row in np.flatnonzero((found.key == key) & (found.f == WRITE)).tolist():
            if name(found.values[int(found.value[row])]) in names:
                return row
    return -1


def not_begun_with(
    found: Transactions, odd: Sequence[int], lists: Lists, record: Record
) -> Iterator[Anomaly]:
    """A case for each read of ``found`` that does not begin as its list did."""
    explainer = Explainer(found, record)
    for row in odd[:20]:
        key = found.keys[int(found.key[row])]
        text = (
            f"T1 read key {show(key)} as {show(found.items(row) or [])}, but the list was "
            f"{show(list(lists[int(found.key[row])]))} when the history began, as declared, and "
            f"lists only grow: every read begins with that."
        )
        yield explainer.anomaly([int(found.txn[row])], text, key=key)


def misshapen(found: Transactions) -> str:
    """Which ``ok`` read is answered with what is no list, in a sentence; empty if none is."""

    def are_odd(some: slice) -> Bools:
        held = (found.f[some] == READ) & (found.value[some] >= 0)
        return np.asarray(held & (found.status[found.txn[some]] == OK))

    rows = places(len(found.f), are_odd)
    if not len(rows):
        return ""
    row = int(rows[0])
    _, key, value = found.micro_operation(row)
    others = f" ({len(rows)} reads are answered so)" if len(rows) > 1 else ""
    return (
        f"operation {found.index(int(found.txn[row]))} read key {shown(key)} and was answered "
        f"{shown(value)}, which is no list{others}"
    )
