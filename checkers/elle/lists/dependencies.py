"""Dependencies of transactions that read lists and append to them.

A list shows its own history, so every read tells the version order of its key up to there
(:mod:`checkers.elle.lists.versions`). From the orders follow the dependencies (Elle, section 4.3):

- ww: who appended just before, to who appended next;
- wr: who appended the last element of a read, to who read it;
- rw: who read a state, to who appended just after it;
- ww again, where the database's own order of commits is known: who appended to a key, to who
  appended to it in the next commit. It orders what nobody read, and must agree with the reads.

Where no cycle shows, an order of the unread appends that makes none can be chosen (a topological
one). With what needs no cycle (:mod:`checkers.elle.lists.anomalies`: a transaction's own reads and
appends in their order, among others) this is complete; but for snapshot isolation, which two
transactions break that append to one key at once: there an order is guessed and tried. What may
not have been committed has no place in the order of writers: those around it are neighbours.
Cost: linear in micro-operations and elements read, but for appends that nobody read, before which
comes every reader of their key's last state.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from checkers.elle.analysis import Inference, Reason
from checkers.elle.explain import show
from checkers.elle.graph import RW, WR, WW, Edges, Graph
from checkers.elle.lists.anomalies import direct_anomalies
from checkers.elle.lists.snapshot_schedule import commit_places
from checkers.elle.lists.versions import NOBODY, Versions
from checkers.elle.slices import mapped, places
from checkers.elle.transactions import (
    FAIL,
    OK,
    READ,
    WRITE,
    Bools,
    Int32s,
    Int64s,
    Transactions,
)
from harness.verdict.record import Record
from harness.verdict.wording import shown

APPENDS: Final = frozenset(("append",))
MOST_PAIRS: Final = 20_000_000
"""Edges from readers of a last state to unread appends; more are not drawn."""


def unexpected(found: Transactions) -> str:
    """Why other micro-operations leave the history undecided."""
    return (
        "unexpected-txn-micro-op-types: a list-append history has append and r alone, and this "
        f"one has {', '.join(found.unexpected)}"
    )


def duplicate_appends(found: Transactions, row: int) -> str:
    """Why a value that was appended again by ``row`` leaves the history undecided."""
    name, key, value = found.micro_operation(row)
    same = np.flatnonzero(
        (found.f == WRITE) & (found.key == found.key[row]) & (found.value == found.value[row])
    )
    indices = [found.index(int(txn)) for txn in found.txn[same][:5]]
    return (
        f"duplicate-appends: {name} of {shown(value)} to key {shown(key)} was asked for more than "
        f"once (indices {', '.join(map(str, indices))}), so no read tells which one it saw; values "
        "must be unique by key"
    )


def infer(
    found: Transactions, versions: Versions, record: Record, numbers: Int64s | None = None
) -> Inference:
    """Dependencies and anomalies of a history with unique appends.

    ``numbers``: the rank of each transaction's commit, if known, or -1.
    """
    graph = Graph(found)
    owner = mapped(len(versions.append), np.int32, lambda some: _owner(found, versions, some))
    unread = _unread(found, versions)
    sure = _sure(versions, owner)
    _add_ww(graph, *sure)
    _add_wr(graph, versions)
    incomplete = _add_rw(graph, versions, owner, unread)
    _add_unread(graph, *sure, unread)
    if numbers is not None:
        graph.add(WW, *_commits(found, numbers))
    return Inference(
        graph=graph,
        reasons=ListReasons(found, versions, numbers),
        anomalies=direct_anomalies(found, versions, record),
        incomplete=incomplete,
        guess=(lambda: guess(graph, versions, numbers)) if _has_rivals(found, unread) else None,
        stats={
            "transactions": len(found),
            "micro_operations": len(found.f),
            "keys": int(np.count_nonzero(versions.lengths())),
        },
    )


def _owner(found: Transactions, versions: Versions, some: slice) -> Int32s:
    """Whose some of the versions are."""
    append = versions.append[some]
    return np.where(append >= 0, found.txn[append], NOBODY)


def _sure(versions: Versions, owner: Int32s) -> tuple[Int32s, Int32s]:
    """Keys and makers of those versions, in order, whose makers were committed."""

    def are_sure(some: slice) -> Bools:
        return np.asarray((owner[some] >= 0) & versions.committed[owner[some]])

    kept = places(len(owner), are_sure)
    if len(kept) == len(owner):
        return versions.key, owner
    return versions.key[kept], owner[kept]


def _add_ww(graph: Graph, key: Int32s, owner: Int32s) -> None:
    def next_to(some: slice) -> Edges:
        after = slice(some.start + 1, some.stop + 1)
        same = key[after] == key[some]
        return owner[some][same], owner[after][same]

    graph.add_slices(WW, max(len(owner) - 1, 0), next_to)


def _commits(found: Transactions, numbers: Int64s) -> tuple[Int32s, Int32s]:
    """Each committer of an append with the next one that appended to the same key."""
    rows = np.flatnonzero((found.f == WRITE) & (numbers[found.txn] >= 0))
    txn, key = found.txn[rows], found.key[rows]
    order = np.lexsort((numbers[txn], key))
    txn, key = txn[order], key[order]
    same = (key[1:] == key[:-1]) & (numbers[txn[1:]] > numbers[txn[:-1]])
    return txn[:-1][same], txn[1:][same]


def _add_wr(graph: Graph, versions: Versions) -> None:
    txn = graph.transactions.txn

    def observed(some: slice) -> Edges:
        last = versions.last[some]
        known = last >= 0
        return txn[last[known]], txn[some][known]

    graph.add_slices(WR, len(versions.last), observed)


def _add_rw(graph: Graph, versions: Versions, owner: Int32s, unread: Int32s) -> str:
    """Readers of a state before who made the next; of a last state before all unread appends."""
    found, lengths = graph.transactions, versions.lengths()

    def overwritten(some: slice) -> Edges:
        after, key = versions.after[some], found.key[some]
        inner = np.flatnonzero(versions.known[some] & (after >= 0) & (after < lengths[key]))
        return found.txn[some][inner], owner[versions.first[key[inner]] + after[inner]]

    def is_last(some: slice) -> Bools:
        after = versions.after[some]
        return np.asarray(versions.known[some] & (after >= lengths[found.key[some]]))

    graph.add_slices(RW, len(found.f), overwritten)
    source, target = _each_pair(found, places(len(found.f), is_last), unread)
    if source is None:
        return (
            "more appends than can be told apart were never read, so the absence of a cycle "
            "proves nothing"
        )
    graph.add(RW, found.txn[source], found.txn[target])
    return ""


def _unread(found: Transactions, versions: Versions) -> Int32s:
    """Appends that may have happened and that no read shows."""

    def is_unread(some: slice) -> Bools:
        hidden = (found.f[some] == WRITE) & (versions.after[some] < 0)
        return np.asarray(hidden & (found.status[found.txn[some]] != FAIL))

    return places(len(found.f), is_unread)


def _has_rivals(found: Transactions, rows: Int32s) -> bool:
    """Whether two transactions made appends ``rows`` to one key, whose order nothing tells."""
    pairs = np.unique(found.key[rows].astype(np.int64) << 32 | found.txn[rows])
    keys = pairs >> 32
    return bool((keys[1:] == keys[:-1]).any())


def guess(graph: Graph, versions: Versions, numbers: Int64s | None = None) -> tuple[Int32s, Int32s]:
    """An order of each key's unread appends: a chain of ww edges, by ``numbers`` if all have one.

    A transaction of unknown outcome none of whose appends was read is taken not to have happened.
    """
    found = graph.transactions
    rows = _unread(found, versions)
    shown = np.zeros(len(found), dtype=bool)
    shown[found.txn[(found.f == WRITE) & (versions.after > 0)]] = True
    txn = found.txn[rows]
    rows = rows[(found.status[txn] == OK) | shown[txn]]
    txn, key = found.txn[rows], found.key[rows]
    keys: dict[int, set[int]] = {}
    for t, k in zip(txn.tolist(), key.tolist(), strict=True):
        keys.setdefault(t, set()).add(k)
    when = found.complete
    if numbers is not None and (numbers[txn] >= 0).all():
        when, places = numbers, None
    else:
        places = commit_places(graph, {t: frozenset(mine) for t, mine in keys.items()})
    if places is not None:
        when = np.array([places.get(t, len(places)) for t in range(len(found))], dtype=np.int64)
    order = np.lexsort((txn, when[txn], key))
    txn, key = txn[order], key[order]
    same = key[1:] == key[:-1]
    return txn[:-1][same], txn[1:][same]


def _each_pair(found: Transactions, readers: Any, appends: Any) -> tuple[Any, Any]:
    """Every reader with every append of its key; ``(None, None)`` if they are too many."""
    order = np.argsort(found.key[appends], kind="stable")
    appends = appends[order]
    low = np.searchsorted(found.key[appends], found.key[readers], side="left")
    high = np.searchsorted(found.key[appends], found.key[readers], side="right")
    count = high - low
    total = int(count.sum())
    if total > MOST_PAIRS:
        return None, None
    within = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(readers, count), appends[np.repeat(low, count) + within]


def _add_unread(graph: Graph, key: Int32s, owner: Int32s, rows: Int32s) -> None:
    """Who made a key's last version before all unread appends."""
    found = graph.transactions
    past = np.searchsorted(key, found.key[rows], side="right")
    has = (past > 0) & (key[np.maximum(past, 1) - 1] == found.key[rows]) if len(key) else past > 0
    graph.add(WW, owner[past[has] - 1], found.txn[rows[has]])


