"""What the clients of a run did, in columns: what the health of a run is judged by.

One row a record of a client, in record order. Where the reader made columns of the history
(:class:`harness.history.columns.Columns`), they are used as they are, and only those few records
are decoded of which more is asked than they hold; a history that is objects anyway is gone through
once. Cost: some passes over flat arrays, 20 ns a record each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.history.columns import NONE, TRANSACTION, Columns
from harness.history.history import History
from harness.history.operation import INVOKE, OK, TYPES, Operation, is_transaction

READS: Final = frozenset({"read", "get", "dequeue", "drain"})
READ_STEPS: Final = frozenset({"r", "read", "rp", "poll"})
_CODE: Final = {name: code for code, name in enumerate(TYPES)}
_LATEST: Final = 2**63 - 1
_TOGETHER: Final = 4096
_NOTHING: Final[tuple[Any, ...]] = (None, [], {})

Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Activity:
    """The clients' records: ``place`` in the history, ``time``, code of ``type``, and ``f``."""

    history: History
    place: Int64s
    time: Int64s
    type: NDArray[np.int8]
    f: NDArray[Any]
    f_names: Sequence[str]

    @cached_property
    def invoked(self) -> Int64s:
        """Times of the invocations, in order of time."""
        return self._sorted_times(self.type == _CODE[INVOKE])

    @cached_property
    def completed(self) -> Int64s:
        """Times of the completions, whatever they say, in order of time."""
        return self._sorted_times(self.type != _CODE[INVOKE])

    @cached_property
    def ok(self) -> Int64s:
        """Times of the completions that are ok, in order of time."""
        return self._sorted_times(self.type == _CODE[OK])

    def ok_counts(self) -> dict[str, int]:
        """How many were ok of each kind that was invoked or ok, by its name."""
        size = len(self.f_names)
        ok = np.bincount(self.f[self.type == _CODE[OK]], minlength=size).tolist()
        asked = np.bincount(self.f[self.type == _CODE[INVOKE]], minlength=size).tolist()
        counts = zip(self.f_names, asked, ok, strict=True)
        return {f: good for f, begun, good in sorted(counts) if begun or good}

    def first_invoked_since(self, time_ns: int) -> set[str]:
        """The kinds that were invoked at or after ``time_ns``, and never before."""
        asked = self.type == _CODE[INVOKE]
        late = self.time >= time_ns
        after = np.unique(self.f[asked & late]).tolist()
        before = set(np.unique(self.f[asked & ~late]).tolist())
        return {self.f_names[f] for f in after if f not in before}

    def is_under_way_in(self, start_ns: int, end_ns: int) -> bool:
        """Whether a call was begun by the end of the span, and not over before its start."""
        begun = np.searchsorted(self.invoked, _within(end_ns), side="right")
        over = np.searchsorted(self.completed, _within(start_ns), side="left")
        return bool(begun > over)

    def calls_since(self, time_ns: int) -> Iterator[tuple[Operation, bool]]:
        """Every invocation at or after ``time_ns``, and whether it was ok, in order of their ends.

        Those that never ended come last.
        """
        asked = self.place[(self.type == _CODE[INVOKE]) & (self.time >= time_ns)]
        ends = self._ends_of(asked)
        order = np.argsort(np.where(ends >= 0, ends, len(self.history)), kind="stable")
        are_ok = self._are_ok(ends[order]).tolist()
        return zip(self._operations(asked[order]), are_ok, strict=True)

    def nodes_that_answered(self, wanted: Collection[str]) -> set[str]:
        """Those of the nodes ``wanted`` on which some call was ok; looks until all are found."""
        asked = self.place[self.type == _CODE[INVOKE]]
        calls = self._operations(asked[self._are_ok(self._ends_of(asked))])
        found: set[str] = set()
        while len(found) < len(wanted) and (some := list(islice(calls, _TOGETHER))):
            found.update(each.node for each in some if each.node is not None)
            found.intersection_update(wanted)
        return found

    def reads_that_saw_nothing(self) -> int | None:
        """How many reads were ok, if none of them saw anything; ``None`` if one did."""
        ends = self.place[self.type == _CODE[OK]]
        keyed, count = self.history.header.independent, 0
        view = self.history.prepared
        if view is not None and not keyed:
            reads = [code for code, f in enumerate(view.f_names) if f in READS]
            is_steps = (view.value_kind[ends] == TRANSACTION) & ~np.isin(view.f[ends], reads)
            blind = _blind_steps(view, ends[is_steps])
            if blind is None:
                return None
            count, ends = blind, ends[~is_steps]
        for operation in self._operations(ends):
            for seen in _seen(operation, keyed=keyed):
                if seen not in _NOTHING:
                    return None
                count += 1
        return count

    def _sorted_times(self, rows: NDArray[np.bool_]) -> Int64s:
        times = self.time[rows]
        return times if bool((times[1:] >= times[:-1]).all()) else np.sort(times)

    def _ends_of(self, places: Int64s) -> Int64s:
        """Where each invocation at ``places`` was completed, or -1."""
        view = self.history.prepared
        if view is not None:
            return view.pair[places].astype(np.int64)
        pairs = self.history.pairs
        return np.array([pairs[place] for place in places.tolist()], dtype=np.int64)

    def _are_ok(self, ends: Int64s) -> NDArray[np.bool_]:
        """Whether the record at each of ``ends`` is ok; where there is none, it is not."""
        rows = np.minimum(np.searchsorted(self.place, ends), len(self.place) - 1)
        found: NDArray[np.bool_] = (ends >= 0) & (self.type[rows] == _CODE[OK])
        return found

    def _operations(self, places: Int64s) -> Iterator[Operation]:
        operations = self.history.operations
        pick = getattr(operations, "pick", None)
        if pick is not None:
            return iter(pick(places.tolist()))
        return (operations[place] for place in places.tolist())


