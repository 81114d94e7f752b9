"""What a list shows without any cycle: ``internal``, ``G1a``, ``lost-update`` and their like.

Each anomaly is looked for twice. A numpy pass over all micro-operations marks those that may be
one, missing none; the exact rule (Elle's, in :data:`ANOMALIES`' functions) then judges the
marked ones in plain Python, of which a sound database gives it none or few.

Beyond Elle's, wrong at every level: a read that lacks what its transaction appended before
(``own-write-unread``), and a transaction's appends in another order than it made them, or a later
one where an earlier one is not (``own-appends-reordered``). A lost update is told by the last read
before an append, for a transaction that reads a key again builds on what it found then. Only reads
that count (:mod:`checkers.elle.lists.versions`) are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, Final

import numpy as np

from checkers.elle.explain import Explainer, show
from checkers.elle.lists.versions import Versions
from checkers.elle.same_key import chains_of
from checkers.elle.slices import mapped, places, slices
from checkers.elle.transactions import (
    FAIL,
    INFO,
    OK,
    READ,
    WRITE,
    Bools,
    Int64s,
    Transactions,
)
from harness.verdict.record import Record
from harness.verdict.verdict import Anomaly

MOST_SHOWN: Final = 20
"""Cases of one type that are told of."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that the rules look at."""

    found: Transactions
    versions: Versions
    within: Within
    explainer: Explainer

    def key(self, row: int) -> Any:
        """The key of a micro-operation, as the history has it."""
        return self.found.keys[int(self.found.key[row])]

    def name(self, value: int) -> Any:
        """A value, as the history has it."""
        return self.found.values[value]

    def value(self, row: int) -> Any:
        """What a micro-operation appended."""
        return self.name(int(self.found.value[row]))

    def read(self, row: int) -> list[int]:
        """The elements that a micro-operation read, as positions in ``values``."""
        start = int(self.found.list_start[row])
        found: list[int] = self.found.elements[start : start + int(self.found.length[row])].tolist()
        return found

    def shown(self, elements: list[int]) -> str:
        """A list in words."""
        return show([self.name(element) for element in elements])

    def txn(self, row: int) -> int:
        """The transaction of a micro-operation."""
        return int(self.found.txn[row])

    def reads(self, some: slice) -> Bools:
        """Which micro-operations are reads that count, with something in them."""
        return np.asarray(self.versions.known[some] & (self.found.length[some] > 0))

    def rows(self, txn: int) -> Iterator[int]:
        """The micro-operations of a transaction, without reads that do not count."""
        for row in range(int(self.found.first[txn]), int(self.found.first[txn + 1])):
            if self.found.f[row] == WRITE or self.versions.known[row]:
                yield row


def direct_anomalies(
    found: Transactions, versions: Versions, record: Record
) -> dict[str, list[Anomaly]]:
    """Cases by type, at most :data:`MOST_SHOWN` of each."""
    evidence = Evidence(found, versions, within(found, versions), Explainer(found, record))
    return {kind: list(islice(rule(evidence), MOST_SHOWN)) for kind, rule in ANOMALIES.items()}


@dataclass(frozen=True, eq=False)
class Within:
    """What the chains of :mod:`checkers.elle.same_key` show of lists.

    ``suspects`` are committed transactions in which a read or append does not follow from what
    came before it, ``built_on`` the last reads before the first append of their chain, ``turned``
    appends that stand before an earlier one of their chain, with that one, ``is_final`` as in
    :class:`checkers.elle.same_key.Chains`.
    """

    suspects: list[int]
    built_on: Int64s
    turned: list[tuple[int, int]]
    is_final: Bools


