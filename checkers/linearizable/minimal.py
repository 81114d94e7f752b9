"""The few operations that have no order by themselves, by greedy removal.

Only removals that prove something about the whole history are made:

- *Forget the past*: leave out all that was answered before some record, and let the register
  hold any value there. What was under way then may have happened already or may happen later.
  An order of the whole would give one of the rest, so no order of the rest, whatever was held
  first, proves that there is none of the whole. The latest such record is found by windows that
  grow from the end, then by bisection.
- *Leave out a read*: an order of the whole would be an order of the rest.
- *Forget the answer of a change*: it may then happen at any later time or never, which allows
  more orders, not fewer. (Leaving it out would prove nothing: somebody may have seen it.) If
  nobody who is left needs its value it vanishes by itself
  (:func:`checkers.linearizable.register_entries.without_idle_infos`).

Removal goes by chunks that halve (Zeller's delta debugging), then singly. It is bounded: a trial
that the search gives up on counts as "still needed", so the result may be larger than least but
always has no order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from checkers.linearizable.register_entries import (
    INITIAL,
    NEVER,
    NOTHING,
    Entry,
    without_idle_infos,
)
from checkers.linearizable.search import first_impossible
from checkers.linearizable.search_problem import Allowance, Exhausted
from harness.verdict.verdict import Budget

TRIAL: Final = 10_000
"""Configurations for one trial."""
TOTAL: Final = 250_000
"""Configurations for one key."""


@dataclass(frozen=True)
class Part:
    """Entries without an order from any of the values ``start``.

    Entries whose answer does not matter have an unknown completion. ``since`` is the position of
    the record before which all other entries that could matter were answered, ``None`` for the
    start of the history.
    """

    entries: Sequence[Entry]
    start: frozenset[int] = frozenset({INITIAL})
    since: int | None = None


def minimal(entries: Sequence[Entry], budget: Budget) -> Part:
    """A small part of ``entries`` (which have no order) that has no order either."""
    trials = _Trials(budget)
    return _thinned(_without_past(entries, trials), trials)


class _Trials:
    """Asks whether a part has no order, within ``TRIAL`` each and ``TOTAL`` together."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.left = TOTAL

    def has_no_order(self, part: Part) -> bool:
        """Whether it certainly has none."""
        if self.left <= 0:
            return False
        allowance = Allowance(min(TRIAL, self.left), self.budget)
        try:
            return first_impossible(part.entries, allowance, part.start) is not None
        except Exhausted:
            return False
        finally:
            self.left -= max(allowance.visited, len(part.entries))


def _without_past(entries: Sequence[Entry], trials: _Trials) -> Part:
    """``entries`` from the latest record on that leaves them without an order.

    Windows grow from the end, so that a long history costs no more than what is needed of it.
    """
    answers = sorted(entry.complete for entry in entries if not entry.is_open)
    best, width = Part(without_idle_infos(entries)), 1
    while width <= len(answers):
        part = _since(entries, answers[-width])
        if trials.has_no_order(part):
            best, low = part, len(answers) - width + 1
            break
        width *= 2
    else:
        return best
    high = min(len(answers) - width // 2 - 1, len(answers) - 1)
    while low <= high:
        middle = (low + high) // 2
        part = _since(entries, answers[middle])
        if trials.has_no_order(part):
            best, low = part, middle + 1
        else:
            high = middle - 1
    return best


def _since(entries: Sequence[Entry], position: int) -> Part:
    """What was not answered before ``position``, from any value."""
    kept = [
        entry if entry.invoke > position else replace(entry, complete=NEVER)
        for entry in entries
        if entry.complete > position
    ]
    values = {INITIAL, *(entry.made for entry in entries if entry.made != NOTHING)}
    return Part(without_idle_infos(kept), frozenset(values), position)


def _thinned(part: Part, trials: _Trials) -> Part:
    size = max(1, len(part.entries) // 2)
    while True:
        end = len(part.entries)
        while end > 0:
            chunk = range(max(0, end - size), end)
            trial = replace(part, entries=without_idle_infos(_relaxed(part.entries, chunk)))
            if len(trial.entries) < len(part.entries) or trial.entries != part.entries:
                part = trial if trials.has_no_order(trial) else part
            end = min(chunk.start, len(part.entries))
        if size == 1:
            return part
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
