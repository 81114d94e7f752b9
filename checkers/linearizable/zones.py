"""Linearizability of a register whose values were each made once, in near-linear time.

If every value is written at most once, the register holds each value over one unbroken stretch.
All operations that saw or made a value therefore stand together (Gibbons & Korach, *Testing
shared memories*, 1997, call their extent a *zone*). A compare-and-set glues the stretch of its
old value to that of its new one, with nothing between, so that stretches form *chains*; an
operation's *level* is its place in its chain. An order exists if and only if

1. every value that was seen was made by somebody (or is the initial one),
2. no value was consumed by two compare-and-sets, and none goes round in a circle,
3. within a chain no operation completes before one of a lower level is invoked,
4. no two chains C and D each have an operation that completes before one of the other is
   invoked: then each would have to come wholly before the other.

Necessary: a value that is made once is held over one unbroken stretch, whatever sees it lies in
that stretch, and a compare-and-set joins two stretches without a gap, so that a chain is one
unbroken block of the order, by level.

Sufficient: write ``C -> D`` if an operation of C completes before one of D is invoked, that is, if
first(C), the first completion in C, comes before last(D), the last invocation in D. If there is no
cycle of two there is none at all: in a cycle take the chain M whose first(M) is least. For every
chain D of the cycle, with P before it, first(M) <= first(P) < last(D), so ``M -> D``; this holds
for the chain before M too, which with its own arrow to M is a cycle of two. So by (4) the chains
can be put in an order that respects every arrow, and by (3) each can be written out by level,
equal levels (reads of one value) by invocation. That order agrees with precedence within chains
and between them, and each operation sees what it must: the one before it in its chain made it.
The initial value was made before everything, so its chain comes first or (4) is broken. An
operation of unknown outcome never completes, so it is the left end of no arrow.

Operations of unknown outcome that no order needs are dropped beforehand; one that is left made
a value that somebody saw, so it did happen. Cost: O(n log n). The first impossible completion
is found by bisection, because a prefix of a linearizable history is linearizable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from checkers.linearizable.register_entries import (
    INITIAL,
    NOTHING,
    Entry,
    until,
    without_idle_infos,
)

START: Final = Entry(at=-2, invoke=-3, complete=-3, seen=NOTHING, made=INITIAL)
"""Stands for whatever made the initial value, before everything else."""


@dataclass
class Chain:
    """Values glued together by compare-and-sets; ``levels[i]`` are the operations of level i.

    Even levels hold what made a value (one write, one compare-and-set or :data:`START`), odd
    ones the reads of it.
    """

    levels: list[list[Entry]] = field(default_factory=list)

    def __iter__(self) -> Iterator[Entry]:
        return (entry for level in self.levels for entry in level)

    def first_to_complete(self) -> Entry:
        """The operation that completes first."""
        return min(self, key=lambda entry: entry.complete)

    def last_to_begin(self) -> Entry:
        """The operation that is invoked last."""
        return max(self, key=lambda entry: entry.invoke)


@dataclass(frozen=True)
class NeverMade:
    """``reader`` saw a value that nobody had begun to make."""

    reader: Entry


@dataclass(frozen=True)
class ConsumedTwice:
    """Both compare-and-sets replaced the one value that ``maker`` made."""

    first: Entry
    second: Entry
    maker: Entry


@dataclass(frozen=True)
class Circle:
    """Each compare-and-set saw what the one before it made, the first one what the last made."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Backwards:
    """``late`` stands above ``early`` in its chain but completed before ``early`` was invoked."""

    chain: Chain
    late: Entry
    early: Entry


@dataclass(frozen=True)
class Torn:
    """``left`` has an operation before one of ``right``, and ``right`` before one of ``left``."""

    left: Chain
    right: Chain


Contradiction = NeverMade | ConsumedTwice | Circle | Backwards | Torn


def has_unique_values(entries: Sequence[Entry]) -> bool:
    """Whether no value is made twice, the initial one included."""
    made = {INITIAL}
    for entry in without_idle_infos(entries):
        if entry.made != NOTHING:
            if entry.made in made:
                return False
            made.add(entry.made)
    return True


