"""Whether spans with loose ends can be nested: the core of judging a stack in near-linear time.

An element of a stack is inside from some moment of its push to some moment of its pop. A history of
distinct elements has an order exactly if such moments can be chosen so that no two of these stays
*cross* (one begins inside another one and ends outside of it). A :class:`Stay` knows the earliest
and latest moment of each of its ends. If the push may end after the pop begins, both can happen at
one moment and cross nothing, so the element is left out. Of the others each is certainly inside
from ``sure`` (the push was answered) to ``until`` (the pop was invoked).

*Where nothing is certainly inside, the stack may be empty.* Let ``t`` be such a moment in some
order. Whatever is inside then has ``t < sure`` or ``until < t``: the pushes of the first kind can
all move to just after ``t`` in the order that they had, the pops of the second kind to just before
it, and nothing that did not cross before crosses now. So the history falls apart at ``t``.

*Where there is no such moment, something lies at the bottom all the time*: it was pushed before
anything else was surely in and popped after everything else may be out: ``begin < sure`` and
``end > until`` of all others. *Any* element with these bounds will do: take an order, move all
pushes that come before ``begin`` to just after it (they may, for all are due later; nothing was
popped before it), likewise the pops at the other end, and lay the element around them all.

So: fall apart, take an outermost element away, and again; a piece of which none can be outermost
is a *knot*, and no order exists. Neither choice can be wrong, for bounds of what is left only
become easier to meet. The decomposition is in the spirit of Abdulla et al. (PLDI 2025) and of Lee
& Mathur (OOPSLA 2025); the proof above is what this code relies on.

Cost: O(n log n), with trees over the elements in order of ``sure`` and over the gaps between ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

_NONE: Final = -(1 << 63)


@dataclass(frozen=True, slots=True)
class Stay:
    """One element: it came in between ``begin`` and ``sure``, and went between ``until`` and
    ``end``. ``sure < until``; the bounds of different elements differ, but for what never ends.
    """

    begin: int
    sure: int
    until: int
    end: int


def knot(stays: Sequence[Stay]) -> list[Stay]:
    """Elements that cannot be nested, none of which can be outermost; empty if all can be."""
    return _Pile(sorted(stays, key=lambda stay: stay.sure)).knot()


def smallest_knot(stays: Sequence[Stay]) -> list[Stay]:
    """A knot within a knot of which no element can be left out."""
    left = knot(stays)
    size = max(1, len(left) // 2)
    while size:
        for at in range(len(left), 0, -size):
            rest = left[: max(0, at - size)] + left[at:]
            if len(rest) < len(left) and knot(rest):
                left = rest
        size //= 2
    return left


class _Pile:
    """What is left of the elements, in pieces that are alone in their time."""

    def __init__(self, stays: Sequence[Stay]) -> None:
        self.stays = stays
        ends = sorted(
            [(stay.sure, 0, n) for n, stay in enumerate(stays)]
            + [(stay.until, 1, n) for n, stay in enumerate(stays)]
        )
        self._first = [0] * len(stays)
        self._last = [0] * len(stays)
        for place, (_, is_end, n) in enumerate(ends):
            (self._last if is_end else self._first)[n] = place
        self._begun = list(accumulate(1 - is_end for _, is_end, _ in ends))
        self._cover = _Cover(
            accumulate_cover := list(accumulate(1 - 2 * is_end for _, is_end, _ in ends))
        )
        self._pieces = self._cut(
            0, len(stays), [gap for gap, count in enumerate(accumulate_cover) if count == 0]
        )
        self._begins = _Highest([-stay.begin for stay in stays])
        self._ends = _Highest([_NONE] * len(stays))
        self._untils = _Highest([stay.until for stay in stays])
        self._next = list(range(len(stays) + 1))

    def knot(self) -> list[Stay]:
        """Take away what can be outermost, as long as something is left."""
        while self._pieces:
            low, high = self._pieces.pop()
            while (low := self._left(low)) < high:
                taken = self._outermost(low, high)
                if taken < 0:
                    return [self.stays[n] for n in self._those_left(low, high)]
                cuts = self._cut(low, high, self._take(taken))
                if len(cuts) > 1:
                    self._pieces += cuts
                    break
        return []

    def _outermost(self, low: int, high: int) -> int:
        sure, until = self.stays[low].sure, self._untils.top(low, high)
        while (early := self._begins.above(low, high, -sure)) >= 0:
            self._begins.set(early, _NONE)  # early enough for good: ``sure`` only grows
            self._ends.set(early, self.stays[early].end)
        return self._ends.above(low, high, until)

    def _take(self, taken: int) -> list[int]:
        """Take an element away; the gaps in which nothing is certainly inside any more."""
        self._ends.set(taken, _NONE)
        self._untils.set(taken, _NONE)
        self._next[taken] = taken + 1
        return self._cover.uncovered(self._first[taken], self._last[taken])

    def _cut(self, low: int, high: int, gaps: Sequence[int]) -> list[tuple[int, int]]:
        cuts = {self._begun[gap] for gap in gaps}
        return list(pairwise(sorted({low, high, *(cut for cut in cuts if low < cut < high)})))

    def _left(self, place: int) -> int:
        """The first element from ``place`` on that was not taken."""
        follow = self._next
        while follow[place] != place:
            follow[place] = follow[follow[place]]
            place = follow[place]
        return place

    def _those_left(self, low: int, high: int) -> list[int]:
        return [n for n in range(low, high) if self._next[n] == n]


class _Highest:
    """Numbers that change, and the highest one of a stretch."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._size = 1 << max(0, len(numbers) - 1).bit_length()
        self._tree = [_NONE] * self._size + list(numbers) + [_NONE] * (self._size - len(numbers))
        for node in range(self._size - 1, 0, -1):
            self._tree[node] = max(self._tree[2 * node], self._tree[2 * node + 1])

    def set(self, place: int, number: int) -> None:
        """Change one."""
        tree, node = self._tree, place + self._size
        tree[node] = number
        while node > 1:
            node >>= 1
            tree[node] = max(tree[2 * node], tree[2 * node + 1])

    def top(self, low: int, high: int) -> int:
        """The highest of ``[low, high)``."""
        return max((self._tree[node] for node in self._nodes(low, high)), default=_NONE)

    def above(self, low: int, high: int, bound: int) -> int:
        """A place in ``[low, high)`` with a number above ``bound``, or -1."""
        tree = self._tree
        for node in self._nodes(low, high):
            if tree[node] > bound:
                while node < self._size:
                    node = 2 * node if tree[2 * node] > bound else 2 * node + 1
                return node - self._size
        return -1

    def _nodes(self, low: int, high: int) -> list[int]:
        found = []
        low, high = low + self._size, high + self._size
        while low < high:
            if low & 1:
                found.append(low)
                low += 1
            if high & 1:
                high -= 1
                found.append(high)
            low, high = low >> 1, high >> 1
        return found


