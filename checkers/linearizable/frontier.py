"""Exact search for an order of the operations on one object: the just-in-time frontier.

The idea (Lowe, *Testing for linearizability*, 2017; Knossos' ``linear``): walk through the
records in order and keep every *configuration* that the object can be in, a configuration
being the set of open operations that have already taken effect, and the state now held. Nothing
takes effect before it must: only when an operation completes are open operations put in order
until that one has taken effect; configurations in which it cannot are dropped. When none is
left, that completion is impossible, and with it every order. The empty frontier thus names the
first impossible answer, and its memory stays small on bad histories.

The number of configurations is exponential in the operations open at once, so:

- *looks are eager*: an open read takes effect as soon as its value is held (it costs nothing);
- *equal operations go by completion*: of open operations that ask and answer the same, the one
  that completes first goes first (exchange the two in any order to see that this loses nothing);
  those of unknown outcome come last, in order of invocation;
- operations of unknown outcome that no order needs are dropped beforehand, and one that would
  not change the state is not taken;
- *dominated configurations are pruned*: with the same state and the same answered changes done,
  one that has used a **subset** of the unknown operations and done a superset of the open reads
  can do all that the other can. A smaller *number* does not dominate: with unknown ``write 5``,
  ``cas 0 4`` and ``cas 4 5``, then read 5, write 9, read 5, the two configurations after the
  first read must both live.

A configuration is one Python integer (a bit per open operation, so there is no limit on how
many are open) in the set of its state. Cost: O(records) sets, each exponential at worst;
therefore an :class:`~checkers.linearizable.search_problem.Allowance`. The same search, compiled, is
:mod:`checkers.linearizable.sweep`.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from checkers.linearizable.register_entries import NEVER
from checkers.linearizable.search_problem import REFUSED, Allowance, Problem, Stuck

BYTES_PER_CONFIGURATION: Final = 120
"""A Python integer in a set, with the set's spare room and its place in the work list."""
_LOOKS: Final = 256
"""Configurations between two looks at the clock."""
_COMPARISONS: Final = 64
"""Kept configurations that each other one is compared with; fewer prunes less, never wrongly."""

Front = dict[int, set[int]]
"""State to the masks of operations that have taken effect and are still open."""


def first_stuck(problem: Problem, allowance: Allowance) -> Stuck | None:
    """The first completion that no order allows, or ``None`` if there is an order.

    Exact. Raises :class:`~checkers.linearizable.search_problem.Exhausted`.
    """
    search = _Search(problem, allowance)
    for event in problem.events():
        if event >= 0:
            search.invoke(event)
            continue
        states = search.complete(~event)
        if states is not None:
            return Stuck(~event, states)
    return None


@dataclass(frozen=True, slots=True)
class _Move:
    """An open change: ``blockers`` are equal operations that must have gone before it."""

    bit: int
    blockers: int
    made: int