def contradiction(entries: Sequence[Entry]) -> Contradiction | None:
    """Why ``entries``, whose values are unique, have no order, or ``None`` if they have one."""
    needed = without_idle_infos(entries)
    makers = {entry.made: entry for entry in needed if not entry.is_read}
    makers[INITIAL] = START
    readers: dict[int, list[Entry]] = {}
    consumers: dict[int, Entry] = {}
    for entry in needed:
        if entry.seen == NOTHING:
            continue
        if entry.seen not in makers:
            return NeverMade(entry)
        if entry.is_read:
            readers.setdefault(entry.seen, []).append(entry)
        elif entry.seen in consumers:
            return ConsumedTwice(consumers[entry.seen], entry, makers[entry.seen])
        else:
            consumers[entry.seen] = entry
    roots = [maker for maker in makers.values() if maker.seen == NOTHING]
    chains = [_chain(root, readers, consumers) for root in roots]
    if sum(len(chain.levels) // 2 for chain in chains) < len(makers):
        return _circle(makers, chains)
    return next(_backwards(chains), None) or _torn(chains)


def earliest_contradiction(entries: Sequence[Entry]) -> tuple[Entry, Contradiction] | None:
    """The first completion that makes an order impossible, and why, or ``None``."""
    why = contradiction(entries)
    if why is None:
        return None
    completing = sorted(
        (entry for entry in entries if not entry.is_open), key=lambda entry: entry.complete
    )
    low, high = 0, len(completing) - 1
    while low < high:
        middle = (low + high) // 2
        found = contradiction(until(entries, completing[middle].complete))
        if found is None:
            low = middle + 1
        else:
            high, why = middle, found
    last = contradiction(until(entries, completing[low].complete))
    return completing[low], last or why


def _chain(root: Entry, readers: dict[int, list[Entry]], consumers: dict[int, Entry]) -> Chain:
    chain = Chain()
    maker: Entry | None = root
    while maker is not None:
        chain.levels += [[maker], readers.get(maker.made, [])]
        maker = consumers.get(maker.made)
    return chain


def _circle(makers: dict[int, Entry], chains: Sequence[Chain]) -> Circle:
    """A ring among the makers that no chain reached; all of these are compare-and-sets."""
    reached = {entry.at for chain in chains for entry in chain}
    entry = next(maker for maker in makers.values() if maker.at not in reached)
    ring: list[Entry] = []
    while entry not in ring:
        ring.append(entry)
        entry = makers[entry.seen]
    return Circle(tuple(reversed(ring[ring.index(entry) :])))


def _backwards(chains: Sequence[Chain]) -> Iterator[Backwards]:
    for chain in chains:
        latest = chain.levels[0][0]
        for level in chain.levels[1:]:
            for entry in level:
                if entry.complete < latest.invoke:
                    yield Backwards(chain, entry, latest)
            for entry in level:
                if entry.invoke > latest.invoke:
                    latest = entry


def _torn(chains: Sequence[Chain]) -> Torn | None:
    """Two chains of which each must come before the other, by a sweep over their zones.

    A forward zone [first completion, last invocation] is a stretch that its chain must hold
    throughout, so two may not overlap; a backward zone may not lie inside a forward one.
    """
    zones = [
        (chain.first_to_complete().complete, chain.last_to_begin().invoke, chain)
        for chain in chains
    ]
    forward = sorted((zone for zone in zones if zone[0] < zone[1]), key=lambda zone: zone[0])
    for before, after in pairwise(forward):
        if after[0] < before[1]:
            return Torn(before[2], after[2])
    starts = [zone[0] for zone in forward]
    for first, last, chain in zones:
        if first < last:
            continue
        host = bisect_right(starts, last) - 1
        if host >= 0 and first < forward[host][1]:
            return Torn(forward[host][2], chain)
    return None


def chain_of(entry: Entry, torn: Torn) -> tuple[Chain, Chain]:
    """The chain of ``torn`` that ``entry`` belongs to, then the other one."""
    if any(other.at == entry.at for other in torn.left):
        return torn.left, torn.right
    return torn.right, torn.left
