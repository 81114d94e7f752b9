"""Exact search for an order of the operations on one register: the just-in-time frontier.

The idea (Lowe, *Testing for linearizability*, 2017; Knossos' ``linear``): walk through the
records in order and keep every *configuration* that the register can be in, a configuration
being the set of open operations that have already taken effect, and the value now held. Nothing
takes effect before it must: only when an operation completes are open operations put in order
until that one has taken effect; configurations in which it cannot are dropped. When none is
left, that completion is impossible, and with it every order. The empty frontier thus names the
first impossible answer, and its memory stays small on bad histories.

The number of configurations is exponential in the operations open at once, so:

- *reads are eager*: an open read takes effect as soon as its value is held (it costs nothing);
- *equal operations go by completion*: of open operations that see and make the same, the one
  that completes first goes first (exchange the two in any order to see that this loses nothing);
  those of unknown outcome come last, in order of invocation;
- operations of unknown outcome that no order needs are dropped beforehand, and one that would
  not change the value is not taken;
- *dominated configurations are pruned*: with the same value and the same answered changes done,
  one that has used a **subset** of the unknown operations and done a superset of the open reads
  can do all that the other can. A smaller *number* does not dominate: with unknown ``write 5``,
  ``cas 0 4`` and ``cas 4 5``, then read 5, write 9, read 5, the two configurations after the
  first read must both live.

A configuration is one Python integer (a bit per open operation, so there is no limit on how
many are open) in the set of its value. Cost: O(records) sets, each exponential at worst;
therefore an :class:`Allowance`.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from checkers.linearizable.entries import INITIAL, NOTHING, Entry, without_idle_infos
from harness.history.verdict import Budget

BYTES_PER_CONFIGURATION: Final = 120
"""A Python integer in a set, with the set's spare room and its place in the work list."""
_LOOKS: Final = 2048
"""Configurations between two looks at the clock."""
_COMPARISONS: Final = 64
"""Kept configurations that each other one is compared with; fewer prunes less, never wrongly."""

Front = dict[int, set[int]]
"""Value to the masks of operations that have taken effect and are still open."""


class Exhausted(Exception):
    """The search was given up; the message says what ran out.

    ``more_would_help``: it was the number of configurations, which can be raised.
    """

    def __init__(self, message: str, *, more_would_help: bool = False) -> None:
        super().__init__(message)
        self.more_would_help = more_would_help


@dataclass
class Allowance:
    """How many configurations a search may visit and hold, and by when it must end."""

    configurations: int
    budget: Budget
    visited: int = 0

    def spend(self, visited: int, held: int) -> None:
        """Count ``visited`` more; :class:`Exhausted` if that was too much."""
        self.visited += visited
        if self.visited > self.configurations:
            raise Exhausted(f"{self.configurations:,} configurations", more_would_help=True)
        if held * BYTES_PER_CONFIGURATION > self.budget.bytes:
            raise Exhausted(f"{self.budget.bytes / 2**20:,.0f} MiB of memory")
        if self.budget.expired():
            raise Exhausted(f"{self.budget.seconds:g} s of checker time")


@dataclass(frozen=True)
class Impossible:
    """``entry`` cannot complete with its answer; ``values`` are all that could be held then."""

    entry: Entry
    values: frozenset[int]


def first_impossible(
    entries: Sequence[Entry], allowance: Allowance, start: Iterable[int] = (INITIAL,)
) -> Impossible | None:
    """The first completion that no order of ``entries`` allows, or ``None`` if there is an order.

    ``start`` are the values that may be held at first. Exact. Raises :class:`Exhausted`.
    """
    search = _Search(allowance, start)
    for position, _, entry in _events(without_idle_infos(entries)):
        if position == entry.complete:
            values = search.complete(entry)
            if values is not None:
                return Impossible(entry, values)
        else:
            search.invoke(entry)
    return None


def _events(entries: Sequence[Entry]) -> list[tuple[int, int, Entry]]:
    """Invocations and completions in record order; ``at`` settles equal (missing) positions."""
    events = [(entry.invoke, entry.at, entry) for entry in entries]
    events += [(entry.complete, entry.at, entry) for entry in entries if not entry.is_open]
    events.sort(key=lambda event: event[:2])
    return events


@dataclass(frozen=True, slots=True)
class _Move:
    """An open change: ``blockers`` are equal operations that must have gone before it."""

    bit: int
    blockers: int
    made: int


