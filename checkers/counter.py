"""The checker ``counter``: every read lies between what must and what can have been counted.

``add`` changes the counter by its value, which may be negative (``increment`` and ``decrement``
are taken too), ``read`` answers its value. After ``jepsen.checker/counter``, which knows no
decrements. A change that was acknowledged before the read began has certainly been counted; one
that began before the read was over, and did not fail, may have been. So a read must be

    initial + certain changes + some of the possible ones

- ``too-low``, ``too-high``: outside the bounds that follow
- ``unreachable``: inside, and no choice of the possible changes adds up to it (tried where not
  all changes are by one and at most 64 are possible)

Sound, not complete: single reads are judged, not their order among each other (the model
``counter`` of linearizability does that). Without a read every history is valid. Cost: one
pass, n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkers.calls import NEVER, Call, calls, of, short
from checkers.telling import LISTED, SHOWN, Findings, each_key
from harness.history.record import Record
from harness.history.verdict import UNKNOWN, Budget, Verdict

SIGNS: Final[Mapping[str, int]] = {"add": 1, "inc": 1, "increment": 1, "dec": -1, "decrement": -1}
MOST_POSSIBLE: Final = 64
WIDEST_SUM: Final = 1 << 20


@dataclass(frozen=True)
class Change:
    """One change that may have happened, and by how much."""

    call: Call
    delta: int


@dataclass(frozen=True)
class Read:
    """One read with the least and the most that it may show."""

    call: Call
    value: int
    lowest: int
    highest: int


class Counter:
    """Judges the reads of a counter; the initial value is the header's, or 0."""

    name = "counter"
    reads = frozenset({"history"})

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def check(self, record: Record, budget: Budget) -> Verdict:
        """The verdict on all reads of ``record``, key by key if keys are independent."""
        return each_key(record, self._judge, budget)

    def _judge(self, record: Record, budget: Budget) -> Verdict:
        found = calls(record.history)
        changes = [_change(call) for call in of(SIGNS, found) if not call.failed]
        answered = [call for call in of(("read",), found) if call.ok and call.answer is not None]
        odd = [call for call in answered if not _is_integer(call.answer)]
        odd += [change.call for change in changes if change.delta == 0 and _is_odd(change.call)]
        if odd:
            return Verdict(valid=UNKNOWN, why=f"{odd[0]}: {short(odd[0].value)} is no integer")
        initial = record.header.initial if _is_integer(record.header.initial) else 0
        reads = _bounded(answered, changes, initial)
        findings = Findings(record)
        choices = _Choices(changes)
        errors = [read for read in reads if self._find(findings, read, choices, initial)]
        stats = {
            "read-count": len(reads),
            "error-count": len(errors),
            "errors": [[read.lowest, read.value, read.highest] for read in errors[:LISTED]],
            "reads": [[read.lowest, read.value, read.highest] for read in reads[:LISTED]],
        }
        only_low = set(findings.counts) <= {"too-low"}
        return findings.verdict(
            stats=stats,
            not_=("linearizable",) if only_low else (),
            also_not=("strict-serializable",) if only_low else (),
        )

    def _find(self, findings: Findings, read: Read, choices: _Choices, initial: int) -> bool:
        """Tell of ``read`` if it cannot be."""
        if read.value < read.lowest:
            kind = "too-low"
        elif read.value > read.highest:
            kind = "too-high"
        elif _is_unreachable(read, choices):
            kind = "unreachable"
        else:
            return False
        if findings.counts.get(kind, 0) < SHOWN:
            _tell(findings, kind, read, choices.changes, initial)
        else:
            findings.add(kind, (), ())
        return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_odd(call: Call) -> bool:
    return not (_is_integer(call.value) or (call.value is None and call.f != "add"))


def _change(call: Call) -> Change:
    amount = 1 if call.value is None and call.f != "add" else call.value
    return Change(call, SIGNS[call.f] * amount if _is_integer(amount) else 0)


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
            read.answer,
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
    if possible is None or sum(abs(change.delta) for change in possible) > WIDEST_SUM:
        return False
    reachable = 1 << -sum(change.delta for change in possible if change.delta < 0)
    for change in possible:
        step = change.delta
        reachable |= reachable << step if step > 0 else reachable >> -step
    return not reachable >> (read.value - read.lowest) & 1


def _parts(read: Read, changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """The changes that ``read`` must show, and those that it may show."""
    certain = [change for change in changes if change.call.end < read.call.start]
    possible = [
        change
        for change in changes
        if change.call.end >= read.call.start and change.call.start < read.call.end
    ]
    return certain, possible


def _tell(
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
    if kind == "unreachable":
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


def _few(possible: Sequence[Change]) -> str:
    told = ", ".join(f"{c.delta:+d} (index {c.call.invocation.index})" for c in possible[:12])
    return (told or "none") + (" and others" if len(possible) > 12 else "")


CHECKERS = {"counter": Counter}
