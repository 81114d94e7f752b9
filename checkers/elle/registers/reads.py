"""Which reads of a register history count, whose they are, and which of them nothing explains.

Every read of a committed transaction counts, not only its first of a key. Committed is what
answered ``ok``, and a transaction of unknown outcome (info) of which a committed one read a write:
from read committed on (G1a) only what committed may be seen. Then whatever the record of its end
tells of its reads counts, too: a value that its invocation had not held already, and never nil,
for an unanswered read looks like that. What ended otherwise tells nothing.

A read that counts is one of

- *external*: before any write of its own to the key, of what another transaction wrote, or of the
  initial state. These make dependencies, all of them;
- after its own write to the key, and of just that: it tells nothing;
- *future*: of what its own transaction writes only later. That is wrong at every level, for no
  read comes before the write that it shows (Adya 1999, on what a history is);
- *unread*: after its own write, and yet of the initial state or of an older write of its own:
  wrong at every level, too;
- *overwritten*: after its own write, and of what another transaction wrote. Wrong from read
  committed on; below, another may have written in between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from checkers.elle.same_key import Chains
from checkers.elle.transactions import INFO, OK, READ, WRITE, Int64s, Transactions

Bools = NDArray[np.bool_]
_INFO_RECORD = 3


@dataclass(frozen=True, eq=False)
class Reads:
    """Rows of micro-operations in order, by kind as in the module's text; ``rows`` are all.

    ``external`` has of several reads of one version in a row only the first, ``foreign`` has them
    all (what was seen between two may matter). ``committed`` tells which transactions certainly
    did.
    """

    committed: Bools
    rows: Int64s
    foreign: Int64s
    external: Int64s
    future: Int64s
    unread: Int64s
    overwritten: Int64s

    @property
    def unexplained(self) -> bool:
        """Whether some read can have no place in an order of whole transactions."""
        return bool(len(self.future) or len(self.unread) or len(self.overwritten))


def reads(
    found: Transactions,
    links: Chains,
    of: Int64s,
    written_at: Int64s,
    *,
    infos: bool,
    ignored: Int64s | None = None,
) -> Reads:
    """The reads of ``found``; ``of`` is the version of each micro-operation, and ``written_at``
    the row that wrote each version (-1 nobody), whatever became of it.

    ``infos``: whether a transaction that was read from has committed (below read committed it need
    not have). Rows that are ``ignored`` count as no reads at all.
    """
    is_read = found.f == READ
    if ignored is not None:
        is_read[ignored] = False
    committed = np.asarray(found.status == OK)
    rows = np.flatnonzero(is_read & committed[found.txn])
    if infos and (found.status == INFO).any():
        committed, rows = _with_infos(found, of, written_at, committed, rows, is_read)
    own = _own_write_before(links, found, rows)
    at = written_at[of[rows]]
    mine = (at >= 0) & (found.txn[np.maximum(at, 0)] == found.txn[rows])
    after = own >= 0
    agrees = after & (of[rows] == of[own])
    future = mine & (at > rows)
    before = links.previous[rows]
    again = (before >= 0) & (of[rows] == of[before]) & is_read[before]
    lost = after & ~agrees & ~future
    theirs = (at >= 0) & ~mine
    return Reads(
        committed=committed,
        rows=rows,
        foreign=rows[~after & ~future],
        external=rows[~after & ~future & ~again],
        future=rows[future],
        unread=rows[lost & ~theirs],
        overwritten=rows[lost & theirs],
    )


def _own_write_before(links: Chains, found: Transactions, rows: Int64s) -> Int64s:
    """For each of ``rows`` the last write to its key before it in its transaction, or -1."""
    own: Int64s = links.previous[rows].astype(np.int64)
    while True:
        passing = np.flatnonzero((own >= 0) & (found.f[own] != WRITE))
        if not len(passing):
            return own
        own[passing] = links.previous[own[passing]]


def _with_infos(
    found: Transactions,
    of: Int64s,
    written_at: Int64s,
    committed: Bools,
    rows: Int64s,
    is_read: Bools,
) -> tuple[Bools, Int64s]:
    """The same with infos that somebody read from, and what these are known to have read."""
    told = _shown_by_infos(found)
    told = told[is_read[told]]
    fresh = rows
    while True:
        at = written_at[of[fresh]]
        writers = found.txn[at[at >= 0]]
        writers = writers[(found.status[writers] == INFO) & ~committed[writers]]
        if not len(writers):
            break
        is_new = np.zeros(len(found), dtype=bool)
        is_new[writers] = True
        committed = committed | is_new
        fresh = told[is_new[found.txn[told]]]
    more = told[committed[found.txn[told]]]
    return committed, np.sort(np.concatenate((rows, more))) if len(more) else rows


def _shown_by_infos(found: Transactions) -> Int64s:
    """Reads of infos that their completion answered: not nil, and not what was asked already."""
    columns = found.columns
    rows: Int64s = np.flatnonzero((found.f == READ) & (found.status[found.txn] == INFO))
    rows = rows[(found.value[rows] >= 0) | (found.list_start[rows] >= 0)]
    record = found.record[found.txn[rows]]
    ends = columns.type[record] == _INFO_RECORD
    rows, record = rows[ends], record[ends]
    invoked = columns.pair[record]
    micro = columns.micro
    if not len(rows) or not len(micro.txn):
        return rows
    asked = np.searchsorted(micro.txn, invoked) + rows - found.first[found.txn[rows]]
    asked = np.minimum(asked, len(micro.txn) - 1)
    is_there = (invoked >= 0) & (micro.txn[asked] == invoked)
    was_open = is_there & (micro.value[asked] < 0) & (micro.list_start[asked] < 0)
    told: Int64s = rows[was_open | (invoked < 0)]
    return told