class ListReasons:
    """Finds the micro-operations behind an edge."""

    def __init__(
        self, found: Transactions, versions: Versions, numbers: Int64s | None = None
    ) -> None:
        self.found = found
        self.versions = versions
        self.numbers = numbers

    def reason(self, label: int, before: int, after: int) -> Reason:
        """Why ``before`` comes before ``after``."""
        find = {WW: self._ww, WR: self._wr, RW: self._rw}[label]
        reason = find(before, after)
        assert reason is not None, (label, before, after)
        return reason

    def _micro(self, transaction: int, f: int) -> list[int]:
        found = self.found
        span = range(int(found.first[transaction]), int(found.first[transaction + 1]))
        return [row for row in span if found.f[row] == f]

    def _state_before(self, append: int) -> tuple[slice, int]:
        """The order of the append's key, and how many versions stood before it."""
        order = self.versions.order(int(self.found.key[append]))
        after = int(self.versions.after[append])
        return order, after - 1 if after >= 0 else order.stop - order.start

    def _ww(self, before: int, after: int) -> Reason | None:
        found = self.found
        for row in self._micro(after, WRITE):
            order, count = self._state_before(row)
            if not count:
                continue
            previous = self._sure_before(order, count)
            if previous >= 0 and found.txn[previous] == before:
                key, value, new = self._key(row), self._value(previous), self._value(row)
                text = f"{{b}} appended {show(new)} after {{a}} appended {show(value)} to key "
                text += show(key)
                return Reason(text=text, data={"key": key, "value": value, "value'": new})
        return self._committed(before, after)

    def _sure_before(self, order: slice, count: int) -> int:
        """The last append of the first ``count`` whose transaction was committed, or -1."""
        for place in range(order.start + count - 1, order.start - 1, -1):
            append = int(self.versions.append[place])
            if append >= 0 and self.versions.committed[self.found.txn[append]]:
                return append
        return -1

    def _committed(self, before: int, after: int) -> Reason | None:
        """That both appended to a key, and the order of commits has ``before`` first."""
        numbers = self.numbers
        if numbers is None or not 0 <= numbers[before] < numbers[after]:
            return None
        mine = {int(self.found.key[row]): row for row in self._micro(before, WRITE)}
        for row in self._micro(after, WRITE):
            other = mine.get(int(self.found.key[row]))
            if other is not None:
                key, value, new = self._key(row), self._value(other), self._value(row)
                text = f"{{b}} appended {show(new)} to key {show(key)}, to which {{a}} appended "
                text += f"{show(value)}, and {{a}} was committed first by the database's own order"
                return Reason(text=text, data={"key": key, "value": value, "value'": new})
        return None

    def _wr(self, before: int, after: int) -> Reason | None:
        for row in self._micro(after, READ):
            last = int(self.versions.last[row])
            if last >= 0 and self.found.txn[last] == before:
                key, value = self._key(row), self._value(last)
                text = f"{{b}} observed {{a}}'s append of {show(value)} to key {show(key)}"
                return Reason(text=text, data={"key": key, "value": value})
        return None

    def _rw(self, before: int, after: int) -> Reason | None:
        found, versions = self.found, self.versions
        reads = [row for row in self._micro(before, READ) if versions.known[row]]
        for row in self._micro(after, WRITE):
            order, count = self._state_before(row)
            for read in reads:
                if found.key[read] != found.key[row] or versions.after[read] != count:
                    continue
                key, new = self._key(row), self._value(row)
                if not count:
                    text = (
                        f"{{a}} observed the initial (nil) state of key {show(key)}, which {{b}} "
                        f"created by appending {show(new)}"
                    )
                    return Reason(text=text, data={"key": key, "value": None, "value'": new})
                value = found.values[int(versions.value[order.start + count - 1])]
                text = f"{{a}} did not observe {{b}}'s append of {show(new)} to key {show(key)}"
                return Reason(text=text, data={"key": key, "value": value, "value'": new})
        return None

    def _key(self, row: int) -> Any:
        return self.found.keys[int(self.found.key[row])]

    def _value(self, row: int) -> Any:
        return self.found.values[int(self.found.value[row])]