class _Search:
    def __init__(self, allowance: Allowance, start: Iterable[int]) -> None:
        self.allowance = allowance
        self.front: Front = {value: {0} for value in start}
        self.bits: dict[int, int] = {}
        self.reads: dict[int, int] = {}
        """Value to the bits of the open reads of it."""
        self.equals: dict[tuple[int, int], list[tuple[int, int]]] = {}
        """(seen, made) to the open changes of that kind as (complete, at), first to go first."""
        self.unknown_bits = 0
        self.free: list[int] = []
        self.slots = 0
        self.moves: dict[int, list[_Move]] | None = None

    def invoke(self, entry: Entry) -> None:
        bit = self.bits[entry.at] = 1 << self._slot()
        if entry.is_read:
            self.reads[entry.seen] = self.reads.get(entry.seen, 0) | bit
            return
        insort(
            self.equals.setdefault((entry.seen, entry.made), []),
            (entry.complete, entry.at),
        )
        if entry.is_open:
            self.unknown_bits |= bit
        self.moves = None

    def _slot(self) -> int:
        if self.free:
            return heappop(self.free)
        self.slots += 1
        return self.slots - 1

    def complete(self, entry: Entry) -> frozenset[int] | None:
        """Go past the completion of ``entry``; all values possible there if it is impossible."""
        bit = self.bits[entry.at]
        done, pending = self._split(bit)
        if pending:
            self._expand(bit, done, pending)
        if not done:
            return frozenset(pending)
        self._close(entry, bit)
        self.front = self._pruned(done)
        return None

    def _split(self, bit: int) -> tuple[Front, Front]:
        """The frontier with open reads done, apart by whether ``bit`` has taken effect."""
        done: Front = {}
        pending: Front = {}
        for value, masks in self.front.items():
            reads = self.reads.get(value, 0)
            after = {(mask | reads) & ~bit for mask in masks if (mask | reads) & bit}
            before = {mask | reads for mask in masks if not (mask | reads) & bit}
            if after:
                done[value] = after
            if before:
                pending[value] = before
        return done, pending

    def _expand(self, bit: int, done: Front, pending: Front) -> None:
        """Let open changes take effect until ``bit`` has, into ``done``; grows ``pending``."""
        work = deque((value, mask) for value, masks in pending.items() for mask in masks)
        minima = _Minima(*self._costs(), work) if self.unknown_bits else None
        visited = 0
        while work:
            value, mask = work.popleft()  # breadth first, so that the smallest come first
            visited += 1
            if visited == _LOOKS:
                self.allowance.spend(visited, _size(pending) + _size(done))
                visited = 0
            for move in self._moves_from(value):
                needs = move.blockers
                if mask & (move.bit | needs) != needs:
                    continue
                made = move.made
                after = mask | move.bit | self.reads.get(made, 0)
                if after & bit:
                    done.setdefault(made, set()).add(after & ~bit)
                    continue
                known = pending.setdefault(made, set())
                if after not in known and (minima is None or minima.admits(made, after)):
                    known.add(after)
                    work.append((made, after))
        self.allowance.spend(visited, _size(pending) + _size(done))

    def _moves_from(self, value: int) -> list[_Move]:
        """The open changes that the register can go through when it holds ``value``."""
        if self.moves is None:
            self.moves = {}
        moves = self.moves.get(value)
        if moves is None:
            moves = self.moves[value] = self._find_moves(value)
        return moves

    def _find_moves(self, value: int) -> list[_Move]:
        moves = []
        for (seen, made), equals in self.equals.items():
            if seen not in (NOTHING, value):
                continue
            blockers = 0
            for _, at in equals:
                bit = self.bits[at]
                is_open = bool(bit & self.unknown_bits)
                if not (is_open and made == value):
                    moves.append(_Move(bit, blockers, made))
                blockers |= bit
        return moves

    def _close(self, entry: Entry, bit: int) -> None:
        del self.bits[entry.at]
        heappush(self.free, bit.bit_length() - 1)
        if entry.is_read:
            self.reads[entry.seen] &= ~bit
            if not self.reads[entry.seen]:
                del self.reads[entry.seen]
            return
        equals = self.equals[entry.seen, entry.made]
        equals.remove((entry.complete, entry.at))
        if not equals:
            del self.equals[entry.seen, entry.made]
        self.moves = None

    def _costs(self) -> tuple[int, int]:
        """The bits whose use costs something (see :class:`_Minima`), and the open reads in it."""
        reads = 0
        for bits in self.reads.values():
            reads |= bits
        return self.unknown_bits | reads, reads

    def _pruned(self, front: Front) -> Front:
        """``front`` without configurations that another one dominates."""
        costs, reads = self._costs()
        if not costs:
            return front
        pruned: Front = {}
        for value, masks in front.items():
            ordered = sorted(masks, key=lambda mask: ((mask ^ reads) & costs).bit_count())
            minima = _Minima(costs, reads)
            pruned[value] = {mask for mask in ordered if minima.admits(value, mask)}
        return pruned


def _size(front: Front) -> int:
    return sum(map(len, front.values()))


class _Minima:
    """Keeps configurations that no other dominates, if those with the least cost come first.

    The cost of a mask is its unknown operations used and the open reads that it has *not* done.
    A mask is dominated by one of the same value and the same answered changes whose cost is a
    subset. Compared with ``_COMPARISONS`` at most: what is let through needlessly does no harm.
    """

    def __init__(self, costs: int, reads: int, known: Iterable[tuple[int, int]] = ()) -> None:
        self.costs = costs
        self.reads = reads
        self.groups: dict[tuple[int, int], list[int]] = {}
        for value, mask in known:
            self.admits(value, mask)

    def admits(self, value: int, mask: int) -> bool:
        """Whether no configuration admitted so far dominates this one; then it is admitted."""
        cost = (mask ^ self.reads) & self.costs
        group = self.groups.setdefault((value, mask & ~self.costs), [])
        for other in group:
            if other & cost == other:
                return False
        if len(group) < _COMPARISONS:
            group.append(cost)
        return True
