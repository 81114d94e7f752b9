"""The few operations that have no order by themselves, by greedy removal.

Only removals that prove something about the whole history are made. Leaving out a read is one:
an order of the whole would be an order of the rest. Leaving out a change is not (somebody may
have seen it), but *forgetting its answer* is: it may then happen at any later time or never,
which allows more orders, not fewer. A change whose answer is forgotten and whose value nobody
left needs vanishes by itself (:func:`checkers.linearizable.entries.without_idle_infos`).

Removal goes by chunks that halve (Zeller's delta debugging), then singly. It is bounded: a trial
that the search gives up on counts as "still needed", so the result may be larger than least but
always has no order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from checkers.linearizable.entries import NEVER, Entry, without_idle_infos
from checkers.linearizable.frontier import Allowance, Exhausted, first_impossible
from harness.history.verdict import Budget

TRIAL: Final = 20_000
"""Configurations for one trial."""
TOTAL: Final = 1_000_000
"""Configurations for one key."""


def minimal(entries: Sequence[Entry], budget: Budget) -> list[Entry]:
    """A small part of ``entries`` (which have no order) that has no order either.

    Entries whose answer did not matter come back with an unknown completion.
    """
    kept = without_idle_infos(entries)
    spent = 0
    size = max(1, len(kept) // 2)
    while True:
        position = len(kept)
        while position > 0:
            chunk = range(max(0, position - size), position)
            position = chunk.start
            trial = without_idle_infos(_relaxed(kept, chunk))
            if trial == kept:
                continue
            allowance = Allowance(TRIAL, budget)
            if spent < TOTAL and _has_no_order(trial, allowance):
                kept = trial
                position = min(position, len(kept))
            spent += allowance.visited
        if size == 1:
            return kept
        size //= 2


def _relaxed(entries: Sequence[Entry], chunk: range) -> list[Entry]:
    """``entries`` without the reads in ``chunk`` and with the answers of its changes forgotten."""
    relaxed = []
    for position, entry in enumerate(entries):
        if position not in chunk:
            relaxed.append(entry)
        elif not entry.is_read:
            relaxed.append(replace(entry, complete=NEVER))
    return relaxed


def _has_no_order(entries: Sequence[Entry], allowance: Allowance) -> bool:
    try:
        return first_impossible(entries, allowance) is not None
    except Exhausted:
        return False