def within(found: Transactions, versions: Versions) -> Within:
    """All that the chains show; they themselves are made for some transactions at a time."""
    is_final = np.zeros(len(found.f), dtype=bool)
    suspects: list[int] = []
    turned: list[tuple[int, int]] = []
    built_on = [np.zeros(0, dtype=np.int64)]
    for some in slices(len(found)):
        links, low = chains_of(found, some), np.int64(found.first[some.start])
        is_final[low : low + len(links.is_final)] = links.is_final
        later = np.flatnonzero(links.previous >= 0)
        suspects += _suspects(found, versions, later + low, links.previous[later] + low)
        appends = later[found.f[later + low] == WRITE]
        before = _append_before(found.f[low : low + len(links.previous)], links.previous, appends)
        built_on.append(links.previous[appends[before < 0]] + low)
        again = np.flatnonzero(before >= 0)
        turned += _turned(found, versions, appends[again] + low, before[again] + low)
    return Within(suspects, np.concatenate(built_on), turned, is_final)


def _append_before(f: Any, previous: Any, appends: Any) -> Any:
    """The append before each of ``appends`` in its chain, or -1."""
    before = previous[appends].copy()
    while True:
        reads = np.flatnonzero((before >= 0) & (f[before] == READ))
        if not len(reads):
            return before
        before[reads] = previous[before[reads]]


def _turned(found: Transactions, versions: Versions, rows: Any, before: Any) -> Iterator[Any]:
    """Appends that stand in their key's order though the one ``before`` does not, or later does."""
    place, earlier = versions.after[rows], versions.after[before]
    odd = (place >= 0) & ((earlier < 0) | (earlier > place))
    odd &= found.status[found.txn[rows]] != FAIL
    return zip(rows[odd].tolist(), before[odd].tolist(), strict=True)


def _suspects(found: Transactions, versions: Versions, rows: Int64s, before: Int64s) -> list[int]:
    """Committed transactions of which a micro-operation does not follow from the one before."""
    after, earlier = versions.after[rows], versions.after[before]
    odd = ~versions.matches[before] | ~versions.matches[rows]
    is_read = found.f[rows] == READ
    odd |= is_read & ((after != earlier) | (after < 0))
    odd |= ~is_read & (after >= 0) & (after != earlier + 1)
    txn = np.unique(found.txn[rows[odd]])
    return [int(t) for t in txn[versions.committed[txn]]]


def internal(seen: Evidence) -> Iterator[Anomaly]:
    """A read disagrees with what its own transaction read or appended before."""
    for txn in seen.within.suspects:
        case = _internal_case(seen, txn)
        if case is not None:
            row, expected, is_whole = case
            key = seen.key(row)
            wanted = seen.shown(expected)
            wanted = wanted if is_whole else f"a list that ends in {wanted}"
            text = (
                f"T1 read key {show(key)} as {seen.shown(seen.read(row))}, but by its own earlier "
                f"reads and appends it had to find {wanted}."
            )
            yield seen.explainer.anomaly([txn], text, key=key)


def _internal_case(seen: Evidence, txn: int) -> tuple[int, list[int], bool] | None:
    """The first read of ``txn`` that is wrong, what it had to be, and whether that is all of it."""
    found = seen.found
    states: dict[int, tuple[bool, list[int]]] = {}
    for row in seen.rows(txn):
        key = int(found.key[row])
        if found.f[row] == WRITE:
            whole, state = states.get(key, (False, []))
            states[key] = (whole, [*state, int(found.value[row])])
            continue
        items = seen.read(row)
        if key in states:
            whole, state = states[key]
            right = items == state if whole else items[max(len(items) - len(state), 0) :] == state
            if not right:
                return row, state, whole
        states[key] = (True, items)
    return None


def future_read(seen: Evidence) -> Iterator[Anomaly]:
    """A transaction reads what it appends only later."""
    found = seen.found
    for txn in seen.within.suspects:
        reads: dict[tuple[int, int], int] = {}
        for row in seen.rows(txn):
            key = int(found.key[row])
            if found.f[row] == READ:
                for element in seen.read(row):
                    reads.setdefault((key, element), row)
            elif (key, int(found.value[row])) in reads:
                value = show(seen.value(row))
                text = (
                    f"T1 read {value} in key {show(seen.key(row))} before it appended {value} "
                    f"to that key itself."
                )
                yield seen.explainer.anomaly([txn], text, key=seen.key(row))
                break


