"""The rows of one key as a problem for the exact search, and what it found, as records again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from checkers.linearizable.register_columns import Ints, Rows
from checkers.linearizable.register_entries import NOTHING
from checkers.linearizable.search import first_stuck
from checkers.linearizable.search_problem import Allowance, Problem, RegisterMachine


@dataclass(frozen=True)
class Lead:
    """A key without an order, told by records alone.

    ``end`` is the first impossible completion. ``makers`` are the first records of operations that
    made the values that could then be held (-1 for the initial one); ``None`` if nobody searched.
    """

    key: Any
    end: int
    makers: tuple[int, ...] | None


@dataclass(frozen=True)
class Part:
    """One key: its rows, and the same as a problem with the value numbers ``values``."""

    key: Any
    rows: Rows
    problem: Problem
    values: Ints

    def search(self, allowance: Allowance) -> Lead | None:
        """What is wrong with the key, if anything; see :func:`search.first_stuck`."""
        stuck = first_stuck(self.problem, allowance)
        if stuck is None:
            return None
        makers = tuple(self._maker(int(self.values[state])) for state in sorted(stuck.states))
        return Lead(self.key, int(self.rows.complete[stuck.late]), makers)

    def _maker(self, value: int) -> int:
        if value < len(self.rows.keys):
            return -1
        return int(self.rows.at[np.argmax(self.rows.made == value)])


def parts(rows: Rows) -> Iterator[Part]:
    """The keys that have rows, each as a problem; infos that nobody needs are left out."""
    needed = rows.without_idle_infos()
    order = np.argsort(needed.key, kind="stable")
    present, starts = np.unique(needed.key[order], return_index=True)
    ends = np.append(starts, len(order))[1:]
    for key, start, end in zip(present.tolist(), starts, ends, strict=True):
        yield _part(needed.take(order[start:end]), key)


def _part(rows: Rows, key: int) -> Part:
    values, numbers = np.unique(np.concatenate([[key], rows.seen, rows.made]), return_inverse=True)
    shift = int(values[0] == NOTHING)
    seen, made = numbers[1 : len(rows) + 1] - shift, numbers[len(rows) + 1 :] - shift
    codes, kinds = np.unique((seen + 1) * (len(values) + 1) + made + 1, return_inverse=True)
    machine = RegisterMachine(
        (codes // (len(values) + 1) - 1).tolist(), (codes % (len(values) + 1) - 1).tolist()
    )
    start = (int(numbers[0]) - shift,)
    problem = Problem(machine, kinds.tolist(), rows.invoke.tolist(), rows.complete.tolist(), start)
    return Part(rows.keys[key], rows, problem, values[shift:])