class _Search:
    def __init__(self, problem: Problem, allowance: Allowance) -> None:
        self.problem = problem
        self.step = problem.machine.step
        self.looks = list(problem.machine.looks)
        self.allowance = allowance
        self.front: Front = {state: {0} for state in problem.start}
        self.bits: dict[int, int] = {}
        self.open_looks: dict[int, int] = {}
        """Kind to the bits of the open looks of that kind."""
        self.fitting: dict[int, int] = {}
        """State to the bits of the open looks that fit it, as far as asked for."""
        self.equals: dict[int, list[tuple[int, int]]] = {}
        """Kind to the open changes of that kind as (complete, operation), first to go first."""
        self.unknown_bits = 0
        self.free: list[int] = []
        self.slots = 0
        self.moves: dict[int, list[_Move]] = {}

    def invoke(self, operation: int) -> None:
        kind, complete = self.problem.kinds[operation], self.problem.complete[operation]
        bit = self.bits[operation] = 1 << self._slot()
        if self.looks[kind]:
            self.open_looks[kind] = self.open_looks.get(kind, 0) | bit
            self.fitting = {}
            return
        insort(self.equals.setdefault(kind, []), (complete, operation))
        if complete == NEVER:
            self.unknown_bits |= bit
        self.moves = {}

    def _slot(self) -> int:
        if self.free:
            return heappop(self.free)
        self.slots += 1
        return self.slots - 1

    def complete(self, operation: int) -> frozenset[int] | None:
        """Go past the completion; all states possible there if it is impossible."""
        bit = self.bits[operation]
        done, pending = self._split(bit)
        if pending:
            self._expand(bit, done, pending)
        if not done:
            return frozenset(pending)
        self._close(operation, bit)
        self.front = self._pruned(done)
        return None

    def _fitting(self, state: int) -> int:
        """The bits of the open looks that fit ``state``."""
        fitting = self.fitting.get(state)
        if fitting is None:
            fitting = 0
            for kind, bits in self.open_looks.items():
                if self.step(state, kind) != REFUSED:
                    fitting |= bits
            self.fitting[state] = fitting
        return fitting

    def _split(self, bit: int) -> tuple[Front, Front]:
        """The frontier with open looks done, apart by whether ``bit`` has taken effect."""
        done: Front = {}
        pending: Front = {}
        for state, masks in self.front.items():
            looks = self._fitting(state)
            after = {(mask | looks) & ~bit for mask in masks if (mask | looks) & bit}
            before = {mask | looks for mask in masks if not (mask | looks) & bit}
            if after:
                done[state] = after
            if before:
                pending[state] = before
        return done, pending

    def _expand(self, bit: int, done: Front, pending: Front) -> None:
        """Let open changes take effect until ``bit`` has, into ``done``; grows ``pending``."""
        work = deque((state, mask) for state, masks in pending.items() for mask in masks)
        minima = _Minima(*self._costs(), work) if self.unknown_bits else None
        visited = 0
        while work:
            state, mask = work.popleft()  # breadth first, so that the smallest come first
            visited += 1
            if visited == _LOOKS:
                self._spend(visited, pending, done)
                visited = 0
            for move in self._moves_from(state):
                needs = move.blockers
                if mask & (move.bit | needs) != needs:
                    continue
                made = move.made
                after = mask | move.bit | self._fitting(made)
                if after & bit:
                    done.setdefault(made, set()).add(after & ~bit)
                    continue
                known = pending.setdefault(made, set())
                if after not in known and (minima is None or minima.admits(made, after)):
                    known.add(after)
                    work.append((made, after))
        self._spend(visited, pending, done)

    def _spend(self, visited: int, *fronts: Front) -> None:
        held = sum(len(masks) for front in fronts for masks in front.values())
        states = self.problem.machine.held_bytes
        self.allowance.spend(visited, held * BYTES_PER_CONFIGURATION + states)

    def _moves_from(self, state: int) -> list[_Move]:
        """The open changes that the object can go through from ``state``."""
        moves = self.moves.get(state)
        if moves is None:
            moves = self.moves[state] = self._find_moves(state)
        return moves

    def _find_moves(self, state: int) -> list[_Move]:
        moves = []
        for kind, equals in self.equals.items():
            made = self.step(state, kind)
            if made == REFUSED:
                continue
            blockers = 0
            for complete, operation in equals:
                bit = self.bits[operation]
                if not (complete == NEVER and made == state):
                    moves.append(_Move(bit, blockers, made))
                blockers |= bit
        return moves

    def _close(self, operation: int, bit: int) -> None:
        kind = self.problem.kinds[operation]
        del self.bits[operation]
        heappush(self.free, bit.bit_length() - 1)
        if self.looks[kind]:
            self.open_looks[kind] &= ~bit
            if not self.open_looks[kind]:
                del self.open_looks[kind]
            self.fitting = {}
            return
        equals = self.equals[kind]
        equals.remove((self.problem.complete[operation], operation))
        if not equals:
            del self.equals[kind]
        self.moves = {}

    def _costs(self) -> tuple[int, int]:
        """The bits whose use costs something (see :class:`_Minima`), and the open looks in it."""
        looks = 0
        for bits in self.open_looks.values():
            looks |= bits
        return self.unknown_bits | looks, looks

    def _pruned(self, front: Front) -> Front:
        """``front`` without configurations that another one dominates."""
        costs, looks = self._costs()
        if not costs:
            return front
        pruned: Front = {}
        for state, masks in front.items():
            ordered = sorted(masks, key=lambda mask: ((mask ^ looks) & costs).bit_count())
            minima = _Minima(costs, looks)
            pruned[state] = {mask for mask in ordered if minima.admits(state, mask)}
        return pruned


class _Minima:
    """Keeps configurations that no other dominates, if those with the least cost come first.

    The cost of a mask is its unknown operations used and the open looks that it has *not* done.
    A mask is dominated by one of the same state and the same answered changes whose cost is a
    subset. Compared with ``_COMPARISONS`` at most: what is let through needlessly does no harm.
    """

    def __init__(self, costs: int, looks: int, known: Iterable[tuple[int, int]] = ()) -> None:
        self.costs = costs
        self.looks = looks
        self.groups: dict[tuple[int, int], list[int]] = {}
        for state, mask in known:
            self.admits(state, mask)

    def admits(self, state: int, mask: int) -> bool:
        """Whether no configuration admitted so far dominates this one; then it is admitted."""
        cost = (mask ^ self.looks) & self.costs
        group = self.groups.setdefault((state, mask & ~self.costs), [])
        for other in group:
            if other & cost == other:
                return False
        if len(group) < _COMPARISONS:
            group.append(cost)
        return True
