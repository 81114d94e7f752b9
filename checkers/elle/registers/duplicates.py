"""Values that were written more than once to a key: of whom a read read, as far as that is certain.

Where values are unique a read names its writer. Where one was written twice, or the initial state
written again, each of its writes becomes a version of its own here, with the same name, and a read
of it is one of

- of its own: after a write of its own that it shows (whoever else wrote that value);
- certain: only one transaction can have let it be seen, for only what its writer left (not what it
  overwrote itself) and did not take back (fail) may be read from read committed on;
- wrong whoever it was: nobody but failed ones, or ones that overwrote it, or itself only later;
- *open*: one of several, the initial state among them. Reads of one transaction of one version
  before any write of its own are one :class:`Group`, for in any order of whole transactions they
  see one writer.

Whoever proves something without the open reads has proved it whatever was chosen
(:meth:`Doubt.relaxed`); an order of whole transactions that explains one choice explains the
history (:meth:`Doubt.chosen`). Sound from read committed on alone.

Cost: linear, but for a Python step for each touch of a value that is not unique.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from checkers.elle.explain import show
from checkers.elle.registers.values import Values
from checkers.elle.registers.versions import Versions, versions
from checkers.elle.transactions import FAIL, OK, READ, WRITE, Int64s, Transactions

NOBODY: Final = -1
"""The initial state, as a writer and as a code of :attr:`Values.of`."""
MOST_NAMED: Final = 5


class _Names(Sequence[Any]):
    """The names of values, and again those of the ones that were written more than once."""

    def __init__(self, names: Sequence[Any], first: int, more: Sequence[Any]) -> None:
        self.names, self.first, self.more = names, first, more

    def __len__(self) -> int:
        return self.first + len(self.more)

    def __getitem__(self, at: Any) -> Any:
        return self.more[at - self.first] if at >= self.first else self.names[at]


@dataclass(frozen=True)
class Group:
    """Reads (``rows``) of one transaction of one value, and whom it can have read: ``writers``
    (:data:`NOBODY` for the initial state), with the ``codes`` of what they wrote, likeliest first.
    """

    txn: int
    key: int
    rows: tuple[int, ...]
    writers: tuple[int, ...]
    codes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Doubt:
    """A history in which some values are not unique, with every write a version of its own."""

    known: Versions
    initial: Any
    held: Values
    groups: tuple[Group, ...]

    def relaxed(self) -> Versions:
        """The versions without the open reads: whatever these forbid is forbidden."""
        rows = [row for group in self.groups for row in group.rows]
        return self._versions(self.held.of, np.array(rows, dtype=np.int64))

    def chosen(self, choice: Sequence[int]) -> Versions:
        """The versions if each group read of the writer at that place."""
        of = self.held.of.copy()
        for group, place in zip(self.groups, choice, strict=True):
            of[list(group.rows)] = group.codes[place]
        return self._versions(of, np.zeros(0, dtype=np.int64))

    def _versions(self, of: Int64s, ignored: Int64s) -> Versions:
        held = Values(of, self.held.names, self.held.initial)
        return versions(self.known.found, self.initial, held=held, ignored=ignored)

    def keys(self) -> str:
        """The keys of open reads, to print."""
        of = sorted({group.key for group in self.groups})
        shown = ", ".join(show(self.known.found.keys[key]) for key in of[:MOST_NAMED])
        return shown if len(of) <= MOST_NAMED else f"{shown} and {len(of) - MOST_NAMED} more"


def doubt(known: Versions, initial: Any) -> Doubt:
    """What is certain of a history of which ``known.written_twice`` is not empty."""
    found, values = known.found, known.values
    twice = np.zeros(len(known), dtype=bool)
    twice[known.written_twice] = True
    rows = np.flatnonzero(twice[known.of])
    writes = rows[found.f[rows] == WRITE]
    of = values.of.copy()
    first = int(of.max(initial=NOBODY)) + 1
    of[writes] = first + np.arange(len(writes))
    names = [known.name(int(version)) for version in known.of[writes]]
    reads = rows[(found.f[rows] == READ) & (found.status[found.txn[rows]] != FAIL)]
    groups = tuple(_Look(known, of, writes).groups(reads))
    return Doubt(
        known=known,
        initial=initial,
        held=Values(of, _Names(values.names, first, names), values.initial),
        groups=groups,
    )


class _Look:
    """Looks at the reads of values that are not unique; fills in the codes of certain ones."""

    def __init__(self, known: Versions, of: Int64s, writes: Int64s) -> None:
        self.known = known
        self.found: Transactions = known.found
        self.of = of
        self.begins, self.ends = _moments(self.found)
        self.writes: dict[int, list[int]] = {}
        for row in writes.tolist():
            self.writes.setdefault(int(known.of[row]), []).append(row)

    def groups(self, reads: Int64s) -> Iterator[Group]:
        """The groups of open reads."""
        open_: dict[tuple[int, int], list[int]] = {}
        for row in reads.tolist():
            code = self._certain(row)
            if code is None:
                group = int(self.found.txn[row]), int(self.known.of[row])
                open_.setdefault(group, []).append(row)
            else:
                self.of[row] = code
        for (txn, version), rows in open_.items():
            yield self._group(txn, version, tuple(rows))

    def _certain(self, row: int) -> int | None:
        """The code that a read has for certain; ``None`` if it is open."""
        found, known = self.found, self.known
        txn, version = int(found.txn[row]), int(known.of[row])
        own = self._own_before(row)
        if own >= 0 and known.of[own] == version:
            return int(self.of[own])
        finals = self._finals(version, txn)
        is_nil = bool(known.value[version] < 0)
        if own >= 0:  # wrong from read committed on, whoever it was
            return int(self.of[finals[0]]) if finals else self._odd(version, row, is_nil)
        if len(finals) + is_nil > 1:
            return None
        if finals:
            return int(self.of[finals[0]])
        return NOBODY if is_nil else self._odd(version, row, is_nil)

    def _odd(self, version: int, row: int, is_nil: bool) -> int:
        """The code of a read that nobody can have let be seen: the writer that is least wrong."""
        txn = int(self.found.txn[row])
        every = self.writes[version]
        theirs = [one for one in every if self.found.txn[one] != txn]
        theirs.sort(key=lambda one: bool(self.found.status[self.found.txn[one]] == FAIL))
        if theirs or not is_nil:
            mine = [one for one in every if one < row] or every
            return int(self.of[(theirs or mine)[0]])
        return NOBODY

    def _finals(self, version: int, txn: int) -> list[int]:
        """The writes that others may have left there, those that certainly happened first."""
        some = [
            row
            for row in self.writes[version]
            if self.known.chains.is_final[row]
            and self.found.txn[row] != txn
            and self.found.status[self.found.txn[row]] != FAIL
        ]
        return sorted(some, key=lambda row: bool(self.found.status[self.found.txn[row]] != OK))

    def _own_before(self, row: int) -> int:
        links, own = self.known.chains, int(self.known.chains.previous[row])
        while own >= 0 and self.found.f[own] != WRITE:
            own = int(links.previous[own])
        return own

    def _group(self, txn: int, version: int, rows: tuple[int, ...]) -> Group:
        found, known = self.found, self.known
        options = [
            (self._distance(txn, int(found.txn[row])), int(found.txn[row]), int(self.of[row]))
            for row in self._finals(version, txn)
        ]
        if known.value[version] < 0:
            options.append((self._distance(txn, NOBODY), NOBODY, NOBODY))
        options.sort(key=lambda option: option[0])
        writers = tuple(writer for _, writer, _ in options)
        codes = tuple(code for *_, code in options)
        return Group(txn, int(known.key[version]), rows, writers, codes)

    def _distance(self, reader: int, writer: int) -> tuple[int, float]:
        """How unlikely it is that the one read of the other, by when they are recorded: the last
        to complete before the reader did is the likeliest.
        """
        if writer == NOBODY:
            return (0, float("inf"))
        end, begun = self.ends[reader], self.begins[writer]
        if begun > end:
            return (1, begun)
        return (0, end - min(self.ends[writer], end))


def _moments(found: Transactions) -> tuple[list[float], list[float]]:
    """When each transaction began and ended; without times, how far its process had come."""
    if found.are_timed:
        return found.invoke.tolist(), found.complete.tolist()
    process = np.unique(found.process, return_inverse=True)[1]
    order = np.argsort(process, kind="stable")
    count = np.bincount(process)
    place = np.empty(len(found))
    place[order] = np.arange(len(found)) - np.repeat(np.cumsum(count) - count, count)
    gone = (place / count[process]).tolist()
    return gone, gone