def activity_of(history: History) -> Activity:
    """The records of the clients of ``history``."""
    view = history.prepared
    if view is not None:
        rows = np.flatnonzero(view.process >= 0)
        time = view.time[rows].astype(np.int64)
        return Activity(history, rows, time, view.type[rows], view.f[rows], view.f_names)
    found = [place for place, each in enumerate(history.operations) if each.is_client]
    picked = [history.operations[place] for place in found]
    names = {f: code for code, f in enumerate(dict.fromkeys(each.f for each in picked))}
    return Activity(
        history,
        place=np.array(found, dtype=np.int64),
        time=_times([each.time for each in picked]),
        type=np.array([_CODE[each.type] for each in picked], dtype=np.int8),
        f=np.array([names[each.f] for each in picked], dtype=np.int32),
        f_names=tuple(names),
    )


def _times(times: Sequence[int]) -> Int64s:
    try:
        return np.array(times, dtype=np.int64)
    except OverflowError:  # of another clock, or nonsense: very late is late enough
        return np.array([_within(each) for each in times], dtype=np.int64)


def _within(time_ns: int) -> int:
    return max(-_LATEST, min(time_ns, _LATEST))


def _blind_steps(view: Columns, places: Int64s) -> int | None:
    """How many steps of these transactions read, if none of them saw anything; else ``None``."""
    micro = view.micro
    is_asked = np.zeros(len(view), dtype=np.bool_)
    is_asked[places] = True
    codes = [code for code, f in enumerate(micro.f_names) if f in READ_STEPS]
    rows = np.flatnonzero(np.isin(micro.f, codes) & is_asked[micro.txn])
    if bool((micro.list_end[rows] > micro.list_start[rows]).any()):
        return None
    told = np.unique(micro.value[rows])
    if any(view.values[value] not in _NOTHING for value in told.tolist() if value != NONE):
        return None
    return len(rows)


def _seen(operation: Operation, *, keyed: bool) -> Iterator[Any]:
    """What each read of an operation was answered: of a transaction, each of its steps."""
    value = operation.value
    if keyed and isinstance(value, list) and len(value) == 2:
        value = value[1]
    if operation.f in READS:
        yield value
    elif is_transaction(value):
        yield from (step[-1] for step in value if step[0] in READ_STEPS)
