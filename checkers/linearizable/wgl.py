"""A second exact search, of another kind: depth first over orders, as Wing, Gong and Lowe do it.

Where :mod:`checkers.linearizable.frontier` walks through time and keeps all that may be, this one
builds one order, operation by operation, and goes back when it is stuck; it remembers which sets
of operations done with which state led nowhere (Wing & Gong 1993; Lowe 2017; Porcupine). The two
share no code and no reduction, so that each is a check of the other; and where answers say much
about the order (appends that somebody reads), going deep finds an order at once where the
frontier would keep every permutation. It forgets nothing, so its memory grows with its time.

The set of operations done is one Python integer, changed by a bit a step; the records form a
linked list from which operations that are done are lifted out, as in Porcupine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checkers.linearizable.search_problem import REFUSED, Allowance, Problem

_LOOKS: Final = 2048


@dataclass(frozen=True)
class Order:
    """The operations in an order that explains every answer (unknown ones only as needed)."""

    operations: tuple[int, ...]


def find_order(problem: Problem, allowance: Allowance) -> Order | None:
    """An order of the operations that the object allows, or ``None`` if there is none.

    Exact. Raises :class:`~checkers.linearizable.search_problem.Exhausted`.
    """
    for state in problem.start:
        order = _Walk(problem, allowance).run(state)
        if order is not None:
            return order
    return None


class _Walk:
    def __init__(self, problem: Problem, allowance: Allowance) -> None:
        self.problem = problem
        self.allowance = allowance
        self.events = problem.events()
        count = len(self.events)
        self.end = count
        self.next = [*range(1, count + 1), 0]
        self.previous = [count, *range(count)]
        self.answer = [-1] * len(problem)
        for place, event in enumerate(self.events):
            if event < 0:
                self.answer[~event] = place
        self.left = sum(place >= 0 for place in self.answer)

    def run(self, state: int) -> Order | None:
        step, kinds = self.problem.machine.step, self.problem.kinds
        done, dead, path = 0, {(0, state)}, []
        place, visited, held = self.next[self.end], 0, 0
        while self.left:
            event = self.events[place] if place != self.end else -1
            if place != self.end and event >= 0:
                reached = step(state, kinds[event])
                after = (done | 1 << event, reached)
                if reached != REFUSED and after not in dead:
                    dead.add(after)
                    path.append((place, state))
                    state, done = reached, after[0]
                    self._lift(place, event)
                    place = self.next[self.end]
                    visited += 1
                    held += done.bit_length() // 8 + 120
                    if visited == _LOOKS:
                        self.allowance.spend(visited, held + self.problem.machine.held_bytes)
                        visited = 0
                    continue
                place = self.next[place]
                continue
            if not path:
                self.allowance.spend(visited, held + self.problem.machine.held_bytes)
                return None
            place, state = path.pop()
            event = self.events[place]
            done ^= 1 << event
            self._put_back(place, event)
            place = self.next[place]
        self.allowance.spend(visited, held + self.problem.machine.held_bytes)
        return Order(tuple(self.events[place] for place, _ in path))

    def _lift(self, place: int, event: int) -> None:
        self._unlink(place)
        if self.answer[event] >= 0:
            self._unlink(self.answer[event])
            self.left -= 1

    def _put_back(self, place: int, event: int) -> None:
        if self.answer[event] >= 0:
            self._relink(self.answer[event])
            self.left += 1
        self._relink(place)

    def _unlink(self, place: int) -> None:
        before, after = self.previous[place], self.next[place]
        self.next[before], self.previous[after] = after, before

    def _relink(self, place: int) -> None:
        self.next[self.previous[place]] = place
        self.previous[self.next[place]] = place
