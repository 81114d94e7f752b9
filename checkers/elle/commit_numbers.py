"""A database's own order of commits, where it was recorded.

Many databases number their commits: a revision, a log position, a timestamp. The option
``commit_order`` says where the numbers are: a map from the index of a completion to its number, or
the name of a field that completions carry (``"commit_ts": 17`` beside ``value``) or of one of the
timestamps that the client told (``"timestamps": {"commit": 17}``). What committed later has
installed later versions; whether the numbers are right is then judged with the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from checkers.elle.transactions import FAIL, Int64s, Transactions
from harness.verdict.record import Record

NONE: Final = -1


def commit_numbers(found: Transactions, option: Any, record: Record) -> Int64s:
    """The rank of each transaction's commit number, -1 where it has none."""
    by_index = _from_field(found, option, record) if isinstance(option, str) else _numbers(option)
    ranks = {number: rank for rank, number in enumerate(sorted(set(by_index.values())))}
    return np.array(
        [
            NONE if found.status[txn] == FAIL else ranks.get(by_index.get(found.index(txn)), NONE)
            for txn in range(len(found))
        ],
        dtype=np.int64,
    )


def _numbers(option: Mapping[Any, Any]) -> dict[int, Any]:
    return {int(index): number for index, number in option.items()}


def _from_field(found: Transactions, name: str, record: Record) -> dict[int, Any]:
    """By index the number in field ``name`` of each completion that has one."""
    numbers = {}
    for operation in record.history:
        number = (operation.extra or {}).get(name, (operation.timestamps or {}).get(name))
        if operation.is_client and isinstance(number, int | float) and number is not True:
            numbers[operation.index] = number
    return numbers
