"""What the checkers of single objects promise, by definition: every choice and every pair is tried.

Written without a look at the checkers' own ways: what a read may show is found by trying each
choice and order of the operations that may have happened. An oracle says of a record whether it
*must* be called invalid, whether it *may* be, and else whether it is in doubt or untested, which
both make ``unknown``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from math import isfinite
from typing import Any

from harness.history.calls import BEFORE_ALL, Call, calls
from harness.verdict.record import Record

FRESH = {"linearizable", "strict-serializable", "strong-snapshot-isolation"}
WHOLE_TOTALS = {"strict-serializable", "strong-snapshot-isolation", "serializable"}
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """``may_be_unknown``: in doubt, or untested; ``is_unknown``: certainly so, if not invalid."""

    must: bool
    may: bool
    is_unknown: bool
    may_be_unknown: bool = False

    def fits(self, valid: Any) -> bool:
        """Whether a checker may answer that."""
        if valid is False:
            return self.may
        if self.must:
            return False
        return valid == "unknown" if self.is_unknown else valid is True or self.may_be_unknown


class Facts:
    """What a record says, in the words of the definitions."""

    def __init__(self, record: Record) -> None:
        self.found = calls(record.history)
        header = record.header
        self.initial, self.claims = header.initial, set(header.claims)
        self.durable = header.not_durable is None
        self.fresh = bool(self.claims & FRESH)
        self.is_run = record.run is not None
        final = (record.run or {}).get("phases", {}).get("final")
        self.final = None if final is None else final[0]

    def happened(self, call: Call) -> bool:
        """Whether it may have, as far as an answer can show it."""
        return not call.failed or self.claims == {"read-uncommitted"}

    def lasts(self, reads: Sequence[Call]) -> list[Call]:
        """The last read; in a run the last one of each process after recovery."""
        if not self.is_run:
            return [max(reads, key=lambda read: read.end)] if reads else []
        after = [r for r in reads if self.final is not None and r.invocation.time >= self.final]
        return [
            read
            for read in after
            if not any(o.process == read.process and o.end > read.end for o in after)
        ]


def same(a: Any, b: Any) -> bool:
    """Equal as JSON, kinds told apart."""
    return type(a) is type(b) and json.dumps(a) == json.dumps(b)


def subsets(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Every choice of the items, in order."""
    for bits in range(1 << len(items)):
        yield [item for at, item in enumerate(items) if bits >> at & 1]


