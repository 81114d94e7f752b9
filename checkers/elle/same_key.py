"""Micro-operations of one transaction on one key: which come before which.

Most anomalies inside a transaction, and some between two, hang on what a transaction did to a
key before and after. These are the chains of such micro-operations, for all transactions at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from checkers.elle.transactions import WRITE, Int32s, Transactions

_SHORT: Final = 24


@dataclass(frozen=True, eq=False)
class Chains:
    """``previous[m]``: the micro-operation before ``m`` of its transaction on its key, or -1;
    ``root[m]``: the first of them; ``is_final[m]``: a write that none of them follows.
    """

    previous: Int32s
    root: Int32s
    is_final: NDArray[np.bool_]


def chains(found: Transactions) -> Chains:
    """The chains of all transactions."""
    return chains_of(found, slice(0, len(found)))


def chains_of(found: Transactions, some: slice) -> Chains:
    """The chains of some transactions, with their first micro-operation as number 0."""
    rows = slice(int(found.first[some.start]), int(found.first[some.stop]))
    sizes = np.diff(found.first[some.start : some.stop + 1])
    longest = int(sizes.max()) if len(sizes) else 0
    previous = _previous(found.txn[rows], found.key[rows], longest)
    here = np.arange(len(previous), dtype=np.int32)
    root = np.where(previous >= 0, previous, here)
    while True:
        further = root[root]
        if np.array_equal(further, root):
            break
        root = further
    writes = np.flatnonzero(found.f[rows] == WRITE)
    latest = np.full(len(previous), -1, dtype=np.int32)
    latest[root[writes]] = writes  # of equal places the last one written stays
    is_final = np.zeros(len(previous), dtype=bool)
    is_final[writes] = latest[root[writes]] == writes
    return Chains(previous, root, is_final)


def _previous(txn: Int32s, key: Int32s, longest: int) -> Int32s:
    """``previous`` of micro-operations, at most so many a transaction."""
    previous = np.full(len(txn), -1, dtype=np.int32)
    if longest <= _SHORT:
        for apart in range(1, longest):
            same = (txn[apart:] == txn[:-apart]) & (key[apart:] == key[:-apart])
            at = np.flatnonzero(same)
            at = at[previous[at + apart] < 0]
            previous[at + apart] = at
        return previous
    order = np.lexsort((key, txn))  # stable: in the transaction's order
    txn, key = txn[order], key[order]
    same = (txn[1:] == txn[:-1]) & (key[1:] == key[:-1])
    previous[order[1:][same]] = order[:-1][same]
    return previous
