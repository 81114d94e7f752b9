"""The checker ``counter``: every read lies between what must and what can have been counted.

``add`` changes the counter by its value, which may be negative (``increment`` and ``decrement``
are taken too, by one where they do not say), ``read`` answers its value. After
``jepsen.checker/counter``, which knows no decrements. A change that was acknowledged before the
read began has certainly been counted; one that began before the read was over, and did not fail,
may have been. So a read that is not stale must be

    initial + certain changes + some of the possible ones

- ``too-low``, ``too-high``: outside the bounds that follow
- ``unreachable``: inside, and no choice of the possible changes adds up to it (tried where not
  all changes are by one and at most 64 are possible)
- ``lost`` (in runs): so is the last read on every node after recovery, so that acknowledged changes
  are gone for good

Where only staleness explains a read (some choice of *all* changes begun by its end adds up to it),
it breaks a claim that forbids stale reads (:mod:`checkers.proof.promises`); where nothing is
claimed it is an error, as in Jepsen. A read that no choice of changes explains breaks any claim,
and so does a loss, unless durability is disclaimed.

Sound, not complete: single reads are judged, not their order among each other (the model
``counter`` of linearizability does that). ``true`` needs a read that was answered with a number;
one that answered nil answered nothing, and one that answered anything else makes ``unknown``. What
an increment *answers* is no amount. Cost: one pass, n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.proof.cases import SHOWN_CASES
from checkers.proof.each_key import each_key
from checkers.proof.findings import LISTED, Findings
from checkers.proof.promises import STALE_ALSO_NOT, STALE_NOT, Promises, promises
from checkers.proof.shapes import HINT, is_pair
from checkers.proof.words import shortened
from harness.history.calls import NEVER, Call, calls, of, short
from harness.verdict.record import Record
from harness.verdict.steps import MEND_ANSWERS, READ_MORE, STRONGER_CLAIM, Settle
from harness.verdict.verdict import Budget, Verdict

SIGNS: Final[Mapping[str, int]] = {"add": 1, "inc": 1, "increment": 1, "dec": -1, "decrement": -1}
MOST_POSSIBLE: Final = 64
WIDEST_SUM: Final = 1 << 20
TOO_LOW: Final = "too-low"
TOO_HIGH: Final = "too-high"
UNREACHABLE: Final = "unreachable"
LOST: Final = "lost"
STALE: Final = "stale"


@dataclass(frozen=True)
class Change:
    """One change that may have happened, and by how much."""

    call: Call
    delta: int


@dataclass(frozen=True)
class Read:
    """One read with the least and the most that it may show if it is not stale."""

    call: Call
    value: int
    lowest: int
    highest: int


@dataclass(frozen=True)
class Wrong:
    """A read that is wrong. ``is_stale`` if it may have been right earlier."""

    read: Read
    kind: str
    is_stale: bool


class Counter:
    """Judges the reads of a counter; the initial value is the header's, or 0."""

    name = "counter"
    reads = frozenset({"history"})
    operations = frozenset((*SIGNS, "read"))

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all reads of ``record``, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        promised = promises(record, self.options)
        found = calls(record.history)
        possible = [call for call in of(SIGNS, found) if promised.may_have_happened(call)]
        answered = [call for call in of(("read",), found) if call.ok and call.answer is not None]
        findings = Findings(record)
        if doubt := _doubt(record.header.initial, possible):
            return findings.verdict(stats={"read-count": len(answered)}, unknown=doubt)
        changes = [Change(call, _amount(call)) for call in possible]
        initial = int(record.header.initial or 0)
        calls_read = [call for call in answered if _is_integer(call.answer)]
        odd = [call for call in answered if not _is_integer(call.answer)]
        reads = _bounded(calls_read, changes, initial)
        wrong = _Wrong(reads, changes, initial)
        if not any(_is_ambiguous(call) for call in possible):
            wrong.report(findings, promised, has_odd_reads=bool(odd))
        stats = wrong.stats()
        only_stale = bool(findings.counts) and wrong.are_all_stale(findings)
        return findings.verdict(
            stats=stats,
            unknown=wrong.doubt(promised, odd, possible),
            mend=wrong.mend(promised, odd, possible),
            empty="" if reads else "the counter was never read",
            settle="a read of the counter that is answered",
            not_=STALE_NOT if only_stale else (),
            also_not=STALE_ALSO_NOT if only_stale else (),
            permitted=wrong.permitted(promised),
            permitted_by=promised.excuse,
        )


