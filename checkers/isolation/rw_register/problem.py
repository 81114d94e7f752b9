"""What has to be explained: who takes part, what they read of whom, and what must be kept.

Transactions that take part are the ok ones, and those of unknown outcome of which one that takes
part read a write: another one can be left out of any order that explains the rest. They are
numbered in order of invocation. Of each the *external* reads count (all of them: two different
answers for one key are two reads) and the last write to each key. A version is a write;
``INITIAL`` stands for what was there first.

A :class:`Level` says what an order must keep beside the reads:

- ``SERIAL``: transactions have one turn each;
- ``SNAPSHOT``: a *begin*, which reads, and a *commit*, which writes; of two that write the same key
  one commits before the other begins (Adya 1999; Elnikety et al., SRDS 2005);
- ``PREFIX``: the same without that condition (Cerone, Bernardi, Gotsman, CONCUR 2015);

and of the recorded order nothing, that of each process, or all that the clock tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.explain import show
from checkers.elle.registers.serial_order import taking_part
from checkers.elle.registers.versions import Versions
from checkers.elle.transactions import OK, Transactions

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

INITIAL: Final = -1
SERIAL: Final = 0
SNAPSHOT: Final = 1
PREFIX: Final = 2
FREE: Final = ""
PROCESS: Final = "process"
REALTIME: Final = "realtime"


@dataclass(frozen=True)
class Level:
    """A consistency model (canonical name): the kind of order, and what of the record it keeps."""

    model: str
    kind: int
    keeps: str

    @property
    def turns(self) -> int:
        """Turns of a transaction: one, or a begin and a commit."""
        return 1 if self.kind == SERIAL else 2


LEVELS: Final[Mapping[str, Level]] = {
    level.model: level
    for level in (
        Level("prefix", PREFIX, FREE),
        Level("PL-SI", SNAPSHOT, FREE),
        Level("strong-session-snapshot-isolation", SNAPSHOT, PROCESS),
        Level("strong-snapshot-isolation", SNAPSHOT, REALTIME),
        Level("PL-2.99", SERIAL, FREE),
        Level("view-serializable", SERIAL, FREE),
        Level("PL-3", SERIAL, FREE),
        Level("strong-session-serializable", SERIAL, PROCESS),
        Level("PL-SS", SERIAL, REALTIME),
    )
}
"""Every model that is decided here; none is weaker than one before it of its kind.

Repeatable read (PL-2.99) forbids every circle of reads and writes of items, and predicates are not
recorded, so what it allows has a serial order.
"""
OF_SESSIONS: Final = Level("prefix", PREFIX, PROCESS)
"""Prefix consistency where only sessions are known: there their order counts everywhere."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Transactions by number, with their reads and writes as columns sorted by transaction.

    ``txns[t]`` is the transaction's number in the history. Reads: ``read_txn``, ``read_key``, and
    ``read_from``, a write or ``INITIAL``. Writes: ``write_txn``, ``write_key``.
    ``first_read[t]:first_read[t + 1]`` are the reads of ``t``, and so ``first_write``.
    """

    known: Versions
    txns: Int64s
    read_txn: Int32s
    read_key: Int32s
    read_from: Int32s
    write_txn: Int32s
    write_key: Int32s
    write_row: Int64s
    first_read: Int64s
    first_write: Int64s

    def __len__(self) -> int:
        return len(self.txns)

    @property
    def found(self) -> Transactions:
        """All transactions of the history."""
        return self.known.found

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self.found.keys)

    @property
    def invoke(self) -> Int64s:
        """Where each was invoked; -1 where no record tells."""
        return self.found.invoke[self.txns].astype(np.int64)

    @property
    def complete(self) -> Int64s:
        """Where each completed; a place after all others if it did not, or nobody knows how."""
        return np.where(self.is_ok, self.found.complete[self.txns], self.found.never)

    @property
    def process(self) -> Int32s:
        """The process of each."""
        return self.found.process[self.txns]

    @property
    def is_ok(self) -> Bools:
        """Which certainly committed."""
        return np.asarray(self.found.status[self.txns] == OK)

    @property
    def depends(self) -> bool:
        """Whether some transaction read what another one wrote, or what one replaced."""
        written = np.zeros(self.keys, dtype=bool)
        written[self.write_key] = True
        return bool(((self.read_from != INITIAL) | written[self.read_key]).any())

    def key(self, key: int) -> str:
        """A key, to print."""
        return show(self.found.keys[key])

    def plain_key(self, key: int) -> Any:
        """A key as it was."""
        return self.found.keys[key]

    def value(self, write: int, key: int) -> str:
        """The value of a write (or of the initial state) of a key, to print."""
        return show(self.plain_value(write, key))

    def plain_value(self, write: int, key: int) -> Any:
        """The value of a write (or of the initial state) of a key, as it was."""
        of = self.known.nil[key] if write == INITIAL else self.known.of[self.write_row[write]]
        return self.known.name(int(of))


def problem(known: Versions) -> Problem | None:
    """The problem of a history; ``None`` if some read can have no place in any order."""
    parts = taking_part(known)
    if parts is None:
        return None
    found = known.found
    txns = np.flatnonzero(parts)
    number = np.full(len(found), -1, dtype=np.int32)
    number[txns] = np.arange(len(txns), dtype=np.int32)
    rows = known.final[parts[found.txn[known.final]]]
    write_of = np.full(len(known), INITIAL, dtype=np.int32)
    write_of[known.of[rows]] = np.arange(len(rows), dtype=np.int32)
    reads = known.external
    write_txn, read_txn = number[found.txn[rows]], number[found.txn[reads]]
    return Problem(
        known=known,
        txns=txns,
        read_txn=read_txn,
        read_key=found.key[reads].astype(np.int32),
        read_from=write_of[known.of[reads]],
        write_txn=write_txn,
        write_key=found.key[rows].astype(np.int32),
        write_row=rows.astype(np.int64),
        first_read=firsts(read_txn, len(txns)),
        first_write=firsts(write_txn, len(txns)),
    )


def firsts(owner: NDArray[Any], size: int) -> Int64s:
    """Where the entries of each owner begin, in a column sorted by owner."""
    first = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(owner, minlength=size), out=first[1:])
    return first


def grouped(owner: NDArray[Any], size: int) -> tuple[Int64s, Int32s]:
    """``first`` and the positions of a column's entries by owner, in order."""
    return firsts(owner, size), np.argsort(owner, kind="stable").astype(np.int32)


def sessions(problem: Problem) -> tuple[Int32s, Int32s]:
    """Pairs of transactions: the last ok one of a process before each other one of it."""
    process = problem.process
    order = np.argsort(process, kind="stable")
    here = np.arange(len(order))
    latest = np.maximum.accumulate(np.where(problem.is_ok[order], here, -1))
    latest = np.concatenate(([-1], latest[:-1])) if len(order) else latest
    at = np.maximum(latest, 0)
    same = (latest >= 0) & (process[order] == process[order[at]])
    return order[at[same]].astype(np.int32), order[same].astype(np.int32)