class _Cover:
    """How many elements are certainly inside in each gap, and which gaps become free."""

    _FREE: Final = 1 << 60

    def __init__(self, counts: Sequence[int]) -> None:
        self._size = 1 << max(0, len(counts) - 1).bit_length()
        self._least = [self._FREE] * (2 * self._size)
        self._more = [0] * (2 * self._size)
        for gap, count in enumerate(counts):
            self._least[self._size + gap] = count or self._FREE
        for node in range(self._size - 1, 0, -1):
            self._settle(node)

    def uncovered(self, low: int, high: int) -> list[int]:
        """One element less in the gaps ``[low, high)``; those that nothing covers any more."""
        free: list[int] = []
        self._visit(1, 0, self._size, low, high, free.append)
        return free

    def _visit(
        self, node: int, begin: int, end: int, low: int, high: int, free: Callable[[int], None]
    ) -> None:
        if high <= begin or end <= low:
            return
        whole = low <= begin and end <= high
        if whole:
            self._least[node] -= 1
            self._more[node] -= 1
            if self._least[node] > 0:
                return
        if node >= self._size:
            if whole:
                free(begin)
                self._least[node] = self._FREE
            return
        self._push(node)
        middle = (begin + end) // 2
        if whole:  # only those that have become free are left to be found
            self._find(2 * node, begin, middle, free)
            self._find(2 * node + 1, middle, end, free)
        else:
            self._visit(2 * node, begin, middle, low, high, free)
            self._visit(2 * node + 1, middle, end, low, high, free)
        self._settle(node)

    def _find(self, node: int, begin: int, end: int, free: Callable[[int], None]) -> None:
        if self._least[node] > 0:
            return
        if node >= self._size:
            free(begin)
            self._least[node] = self._FREE
            return
        self._push(node)
        middle = (begin + end) // 2
        self._find(2 * node, begin, middle, free)
        self._find(2 * node + 1, middle, end, free)
        self._settle(node)

    def _push(self, node: int) -> None:
        more, self._more[node] = self._more[node], 0
        for child in (2 * node, 2 * node + 1) if more else ():
            self._least[child] += more
            self._more[child] += more

    def _settle(self, node: int) -> None:
        self._least[node] = min(self._least[2 * node], self._least[2 * node + 1])