def is_number(value: Any) -> bool:
    """Of JSON; true is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind(value: Any) -> str:
    """The kind of JSON."""
    if is_number(value):
        return "number"
    return type(value).__name__


def is_like(value: Any, known: Any) -> bool:
    """Whether one is the other, written as another kind."""
    told = [v if isinstance(v, str) else json.dumps(v) for v in (value, known)]
    if is_number(value) and is_number(known) and value == known and not same(value, known):
        return True
    return told[0] == told[1] and not same(value, known)


def is_foreign(shown: Sequence[Any], known: Sequence[Any]) -> bool:
    """Whether values are not written as those that they stand for."""
    odd = [value for value in shown if not any(same(value, each) for each in known)]
    if not known or not odd:
        return False
    if any(is_like(value, each) for value in odd for each in known):
        return True
    kinds = {kind(each) for each in known}
    return len(odd) == len(shown) and all(kind(value) not in kinds for value in odd)


def judge_counter(record: Record, options: Options) -> Said:
    """The checker ``counter``."""
    facts = Facts(record)
    signs = {"add": 1, "inc": 1, "dec": -1}
    changes: list[tuple[Call, Any]] = []
    unclear = False
    for call in facts.found:
        if call.f not in signs or not facts.happened(call):
            continue
        one = call.asked is None and call.f != "add"
        amount = 1 if one else call.value
        unclear = unclear or (one and call.ok and call.answer is not None and call.answer != 1)
        changes.append((call, amount))
    whole = [is_number(amount) and amount == int(amount) for _, amount in changes]
    start = 0 if facts.initial is None else facts.initial
    if not all(whole) or not is_number(start):
        return Said(False, False, True)
    answered = [c for c in facts.found if c.f == "read" and c.ok and c.answer is not None]
    reads = [c for c in answered if is_number(c.answer) and c.answer == int(c.answer)]
    deltas = [(call, signs[call.f] * amount) for call, amount in changes]
    late = [read for read in reads if not _adds_up(read, deltas, start, is_fresh=True)]
    never = [read for read in late if not _adds_up(read, deltas, start, is_fresh=False)]
    only_late = [read for read in late if read not in never]
    lasts = facts.lasts(reads) if facts.is_run else []
    lost = bool(lasts) and all(read in only_late for read in lasts) and len(reads) == len(answered)
    counts = facts.fresh or not facts.claims
    broken = bool(never) or (facts.durable and (lost or (bool(only_late) and counts)))
    if unclear:
        return Said(False, False, bool(late) or len(reads) < len(answered) or not reads)
    is_unknown = len(reads) < len(answered) or not reads
    return Said(broken, broken, is_unknown, bool(late))


def _adds_up(read: Call, deltas: Sequence[tuple[Call, int]], start: int, *, is_fresh: bool) -> bool:
    begun = [(call, delta) for call, delta in deltas if call.start < read.end]
    for choice in subsets(begun):
        taken = [call for call, _ in choice]
        if is_fresh and any(c.end < read.start and c not in taken for c, _ in begun):
            continue
        if start + sum(delta for _, delta in choice) == read.answer:
            return True
    return False


class _Queues(Facts):
    def __init__(self, record: Record) -> None:
        super().__init__(record)
        self.refused = self.initial is not None and not isinstance(self.initial, list)
        there = [] if self.refused or self.initial is None else self.initial
        enqueues = [c for c in self.found if c.f == "enqueue"]
        self.nameless = [c for c in enqueues if c.value is None and not c.failed]
        self.into: list[tuple[Any, Call | None]] = [(value, None) for value in there]
        self.into += [(c.value, c) for c in enqueues if c.value is not None]
        self.takes = [c for c in self.found if c.f in ("dequeue", "drain")]
        answered = [c for c in self.takes if c.ok and c.answer is not None]
        self.odd = [c for c in answered if c.f == "drain" and not isinstance(c.answer, list)]
        self.out: list[tuple[Any, Call]] = []
        for call in answered:
            if call not in self.odd:
                values = call.answer if call.f == "drain" else [call.answer]
                self.out += [(value, call) for value in values]
        known = [value for value, _ in self.into]
        if is_foreign([value for value, _ in self.out], known):
            odd = [call for value, call in self.out if is_foreign([value], known)]
            self.odd += odd
            self.out = [(value, call) for value, call in self.out if call not in odd]

    def attempts(self, value: Any) -> list[Call | None]:
        return [c for v, c in self.into if same(v, value) and (c is None or self.happened(c))]

    def from_nowhere(self) -> bool:
        """Whether something came out that nobody had begun to put in."""
        return any(
            not any(c is None or c.start < call.end for c in self.attempts(value))
            for value, call in self.out
        )

    def too_often(self) -> bool:
        """Whether no assignment gives each thing that came out one that went in before."""
        for value, _ in self.out:
            ends = [call.end for each, call in self.out if same(each, value)]
            starts = [BEFORE_ALL if c is None else c.start for c in self.attempts(value)]
            if len(ends) > len(starts):
                return True
            if not any(
                all(start < end for start, end in zip(order, ends, strict=False))
                for order in permutations(starts)
            ):
                return True
        return False

    def doubtful(self) -> bool:
        return bool(self.refused or self.odd or self.nameless)


def judge_queue(record: Record, options: Options) -> Said:
    """The checker ``queue``."""
    facts = _Queues(record)
    can_tell = not facts.refused and not facts.nameless
    wrong = can_tell and (facts.from_nowhere() or (facts.durable and facts.too_often()))
    return Said(wrong, wrong, facts.doubtful() or not facts.out)


def judge_total_queue(record: Record, options: Options) -> Said:
    """The checker ``total-queue``."""
    facts = _Queues(record)
    can_tell = not facts.refused and not facts.nameless
    wrong = can_tell and facts.from_nowhere()
    if options.get("exactly_once") and can_tell and facts.durable:
        wrong = wrong or facts.too_often()
    missing = 0
    for at, (value, _) in enumerate(facts.into):
        if not any(same(value, v) for v, _ in facts.into[:at]):
            put = sum(same(v, value) and (c is None or c.ok) for v, c in facts.into)
            missing += max(0, put - sum(same(v, value) for v, _ in facts.out))
    acknowledged = [c.end for _, c in facts.into if c is not None and c.ok]
    acknowledged += [c.end for c in facts.nameless if c.ok]
    is_empty = any(
        call.start > max(acknowledged, default=-1)
        and (not facts.is_run or (facts.final is not None and call.invocation.time >= facts.final))
        for call in facts.takes
        if _found_nothing(call)
    )
    open_ = [c for c in facts.takes if c.completion is None or c.completion.type == "info"]
    nil = [c for c in facts.takes if c.ok and c.f == "drain" and c.answer is None]
    excused = any(c.f == "drain" for c in open_) or bool(nil) or missing <= len(open_)
    unsure = bool(missing) and (not is_empty or excused)
    lost = bool(missing) and not unsure and not facts.doubtful() and facts.durable
    untested = not facts.into or not (facts.out or missing)
    return Said(wrong or lost, wrong or lost, facts.doubtful() or unsure or untested)


def _found_nothing(call: Call) -> bool:
    if call.f == "drain":
        return call.ok and isinstance(call.answer, list)
    if call.ok:
        return call.answer is None
    error = call.last.error
    first = error[0] if isinstance(error, list) else error
    return call.failed and first in ("empty", ":empty")


def judge_ids(record: Record, options: Options) -> Said:
    """The checker ``unique-ids``."""
    facts = Facts(record)
    answers = [c.answer for c in facts.found if c.f == "generate" and c.ok]
    answers = [answer for answer in answers if answer is not None]
    odd = [answer for answer in answers if isinstance(answer, bool | dict)]
    ids = [answer for answer in answers if not isinstance(answer, bool | dict)]
    before = facts.initial if isinstance(facts.initial, list) else []
    refused = facts.initial is not None and not isinstance(facts.initial, list)
    wrong = any(same(a, b) for at, a in enumerate(ids) for b in [*ids[:at], *before])
    untested = not ids or len(ids) + len(before) < 2
    return Said(wrong, wrong, refused or bool(odd) or untested)


def judge_lock(record: Record, options: Options) -> Said:
    """The checker ``lock``."""
    facts = Facts(record)
    if facts.initial is not None:
        return Said(False, False, True)
    granted = [c for c in facts.found if c.f == "acquire" and c.ok]
    wrong = False
    for a in granted:
        for b in granted:
            if a.end < b.end and _holds(a, b, facts.found, options):
                wrong = True
            if a is not b and _has_token(a) and _has_token(b):
                wrong = wrong or same(a.answer, b.answer)
                wrong = wrong or (a.end < b.start and a.answer > b.answer)
    for call in facts.found:
        if call.f == "release" and call.ok:
            before = [c for c in facts.found if c.process == call.process]
            before = before[: before.index(call)]
            past = [c for c in before if (c.f == "acquire" and not c.failed)]
            given = [c for c in before if c.f == "release" and c.ok]
            if not past or (given and before.index(past[-1]) < before.index(given[-1])):
                wrong = True
    leased = [c for c in granted if _lease(c, options) is not None and c.start == BEFORE_ALL]
    return Said(wrong, wrong, len(granted) < 2 or bool(leased))


def _has_token(call: Call) -> bool:
    return is_number(call.answer) and (call.asked is None or not same(call.asked, call.answer))


def _lease(call: Call, options: Options) -> Any:
    for operation in (call.last, call.invocation):
        if operation.extra and "lease_s" in operation.extra:
            return operation.extra["lease_s"]
    return options.get("lease_s")


def _holds(holder: Call, other: Call, found: Sequence[Call], options: Options) -> bool:
    """Whether ``holder`` certainly holds the lock when ``other`` is granted it."""
    own = [c for c in found if c.process == holder.process]
    for call in own[own.index(holder) + 1 :]:
        if call.f == "release" and not call.failed:
            if call.start < other.end:
                return False
            break
    lease = _lease(holder, options)
    if lease is None:
        return True
    began = holder.invocation.time
    return holder.start != BEFORE_ALL and other.last.time < began + lease * 1e9


def judge_bank(record: Record, options: Options) -> Said:
    """The checker ``bank``."""
    facts = Facts(record)
    initial = None if facts.initial is None else _balances(facts.initial)
    if facts.initial is not None and (not initial or not all(map(_is_amount, initial.values()))):
        return Said(False, False, True)
    answers = [c.answer for c in facts.found if c.f == "read" and c.ok and c.answer is not None]
    sound = [_balances(answer) for answer in answers]
    total = options.get("total")
    if total is None and initial:
        total = _sum(initial)
    for each in sound:
        if total is None and each and all(map(_is_amount, each.values())):
            total = _sum(each)
    accounts = options.get("accounts") or (list(initial) if initial else None)
    wrong = False
    for answer, each in zip(answers, sound, strict=True):
        if each is None:
            continue
        strange = set(each) - set(accounts or each) if isinstance(answer, dict) else set()
        if strange or not all(map(_is_amount, each.values())):
            wrong = True
            continue
        wrong = wrong or (total is not None and _sum(each) != total)
        is_below = min(each.values(), default=0) < 0
        wrong = wrong or (is_below and not options.get("negative_balances"))
    is_unknown = any(each is None for each in sound) or not any(sound)
    cannot_fail = bool(facts.claims) and not facts.claims & WHOLE_TOTALS
    return Said(wrong, wrong, is_unknown or cannot_fail)


def _balances(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list):
        value = {str(at): each for at, each in enumerate(value)}
    if not isinstance(value, dict):
        return None
    return value if all(v is None or is_number(v) for v in value.values()) else None


def _is_amount(value: Any) -> bool:
    return is_number(value) and isfinite(value)


def _sum(balances: Mapping[str, Any]) -> Fraction:
    return sum((Fraction(str(v)) for v in balances.values()), Fraction(0))
