"""Does an order of turns explain every read? A store is run through it, micro-operation by another.

This is the proof of *valid*, and it takes nothing from those who found the order: neither their
reads and writes nor their graph, but the micro-operations of the history. Each transaction takes
its snapshot at its begin, sees its own writes, and installs them at its commit; every read that
counts must find what it told, every ok transaction must have its turns, and what the level keeps of
the recorded order must be kept.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from checkers.elle.kernels import is_worth_compiling, kernel
from checkers.elle.registers.versions import Versions
from checkers.elle.transactions import FAIL, OK, WRITE
from checkers.isolation.rw_register.problem import PROCESS, REALTIME, SNAPSHOT, Int64s, Level

_STEPS_EACH: Final = 10


def explains(known: Versions, level: Level, txn: Int64s, is_commit: Any) -> bool:
    """Whether the turns, of the transactions ``txn`` one after another, explain the history.

    Of a level with one turn, each is a commit, with its begin just before.
    """
    found = known.found
    size, keys = len(found), len(found.keys)
    counts = np.zeros(len(found.txn), dtype=bool)
    counts[known.reads.rows] = True
    numbers = np.unique(found.process, return_inverse=True)[1]
    columns = [
        *(txn.astype(np.int64), np.asarray(is_commit, dtype=bool)),
        *(found.first, found.f == WRITE, found.key, known.of, counts),
        *(found.status == FAIL, found.status == OK),
        *(found.invoke.astype(np.int64), found.complete.astype(np.int64)),
        *(numbers, known.nil.copy()),
        *(np.zeros(size, dtype=np.int8), np.full(keys, -1, dtype=np.int64)),
        *(np.full(keys, -1, dtype=np.int64), np.full(keys, -1, dtype=np.int64)),
        np.full(int(numbers.max(initial=0)) + 1, -1, dtype=np.int64),
    ]
    work = _STEPS_EACH * (len(found.txn) + len(txn))
    loop = kernel(run, work)
    if not is_worth_compiling(work):
        columns = [column.tolist() for column in columns]
    return bool(
        loop(
            *(level.turns == 1, level.kind == SNAPSHOT),
            level.keeps == PROCESS or (level.keeps == REALTIME and found.lacks_begins),
            level.keeps == REALTIME,
            *columns,
        )
    )


def run(
    at_once: bool,
    apart: bool,
    by_process: bool,
    by_time: bool,
    txns: Any,
    commits: Any,
    first: Any,
    writes: Any,
    key_of: Any,
    version: Any,
    counts: Any,
    failed: Any,
    is_ok: Any,
    invoke: Any,
    complete: Any,
    process: Any,
    store: Any,
    state: Any,
    mine: Any,
    held: Any,
    writer: Any,
    latest: Any,
) -> bool:
    """The store's run. ``state`` of a transaction: 0 not begun, 1 begun, 2 committed; ``mine`` is
    who wrote a key last of those looked at, ``held`` what it wrote; ``writer`` who of those under
    way writes a key; ``latest`` the last of each process that has begun.
    """
    begun_last = -1
    for turn in range(len(txns)):
        txn, is_commit = txns[turn], commits[turn]
        if is_commit != (state[txn] == 1 or at_once) or state[txn] == 2 or failed[txn]:
            return False
        if at_once or not is_commit:
            latest[process[txn]] = max(latest[process[txn]], txn)
            begun_last = max(begun_last, invoke[txn])
            state[txn] = 1
            for row in range(first[txn], first[txn + 1]):
                key = key_of[row]
                if writes[row]:
                    mine[key] = txn
                    held[key] = version[row]
                    if apart and writer[key] >= 0 and writer[key] != txn:
                        return False
                    writer[key] = txn
                elif counts[row]:
                    there = held[key] if mine[key] == txn else store[key]
                    if there != version[row]:
                        return False
        if is_commit:
            if is_ok[txn] and by_process and latest[process[txn]] > txn:
                return False
            if is_ok[txn] and by_time and complete[txn] < begun_last:
                return False
            state[txn] = 2
            for row in range(first[txn], first[txn + 1]):
                if writes[row]:
                    store[key_of[row]] = version[row]
                    writer[key_of[row]] = -1
    is_whole = True
    for txn in range(len(state)):
        is_whole &= state[txn] == 2 if is_ok[txn] else state[txn] != 1
    return is_whole