def own_write_unread(seen: Evidence) -> Iterator[Anomaly]:
    """A read lacks what its transaction appended before."""
    found = seen.found
    for txn in seen.within.suspects:
        mine: dict[int, list[int]] = {}
        for row in seen.rows(txn):
            appended = mine.setdefault(int(found.key[row]), [])
            if found.f[row] == WRITE:
                appended.append(int(found.value[row]))
                continue
            items = seen.read(row)
            missing = [value for value in appended if value not in items]
            if missing:
                text = (
                    f"T1 appended {', '.join(show(seen.name(value)) for value in missing)} to key "
                    f"{show(seen.key(row))} and then read it as {seen.shown(items)}: what it had "
                    f"written itself was not there."
                )
                yield seen.explainer.anomaly([txn], text, key=seen.key(row))
                break


def own_appends_reordered(seen: Evidence) -> Iterator[Anomaly]:
    """A list shows a transaction's appends in another order than it made them."""
    found, versions = seen.found, seen.versions
    found_before: set[tuple[int, int]] = set()
    for row, before in seen.within.turned:
        reader = int(versions.longest[found.key[row]])
        if reader >= 0:
            found_before.add((seen.txn(row), int(found.key[row])))
            yield _turned_case(seen, row, before, reader)
    for reader in _odd_reads(seen):
        for row, before in _turned_in(seen, reader):
            if (seen.txn(row), int(found.key[row])) not in found_before:
                found_before.add((seen.txn(row), int(found.key[row])))
                yield _turned_case(seen, row, before, reader)


def _turned_in(seen: Evidence, reader: int) -> Iterator[tuple[int, int]]:
    """Appends of one transaction that one read shows turned round, or without an earlier one."""
    found, items = seen.found, seen.read(reader)
    keys_of = np.full(len(items), found.key[reader], dtype=np.int32)
    appends = seen.versions.writers.of_values(keys_of, np.array(items, dtype=np.int64)).tolist()
    place = {append: at for at, append in reversed(list(enumerate(appends))) if append >= 0}
    for txn in {seen.txn(append) for append in place}:
        if found.status[txn] == FAIL:
            continue
        span = range(int(found.first[txn]), int(found.first[txn + 1]))
        mine = [r for r in span if found.f[r] == WRITE and found.key[r] == found.key[reader]]
        for before, row in pairwise(mine):
            if row in place and place.get(before, len(items)) > place[row]:
                yield row, before


def _turned_case(seen: Evidence, row: int, before: int, reader: int) -> Anomaly:
    value, earlier = show(seen.value(row)), show(seen.value(before))
    text = (
        f"T1 appended {earlier} and then {value} to key {show(seen.key(row))}, and T2 read it as "
        f"{seen.shown(seen.read(reader))}, which shows {value} where {earlier} is not yet: no "
        f"order of transactions turns the appends of one of them round."
    )
    return seen.explainer.anomaly([seen.txn(row), seen.txn(reader)], text, key=seen.key(row))


def _reads_of(seen: Evidence, marked: Any) -> Iterator[tuple[int, int, int]]:
    """Ok reads that hold a marked append, as (read, element, append), once an element.

    ``marked`` is a mask of micro-operations. A read that is a prefix of its key's order holds one
    if it is longer than the place of the first; any other is looked through.
    """
    found, versions = seen.found, seen.versions
    first_at = np.full(len(versions.longest), np.iinfo(np.int64).max)
    for some in slices(len(versions.append)):
        append = versions.append[some]
        here = np.flatnonzero((append >= 0) & marked[append])
        key = versions.key[some][here]
        np.minimum.at(first_at, key, here + some.start - versions.first[key])

    def may_hold(some: slice) -> Bools:
        reaches = found.length[some] > first_at[found.key[some]]
        return np.asarray(seen.reads(some) & (~versions.matches[some] | reaches))

    for row in places(len(found.f), may_hold).tolist():
        items = seen.read(row)
        keys_of = np.full(len(items), found.key[row], dtype=np.int32)
        appends = versions.writers.of_values(keys_of, np.array(items, dtype=np.int64))
        for element, append in zip(items, appends.tolist(), strict=True):
            if append >= 0 and marked[append]:
                yield row, element, append


