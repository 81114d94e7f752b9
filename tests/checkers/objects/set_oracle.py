"""What the checkers of sets promise, by definition: each choice and order of adds and removes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

from harness.history.calls import Call
from harness.verdict.record import Record
from tests.checkers.objects.object_oracles import Facts, Options, Said, is_foreign, same, subsets


class _Sets(Facts):
    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.refused = self.initial not in (None, {}) and not isinstance(self.initial, list)
        self.start = self.initial if isinstance(self.initial, list) else []
        self.changes = [c for c in self.found if c.f in ("add", "remove") and c.value is not None]
        nameless = [c for c in self.found if c.f in ("add", "remove") and c.value is None]
        self.nameless_adds = [c for c in nameless if c.f == "add" and not c.failed]
        self.nameless_removes = [c for c in nameless if c.f == "remove" and not c.failed]
        added = [call.value for call in self.changes if call.f == "add"] + self.start
        answered = [c for c in self.found if c.f == "read" and c.ok and c.answer is not None]
        self.odd = [
            c for c in answered if not isinstance(c.answer, list) or is_foreign(c.answer, added)
        ]
        self.reads = [c for c in answered if c not in self.odd]
        self.elements: list[Any] = []
        for value in [*added, *(v for read in self.reads for v in read.answer)]:
            if not any(same(value, each) for each in self.elements):
                self.elements.append(value)

    def shows(self, element: Any, read: Call) -> bool:
        return any(same(element, value) for value in read.answer)

    def can_show(self, element: Any, read: Call, *, is_fresh: bool, shows: bool) -> bool:
        """Whether some choice of what may have happened, in some order, makes ``read`` right."""
        own = [c for c in self.changes if same(c.value, element)] + self.nameless_removes
        own = [
            c
            for c in own
            if c.start < read.end and (self.happened(c) if c.f == "add" else not c.failed)
        ]
        certain = [c for c in own if c.ok and c.end < read.start] if is_fresh else []
        for choice in subsets(own):
            if any(c not in choice for c in certain if c.value is not None):
                continue
            for order in permutations(choice):
                if any(b.end < a.start for i, a in enumerate(order) for b in order[i + 1 :]):
                    continue
                there = any(same(element, value) for value in self.start)
                for call in order:
                    there = call.f == "add"
                if there == shows:
                    return True
        return False

    def is_wrong(self, element: Any, read: Call) -> bool:
        shows = self.shows(element, read)
        if shows and self.nameless_adds:
            return False
        return not self.can_show(element, read, is_fresh=True, shows=shows)

    def impossible(self) -> bool:
        """Whether a read shows what it cannot, however stale, or something twice."""
        for read in self.reads:
            for number, value in enumerate(read.answer):
                if any(same(value, other) for other in read.answer[:number]):
                    return True
                if self.nameless_adds or self.refused:
                    continue
                if not self.can_show(value, read, is_fresh=False, shows=True):
                    return True
        return False

    def lost(self, lasts: Sequence[Call]) -> bool:
        """Whether all last reads are wrong about an element, and all in the same way."""
        return bool(lasts) and any(
            all(self.is_wrong(e, read) for read in lasts)
            and len({self.shows(e, read) for read in lasts}) == 1
            for e in self.elements
        )

    def doubtful(self) -> bool:
        return bool(self.refused or self.odd or self.nameless_adds)


def judge_set(record: Record, options: Options) -> Said:
    """The checker ``set``."""
    facts = _Sets(record)
    wrong = facts.impossible()
    if facts.refused:
        return Said(wrong, wrong, True)
    lasts = facts.lasts(facts.reads)
    looked = lasts or (facts.reads and [max(facts.reads, key=lambda read: read.end)])
    lost = not facts.odd and facts.lost(lasts) and facts.durable
    late = not facts.odd and any(
        facts.is_wrong(e, read) for e in facts.elements for read in looked or ()
    )
    late = late and not facts.lost(lasts) and facts.is_run
    stale = late and facts.fresh
    may = wrong or lost or (not facts.odd and facts.is_run and facts.fresh and bool(looked))
    tested = any(
        any(same(e, v) for v in facts.start)
        or any(
            c.start < read.end and facts.happened(c)
            for c in facts.changes
            if c.f == "add" and same(c.value, e)
        )
        for e in facts.elements
        for read in facts.reads
    )
    must = wrong or lost or stale
    may = must or (may and _may_be_late(facts, looked or ()))
    return Said(must, may, facts.doubtful() or not tested, late or "causal" in facts.claims)


def _may_be_late(facts: _Sets, looked: Iterable[Call]) -> bool:
    return facts.fresh and any(facts.is_wrong(e, read) for e in facts.elements for read in looked)


def _linear(facts: _Sets, element: Any) -> bool:
    """Whether some order of all that touches the element, in keeping with real time, fits."""
    own = [c for c in facts.changes if same(c.value, element)] + facts.nameless_removes
    own = [c for c in own if (facts.happened(c) if c.f == "add" else not c.failed)]
    steps = [*own, *facts.reads]
    tried: set[tuple[frozenset[int], bool]] = set()

    def go(left: frozenset[int], there: bool) -> bool:
        if not any(steps[n].f == "read" for n in left):
            return True
        if (left, there) in tried:
            return False
        tried.add((left, there))
        first_end = min(steps[n].end for n in left)
        for n in left:
            call = steps[n]
            if call.start > first_end:
                continue
            if call.f == "read":
                if facts.shows(element, call) == there and go(left - {n}, there):
                    return True
            elif go(left - {n}, call.f == "add") or (not call.ok and go(left - {n}, there)):
                return True
        return False

    return go(frozenset(range(len(steps))), any(same(element, v) for v in facts.start))


def judge_set_full(record: Record, options: Options) -> Said:
    """The checker ``set-full``."""
    facts = _Sets(record)
    wrong = facts.impossible()
    lasts = facts.lasts(facts.reads)
    if not facts.is_run and facts.reads:
        start = max(read.start for read in facts.reads)
        lasts = [read for read in facts.reads if read.start == start]
    lost = not facts.odd and facts.durable and not facts.refused and facts.lost(lasts)
    is_dirty = facts.claims == {"read-uncommitted"}
    removable = {
        id(e): bool(facts.nameless_removes)
        or any(c.f == "remove" and not c.failed and same(c.value, e) for c in facts.changes)
        for e in facts.elements
    }
    added = [
        e
        for e in facts.elements
        if any(same(e, v) for v in facts.start)
        or any(c.f == "add" and facts.happened(c) and same(c.value, e) for c in facts.changes)
    ]
    broken = [e for e in added if not _linear(facts, e)]
    late = bool(broken)
    exact = [e for e in broken if not removable[id(e)]]
    if facts.nameless_adds or facts.refused or wrong or is_dirty:
        exact = []
    if not facts.durable and lasts:
        exact = [e for e in exact if any(facts.shows(e, read) for read in lasts)]
    must = wrong or lost or (facts.fresh and bool(exact))
    may = must or (late and (facts.fresh or (facts.durable and not facts.odd)))
    tested = any(
        facts.shows(e, read) and (not removable[id(e)]) for e in added for read in facts.reads
    ) or any(
        c.f == "remove" and c.ok and c.end < read.start
        for c in facts.changes
        for read in facts.reads
    )
    unsure = late or "causal" in facts.claims
    return Said(must, may, facts.doubtful() or not tested, unsure)
