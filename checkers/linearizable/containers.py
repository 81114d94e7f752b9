"""Queues and sets whose elements were each put in once, in near-linear time.

*FIFO queue.* With distinct elements a history has an order exactly if none of four simple patterns
occurs (Henzinger, Sezgin & Vafeiadis, *Aspect-oriented linearizability proofs*, CONCUR 2013; the
rules that Abdulla et al., PLDI 2025, and Lee & Mathur, OOPSLA 2025, check in O(n log n)):

1. an element comes out that nobody put in, or before anybody began to put it in;
2. an element comes out twice;
3. ``a`` was put in before ``b``, but ``b`` came out before ``a`` (or ``a`` never came out);
4. the queue was seen empty although at each moment of that call some element was certainly in
   it: the intervals from an enqueue's answer to the dequeue's invocation cover the call.

A dequeue of unknown outcome may take any element at any later time, so it can only excuse elements
that never came out under 3: such an ``a`` must be gone before the first answer that took a later
``b``, so a call serves if it was invoked before that. Earliest deadline first decides whether
there is one for each. (Seen empty and unknown dequeues together are left to the exact search.)

*Unordered queue*: the same without rule 3.

*Set* that only grows, read as a whole: reads must be nested, so sorted by size they form levels,
with the elements added in between. An order exists exactly if no operation of a level is answered
before one of a lower level is invoked (as within a chain in :mod:`checkers.linearizable.zones`).

Additions of unknown outcome that nobody saw are dropped. Cost: O(n log n), and the sizes of all
reads.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from checkers.linearizable.object_entries import Part, Timed, until
from checkers.linearizable.register_entries import NEVER, json_name


@dataclass(frozen=True)
class Clash:
    """Why there is no order: some operations (the decisive one last) and a sentence."""

    cast: Sequence[Timed]
    why: str


class NotDecided(Exception):
    """The rules do not apply to this history."""


@dataclass(frozen=True)
class Element:
    """What befell one element; positions, ``NEVER`` where it did not happen."""

    put: Timed | None
    taken: Timed | None

    @property
    def put_invoke(self) -> int:
        """When somebody began to put it in; before everything if it was there at first."""
        return self.put.invoke if self.put is not None else -2

    @property
    def put_complete(self) -> int:
        """When it was in for certain."""
        return self.put.complete if self.put is not None else -2

    @property
    def taken_invoke(self) -> int:
        """Until when it was in for certain."""
        return self.taken.invoke if self.taken is not None else NEVER

    @property
    def taken_complete(self) -> int:
        """When it was out for certain."""
        return self.taken.complete if self.taken is not None else NEVER


def decided(part: Part) -> tuple[Timed, Clash] | None:
    """The first impossible completion and why, or ``None`` if there is an order.

    Raises :class:`NotDecided` where the rules do not apply.
    """
    rule = RULES.get(part.model.name)
    if rule is None or part.initial:
        raise NotDecided
    clash = rule(part.calls)
    if clash is None:
        return None
    answers = sorted((c for c in part.calls if not c.is_open), key=lambda c: c.complete)
    low, high = 0, len(answers) - 1
    while low < high:
        middle = (low + high) // 2
        found = rule(until(part.calls, answers[middle].complete, part.model))
        if found is None:
            low = middle + 1
        else:
            high, clash = middle, found
    late = answers[low]
    clash = rule(until(part.calls, late.complete, part.model)) or clash
    if all(timed.at != late.at for timed in clash.cast):
        clash = Clash([late, *clash.cast], clash.why)  # until then it might have helped
    return late, clash


def _queue_clash(calls: Sequence[Timed], *, ordered: bool) -> Clash | None:
    elements, empties, lost = _elements(calls)
    if isinstance(elements, Clash):
        return elements
    if lost and empties:
        raise NotDecided
    clash = _overtaken(elements, lost) if ordered else None
    return clash or seen_empty(elements, empties)


def _elements(
    calls: Sequence[Timed],
) -> tuple[list[Element] | Clash, list[Timed], list[Timed]]:
    """Elements, dequeues that found nothing, dequeues of unknown outcome."""
    puts: dict[Any, Timed] = {}
    takes: dict[Any, Timed] = {}
    empties, lost = [], []
    clash = None
    for timed in calls:
        call = timed.call
        if call.f == "enqueue":
            name = json_name(call.value)
            if name in puts:
                raise NotDecided
            puts[name] = timed
        elif timed.is_open:
            lost.append(timed)
        elif call.answer is None:
            empties.append(timed)
        elif json_name(call.answer) in takes:
            clash = clash or Clash([takes[json_name(call.answer)], timed], "came out twice")
        else:
            takes[json_name(call.answer)] = timed
    elements = []
    for name, timed in takes.items():
        put = puts.get(name)
        if put is None:
            clash = clash or Clash([timed], "came out although nobody had put it in")
        elif timed.complete < put.invoke:
            clash = clash or Clash([put, timed], "came out before anybody had put it in")
        else:
            elements.append(Element(put, timed))
    left = (timed for name, timed in puts.items() if name not in takes and not timed.is_open)
    elements += [Element(timed, None) for timed in left]
    return clash or elements, empties, lost


def _overtaken(elements: Sequence[Element], lost: Sequence[Timed]) -> Clash | None:
    """Rule 3: somebody who came later left earlier."""
    out = sorted((e for e in elements if e.taken), key=lambda e: e.put_complete)
    completes = [e.put_complete for e in out]
    latest: list[Element] = list(accumulate(out, _later_taken))
    for later in out:
        place = bisect_left(completes, later.put_invoke) - 1
        if place >= 0 and latest[place].taken_invoke > later.taken_complete:
            return _order_clash(latest[place], later)
    by_put = sorted(out, key=lambda e: e.put_invoke)
    begins = [e.put_invoke for e in by_put]
    first_out: list[Element] = list(accumulate(reversed(by_put), _sooner_out))[::-1]
    due = []
    for element in elements:
        place = bisect_right(begins, element.put_complete)
        if element.taken is None and place < len(by_put):
            due.append((first_out[place].taken_complete, element, first_out[place]))
    invocations = sorted(timed.invoke for timed in lost)
    due.sort(key=lambda item: item[0])
    for count, (deadline, element, later) in enumerate(due):
        if bisect_left(invocations, deadline) <= count:
            return _order_clash(element, later)
    return None


def _later_taken(one: Element, other: Element) -> Element:
    return one if one.taken_invoke > other.taken_invoke else other


def _sooner_out(one: Element, other: Element) -> Element:
    return one if one.taken_complete < other.taken_complete else other


def _order_clash(earlier: Element, later: Element) -> Clash:
    taken = [earlier.taken] if earlier.taken is not None else []
    cast = [one for one in (earlier.put, later.put, *taken, later.taken) if one is not None]
    return Clash(cast, "was put in later and came out earlier")


def seen_empty(elements: Sequence[Element], empties: Sequence[Timed]) -> Clash | None:
    """Rule 4: seen empty while something was certainly in."""
    spans = sorted(
        ((e.put_complete, e.taken_invoke, e) for e in elements if e.put_complete < e.taken_invoke),
        key=lambda span: span[:2],
    )
    merged: list[tuple[int, int, list[Element]]] = []
    for start, end, element in spans:
        if merged and start < merged[-1][1]:
            begun, until_now, members = merged[-1]
            if end > until_now:
                members.append(element)
                merged[-1] = (begun, end, members)
        else:
            merged.append((start, end, [element]))
    starts = [start for start, _, _ in merged]
    for empty in empties:
        place = bisect_left(starts, empty.invoke) - 1
        if place >= 0 and merged[place][1] > empty.complete:
            inside = [e for e in merged[place][2] if e.taken_invoke > empty.invoke]
            inside = [e for e in inside if e.put_complete < empty.complete]
            cast = [one for e in inside for one in (e.put, e.taken) if one is not None]
            return Clash([*cast, empty], "found nothing although there always was something")
    return None


def _set_clash(calls: Sequence[Timed]) -> Clash | None:
    adds: dict[Any, Timed] = {}
    reads: list[tuple[frozenset[Any], Timed]] = []
    for timed in calls:
        if timed.call.f == "add":
            if adds.setdefault(json_name(timed.call.value), timed) is not timed:
                raise NotDecided
        elif timed.call.f == "read":
            reads.append((frozenset(map(json_name, timed.call.answer or ())), timed))
        else:
            raise NotDecided
    reads.sort(key=lambda read: len(read[0]))
    levels: list[tuple[int, Timed]] = []
    seen: frozenset[Any] = frozenset()
    level, last = 0, None
    for held, timed in reads:
        if not seen <= held:
            assert last is not None
            return Clash([last, timed], "holds not all that another one does, nor only that")
        if len(held) > len(seen):
            level += 2
            for name in held - seen:
                if name not in adds:
                    return Clash([timed], "holds what nobody had added")
                levels.append((level, adds[name]))
            seen = held
        levels.append((level + 1, timed))
        last = timed
    unseen = (timed for name, timed in adds.items() if name not in seen and not timed.is_open)
    levels += [(level + 2, timed) for timed in unseen]
    return _backwards(levels)


def _backwards(levels: Sequence[tuple[int, Timed]]) -> Clash | None:
    ordered = sorted(levels, key=lambda item: item[0])
    latest: Timed | None = None
    pending: Timed | None = None
    now = -1
    for level, timed in ordered:
        if level != now:
            latest = max(filter(None, (latest, pending)), key=lambda c: c.invoke, default=None)
            now, pending = level, None
        if latest is not None and timed.complete < latest.invoke:
            return Clash([timed, latest], "was over before, but must come later")
        if pending is None or timed.invoke > pending.invoke:
            pending = timed
    return None


RULES: Final[Mapping[str, Callable[[Sequence[Timed]], Clash | None]]] = {
    "fifo-queue": lambda calls: _queue_clash(calls, ordered=True),
    "unordered-queue": lambda calls: _queue_clash(calls, ordered=False),
    "linearizable-set": _set_clash,
}
"""By model."""