def g1a(seen: Evidence) -> Iterator[Anomaly]:
    """An ok read holds what a transaction appended that failed."""
    found = seen.found
    if not (found.status == FAIL).any():
        return

    def has_failed(some: slice) -> Bools:
        return np.asarray((found.f[some] == WRITE) & (found.status[found.txn[some]] == FAIL))

    failed = mapped(len(found.f), np.bool_, has_failed)
    for row, element, append in _reads_of(seen, failed):
        text = (
            f"T2 read {show(seen.name(element))} in key {show(seen.key(row))}, which T1 "
            f"appended; but T1 failed, so nobody may see it (aborted read)."
        )
        yield seen.explainer.anomaly([seen.txn(append), seen.txn(row)], text, key=seen.key(row))


def g1b(seen: Evidence) -> Iterator[Anomaly]:
    """An ok read ends in an append that its transaction went on from."""
    found, last = seen.found, seen.versions.last

    def is_wrong(some: slice) -> Bools:
        append = last[some]
        passing = (append >= 0) & ~seen.within.is_final[append]
        return np.asarray(seen.reads(some) & passing & (found.txn[append] != found.txn[some]))

    rows = places(len(last), is_wrong)
    for row, write in zip(rows.tolist(), last[rows].tolist(), strict=True):
        later = [
            other
            for other in range(write + 1, int(found.first[seen.txn(write) + 1]))
            if found.f[other] == WRITE and found.key[other] == found.key[write]
        ]
        text = (
            f"T2 read key {show(seen.key(row))} as {seen.shown(seen.read(row))}, which ends in "
            f"T1's append of {show(seen.value(write))}; but T1 then appended "
            f"{show(seen.value(later[0]))} to that key too, so T2 saw T1 half done (intermediate "
            f"read)."
        )
        yield seen.explainer.anomaly([seen.txn(write), seen.txn(row)], text, key=seen.key(row))


def dirty_update(seen: Evidence) -> Iterator[Anomaly]:
    """In a key's order a failed append is followed by one that happened."""
    found, versions = seen.found, seen.versions
    if not (found.status == FAIL).any():
        return

    def outcome(some: slice) -> Any:
        append = versions.append[some]
        return np.where(append >= 0, found.status[found.txn[append]], INFO)

    status = mapped(len(versions.append), np.int8, outcome)
    for key in np.unique(versions.key[status == FAIL]).tolist():
        order = versions.order(key)
        failed: int | None = None
        for place in range(order.start, order.stop):
            append = int(versions.append[place])
            if status[place] == FAIL and failed is None:
                failed = append
            elif status[place] == OK:
                if failed is not None:
                    yield _dirty_case(seen, failed, append)
                failed = None


def _dirty_case(seen: Evidence, failed: int, append: int) -> Anomaly:
    text = (
        f"T2's append of {show(seen.value(append))} to key {show(seen.key(append))} stands on "
        f"T1's append of {show(seen.value(failed))}: T1 failed, and yet later reads of the key "
        f"show its value before that of T2, which committed."
    )
    return seen.explainer.anomaly([seen.txn(failed), seen.txn(append)], text, key=seen.key(append))


def _odd_reads(seen: Evidence) -> list[int]:
    """Known reads that are no prefix of the longest one of their key."""
    known, matches = seen.versions.known, seen.versions.matches
    rows: list[int] = places(len(known), lambda some: known[some] & ~matches[some]).tolist()
    return rows


def duplicate_elements(seen: Evidence) -> Iterator[Anomaly]:
    """A read holds an element twice."""
    found, versions = seen.found, seen.versions
    keys = np.flatnonzero(versions.longest >= 0)
    size = found.length[versions.longest[keys]]
    short = keys[size > versions.lengths()[keys]]
    suspects = [*versions.longest[short].tolist(), *_odd_reads(seen)]
    for row in sorted(set(suspects)):
        items = seen.read(row)
        twice = sorted({item for item in items if items.count(item) > 1}, key=items.index)
        if twice:
            text = (
                f"T1 read key {show(seen.key(row))} as {seen.shown(items)}, in which "
                f"{', '.join(show(seen.name(item)) for item in twice)} stands more than once, "
                f"though each value was appended once."
            )
            yield seen.explainer.anomaly([seen.txn(row)], text, key=seen.key(row))


