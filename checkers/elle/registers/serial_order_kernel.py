"""Transactions having their turns on a store: the loop of :mod:`~.serial_order`.

Plain Python that numba also takes; arguments are lists or arrays. Slices by transaction ``t`` are
``first[t]:first[t + 1]``: what it reads (key, version), what it writes (key, version), and who must
come after it.
"""

from __future__ import annotations

from typing import Any, Final

STUCK: Final = 0
DONE: Final = 1
LATER: Final = 2
"""Why the loop ended: nobody may go, all had their turn, or passes enough for now."""

TURNS: Final = 0
ARRIVED: Final = 1
ENDED: Final = 2
ACTIVE: Final = 3
PASSES: Final = 4
FURTHEST: Final = 5
"""Places in ``progress``."""


def take_turns(
    progress: Any,
    passes: int,
    realtime: int,
    never: int,
    due: Any,
    ends: Any,
    by_end: Any,
    coming: Any,
    active: Any,
    log: Any,
    old: Any,
    done: Any,
    invoke: Any,
    reads: Any,
    read_key: Any,
    read_version: Any,
    writes: Any,
    write_key: Any,
    write_version: Any,
    befores: Any,
    after: Any,
    store: Any,
    waits: Any,
    unread: Any,
) -> int:
    """Run who may go until nobody may, all are done, or after so many ``passes``.

    ``active`` are those who may be under way, by when they are due; ``log`` those who had their
    turn, ``old`` what each of their writes overwrote. ``horizon`` is the first completion to come,
    before which one must have been invoked. In each pass those who may go do, up to the first that
    writes: a write may come too early, so the next one is chosen afresh.
    """
    end = progress[4] + passes
    while progress[0] < len(coming):
        if progress[4] >= end:
            return 2
        while progress[2] < len(by_end) and done[by_end[progress[2]]]:
            progress[2] += 1
        horizon = never
        if realtime and progress[2] < len(by_end):
            horizon = ends[by_end[progress[2]]]
        while progress[1] < len(coming) and invoke[coming[progress[1]]] < horizon:
            txn = coming[progress[1]]
            place = progress[3]
            while place > 0 and due[active[place - 1]] > due[txn]:
                active[place] = active[place - 1]
                place -= 1
            active[place] = txn
            progress[3] += 1
            progress[1] += 1
        kept = 0
        seen = 0
        while seen < progress[3]:
            txn = active[seen]
            seen += 1
            may_go = not waits[txn] and invoke[txn] < horizon
            if may_go:
                for at in range(reads[txn], reads[txn + 1]):
                    if store[read_key[at]] != read_version[at]:
                        may_go = False
                        break
            if may_go:
                for at in range(reads[txn], reads[txn + 1]):
                    unread[read_version[at]] -= 1
                for at in range(writes[txn], writes[txn + 1]):
                    if unread[store[write_key[at]]]:
                        may_go = False
                        break
                if not may_go:
                    for at in range(reads[txn], reads[txn + 1]):
                        unread[read_version[at]] += 1
            if not may_go:
                active[kept] = txn
                kept += 1
                continue
            log[progress[0]] = txn
            progress[0] += 1
            done[txn] = 1
            for at in range(writes[txn], writes[txn + 1]):
                old[at] = store[write_key[at]]
                store[write_key[at]] = write_version[at]
            for at in range(befores[txn], befores[txn + 1]):
                waits[after[at]] -= 1
            if writes[txn + 1] > writes[txn]:
                break
        went = seen > kept
        while seen < progress[3]:
            active[kept] = active[seen]
            kept += 1
            seen += 1
        progress[3] = kept
        progress[4] += 1
        if not went:
            return 0
        if progress[5] and progress[0] > progress[5]:
            for later in range(1, kept):
                txn = active[later]
                place = later
                while place > 0 and due[active[place - 1]] > due[txn]:
                    active[place] = active[place - 1]
                    place -= 1
                active[place] = txn
            progress[5] = 0
    return 1