def _is_integer(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _asked(call: Call) -> Any:
    """By how much ``call`` changes: what was asked; of one that asked nothing, one.

    What an increment answers may be the new value. An ``add`` must say by how much, if not in
    its invocation then in its completion.
    """
    if call.asked is None and call.f != "add":
        return 1
    return call.value


def _amount(call: Call) -> int:
    return SIGNS[call.f] * int(_asked(call))


def _is_ambiguous(call: Call) -> bool:
    """Whether the answer of an increment that asked nothing may also be its amount."""
    return call.asked is None and call.f != "add" and call.ok and call.answer not in (None, 1)


def _doubt(initial: Any, changes: Sequence[Call]) -> str:
    """Why nothing can be counted; empty if it can."""
    if initial is not None and not _is_integer(initial):
        return f"the initial state {short(initial)} is no integer"
    for call in changes:
        if not _is_integer(_asked(call)):
            hint = f" ({HINT})" if is_pair(call.value) else ""
            return f"{call}: {short(call.value)} is no integer{hint}"
    return ""


class _Wrong:
    """The reads that are wrong, and what they break."""

    def __init__(self, reads: Sequence[Read], changes: Sequence[Change], initial: int) -> None:
        self.reads, self.changes, self.initial = reads, changes, initial
        choices = _Choices(changes)
        loose = _Loose(changes, initial)
        self.found = [
            Wrong(read, kind, loose.explains(read))
            for read in reads
            if (kind := _kind(read, choices))
        ]
        self.lost: list[Wrong] = []

    def report(self, findings: Findings, promised: Promises, *, has_odd_reads: bool) -> None:
        """Tell of all that breaks a promise."""
        by_read = {id(wrong.read.call): wrong for wrong in self.found}
        lasts = promised.last_reads([read.call for read in self.reads]) if promised.is_run else []
        losing = [by_read.get(id(call)) for call in lasts]
        if lasts and all(wrong is not None and wrong.is_stale for wrong in losing):
            self.lost = [] if has_odd_reads else [wrong for wrong in losing if wrong is not None]
        if self.lost and not promised.not_durable:
            _report_lost(findings, self.lost, self.changes, self.initial)
        for wrong in self.found:
            if wrong.is_stale and not self._breaks(promised):
                continue
            if findings.counts.get(wrong.kind, 0) < SHOWN_CASES:
                _report(findings, wrong.kind, wrong.read, self.changes, self.initial)
            else:
                findings.add(wrong.kind, (), ())

    def _breaks(self, promised: Promises) -> bool:
        """Whether a read that may only be stale, or miss what was lost, is an error."""
        return not promised.not_durable and (promised.forbid_stale or not promised.claimed)

    def permitted(self, promised: Promises) -> dict[str, int]:
        """What was found and breaks no promise, counted."""
        stale = [wrong for wrong in self.found if wrong.is_stale]
        if self._breaks(promised):
            return {}
        if self.lost and promised.not_durable:
            return {LOST: len(self.lost), STALE: len(stale) - len(self.lost)}
        return {STALE: len(stale)}

    def are_all_stale(self, findings: Findings) -> bool:
        """Whether some model would allow all that was told."""
        return LOST not in findings.counts and all(wrong.is_stale for wrong in self.found)

    def doubt(self, promised: Promises, odd: Sequence[Call], changes: Sequence[Call]) -> str:
        """Why the absence of errors proves nothing; empty if it does."""
        if odd:
            return f"{odd[0]} answered {short(odd[0].answer)}, which is no integer"
        if not self.found:
            return ""
        ambiguous = next((call for call in changes if _is_ambiguous(call)), None)
        if ambiguous is not None:
            return (
                f"{len(self.found)} reads are wrong if every increment is by one, and"
                f" {ambiguous} answered {short(ambiguous.answer)}, which may be its amount"
            )
        if promised.not_durable or self._breaks(promised):
            return ""
        if promised.are_of_sessions:
            what = f"whether {', '.join(promised.claimed)} forbids that is not decided here"
        elif promised.is_run and promised.last_reads([read.call for read in self.reads]):
            return ""
        else:
            what = "nothing tells whether later reads would show what these lack"
        return f"{len(self.found)} reads are stale, or show that changes were lost; {what}"

    def mend(self, promised: Promises, odd: Sequence[Call], changes: Sequence[Call]) -> Settle:
        """What would settle :meth:`doubt`."""
        if odd or any(_is_ambiguous(call) for call in changes):
            return MEND_ANSWERS
        return STRONGER_CLAIM if promised.are_of_sessions else READ_MORE

    def stats(self) -> dict[str, Any]:
        """Counts and bounds, as Jepsen's."""
        errors = [wrong.read for wrong in self.found]
        return {
            "read-count": len(self.reads),
            "error-count": len(errors),
            "errors": [[read.lowest, read.value, read.highest] for read in errors[:LISTED]],
            "reads": [[read.lowest, read.value, read.highest] for read in self.reads[:LISTED]],
        }


def _kind(read: Read, choices: _Choices) -> str:
    if read.value < read.lowest:
        return TOO_LOW
    if read.value > read.highest:
        return TOO_HIGH
    return UNREACHABLE if _is_unreachable(read, choices) else ""


class _Loose:
    """What a stale read may show: any choice of the changes that began before it was over."""

    def __init__(self, changes: Sequence[Change], initial: int) -> None:
        self.changes = sorted(changes, key=lambda change: change.call.start)
        self.initial = initial
        self._starts = [change.call.start for change in self.changes]
        self._ups = _Sum([(c.call.start, c.delta) for c in changes if c.delta > 0])
        self._downs = _Sum([(c.call.start, c.delta) for c in changes if c.delta < 0])

    def explains(self, read: Read) -> bool:
        """Whether ``read`` may be stale; also where that is too much work to try."""
        end = read.call.end
        lowest = self.initial + self._downs.before(end)
        if not lowest <= read.value <= self.initial + self._ups.before(end):
            return False
        begun = bisect_left(self._starts, end)
        return begun > MOST_POSSIBLE or _reaches(self.changes[:begun], read.value - lowest)


def _reaches(changes: Sequence[Change], above_lowest: int) -> bool:
    """Whether a choice of ``changes`` is that much more than all those that go down."""
    if sum(abs(change.delta) for change in changes) > WIDEST_SUM:
        return True
    reachable = 1 << -sum(change.delta for change in changes if change.delta < 0)
    for change in changes:
        step = change.delta
        reachable |= reachable << step if step > 0 else reachable >> -step
    return bool(reachable >> above_lowest & 1)


def _bounded(reads: Sequence[Call], changes: Sequence[Change], initial: int) -> list[Read]:
    """Each read with the least and the most that it may show.

    The least: ups that were over before it began, downs that began before it was over; the most
    the other way round. Four running sums over positions give both.
    """
    over_ups, begun_ups = _sums(changes, 1)
    over_downs, begun_downs = _sums(changes, -1)
    return [
        Read(
            read,
            int(read.answer),
            initial + over_ups.before(read.start) + begun_downs.before(read.end),
            initial + begun_ups.before(read.end) + over_downs.before(read.start),
        )
        for read in reads
    ]


def _sums(changes: Sequence[Change], sign: int) -> tuple[_Sum, _Sum]:
    signed = [change for change in changes if change.delta * sign > 0]
    ended = [(change.call.end, change.delta) for change in signed if change.call.end < NEVER]
    return _Sum(ended), _Sum([(change.call.start, change.delta) for change in signed])


class _Sum:
    """The sum of all deltas at positions before one that is asked for."""

    def __init__(self, deltas: Sequence[tuple[int, int]]) -> None:
        ordered = sorted(deltas)
        self._positions = [position for position, _ in ordered]
        self._totals = [0]
        for _, delta in ordered:
            self._totals.append(self._totals[-1] + delta)

    def before(self, position: int) -> int:
        """The sum over all positions below ``position``."""
        return self._totals[bisect_left(self._positions, position)]


class _Choices:
    """The changes that a read may or may not show, found without a look at all of them."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.are_all_by_one = all(abs(change.delta) == 1 for change in changes)
        ordered = sorted(changes, key=lambda change: change.call.start)
        self._open = [change for change in ordered if change.call.end == NEVER]
        self._ended = [change for change in ordered if change.call.end < NEVER]
        self._open_starts = [change.call.start for change in self._open]
        self._starts = [change.call.start for change in self._ended]
        self._ends = sorted(change.call.end for change in self._ended)

    def of(self, read: Read) -> list[Change] | None:
        """The possible changes of ``read``; ``None`` if they are too many to try."""
        opened = bisect_left(self._open_starts, read.call.end)
        begun = bisect_left(self._starts, read.call.end)
        left = begun - bisect_left(self._ends, read.call.start)
        if opened + left > MOST_POSSIBLE:
            return None
        found = self._open[:opened]
        while left:
            begun -= 1
            if self._ended[begun].call.end >= read.call.start:
                found.append(self._ended[begun])
                left -= 1
        return found


def _is_unreachable(read: Read, choices: _Choices) -> bool:
    """Whether no choice of the possible changes adds up to what ``read`` shows."""
    if read.lowest == read.highest or choices.are_all_by_one:
        return False
    possible = choices.of(read)
    return possible is not None and not _reaches(possible, read.value - read.lowest)


def _parts(read: Read, changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """The changes that ``read`` must show, and those that it may show."""
    certain = [change for change in changes if change.call.end < read.call.start]
    possible = [
        change
        for change in changes
        if change.call.end >= read.call.start and change.call.start < read.call.end
    ]
    return certain, possible


def _report(
    findings: Findings, kind: str, read: Read, changes: Sequence[Change], initial: int
) -> None:
    certain, possible = _parts(read, changes)
    total = sum(change.delta for change in certain)
    reasons = [
        f"{len(certain)} changes, {total:+d} together, were acknowledged before T1 began, so T1"
        f" must count them: {initial} {total:+d} = {initial + total}.",
        f"{len(possible)} more may have been counted, as they began before T1 was over and were"
        f" not over before it began: {_few(possible)}.",
    ]
    if kind == UNREACHABLE:
        reasons.append(
            f"T1 shows {read.value}, and no choice of these adds up to"
            f" {read.value - initial - total:+d}: a contradiction."
        )
    else:
        reasons.append(
            f"So T1 lies between {read.lowest} and {read.highest}, and it shows {read.value}:"
            " a contradiction."
        )
    involved = [read.call, *(change.call for change in possible[:6])]
    expected = [read.lowest, read.highest]
    findings.add(kind, involved[:7], reasons, expected=expected, found=read.value)


def _report_lost(
    findings: Findings, lost: Sequence[Wrong], changes: Sequence[Change], initial: int
) -> None:
    last = lost[-1].read
    certain, _ = _parts(last, changes)
    total = sum(change.delta for change in certain)
    reasons = [
        f"{len(certain)} changes, {total:+d} together, were acknowledged before T1 began, after"
        f" recovery, so T1 must count them: {initial} {total:+d} = {initial + total}, and with what"
        f" may have been counted beside them between {last.lowest} and {last.highest}.",
        f"T1 shows {last.value}. So it is in the last read on every node ({len(lost)} in all):"
        " acknowledged changes are lost.",
    ]
    expected = [last.lowest, last.highest]
    involved = [wrong.read.call for wrong in lost[::-1]]
    findings.add(LOST, involved[:7], reasons, expected=expected, found=last.value)


def _few(possible: Sequence[Change]) -> str:
    changes = [f"{c.delta:+d} (index {c.call.invocation.index})" for c in possible]
    return shortened(changes, 12) or "none"


CHECKERS = {"counter": Counter}