def incompatible_order(seen: Evidence) -> Iterator[Anomaly]:
    """Two reads of a key of which neither is a prefix of the other."""
    found, versions = seen.found, seen.versions
    odd: dict[int, int] = {}
    for row in _odd_reads(seen):
        odd.setdefault(int(found.key[row]), row)
    for key, row in odd.items():
        longest = int(versions.longest[key])
        text = (
            f"T1 read key {show(seen.key(row))} as {seen.shown(seen.read(row))}, and T2 read it "
            f"as {seen.shown(seen.read(longest))}: neither is a prefix of the other, so there is "
            f"no one order in which the appends happened."
        )
        yield seen.explainer.anomaly([seen.txn(row), seen.txn(longest)], text, key=seen.key(row))


def lost_update(seen: Evidence) -> Iterator[Anomaly]:
    """Two transactions that happened read one state of a key, last of all, and append to it."""
    found = seen.found
    root = seen.within.built_on
    root = root[seen.versions.known[root]]
    order = np.lexsort((root, found.length[root], found.key[root]))
    root = root[order]
    key, length = found.key[root], found.length[root]
    start = np.concatenate(([True], (key[1:] != key[:-1]) | (length[1:] != length[:-1])))
    group = np.cumsum(start[: len(root)]) - 1
    crowded = np.bincount(group, minlength=1)[group] > 1 if len(root) else group > 0
    same: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for row in root[crowded].tolist():
        same.setdefault((int(found.key[row]), tuple(seen.read(row))), []).append(row)
    for rows in same.values():
        if len(rows) > 1:
            yield _lost_case(seen, rows)


def _lost_case(seen: Evidence, rows: list[int]) -> Anomaly:
    names = [f"T{n}" for n in range(1, len(rows) + 1)]
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    text = (
        f"{who} {'both' if len(rows) == 2 else 'all'} read key {show(seen.key(rows[0]))} as "
        f"{seen.shown(seen.read(rows[0]))} and then appended to it: none built on another's "
        f"append, so all but one are lost updates."
    )
    txns = [seen.txn(row) for row in rows]
    return seen.explainer.anomaly(txns, text, key=seen.key(rows[0]))


def thin_air(seen: Evidence) -> Iterator[Anomaly]:
    """A read holds what nobody ever appended."""
    found, versions = seen.found, seen.versions
    keys = np.unique(versions.key[versions.append < 0])
    longest = versions.longest[keys]
    for row in sorted({*longest[longest >= 0].tolist(), *_odd_reads(seen)}):
        items = seen.read(row)
        keys_of = np.full(len(items), found.key[row], dtype=np.int32)
        appends = versions.writers.of_values(keys_of, np.array(items, dtype=np.int64))
        strange = [i for i, append in zip(items, appends.tolist(), strict=True) if append < 0]
        if strange:
            text = (
                f"T1 read key {show(seen.key(row))} as {seen.shown(items)}, in which "
                f"{', '.join(show(seen.name(item)) for item in dict.fromkeys(strange))} came out "
                f"of thin air: no transaction of the history ever asked to append it."
            )
            yield seen.explainer.anomaly([seen.txn(row)], text, key=seen.key(row))


ANOMALIES: Final[dict[str, Callable[[Evidence], Iterator[Anomaly]]]] = {
    "internal": internal,
    "future-read": future_read,
    "own-write-unread": own_write_unread,
    "own-appends-reordered": own_appends_reordered,
    "G1a": g1a,
    "G1b": g1b,
    "dirty-update": dirty_update,
    "duplicate-elements": duplicate_elements,
    "incompatible-order": incompatible_order,
    "lost-update": lost_update,
    "thin-air": thin_air,
}
"""The rules, by the names of what they find."""
